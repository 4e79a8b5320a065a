/**
 * The guide for those who write tools: what it shows is what the compiler takes.
 * @module
 */

import assert from "node:assert/strict";
import ts from "typescript";
import type { z } from "zod";
import type { SysError } from "../kernel/errors.ts";
import { declarations, GUIDE_EXAMPLES, toolGuide } from "../broker/guide.ts";
import { portSurface } from "../broker/generate_port.ts";
import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS, PORT_TYPES } from "../broker/port_surface.ts";
import type { AnySyscall } from "../broker/syscall.ts";
import { SYSCALLS } from "../broker/table.ts";
import { Checker, type Source } from "../sandboxes/compiler/checker.ts";
import { GLOBALS } from "../sandboxes/compiler/globals.ts";
import { schemaTypes } from "../sandboxes/compiler/schema.ts";

const FOLDER = new URL(".", import.meta.resolve("typescript"));

/** The compiler's libraries, all of them. */
const libraries = new Map(
  [...Deno.readDirSync(FOLDER)].filter(({ name }) => /^lib\..*\.d\.ts$/.test(name))
    .map(({ name }) => [name, Deno.readTextFileSync(new URL(name, FOLDER))]),
);

async function formatted(source: string): Promise<string> {
  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--line-width=100", "--ext=ts", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = fmt.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  return new TextDecoder().decode((await fmt.output()).stdout);
}

/** What is wrong with declarations, looked at as closely as code. */
function wrongIn(files: Readonly<Record<string, string>>): readonly string[] {
  const texts = new Map([
    ...Object.entries(files),
    ...[...libraries].map(([name, text]) => [`/lib/${name}`, text] as const),
  ]);
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    lib: ["lib.es2023.d.ts"],
    types: [],
    strict: true,
  };
  const host = ts.createCompilerHost(options);
  Object.assign(host, {
    getDefaultLibLocation: () => "/lib",
    fileExists: (name: string) => texts.has(name),
    readFile: (name: string) => texts.get(name),
    getSourceFile(name: string) {
      const text = texts.get(name);
      return text === undefined ? undefined : ts.createSourceFile(name, text, options.target!);
    },
  });
  const program = ts.createProgram(Object.keys(files), options, host);
  return Object.keys(files).flatMap((name) => {
    const file = program.getSourceFile(name);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
  }).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "));
}

Deno.test("broker/port_surface.ts is what the table generates", async () => {
  const written = await Deno.readTextFile(new URL("../broker/port_surface.ts", import.meta.url));
  assert.equal(written, await formatted(portSurface(SYSCALLS)));
});

Deno.test("The port offers each call but those closed to it, with a type and positions", () => {
  for (const [name, record] of Object.entries(SYSCALLS)) {
    const { port } = record as { readonly port?: unknown };
    assert.equal(PORT_CALLS.includes(name), port !== "closed", name);
  }
  for (const name of PORT_CALLS) {
    assert.match(PORT_TYPES[name]!, new RegExp(`^/\\*\\* .+\\. \\*/\\n"${name}": \\{ args: `));
    const { args } = (SYSCALLS as Readonly<Record<string, AnySyscall>>)[name]!;
    const keys = Object.keys((args as z.ZodObject).shape);
    assert.ok(PORT_POSITIONS[name]!.every((key) => keys.includes(key)), name);
  }
  assert.ok(PORT_ENDS.every((name) => PORT_CALLS.includes(name)));
  assert.deepEqual(PORT_POSITIONS["file.write"], ["path", "text"]);
  assert.deepEqual(PORT_POSITIONS["object.write"], ["object"]);
});

Deno.test("The declarations of all calls, of one and of none hold by themselves", () => {
  const schemas = schemaTypes({ type: "object", properties: { a: { type: "array" } } }, null);
  for (const calls of [PORT_CALLS, ["file.read"], []]) {
    const files = {
      "/port.d.ts": declarations(calls),
      "/globals.d.ts": GLOBALS,
      "/schemas.d.ts": schemas,
    };
    assert.deepEqual(wrongIn(files), []);
  }
  assert.throws(() => declarations(["file.burn"]), (error: SysError) => error.code === "ENOENT");
});

Deno.test("The examples of the guide pass the checker, also with their own calls alone", () => {
  for (const example of GUIDE_EXAMPLES) {
    const own = [...new Set(example.rights.map((right) => right.split("(")[0]!))];
    for (const calls of [PORT_CALLS, own]) {
      const port = declarations(calls) + GLOBALS;
      const checker = new Checker({ typescript: ts, libraries, port });
      const checked = checker.check(example as unknown as Source);
      assert.deepEqual(checked.ok ? [] : checked.problems, [], example.about);
    }
  }
});

Deno.test("The first example does what its tests say", async () => {
  const checker = new Checker({ typescript: ts, libraries, port: declarations() + GLOBALS });
  const checked = checker.check(GUIDE_EXAMPLES[0] as unknown as Source);
  assert.ok(checked.ok);
  const module = await import(`data:text/javascript,${encodeURIComponent(checked.code)}`);
  const os = { file: { read: () => Promise.resolve({ text: "a,n\r\nx,1\ny,2\n" }) } };
  assert.deepEqual(await module.default({ path: "a.csv", column: "n" }, os), { total: 3, rows: 2 });
});

Deno.test("The second example does what it says", async () => {
  const checker = new Checker({ typescript: ts, libraries, port: declarations() + GLOBALS });
  const checked = checker.check(GUIDE_EXAMPLES[1] as unknown as Source);
  assert.ok(checked.ok);
  const module = await import(`data:text/javascript,${encodeURIComponent(checked.code)}`);
  const notes: unknown[] = [];
  const os = {
    now: () => 5,
    signal: new AbortController().signal,
    call: (name: string, args: unknown) => Promise.resolve(void notes.push([name, args])),
    object: { create: () => Promise.reject(Object.assign(new Error(), { code: "EEXIST" })) },
    file: { stat: () => Promise.resolve({ stat: notes.length === 0 ? null : {} }) },
  };
  assert.deepEqual(await module.default({ path: "a", tries: 3 }, os), { found: true });
  assert.equal(notes.length, 2);
});

Deno.test("The guide declares the calls it is asked for and no others, and is short", () => {
  const guide = toolGuide(["file.read", "file.write"]);
  assert.match(guide, /"file\.read": \{ args/);
  assert.doesNotMatch(guide, /"object\.create": \{ args/);
  assert.equal(guide.match(/Relative to the working directory/g)?.length, 1);
  assert.ok(guide.length < 5_500, `${guide.length} characters`);
  assert.ok(toolGuide().length < 17_000, `${toolGuide().length} characters`);
  for (const call of PORT_CALLS) assert.ok(toolGuide().includes(call), call);
  assert.match(toolGuide(["net.fetch"]), /"net\.fetch": \{ args/);
  for (const { source } of GUIDE_EXAMPLES) assert.ok(guide.includes(source));
  const [, tests] = /```json\n([\s\S]*?)```/.exec(guide)!;
  assert.ok(JSON.parse(tests!).length === 2);
  assert.throws(() => toolGuide(["file.burn"]), (error: SysError) => error.code === "ENOENT");
});
