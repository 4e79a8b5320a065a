/**
 * The compiler of generated tools: what it refuses and where, what it lets through, and that nothing
 * which a source does outlives its check.
 * @module
 */

import assert from "node:assert/strict";
import type { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { textProblems } from "../sandboxes/compiler/text.ts";
import { at, problemsOf, TOOL, withCompiler, within } from "./compiler_place.ts";

type Refusal = readonly [what: string, source: string, place: string, sentence: RegExp];

// deno-fmt-ignore: a row is one refusal
const TEXTS: readonly Refusal[] = [
  ["too much", `${TOOL}${" ".repeat(65_536)}`, "1:1", /65598 bytes, expected 65536 at most/],
  ["a byte order mark", `\ufeff${TOOL}`, "1:1", /byte order mark \(U\+FEFF\)/],
  ["text that runs backwards", at("// \u202e x"), "2:4", /U\+202E\): in a string write it as \\u\{202e\}/],
  ["a zero-width space", at('const a = "x\u200by";'), "2:13", /U\+200B/],
  ["a tag character", at("//\u{e0041}"), "2:3", /U\+E0041/],
  ["a hard space", at("const\u00a0a = 1;"), "2:6", /U\+00A0/],
  ["a NUL", at("//\0"), "2:3", /U\+0000/],
  ["an escape code", at("// \x1b[2J"), "2:4", /U\+001B/],
  ["a lone surrogate", at('const a = "\ud800";'), "2:12", /lone surrogate \(U\+D800\)/],
  ["a lone carriage return", at("// a\rb()"), "2:5", /lone carriage return/],
  ["a line separator", at("// a\u2028b()"), "2:5", /U\+2028/],
  ["a private character", at('const a = "\ue000";'), "2:12", /U\+E000/],
  ["a source URL", at("//# sourceURL=file:///etc/passwd"), "2:3", /"# sourceURL"/],
  ["an old source URL", at("//@ sourceURL=x"), "2:3", /source URLs/],
  ["a source map", at("/*#\tsourceMappingURL=x */"), "2:3", /source maps/],
  ["a source map in a string", at('const a = "//# sourceMappingURL=x";'), "2:14", /source maps/],
  ["a reference", at('/// <reference path="/etc/passwd" />'), "2:1", /references to files/],
  ["a spaced reference", at('///   <reference types="node" />'), "2:1", /references to files/],
  ["@ts-ignore", at("// @ts-ignore"), "2:4", /types that hold/],
  ["@TS-NoCheck", `/* @TS-NoCheck */\n${TOOL}`, "1:4", /types that hold/],
  ["@ts-expect-error", at("//@ts-expect-error"), "2:3", /types that hold/],
  ["@deno-types", at('// @deno-types="./a.d.ts"'), "2:4", /directives/],
  ["@jsxImportSource", at("/** @jsxImportSource x */"), "2:5", /JSX/],
  ["a hash bang", `#!/bin/sh\n${TOOL}`, "1:1", /which is no program/],
];

const IMPORT = /^Cannot import/;
const EXPORT = /^Cannot export this/;
const NO_TOOL = /^Cannot find the tool/;
const NO_FUNCTION = /^Cannot use this as the tool/;
const NAMESPACE = /^Cannot declare a namespace/;
const DECLARE = /^Cannot use "declare"/;
const TOP = /^Cannot run code at the top level/;
const AWAIT = /^Cannot await at the top level/;
const CODE = /cannot make code from text$/;

