/**
 * Asking a world model what actions would do, before asking to do them. Nothing happens, and no
 * right is gained: what was simulated is judged like anything else when it is done.
 * @module
 */

import { z } from "zod";
import { SysError } from "../../kernel/errors.ts";
import { type Json, plain } from "../../kernel/json.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Simulation, SimulationRequest, Simulator } from "../../kernel/simulate.ts";
import { attach, type Attached, withParts } from "../parts.ts";
import { jsonShape, objectShape } from "../shapes.ts";
import { type CallContext, syscall } from "../syscall.ts";
import { bounded } from "./model.ts";

const action = z.strictObject({
  action: z.string().min(1).max(256),
  args: jsonShape.optional(),
  atMs: z.number().int().min(0).optional(),
});

interface Prepared {
  readonly simulator: Simulator;
  readonly attached: Attached;
  readonly state: SimulationRequest["state"];
}

/** The call to simulators. */
export const simulateCalls = {
  "model.simulate": syscall({
    about: "Ask a world model what actions would do; nothing is done",
    effect: "emit",
    risk: "low",
    port: "closed",
    args: z.strictObject({
      model: z.string().min(1).max(256).describe("provider/model of a simulator"),
      actions: z.array(action).min(1).max(LIMITS.actionsPerSimulationMax),
      state: z.string().max(65_536).default("").describe("How things stand"),
      objects: z.array(objectShape).max(LIMITS.partsPerMessageMax).default([])
        .describe("What it is shown of it"),
      timeoutMs: z.number().int().min(1).default(LIMITS.modelTimeoutMsDefault),
    }),
    reply: z.looseObject({ outcome: z.string() }),
    cost: () => ({ modelCalls: 1, tokens: 0, usd: 0 }),
    needs: ({ model, objects }, at) => [
      { right: "model.simulate", resource: model },
      ...objects.map((object) => ({
        right: "object.read",
        resource: at.tree.resolve(at.process.pid, object).name,
        shown: object,
      })),
    ],
    async prepare(at, { model, state: text, objects }): Promise<Prepared> {
      const simulator = at.world.simulator?.(model);
      if (simulator === undefined) {
        const expected = "expected one of createRuntime({ simulators })";
        throw new SysError("ENOSYS", `Cannot ask simulator "${model}": unknown, ${expected}`);
      }
      const state = { role: "user" as const, text, parts: objects.map((object) => ({ object })) };
      return { simulator, state, attached: await attach(at, [state], null) };
    },
    async run(at, { actions, timeoutMs }, { simulator, attached, state }) {
      const given = { attached, model: simulator, unsupported: "say" as const };
      const [shown] = withParts(at, [state], given);
      const request = {
        state: shown as Prepared["state"],
        actions: actions as SimulationRequest["actions"],
        idempotencyKey: at.idempotencyKey,
      };
      const made = await bounded(
        at,
        timeoutMs,
        (limit) => simulator.simulate(request, { signal: AbortSignal.any([at.signal, limit]) }),
      );
      return told(at, made);
    },
    // It changes nothing outside, and may be asked again.
    lost: "safe",
  }),
};

/** What is kept of an answer: code that is not ours gave it. */
function told(at: CallContext, made: Simulation): Json {
  const { outcome, value, likelihood, inputTokens = 0, outputTokens = 0, usd } = made;
  const bounds = { depthMax: LIMITS.jsonDepthMax, bytesMax: LIMITS.callReplyBytesMax };
  const isLikely = typeof likelihood === "number" && likelihood >= 0 && likelihood <= 1;
  if (typeof outcome !== "string") {
    throw new SysError("EIO", "Cannot use the simulation: no outcome, expected one in words");
  }
  at.book({ tokens: inputTokens + outputTokens, ...(usd === undefined ? {} : { usd }) });
  return {
    outcome: outcome.toWellFormed(),
    ...(value === undefined ? {} : { value: plain(value, bounds, "a simulation") }),
    ...(isLikely ? { likelihood } : {}),
    simulated: true,
  };
}
