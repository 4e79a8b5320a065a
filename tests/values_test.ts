/**
 * The cache of values is bounded in bytes, and forgets what was not asked for the longest.
 * @module
 */

import assert from "node:assert/strict";
import { LIMITS } from "../kernel/limits.ts";
import { ValueCache } from "../kernel/values.ts";

Deno.test("ValueCache keeps values until their bytes are too many, the last used the longest", () => {
  const cache = new ValueCache();
  const third = LIMITS.valuesInMemoryBytesMax / 3;
  for (const name of ["a", "b", "c"]) cache.set(name, name, third);
  assert.equal(cache.get("a"), "a");
  cache.set("d", "d", third);
  assert.deepEqual(["a", "b", "c", "d"].map((name) => cache.get(name)), ["a", undefined, "c", "d"]);
});

Deno.test("ValueCache counts a value once, however often it is kept", () => {
  const cache = new ValueCache();
  for (let i = 0; i < 5; i++) cache.set("a", i, 100);
  assert.equal(cache.bytes, 100);
  assert.equal(cache.get("a"), 4);
});