// deno-fmt-ignore: a row is one refusal
const SHAPES: readonly Refusal[] = [
  ["bad syntax", at("const a = ;"), "2:11", /Expression expected \(TS1109\)/],
  ["an open string", at('const a = "x'), "2:13", /Unterminated string/],
  ["nothing", "", "1:1", NO_TOOL],
  ["no export", "const a = 1;", "1:1", NO_TOOL],
  ["two tools", at("export default () => 1;"), "2:1", EXPORT],
  ["a second export", at("export const a = 1;"), "2:1", EXPORT],
  ["an exported type", at("export type A = 1;"), "2:1", EXPORT],
  ["an export list", at("const a = 1; export { a };"), "2:14", EXPORT],
  ["exports of another module", at('export * from "./a.ts";'), "2:1", EXPORT],
  ["export =", at("export = 5;"), "2:1", EXPORT],
  ["a class as the tool", "export default class A {}", "1:1", NO_FUNCTION],
  ["a type as the tool", "export default interface A {}", "1:1", NO_FUNCTION],
  ["an import", `import fs from "node:fs";\n${TOOL}`, "1:1", IMPORT],
  ["an import of a type", at('import type { A } from "./a.ts";'), "2:1", IMPORT],
  ["an import for its effects", at('import "/etc/passwd";'), "2:1", IMPORT],
  ["an import of text", at('import a from "/etc/passwd" with { type: "text" };'), "2:1", IMPORT],
  ["import =", at('import a = require("fs");'), "2:1", IMPORT],
  ["import()", within('await import("node:fs");'), "2:9", IMPORT],
  ["import() at the top", at('import("node:fs");'), "2:1", IMPORT],
  ["import() as a type", within('let a: import("/etc/passwd").A;'), "2:10", IMPORT],
  ["typeof import()", within('let a: typeof import("/etc/passwd");'), "2:10", IMPORT],
  ["import.meta", within("return import.meta.url;"), "2:10", /import\.meta/],
  ["import.defer()", within('await import.defer("node:fs");'), "2:9", IMPORT],
  ["require()", within('require("fs");'), "2:3", IMPORT],
  ["declare global", at("declare global { var a: 1 }"), "2:1", NAMESPACE],
  ["a namespace", at("namespace A { export const b = 1; }"), "2:1", NAMESPACE],
  ["a module of that name", at('declare module "zod" { }'), "2:1", NAMESPACE],
  ["declare", at("declare const fetch: (a: string) => void;"), "2:1", DECLARE],
  ["eval", within('eval("1");'), "2:3", CODE],
  ["new Function", within('new Function("1");'), "2:3", CODE],
  ["Function", within('Function("1");'), "2:3", CODE],
  ["a decorator", at("function d(a: unknown) { return a; }\n@d class A {}"), "3:1", /decorator/],
  ["await at the top", at("await null;"), "2:1", AWAIT],
  ["await in an initializer", at("const a = await 1;"), "2:11", AWAIT],
  ["for await at the top", at("for await (const a of []) { }"), "2:1", AWAIT],
  ["code at the top", at("while (true) { }"), "2:1", TOP],
  ["a call at the top", at("console.log(1);"), "2:1", TOP],
  ["a name beyond ASCII", at("const \u0430dmin = 1;"), "2:7", /"\u0430dmin": expected letters of ASCII/],
  ["an escaped name", at("const \\u0061b = 1;"), "2:7", /escape in the name/],
  ["a name of ours", at("type $port = 1;"), "2:6", /reserved/],
  ["depth", at(`const a = 1${" + 1".repeat(600)};`), "2:11", /nested deeper than 500/],
];

// deno-fmt-ignore: a row is one refusal
const TYPES: readonly Refusal[] = [
  ["no function", "export default 5;", "1:16", /'number' does not satisfy .* 'Tool'/],
  ["an unknown field of the input", within("return { total: input.m };"), "2:25", /'m' does not exist on type 'Input'/],
  ["a wrong output", within('return { total: "1" };'), "2:12", /'string' is not assignable to type 'number'/],
  ["a misspelled output", within("return { totl: 1 };"), "2:12", /'totl' does not exist in type 'Output'/],
  ["no output", within("return;"), "2:3", /not assignable to type 'Output'/],
  ["an input that may be absent", within("return { total: input.n };"), "2:12", /'undefined' is not assignable/],
  ["a value outside of an enum", within('return { total: input.kind === "c" ? 1 : 0 };'), "2:19", /no overlap/],
  ["a null in an array", within("return { total: input.tags![0].length };"), "2:19", /possibly 'null'/],
  ["an unknown noun", within("await os.flie.read(input.path); return { total: 1 };"), "2:12", /"os\.flie": did you mean "file"/],
  ["an unknown verb", within("await os.file.reed(input.path); return { total: 1 };"), "2:17", /"os\.file\.reed": did you mean "read"/],
  ["an unknown call", within('await os.call("file.raed", {}); return { total: 1 };'), "2:17", /call "file\.raed": did you mean "file\.read"/],
  ["a wrong argument", within("await os.file.read(5); return { total: 1 };"), "2:22", /'number' is not assignable to parameter of type 'FileReadArgs'; or .* 'string'/],
  ["a missing argument", within("await os.file.write(input.path); return { total: 1 };"), "2:23", /'string' is not assignable/],
  ["a wrong option", within('await os.file.write(input.path, "", { mod: 1 }); return { total: 1 };'), "2:41", /'mod' does not exist/],
  ["a wrong reply", within("const { text } = await os.file.read(input.path); return { total: text };"), "2:61", /'string' is not assignable/],
  ["fetch", within('await fetch("http://a"); return { total: 1 };'), "2:9", /^Cannot find "fetch": a tool has/],
  ["process", within("process.exit(1); return { total: 1 };"), "2:3", /^Cannot find "process": a tool has/],
  ["Deno", within('Deno.readTextFileSync("a"); return { total: 1 };'), "2:3", /^Cannot find "Deno"/],
  ["document", within("document.title; return { total: 1 };"), "2:3", /^Cannot find "document"/],
  ["a helper without types", "const f = (a) => a;\n" + TOOL, "1:12", /implicitly has an 'any' type/],
  ["a tool elsewhere, without types", "const f = async (input, os) => ({ total: 1 });\nexport default f;", "1:18", /'any' type/],
  ["types after the tool", at('const a: number = "x";'), "2:7", /'string' is not assignable/],
  ["a parameter of another type", "export default (input: { m: 1 }, os: Os) => ({ total: 1 });", "1:16", /'Tool'/],
];

