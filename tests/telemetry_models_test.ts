/**
 * Claims about the times of streamed replies: what counts, and from when.
 * @module
 */

import assert from "node:assert/strict";
import type { Model } from "../kernel/world.ts";
import { timed } from "../runtime/telemetry_models.ts";

/** What is timed of a reply; a step is a wait in milliseconds, or what is heard. */
type Heard = number | "chunk" | "head" | "waits" | "is sent";
const TIMED: readonly (readonly [what: string, heard: readonly Heard[], times: string[]])[] = [
  ["a reply that came whole", [500], []],
  ["a stream", [500, "head", 20, "chunk", 30, "chunk", 40, "chunk"], ["first 520", "30", "40"]],
  ["after a wait", [500, "waits", 900, "is sent", 70, "head", 5, "chunk"], ["first 75"]],
  [
    "a stream that broke off, after the pause",
    [10, "head", "chunk", 20, "chunk", "waits", 900, "is sent", 60, "head", "chunk", 1, "chunk"],
    ["first 10", "20", "first 60", "1"],
  ],
  ["an attempt that nobody told of", [10, "head", "chunk", 90, "head", "chunk", 5, "chunk"], [
    "first 10",
  ]],
];
for (const [what, steps, expected] of TIMED) {
  Deno.test(`Pieces are timed from when their request was sent: ${what}`, async () => {
    let now = 0;
    const times: string[] = [];
    const model: Model = {
      id: "test/model",
      generate(_, { onChunk, onHead, onWait }) {
        for (const step of steps) {
          if (typeof step === "number") now += step;
          else if (step === "chunk") onChunk?.();
          else if (step === "head") onHead?.({});
          else onWait?.(step === "waits");
        }
        const reply = { text: "", calls: [], finish: "stop", inputTokens: 1, outputTokens: 1 };
        return Promise.resolve({ ...reply, finish: "stop" });
      },
    };
    const watched = timed(model, {
      now: () => now,
      first: (_, ms) => times.push(`first ${ms}`),
      next: (_, ms) => times.push(String(ms)),
    });
    const asked = { model: model.id, messages: [], tools: [], idempotencyKey: "1" };
    await watched.generate(asked, { signal: new AbortController().signal });
    assert.deepEqual(times, expected);
  });
}
