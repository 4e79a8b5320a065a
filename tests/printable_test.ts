/**
 * Words in commands that people are told to run.
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import { shellWord } from "../providers/printable.ts";

Deno.test("shellWord() is read by a shell as the word it was, and nothing in it acts", () => {
  const table = [
    ["./a/b-1.ts", "./a/b-1.ts"],
    ["", "''"],
    ["a b", "'a b'"],
    [`it's "$(x)"`, `'it'\\''s "$(x)"'`],
    ["ü", "'ü'"],
    ["a\u001b[31m\n'\\", "$'a\\U0000001b[31m\\U0000000a\\'\\\\'"],
  ] as const;
  for (const [word, expected] of table) equal(shellWord(word), expected);
});