Deno.test("TypeScriptCompiler.check() refuses, with line, column and a sentence", async (t) => {
  await withCompiler(async ({ check }) => {
    for (const [what, source, place, sentence] of [...TEXTS, ...SHAPES, ...TYPES]) {
      await t.step(what, async () => {
        const [first] = problemsOf(await check(source));
        assert.ok(first !== undefined, "nothing was found");
        assert.deepEqual(`${first.line}:${first.column}`, place, first.message);
        assert.match(first.message, sentence);
        assert.doesNotMatch(first.message, /\.ts\b|\$port\.|root:|\.$/);
      });
    }
  });
});

const GOOD: readonly (readonly [what: string, source: string])[] = [
  ["an arrow", TOOL],
  ["one that does not wait", "export default () => ({ total: 1 });"],
  ["a lone parameter", "export default input => ({ total: input.path.length });"],
  [
    "a function with a name",
    "export default async function sum(input, os) { return { total: 1 }; }\nconst a = 1;",
  ],
  [
    "a function expression",
    "export default (async function (input, os) { return { total: 1 }; });",
  ],
  [
    "one that is named later",
    "const tool = async (input: Input, os: Os): Promise<Output> => ({ total: 1 });\nexport default tool",
  ],
  [
    "comments and lines between",
    "export default // here\n  /* it is */\n  async ( input , os ) /* a */ => /* b */ ({ total: 1 })",
  ],
  [
    "declarations beside it",
    `"use strict";\nenum E { A = 1 }\nclass P { constructor(readonly x: number) {} }\ninterface I { a: E }\ntype T = I["a"];\nfunction f(a: T): number { return new P(a).x; }\nconst m = new Map([["a", 1]]);\nexport default () => ({ total: f(E.A) + (m.get("a") ?? 0) });`,
  ],
  [
    "all ways to call",
    within(`const { text } = await os.file.read(input.path);
    await os.file.read({ path: input.path, encoding: "base64" });
    await os.file.write(input.path, text, { mode: "create" });
    await os.call("file.read", { path: input.path });
    await os.call("process.cwd"); await os.process.cwd(); await os.file.list();
    const { version } = await os.object.create("a", { value: { x: 1 }, mutable: true });
    await os.object.write("a", { value: [1, null, { x: text }], from: version });
    await os.random.bytes(4);
    const { value } = await os.object.read("a");
    if (Array.isArray(value)) for (const one of value) os.log(one);
    return { total: os.now() + os.random() };`),
  ],
  [
    "the globals",
    within(`console.log(structuredClone({ a: 1 }), atob(btoa("a")), crypto.randomUUID());
    const bytes = crypto.getRandomValues(new Uint8Array(4));
    const url = new URL("http://a/b?c=d"); url.searchParams.get("c"); new URLSearchParams({ a: "b" });
    const text = new TextDecoder().decode(new TextEncoder().encode("a"));
    const stop = new AbortController(); stop.signal.addEventListener("abort", () => {});
    await new Promise<void>((done) => { const t = setTimeout(done, 1); clearTimeout(t); queueMicrotask(done); });
    clearInterval(setInterval(() => {}, 5)); os.signal.throwIfAborted();
    return { total: bytes.length + text.length + url.href.length };`),
  ],
  ["other line ends", TOOL.replace("=> ", "=>\r\n") + "\r\n"],
  [
    "letters of all kinds in strings",
    within('os.log("größe 数 😀", "\\u200b"); return { total: 1 };'),
  ],
];

