/** The grammar: reading, matching, containment. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { SysError } from "../kernel/errors.ts";
import {
  compile,
  covers,
  formatPattern,
  matchResource,
  matchRight,
  overlaps,
  parsePattern,
  type Pattern,
  splitResource,
  within,
} from "../kernel/grammar.ts";
import { PatternIndex } from "../kernel/pattern_index.ts";

Deno.test("parsePattern() reads rights with and without resources", () => {
  const rows: readonly (readonly [string, Pattern])[] = [
    ["file.read", { right: "file.read", resource: "**" }],
    ["file.*(./src/**)", { right: "file.*", resource: "./src/**" }],
    ["*", { right: "*", resource: "**" }],
    ["file.read(./a (1).txt)", { right: "file.read", resource: "./a (1).txt" }],
    ["mcp.files.read_*(./docs/**)", { right: "mcp.files.read_*", resource: "./docs/**" }],
    ["process.spawn(reader@*)", { right: "process.spawn", resource: "reader@*" }],
    ["net.fetch(https://api.example.com/v1/**)", {
      right: "net.fetch",
      resource: "https://api.example.com/v1/**",
    }],
  ];
  for (const [text, pattern] of rows) {
    assert.deepEqual(parsePattern(text), pattern);
    assert.deepEqual(parsePattern(formatPattern(pattern)), pattern);
  }
});

const BAD: readonly (readonly [text: string, column: number])[] = [
  ["", 1],
  ["file", 1],
  ["file.read(./a", 13],
  ["file..read", 6],
  ["*.read", 1],
  ["mcp.*.read", 5],
  ["fi le.read", 1],
  ["file.**", 6],
  ["file.read()", 11],
  ["file.read( a)", 11],
  ["file.read(a**b)", 11],
  ["file.read(./a/***)", 15],
  ["file.read(a\u0007)", 12],
  ["file.read(\ud800)", 11],
  [`file.read(${"a/".repeat(64)})`, 11],
];

Deno.test("parsePattern() refuses with EINVAL and the column", () => {
  for (const [text, column] of BAD) {
    assert.throws(() => parsePattern(text), (error) => {
      assert(error instanceof SysError && error.code === "EINVAL");
      assert.equal(error.detail?.column, column, text);
      return true;
    });
  }
  assert.throws(() => parsePattern(`file.read(${"a".repeat(1_024)})`), SysError);
});

const MATCHES: readonly (readonly [pattern: string, resource: string, expected: boolean])[] = [
  ["src/**", "src", true],
  ["src/**", "src/a/b", true],
  ["src/**", "src2", false],
  ["src/**", "src2/a", false],
  ["./src/**", "./src", true],
  ["./src/**", "./src2", false],
  ["./src/*", "./src/a", true],
  ["./src/*", "./src", false],
  ["./src/*", "./src/a/b", false],
  ["./**/*.env", "./.env", true],
  ["./**/*.env", "./a/b/x.env", true],
  ["./**/*.env", "./a.env/b", false],
  ["./a/**/b/**/c", "./a/b/c", true],
  ["./a/**/b/**/c", "./a/x/b/y/b/z/c", true],
  ["./a/**/b/**/c", "./a/c/b", false],
  ["a*b*c", "abc", true],
  ["a*b*c", "acbc", true],
  ["a*b*c", "acb", false],
  ["ab*ba", "aba", false],
  ["reader@*", "reader@2", true],
  ["https://*.example.com/**", "https://api.example.com/v1", true],
  ["https://*.example.com/**", "https://example.com.evil.test/v1", false],
  ["https://api.example.com/v1/**", "https://api.example.com/v2", false],
  ["**", "", true],
  ["**", "anything/at/all", true],
];

Deno.test("matchResource() matches segment by segment", () => {
  for (const [pattern, resource, expected] of MATCHES) {
    assert.equal(matchResource(pattern, resource), expected, `${pattern} ${resource}`);
  }
});

Deno.test("matchRight() matches a last part, and all with one star", () => {
  assert(matchRight("file.*", "file.read") && !matchRight("file.*", "files.read"));
  assert(matchRight("*", "file.read") && matchRight("mcp.*", "mcp.github.create.issue"));
  assert(matchRight("mcp.files.read_*", "mcp.files.read_text"));
  assert(!matchRight("mcp.files.read_*", "mcp.files.write") && !matchRight("file.read", "file.*"));
});

