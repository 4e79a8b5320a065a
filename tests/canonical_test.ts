/**
 * Canonical text: one for each value, whatever the order of its fields, and none for what is no
 * JSON. What stands in order is written as a whole, so both ways have to give the same.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { canonical, isShort } from "../kernel/json.ts";

/** RFC 8785 as it is written down, and nothing done to be quick. */
function plainly(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(plainly).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = value as { readonly [name: string]: unknown };
  const names = Object.keys(fields).filter((name) => fields[name] !== undefined).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${plainly(fields[name])}`).join(",")}}`;
}

const WORDS = fc.oneof(
  fc.constantFrom("", "a", "b", "10", "9", "é", "\\ud", '"', "\n", "\u2028", "😀", "toJSON"),
  fc.string({ unit: "grapheme", maxLength: 80 }),
);
const { value: VALUE } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "medium" },
    WORDS,
    fc.constantFrom(null, true, false, 0, -0, 1e21, 5e-324, -1.2345678901234567e-300),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(WORDS, fc.option(tie("value"), { nil: undefined }), { maxKeys: 6 }),
  ),
}));

/** The same value with the fields of all its objects in canonical order. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  const names = Object.keys(value).sort();
  const fields = value as { readonly [name: string]: unknown };
  return Object.fromEntries(names.map((name) => [name, ordered(fields[name])]));
}

Deno.test("canonical() gives the text of RFC 8785, in whatever order the fields are", () => {
  fc.assert(
    fc.property(VALUE, fc.nat(400), (value, chars) => {
      const text = plainly(value);
      assert.equal(canonical(value), text);
      assert.equal(canonical(ordered(value)), text);
      if (isShort(value, chars)) assert.ok(text.length <= chars);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("canonical() refuses what JSON cannot say, also where the fields are in order", () => {
  const loop: { self?: unknown } = {};
  loop.self = loop;
  const NO_JSON = [
    NaN,
    Infinity,
    1n,
    "\ud800",
    () => 1,
    undefined,
    Symbol("x"),
  ];
  for (const one of NO_JSON) {
    for (const value of [one, [one], { a: 1, b: { c: [one] } }]) {
      // A field that is undefined is not there.
      if (one === undefined && !Array.isArray(value) && value !== undefined) continue;
      assert.throws(() => canonical(value), { code: "EINVAL" }, String(one));
    }
  }
  assert.throws(() => canonical({ "\udc00": 1 }), { code: "EINVAL" });
  assert.throws(() => canonical(loop), RangeError);
});

Deno.test("canonical() calls no toJSON: a value is what its fields are", () => {
  class Odd {
    b = 1;
    a = new Date(0);
    toJSON(): string {
      return "another";
    }
  }
  assert.equal(canonical({ odd: new Odd() }), '{"odd":{"a":{},"b":1}}');
  assert.equal(canonical({ a: "\\ud800" }), '{"a":"\\\\ud800"}');
});
