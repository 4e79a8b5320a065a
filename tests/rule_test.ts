/**
 * A rule that nobody could mean is refused where it is written.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask } from "../mod.ts";

Deno.test("A right is given for a whole number of uses, or for all of them", () => {
  for (const uses of [0, -1, 1.5, NaN, Infinity]) {
    const expected = { code: "EINVAL", message: /expected a whole number from 1/ };
    assert.throws(() => allow("file.read", "./x", { uses }), expected);
    assert.throws(() => ask("file.read", "./x", { uses }), expected);
  }
  assert.equal(allow("file.read", "./x", { uses: 1 }).uses, 1);
  assert.equal("uses" in allow("file.read", "./x"), false);
});
