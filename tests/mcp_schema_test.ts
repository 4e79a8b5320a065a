/**
 * What strangers' schemas and texts come to: nothing that hides, and nothing that takes for ever.
 * @module
 */

import assert from "node:assert/strict";
import { satisfies } from "../kernel/constraint.ts";
import type { Json, JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { shownDescription } from "../kernel/mcp.ts";
import { checkable } from "../kernel/mcp_schema.ts";
import { exposed, hiddenIn, shownSchema } from "../kernel/mcp_text.ts";

const READ: JsonObject = {
  type: "object",
  properties: { path: { type: "string" } },
  required: ["path"],
};

/** What a server's schema takes, what it refuses, and what is too much to check. */
const SCHEMAS: readonly (readonly [string, JsonObject, readonly Json[], readonly Json[]])[] = [
  ["plain", READ, [{ path: "a" }], [{}, { path: 1 }, "a"]],
  [
    "references",
    {
      $ref: "#/$defs/in",
      $defs: {
        in: { type: "object", properties: { a: { $ref: "#/$defs/text" } } },
        text: { type: "string" },
      },
    },
    [{ a: "x" }],
    [{ a: 1 }, 1],
  ],
  ["a reference to itself", { $ref: "#" }, [{}, 1], []],
  [
    "a list of itself",
    { properties: { next: { $ref: "#" } }, required: ["next"] },
    [{ next: { next: {} } }],
    [{}],
  ],
  ["a reference elsewhere", { $ref: "https://example.com/schema" }, [{}, 1], []],
  [
    "names by pattern",
    {
      patternProperties: { "^x": {} },
      additionalProperties: false,
    },
    [{ x1: 1 }],
    [],
  ],
  [
    "a name that is reserved",
    {
      properties: { constructor: {}, a: { type: "string" } },
      additionalProperties: false,
    },
    [{ a: "x" }],
    [],
  ],
  ["one of several", { oneOf: [{ type: "string" }, { minLength: 1 }] }, ["x"], []],
  ["what is not", { not: { type: "string" } }, ["x", 1], []],
  [
    "most of what it contains",
    {
      contains: { oneOf: [{ const: 1 }] },
      maxContains: 1,
    },
    [[1, 2, 3]],
    [],
  ],
  ["a pattern that takes for ever", { pattern: "^(a+)+$" }, ["a".repeat(40) + "b"], []],
  ["words nobody knows", { type: "string", "x-made-up": { deep: [1] } }, ["x"], [1]],
];

Deno.test("checkable() takes of a stranger's schema what is never stricter than it", () => {
  for (const [claim, schema, taken, refused] of SCHEMAS) {
    const made = checkable(schema);
    for (const value of taken) assert.ok(satisfies(made, value), `${claim}: ${value}`);
    for (const value of refused) assert.ok(!satisfies(made, value), `${claim}: ${value}`);
  }
});

Deno.test("a schema that is a bomb is checked as far as it is small", () => {
  const wide = Object.fromEntries(
    Array.from({ length: 3_000 }, (_, i) => [`f${i}`, { type: "string" }]),
  );
  const names = Array.from({ length: 30 }, (_, i) => `d${i}`);
  const doubling = Object.fromEntries(names.map((name, i) => {
    const next = { $ref: `#/$defs/d${i + 1}` };
    return [name, { properties: { a: next, b: next } }];
  }));
  const bombs: JsonObject[] = [
    { properties: wide },
    { $ref: "#/$defs/d0", $defs: doubling },
    { allOf: Array.from({ length: 5_000 }, () => ({ $ref: "#" })) },
    JSON.parse('{"properties":{"a":'.repeat(500) + "{}" + "}}".repeat(500)) as JsonObject,
  ];
  for (const bomb of bombs) assert.ok(satisfies(checkable(bomb), { f1: "x" }));
});

Deno.test("characters that do not show are shown as escapes, in all that a server says", () => {
  const hidden = [
    "\u200b", // no width
    "\u202e", // right to left
    "\u2066", // an isolate
    "\u00ad", // a soft hyphen
    "\u{e0049}", // a tag
    "\ufe0f", // a variant
    "\u3164", // a filler
    "\u2800", // an empty pattern
    "\u001b", // what screens obey
    "\u0085",
    "\u2028",
    "\ufeff",
    "\ue000",
  ];
  for (const char of hidden) {
    const code = char.codePointAt(0)!.toString(16);
    assert.deepEqual(hiddenIn(`a${char}b`), [`\\u{${code}}`], code);
    assert.equal(exposed(`a${char}b`, 100), `a\\u{${code}}b`);
    const text = JSON.stringify(shownSchema({ a: [{ description: `x${char}` }] }, 100));
    assert.ok(!text.includes(char) && text.includes(code), code);
  }
  assert.deepEqual(hiddenIn("Größe: 5 µm,\n\té 漢字"), []);
  const shown = shownDescription("files", {
    name: "read",
    inputSchema: READ,
    description: `${"x".repeat(5_000)}\u200b`,
  });
  assert.ok(shown.length < LIMITS.mcpDescriptionCharsMax + 200);
});
