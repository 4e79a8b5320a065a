/** Paths: one canonical form, and what is refused. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { SysError } from "../kernel/errors.ts";
import { matchResource } from "../kernel/grammar.ts";
import {
  fromProviderPath,
  resolvePath,
  resolvePatternPath,
  toProviderPath,
} from "../kernel/path.ts";

const RESOLVED: readonly (readonly [cwd: string, path: string, canonical: string])[] = [
  [".", ".", "."],
  [".", "a", "./a"],
  [".", "./a//b/", "./a/b"],
  [".", "a/./b/../c", "./a/c"],
  ["./src", "../lib/x.ts", "./lib/x.ts"],
  ["./src/deep", "../..", "."],
  ["./src", "~/x", "./src/~/x"],
  [".", "...", "./..."],
  [".", "a (1).txt", "./a (1).txt"],
  [".", "größe/日本", "./größe/日本"],
];

Deno.test("resolvePath() gives the canonical form", () => {
  for (const [cwd, path, canonical] of RESOLVED) assert.equal(resolvePath(cwd, path), canonical);
});

const REFUSED: readonly (readonly [name: string, path: string])[] = [
  ["nothing", ""],
  ["absolute", "/etc/passwd"],
  ["climbing out", "../x"],
  ["climbing out later", "a/../../x"],
  ["backslash", "a\\b"],
  ["NUL", "a\0b"],
  ["newline", "a\nb"],
  ["C1 control", "a\u0085b"],
  ["lone surrogate", "a\ud800"],
  ["not NFC", "e\u0301"],
  ["direction override", "a\u202egpj.exe"],
  ["star", "a*"],
  ["too long", "a".repeat(4_097)],
  ["too long in bytes", "é".repeat(2_049)],
  ["too deep", "a/".repeat(64)],
];

Deno.test("resolvePath() refuses what is no path inside the workspace with EINVAL", () => {
  for (const [name, path] of REFUSED) {
    assert.throws(
      () => resolvePath(".", path),
      (error) => error instanceof SysError && error.code === "EINVAL",
      name,
    );
  }
});

const part = fc.constantFrom("a", "b.ts", "..", ".", "", "ä", "~", "a b");
const path = fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join("/"));

Deno.test("resolvePath() is idempotent and never leaves the root", () => {
  fc.assert(fc.property(path, path, (cwd, name) => {
    let at: string;
    let once: string;
    try {
      at = resolvePath(".", cwd);
      once = resolvePath(at, name);
    } catch (error) {
      assert(error instanceof SysError && error.code === "EINVAL");
      return;
    }
    assert.equal(resolvePath(".", once), once);
    assert.equal(fromProviderPath(toProviderPath(once)), once);
    assert(once === "." || once.startsWith("./"));
    const segments = toProviderPath(once).split("/");
    assert(!segments.includes("..") && !segments.includes("."));
    assert(matchResource("./**", once));
  }));
});

Deno.test("resolvePatternPath() puts patterns below the working directory", () => {
  const rows: readonly (readonly [string, string, string])[] = [
    [".", "src/**", "./src/**"],
    [".", "./src/**", "./src/**"],
    ["./app", "src/*.ts", "./app/src/*.ts"],
    [".", "**/*.env", "./**/*.env"],
    [".", "a/**/**/b", "./a/**/b"],
    ["./app", "**", "**"],
    ["./app", "./**", "./app/**"],
  ];
  for (const [cwd, pattern, canonical] of rows) {
    assert.equal(resolvePatternPath(cwd, pattern), canonical);
    assert.equal(resolvePatternPath(".", canonical), canonical);
  }
  assert.throws(() => resolvePatternPath(".", "a/**/../b"), SysError);
  assert.throws(() => resolvePatternPath(".", "../**"), SysError);
  assert(matchResource("./**/*.env", "./.env") && matchResource("./**/*.env", "./a/b/prod.env"));
});

Deno.test("toProviderPath() turns the root into nothing", () => {
  assert.equal(toProviderPath("."), "");
  assert.equal(toProviderPath("./a/b"), "a/b");
});
