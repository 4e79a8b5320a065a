/**
 * Agents that share an API: each makes its turns one after the other and dies of the first error,
 * as in the published evaluation. They ask by themselves, through a model behind a gate, or through
 * a gate as a proxy of which they know nothing but the address.
 * @module
 */

import { anthropicModel, Gate, gated, type GateOptions } from "../mod.ts";
import { gateProxy } from "../providers/gate_proxy.ts";
import { listenHttp } from "../providers/http.ts";
import { mockApi, type Scenario, type Seen } from "./hivemind_api.ts";

/** How agents ask. */
export type Way = "direct" | "model" | "proxy";

/** What came of a scenario. */
export interface Came {
  readonly dead: number;
  readonly turns: number;
  /** From the start to the last agent's end, in milliseconds as they passed. */
  readonly wallMs: number;
  /** Jain's index of the turns that each agent had when the first had all of its own. */
  readonly jain: number;
  readonly seen: Seen;
}

/** How a scenario is played. */
export interface Playing {
  readonly way: Way;
  /** By how much all times are shorter. */
  readonly speed: number;
  readonly seed: number;
  /** The gate's settings, times as in the scenario. */
  readonly gate?: GateOptions;
}

const PAUSE_MS = 50;
const MESSAGE_CHARS = 200;

/** One turn of an agent; throws what it dies of. */
type Ask = (agent: number, turn: number) => Promise<void>;

/** Plays a scenario. */
export async function play(scenario: Scenario, playing: Playing): Promise<Came> {
  const { way, speed, seed } = playing;
  await using api = mockApi(scenario, speed, seed);
  const gate = new Gate(shortened(playing.gate ?? {}, speed));
  const listener = way === "proxy" ? listenHttp(gateProxy({ upstream: api.url, gate })) : null;
  const ask = way === "model"
    ? askModel(api.url, gate)
    : askHttp(listener === null ? api.url : `${listener.url}/v1`);
  const done = Array.from({ length: scenario.agents }, () => 0);
  let atFirst: readonly number[] | undefined;
  const startMs = performance.now();
  const lives = done.map(async (_, agent) => {
    for (let turn = 0; turn < scenario.turns; turn++) {
      if (turn > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS / speed));
      await ask(agent, turn);
      done[agent]! += 1;
    }
    atFirst ??= [...done];
  });
  const ends = await Promise.allSettled(lives);
  const wallMs = performance.now() - startMs;
  await listener?.close();
  return {
    dead: ends.filter(({ status }) => status === "rejected").length,
    turns: done.reduce((sum, one) => sum + one, 0),
    wallMs,
    jain: jain(atFirst ?? done),
    seen: api.seen,
  };
}

/** A gate's times as they are when all goes faster. */
function shortened(gate: GateOptions, speed: number): GateOptions {
  return {
    ...gate,
    minuteMs: 60_000 / speed,
    retryMs: Math.max(1, (gate.retryMs ?? 250) / speed),
    breaker: { ...gate.breaker, coolMs: (gate.breaker?.coolMs ?? 10_000) / speed },
  };
}

/** 1 when all have the same; 1/n when one has all. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((all, one) => all + one, 0);
  const squares = shares.reduce((all, one) => all + one * one, 0);
  return squares === 0 ? 1 : sum * sum / (shares.length * squares);
}

function textOf(agent: number, turn: number): string {
  return `agent ${agent}, turn ${turn}: `.padEnd(MESSAGE_CHARS, "x");
}

function askModel(url: string, gate: Gate): Ask {
  const model = gated(anthropicModel({ url, modelId: "mock", apiKey: "key" }), gate);
  return async (agent, turn) => {
    const messages = [{ role: "user", text: textOf(agent, turn) }] as const;
    const idempotencyKey = `${agent}-${turn}`;
    const tree = `t_${agent}`;
    await model.generate({ model: model.id, messages, tools: [], idempotencyKey }, {
      signal: new AbortController().signal,
      asker: { tree, pid: `${tree}/1`, priority: 10 },
    });
  };
}

function askHttp(url: string): Ask {
  return async (agent, turn) => {
    const messages = [{ role: "user", content: textOf(agent, turn) }];
    const response = await fetch(`${url}/messages`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": `key-of-${agent}` },
      body: JSON.stringify({ model: "mock", max_tokens: 1_024, messages }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`status ${response.status}`);
    JSON.parse(text);
  };
}
