/**
 * Reading JSON gives the names that the text says, whatever was read before.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { canonical } from "../kernel/json.ts";
import { hasName, parseJson } from "../kernel/parse.ts";

/** Texts, each read after the one before it, and the names that they say. */
const NAMES: readonly (readonly [string, readonly string[]])[] = [
  ['{"a":1,"\\\\":2}', ["a", "\\"]],
  ['{"a":1,"\\t":2}', ["a", "\t"]],
  ['{"a":1,"\\n":2}', ["a", "\n"]],
  ['{"a":1,"\\u0041":2}', ["a", "A"]],
  ['{"b":1,"x\\\\":2}', ["b", "x\\"]],
  ['{"b":1,"x\\"":2}', ["b", 'x"']],
  ['{"\\u005f_proto__":1,"c":2}', ["__proto__", "c"]],
  ['{"\\t":1,"\\u0009":2,"d":3}', ["\t", "d"]],
  ['{"name-0-0":1,"\\t":2}', ["name-0-0", "\t"]],
  ['{"e":"\\\\", "\\t" : {"a":1,"\\t":[{"a":1,"\\r":"\\":"}]}}', ["e", "\t"]],
];

Deno.test("parseJson() gives each field its name, whatever names came there before", () => {
  for (const [text, names] of [...NAMES, ...NAMES]) {
    assert.deepEqual(Object.keys(parseJson(text) as object), names, text);
  }
  const deep = parseJson(NAMES.at(-1)![0]) as Record<string, { "\t": Record<string, string>[] }>;
  assert.deepEqual(Object.entries(deep["\t"]!["\t"][0]!), [["a", 1], ["\r", '":']]);
  assert.equal((parseJson('{"\\u005f_proto__":{"x":1}}') as { x?: number }).x, undefined);
});

const name = fc.oneof(
  fc.string({ unit: fc.constantFrom("\\", '"', "\t", "\n", "u", "0", "a", ":"), maxLength: 4 }),
  fc.string({ maxLength: 4 }),
);
const value = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    name,
    fc.integer(),
    fc.constant(null),
    fc.array(tie("any"), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie("any")), { maxLength: 4 }).map((all) => Object.fromEntries(all)),
  ),
})).any;

Deno.test("parseJson() reads what was written, for all values one after the other", () => {
  fc.assert(
    fc.property(value, (given) => {
      assert.deepEqual(parseJson(JSON.stringify(given)), given);
      assert.equal(canonical(parseJson(canonical(given))), canonical(given));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("parseJson() refuses what is no JSON, as JSON.parse does", () => {
  for (const text of ["", "{", '{"\\t"}', '{"\\t":}', '{"\\x":1}', '"\\', '{"a\\":1}', "{'a':1}"]) {
    assert.throws(() => parseJson(text), SyntaxError, text);
  }
});

Deno.test("parseJson() refuses what JSON.parse refuses, and nothing else", () => {
  const throws = (read: () => unknown): boolean => {
    try {
      read();
      return false;
    } catch (error) {
      return error instanceof SyntaxError;
    }
  };
  const pieces = fc.constantFrom(
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "a",
    "\\t",
    '"a\\""',
    "\n",
    "1",
  );
  fc.assert(
    fc.property(fc.string({ unit: pieces, maxLength: 12 }), (text) => {
      assert.equal(throws(() => parseJson(text)), throws(() => JSON.parse(text)), text);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("parseJson() takes a time in proportion to its text, however it is escaped", () => {
  // Would take minutes if each escape were looked at from each one before it.
  const text = `{"a":"${'\\\\\\"'.repeat(500_000)}","\\t":1}`;
  assert.deepEqual(Object.keys(parseJson(text) as object), ["a", "\t"]);
  // Nor is what ends nowhere looked at from each of its quotes.
  for (const open of ['{"a":"', '{"', '["\\\\", "']) {
    assert.throws(() => parseJson(open + '\\"'.repeat(1_000_000)), SyntaxError, open);
  }
  // And neither does depth end in an overflow of the stack.
  const deep = `{"\\t":${"[".repeat(200_000)}{"\\n":1}${"]".repeat(200_000)}}`;
  assert.ok(hasName(parseJson(deep), "\n"));
});