const segment = fc.constantFrom("a", "b", "ab", "ba", "", "*", "**", "a*", "*a", "*b*", "a*b");
const plainSegment = fc.constantFrom("a", "b", "ab", "ba", "aab", "", "abb");
const patternText = fc.array(segment, { minLength: 1, maxLength: 5 }).map((s) => s.join("/"));
const resourceText = fc.array(plainSegment, { minLength: 1, maxLength: 6 }).map((s) => s.join("/"));
const rightText = fc.constantFrom("file.read", "file.*", "file.r*", "*", "mcp.x.y", "mcp.x.*");
const plainRight = fc.constantFrom("file.read", "file.write", "mcp.x.y", "net.fetch");
const pattern = fc.record({ right: rightText, resource: patternText });

/** What the grammar says, as a regular expression: slow and plain. */
function naive(patternResource: string, resource: string): boolean {
  const body = patternResource.split("/").map((one) => {
    if (one === "**") return "(?:[^/]*/)*";
    return `${one.replaceAll("*", "[^/]*")}/`;
  });
  return new RegExp(`^${body.join("")}$`).test(`${resource}/`);
}

Deno.test("matchResource() agrees with a plain definition", () => {
  fc.assert(
    fc.property(patternText, resourceText, (p, r) => {
      assert.equal(matchResource(p, r), naive(p, r));
      const ready = compile({ right: "file.*", resource: p });
      assert.equal(covers(ready, "file.read", splitResource(r)), naive(p, r));
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("within() is sound, reflexive and transitive", () => {
  fc.assert(
    fc.property(pattern, pattern, pattern, plainRight, resourceText, (a, b, c, right, resource) => {
      assert(within(a, a));
      if (within(a, b) && within(b, c)) assert(within(a, c));
      if (!within(a, b)) return;
      const inA = matchRight(a.right, right) && matchResource(a.resource, resource);
      if (inA) assert(matchRight(b.right, right) && matchResource(b.resource, resource));
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("within() proves the usual narrowings", () => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ["file.read(./src/a.ts)", "file.*(./src/**)", true],
    ["file.read(./src/**)", "file.read(./**)", true],
    ["file.read(./src)", "file.read(./src/**)", true],
    ["file.read(./**)", "file.read(./src/**)", false],
    ["file.*(./src/**)", "file.read(./src/**)", false],
    ["file.read(./src/*.ts)", "file.read(./src/*)", true],
    ["file.read(./src/**)", "file.read(./src/*)", false],
    ["*(**)", "file.*(**)", false],
    ["mcp.files.read_*(**)", "mcp.files.*(**)", true],
  ];
  for (const [child, parent, expected] of rows) {
    assert.equal(within(parsePattern(child), parsePattern(parent)), expected, `${child} ${parent}`);
  }
});

Deno.test("overlaps() is false only for what is disjoint, and symmetric", () => {
  fc.assert(
    fc.property(pattern, pattern, plainRight, resourceText, (a, b, right, resource) => {
      assert.equal(overlaps(a, b), overlaps(b, a));
      const both = [a, b].every((one) =>
        matchRight(one.right, right) && matchResource(one.resource, resource)
      );
      if (both || within(a, b)) assert(overlaps(a, b));
    }),
    { numRuns: 20_000 },
  );
  assert(!overlaps(parsePattern("file.read(./a/**)"), parsePattern("file.read(./b/**)")));
  assert(!overlaps(parsePattern("file.read(./**/x.ts)"), parsePattern("file.read(./**/y.ts)")));
});

Deno.test("matchResource() takes no exponential time on hostile patterns", () => {
  const pattern = `${"**/a/".repeat(30)}b`;
  assert.equal(matchResource(pattern, "a/".repeat(2_000)), false);
  assert.equal(matchResource(`${"*a".repeat(400)}b`, "a".repeat(100_000)), false);
});

Deno.test("PatternIndex.find() finds what a scan finds, after removals too", () => {
  const entries = fc.array(pattern, { maxLength: 20 });
  const query = fc.oneof(
    fc.record({ right: plainRight, resource: resourceText }),
    pattern,
  );
  fc.assert(
    fc.property(entries, fc.array(fc.nat(19)), query, (patterns, removed, asked) => {
      const index = new PatternIndex<number>();
      for (const [i, one] of patterns.entries()) index.add(one, i);
      for (const i of removed) if (patterns[i] !== undefined) index.remove(patterns[i], i);
      const found = index.find(asked.right, splitResource(asked.resource));
      const expected = patterns.flatMap((one, i) =>
        !removed.includes(i) && within(asked, one) ? [i] : []
      );
      assert.deepEqual(found.toSorted((a, b) => a - b), expected);
    }),
    { numRuns: 5_000 },
  );
});
