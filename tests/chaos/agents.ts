/**
 * The agents of a chaos run: each does one effect a step, and waits in one of the ways there are.
 * @module
 */

import { allow, defineImage, type SpawnOptions } from "../../mod.ts";

/** What an agent is told. */
export interface Told {
  /** The recording server. */
  readonly origin: string;
  /** Its number: agents differ by it in what they do when. */
  readonly n: number;
  /** How long it waits after each effect, in milliseconds. */
  readonly pauseMs: number;
}

/** A word that ends an agent. */
export const LAST = "last";

/**
 * Does effects until it is told that it was the last. What is keyed may be sent again under its
 * key; what is plain may not, and stays in doubt where nobody knows.
 */
export const worker = defineImage({
  name: "worker",
  version: "1",
  maxSteps: 1_000_000,
  program: async ({ sys, input, step, pid }) => {
    const { origin, n, pauseMs } = input as unknown as Told;
    const idempotent = (n + step) % 2 === 0;
    const url = `${origin}/${pid}/${step}/${idempotent ? "keyed" : "plain"}`;
    await sys.net.fetch({ url, method: "POST", idempotent, timeoutMs: 2_000 }).catch(() => {});
    const way = (n + step) % 8;
    if (way === 3) {
      await sys.human.ask({ prompt: "Go on?", choices: ["yes"], expiresMs: 20 * pauseMs })
        .catch(() => {});
    }
    if (way % 2 === 1) await sys.clock.sleep({ ms: pauseMs }).catch(() => {});
    const { messages } = await sys.message.receive({
      max: 32,
      timeoutMs: way % 2 === 0 ? pauseMs : 0,
    }).catch(() => ({ messages: [] }));
    if (messages.some(({ type }) => type === LAST)) await sys.process.exit({ result: step });
  },
});

/** How an agent is started. */
export function spawning(told: Told): SpawnOptions {
  return {
    goal: `work ${told.n}`,
    input: { ...told },
    grants: [allow("net.fetch", `${told.origin}/**`)],
    idempotencyKey: `worker-${told.n}`,
  };
}
