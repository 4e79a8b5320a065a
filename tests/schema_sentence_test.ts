/**
 * What is wrong with a value, as whoever gave it reads it.
 * @module
 */

import assert from "node:assert/strict";
import { checkAgainst } from "../kernel/schema.ts";

Deno.test("A field that a schema does not have is named, in words", () => {
  const schema = {
    type: "object",
    properties: { path: { type: "string" } },
    additionalProperties: false,
  };
  assert.equal(checkAgainst(schema, { path: "a" }), null);
  assert.equal(checkAgainst(schema, { text: "a" }), 'nothing is expected at "text"');
});
