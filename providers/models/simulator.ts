/**
 * A language model as a simulator: it is told how things stand and what might be done.
 * @module
 */

import type { Json } from "../../kernel/json.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { parseJson } from "../../kernel/parse.ts";
import type { Simulator } from "../../kernel/simulate.ts";
import type { Model } from "../../kernel/world.ts";

const INSTRUCTIONS =
  "You simulate a world. You are told how it stands, and actions that somebody " +
  "considers. Say what would happen if they were done in order, and what could go wrong. Nothing " +
  'is done by your answer. Answer with one JSON object and nothing else: {"outcome": "in words", ' +
  '"value": how it would stand, "likelihood": 0 to 1}.';

/**
 * Makes a simulator of a model, under the model's id. What it answers that is no JSON is its
 * outcome in words.
 *
 * @example
 * ```ts
 * import { modelSimulator } from "@agent-libos/core";
 * import { scriptedModel } from "@agent-libos/core/testing";
 * const answer = '{"outcome": "The cup falls", "likelihood": 0.9}';
 * const simulator = modelSimulator(scriptedModel([answer], { id: "my/world" }));
 * const state = { role: "user" as const, text: "A cup stands at the edge of a table" };
 * const request = { state, actions: [{ action: "push" }], idempotencyKey: "1" };
 * const { signal } = new AbortController();
 * const simulation = await simulator.simulate(request, { signal });
 * console.assert(simulation.outcome === "The cup falls" && simulation.likelihood === 0.9);
 * ```
 */
export function modelSimulator(model: Model): Simulator {
  return {
    id: model.id,
    ...(model.takes === undefined ? {} : { takes: model.takes }),
    async simulate({ state, actions, idempotencyKey }, { signal }) {
      const messages = [
        { role: "system" as const, text: INSTRUCTIONS },
        { ...state, text: `${state.text}\n\nThe actions:\n${JSON.stringify(actions)}` },
      ];
      const request = { model: model.id, messages, tools: [], idempotencyKey };
      const reply = await model.generate(request, { signal });
      const { inputTokens, outputTokens, usd } = reply;
      const used = { inputTokens, outputTokens, ...(usd === undefined ? {} : { usd }) };
      return { ...used, ...read(reply.text) };
    },
  };
}

type Read = Pick<Awaited<ReturnType<Simulator["simulate"]>>, "outcome" | "value" | "likelihood">;

function read(text: string): Read {
  const outcome = text.slice(0, LIMITS.toolResultBytesMax).toWellFormed();
  const from = text.indexOf("{");
  const to = text.lastIndexOf("}");
  if (from < 0 || to < from) return { outcome };
  try {
    const said = parseJson(text.slice(from, to + 1)) as SimulationAnswer;
    if (typeof said.outcome !== "string") return { outcome };
    return {
      outcome: said.outcome,
      ...(said.value === undefined ? {} : { value: said.value as Json }),
      ...(typeof said.likelihood === "number" ? { likelihood: said.likelihood } : {}),
    };
  } catch {
    return { outcome };
  }
}

interface SimulationAnswer {
  readonly outcome?: unknown;
  readonly value?: unknown;
  readonly likelihood?: unknown;
}
