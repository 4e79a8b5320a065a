/**
 * The two ends of a child's pipes: what one writes the other reads, however it is cut.
 * @module
 */

import fc from "fast-check";
import { equal, ok } from "node:assert/strict";
import { LIMITS } from "../kernel/limits.ts";
import { frameReader, frameWriter } from "../sandboxes/guest/relay.ts";
import { PipeLink } from "../sandboxes/link.ts";

/** What is written, all of it or some at a time. */
function sink(most = Infinity) {
  const bytes: number[] = [];
  const writeSync = (given: Uint8Array): number => {
    const taken = given.subarray(0, most);
    bytes.push(...taken);
    return taken.length;
  };
  return { bytes, writeSync };
}

/** Gives bytes in pieces of these lengths, over and over; then the end. */
function source(bytes: readonly number[], lengths: readonly number[]) {
  let at = 0;
  let turn = 0;
  return (into: Uint8Array): number | null => {
    if (at >= bytes.length) return null;
    const count = Math.min(into.length, lengths[turn++ % lengths.length]!, bytes.length - at);
    into.set(bytes.slice(at, at + count));
    at += count;
    return count;
  };
}

/** The same in one room, which holds something else when the next piece is asked for. */
async function* pieces(bytes: readonly number[], lengths: readonly number[]) {
  const room = new Uint8Array(64);
  const next = source(bytes, lengths);
  for (let count = next(room); count !== null; count = next(room.fill(255))) {
    yield room.subarray(0, count);
    await null;
  }
}

/** What a host hears of these bytes, and how its link to the child ends. */
async function hostOf(bytes: readonly number[], lengths: readonly number[] = [64]) {
  const heard: string[] = [];
  const killed = Promise.withResolvers<{ code: number; errors: string }>();
  const link = new PipeLink({
    pid: 0,
    output: ReadableStream.from(pieces(bytes, lengths)),
    ended: killed.promise,
    write: () => Promise.resolve(),
    kill: () => killed.resolve({ code: 137, errors: "" }),
    usage: () => null,
  });
  link.hear((text) => heard.push(text));
  return { heard, why: (await link.ended).why };
}

Deno.test("frameReader() reads what frameWriter() wrote, however it is cut", async () => {
  const texts = fc.array(fc.string({ unit: "binary" }), { maxLength: 8 });
  const cuts = fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 4 });
  await fc.assert(fc.asyncProperty(texts, cuts, cuts, async (said, [most], lengths) => {
    const { bytes, writeSync } = sink(most);
    const write = frameWriter({ stdout: { writeSync } }, 1_024);
    for (const text of said) write(text);
    const read = frameReader(source(bytes, lengths), 65_536);
    for (const text of said) equal(read(), text);
    equal(read(), null);
    equal(
      (await hostOf(bytes, lengths.map((count) => count * 4))).heard.join("\n"),
      said.join("\n"),
    );
  }));
});

Deno.test("PipeLink.send() writes each text once and in order, however long", async () => {
  const lengths = [0, 1, 3, 40, 21_838, 21_841, 21_844, 70_000];
  const units = fc.constantFrom("a", "ü", "€", "\u{1f600}");
  const text = fc.tuple(units, fc.constantFrom(...lengths));
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 12 }), async (drawn) => {
      const said = drawn.map(([unit, count]) => unit.repeat(count));
      const bytes: number[][] = [];
      const link = new PipeLink({
        pid: 0,
        output: new ReadableStream(),
        ended: new Promise(() => {}),
        write: async (given) => {
          await null;
          bytes.push([...given]);
        },
        kill: () => {},
        usage: () => null,
      });
      for (const [i, one] of said.entries()) {
        if (i % 3 === 0) await null;
        link.send(one);
      }
      const wanted = said.reduce((sum, one) => sum + 4 + new TextEncoder().encode(one).length, 0);
      while (bytes.reduce((sum, { length }) => sum + length, 0) < wanted) await null;
      const read = frameReader(source(bytes.flat(), [65_536]), 2 ** 20);
      for (const one of said) ok(read() === one);
      equal(read(), null);
    }),
    { numRuns: 25 },
  );
});

Deno.test("frameReader() refuses a frame that is too long before it is there", () => {
  const read = frameReader(source([0, 0, 1, 1], [4]), 256);
  let message = "";
  try {
    read();
  } catch (error) {
    message = (error as Error).message;
  }
  equal(message, "a frame is too long");
});

Deno.test("frameWriter() has the host end a cage that says more than a frame holds", async () => {
  const { bytes, writeSync } = sink();
  const write = frameWriter({ stdout: { writeSync } }, LIMITS.cageFrameBytesMax);
  write("x".repeat(LIMITS.cageFrameBytesMax + 1));
  ok(bytes.length < 1_024);
  const { heard, why } = await hostOf(bytes);
  equal(heard.length, 0);
  equal(why, "it sent a frame that is too long");
});
