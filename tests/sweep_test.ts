/**
 * The pieces of a sweep: together they are the whole, each position once, with the same chance.
 * @module
 */

import assert from "node:assert/strict";
import { chanceAt, covered, strideOf, taken } from "./sweep.ts";

Deno.test("The pieces of a sweep are together the whole, each position once", () => {
  for (const [count, pieces] of [[1_791, 8], [7, 3], [5, 9], [1, 1]] as const) {
    const all: number[] = [];
    for (let k = 1; k <= pieces; k++) all.push(...taken(count, strideOf(`${k}/${pieces}`)!));
    assert.deepEqual(all.sort((a, b) => a - b), taken(count, strideOf("all")!));
    assert.equal(all.length, count);
  }
});

Deno.test("Every Nth position begins where the seed says, and a sample is none of it", () => {
  const found = taken(100, strideOf("30")!, 7);
  assert.deepEqual(found, taken(100, strideOf("30")!, 7));
  assert.ok(found.length >= 3 && found.every((at, i) => at === found[0]! + 30 * i));
  assert.equal(strideOf(undefined), null);
});

Deno.test("A piece that is none is refused, and says what may be asked for", () => {
  for (const text of ["0", "0/4", "5/4", "1/0", "half", "1/2/3", "-1"]) {
    assert.throws(() => strideOf(text), /"all", "N", or "K\/N" with K up to N/, text);
  }
});

Deno.test("A position has the same chance in each piece, and another than its neighbours", () => {
  const draw = (at: number, seed: number): number => chanceAt(at, seed).word();
  assert.equal(draw(12, 3), draw(12, 3));
  const drawn = Array.from({ length: 500 }, (_, at) => draw(at, 3));
  assert.equal(new Set([...drawn, draw(0, 4)]).size, 501);
});

Deno.test("A sweep says which positions it covered", () => {
  assert.match(covered([0, 1, 2], 3, "calls"), /^3 of 3 calls \(all of them\), LIBOS_SEED=\d+$/);
  assert.match(covered([1, 9, 17, 25, 33], 40, "calls"), /^5 of 40 calls \(at 2, 10, 18, … 34\)/);
  assert.match(covered([4, 8], 12, "commits"), /^2 of 12 commits \(at 5, 9\)/);
});