Deno.test("TypeScriptCompiler.check() lets good tools through", async (t) => {
  await withCompiler(async ({ check }) => {
    for (const [what, source] of GOOD) {
      await t.step(what, async () => {
        const checked = await check(source);
        assert.deepEqual(problemsOf(checked), []);
      });
    }
    await t.step("without a schema of the output it may return any JSON, or nothing", async () => {
      assert.ok((await check(within("return [1, { a: null }];"), null)).ok);
      assert.ok((await check(within("return;"), null)).ok);
      assert.ok(!(await check(within("return () => 1;"), null)).ok);
    });
  });
});

Deno.test("The JavaScript has no types, no comments and no maps, and does what the source says", async () => {
  await withCompiler(async ({ check }) => {
    const checked = await check(
      `/*! a */ // b\nconst twice = (n: number): number => n * 2; /* c */\n` +
        `export default async ({ n }: Input, os: Os) => {\n  // d\n  return { total: twice(n!) } as Output;\n};\n`,
    );
    assert.ok(checked.ok);
    assert.doesNotMatch(checked.code, /\/[/*]|: number|Input|Output|sourceMapping/);
    const module = await import(`data:text/javascript,${encodeURIComponent(checked.code)}`);
    assert.deepEqual(await module.default({ n: 21 }), { total: 42 });
  });
});

Deno.test("Text is looked through once, whatever runs of slashes and spaces are in it", () => {
  // Where each slash of a run began anew, one of these would take half a minute of the kernel's turn.
  for (let count = 65_000; count > 20_000; count -= 1_000) {
    assert.deepEqual(textProblems("/".repeat(count)), []);
    assert.deepEqual(textProblems(`${"/".repeat(count / 2)}${" ".repeat(count / 2)}`), []);
  }
  const [first] = textProblems(at(`//${"/".repeat(60_000)} <reference />`));
  assert.deepEqual([first?.line, first?.column], [2, 1]);
});

Deno.test("Problems come in order of place, and not more than are read", async () => {
  await withCompiler(async ({ check }) => {
    const problems = problemsOf(await check(at("const a: string = 1;\n".repeat(50))));
    assert.equal(problems.length, LIMITS.toolProblemsShownMax);
    const lines = problems.map(({ line }) => line);
    assert.deepEqual(lines, [...lines].sort((a, b) => a - b));
  });
});

Deno.test("A schema may say anything without breaking out of its type", async () => {
  await withCompiler(async ({ compiler }) => {
    const odd = ['"; } type Json = any; type A = {', "__proto__", "a\u2028b", "*/", "${x}", "\\"];
    const inputSchema = {
      type: "object",
      properties: {
        ...Object.fromEntries(odd.map((name) => [name, { enum: odd }])),
        $ref: { $ref: "file:///etc/passwd" },
      },
      required: ["path", ...odd],
      additionalProperties: { $ref: "/etc/passwd" },
    };
    const source =
      `export default (input) => { const a: string = input["*/"]; return input.path; };`;
    const checked = await compiler.check({ source, inputSchema, outputSchema: null });
    assert.deepEqual(problemsOf(checked), []);
    const wrong = source.replace("a: string", "a: number");
    const [first] = problemsOf(
      await compiler.check({ source: wrong, inputSchema, outputSchema: null }),
    );
    assert.match(first!.message, /is not assignable to type 'number'/);
    assert.doesNotMatch(first!.message, /\u2028|root:/);
    const large = { type: "object", title: "x".repeat(LIMITS.toolSchemaBytesMax) };
    await assert.rejects(
      compiler.check({ source, inputSchema: large, outputSchema: null }),
      (error: SysError) => error.code === "ELIMIT",
    );
  });
});
