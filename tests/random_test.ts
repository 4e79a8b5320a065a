/**
 * Chance: as much as was asked for, and the same again for the same seed.
 * @module
 */

import { deepEqual, equal, notDeepEqual, throws } from "node:assert/strict";
import { Panic } from "../kernel/errors.ts";
import { realRandom, SeededRandom } from "../providers/random.ts";

Deno.test("realRandom.bytes() gives any number of bytes, also beyond the host's own limit", () => {
  for (const length of [0, 1, 16, 65_536, 65_537, 200_000]) {
    const bytes = realRandom.bytes(length);
    equal(bytes.length, length);
    if (length > 1_000) equal(bytes.subarray(-500).some((byte) => byte !== 0), true);
  }
  notDeepEqual(realRandom.bytes(32), realRandom.bytes(32));
});

Deno.test("SeededRandom is sfc32: the words of a plain second writing of it", () => {
  const seed = 0x1234_5678_9abc;
  let [a, b, c, n] = [seed | 0, Math.floor(seed / 2 ** 32) | 0, 0, 1];
  const next = () => {
    const t = (((a + b) | 0) + n) | 0;
    n = (n + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  const random = new SeededRandom(seed);
  for (let i = 0; i < 1_000; i++) equal(random.word(), next());
});

Deno.test("SeededRandom repeats for a seed and differs for others", () => {
  deepEqual(new SeededRandom(7).bytes(99), new SeededRandom(7).bytes(99));
  const seeds = [0, 1, 2, -1, 2 ** 32, 2 ** 40 + 1, Number.MAX_SAFE_INTEGER];
  const all = seeds.map((seed) => new SeededRandom(seed).bytes(16).toHex());
  equal(new Set(all).size, seeds.length);
});

Deno.test("SeededRandom never changes what a seed means", () => {
  deepEqual([...new SeededRandom(42).bytes(8)], FIXED);
});

Deno.test("SeededRandom starts a new word with each call", () => {
  const random = new SeededRandom(3);
  const again = new SeededRandom(3);
  const first = random.bytes(5);
  deepEqual(first, again.bytes(8).subarray(0, 5));
  deepEqual(random.bytes(4), again.bytes(4));
});

Deno.test("SeededRandom.below() stays below and meets every number about as often", () => {
  const random = new SeededRandom(11);
  const counts = new Array<number>(6).fill(0);
  for (let i = 0; i < 60_000; i++) {
    const face = random.below(6);
    counts[face] = (counts[face] ?? 0) + 1;
  }
  equal(counts.length, 6);
  equal(counts.every((count) => count > 9_500 && count < 10_500), true, counts.join());
  equal(random.below(1), 0);
  equal(random.below(2 ** 32) < 2 ** 32, true);
});

Deno.test("SeededRandom panics at a seed or a bound that makes no sense", () => {
  for (const seed of [NaN, 0.5, 2 ** 53, Infinity]) throws(() => new SeededRandom(seed), Panic);
  for (const n of [0, -1, 1.5, NaN, 2 ** 33]) throws(() => new SeededRandom(1).below(n), Panic);
});

const FIXED = [106, 229, 121, 217, 202, 28, 189, 250];
