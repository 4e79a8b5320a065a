/**
 * How much work a schema may make of a value: bounded, whoever wrote either of them.
 * @module
 */

import assert from "node:assert/strict";
import { checkConstraint, satisfies } from "../kernel/constraint.ts";
import type { Json, JsonObject } from "../kernel/json.ts";
import { checkAgainst } from "../kernel/schema.ts";

Deno.test("satisfies() refuses what a schema could take too long on, and lets through what is only much", () => {
  const many = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);
  const names = many(400, 0).map((_, i) => `n${i}`);
  const rows: readonly (readonly [JsonObject, Json])[] = [
    [{ pattern: `${"a{256}".repeat(40)}b` }, "a".repeat(100_000)],
    [{ pattern: `(?:${"ab".repeat(100)}){256}c` }, "ab".repeat(50_000)],
    [{ items: { allOf: many(1_000, {}) } }, many(50_000, 0)],
    [
      { items: { properties: Object.fromEntries(names.map((name) => [name, true])) } },
      many(50_000, {}),
    ],
    [{ items: { required: names } }, many(50_000, {})],
    [
      { items: { dependentRequired: Object.fromEntries(names.map((name) => [name, []])) } },
      many(50_000, {}),
    ],
    [{ items: { enum: names } }, many(50_000, "n1")],
    [{ contains: { type: "string" } }, many(400_000, 0)],
    [
      { additionalProperties: { not: { anyOf: many(500, false) } } },
      Object.fromEntries(many(9_000, 0).entries()),
    ],
  ];
  for (const [schema, args] of rows) {
    checkConstraint(schema);
    const text = JSON.stringify(schema).slice(0, 80);
    assert(!satisfies(schema, args), text);
    assert(!satisfies({ not: schema }, args), `the opposite of ${text}`);
    assert.match(checkAgainst(schema, args) ?? "", /^too much to be checked/, text);
  }
  const much: readonly (readonly [JsonObject, Json])[] = [
    [{ items: { type: "integer" } }, many(500_000, 7)],
    [
      { items: { required: ["a"], properties: { a: true, b: { type: "string" } } } },
      many(50_000, { a: 1, b: "x" }),
    ],
    [{ items: { enum: ["a", "b", "c"] } }, many(200_000, "c")],
    [{ pattern: "^[0-9a-f]{64}" }, "a".repeat(1_000_000)],
    [{ pattern: "[0-9a-f]{64}" }, "a".repeat(200_000)],
  ];
  for (const [schema, args] of much) assert(satisfies(schema, args), JSON.stringify(schema));
});
