/**
 * The compiler's child as something hostile: sources that would have it read files, a compiler that
 * a source has taken over, and the system's jail around it when no permission holds any more.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Child, Children, ChildSpec } from "../kernel/child.ts";
import type { JsonObject } from "../kernel/json.ts";
import { RealChildren } from "../providers/children.ts";
import { realClock } from "../providers/clock.ts";
import { TypeScriptCompiler } from "../sandboxes/compiler/compiler.ts";
import { at, TOOL, within } from "./compiler_place.ts";
import { attempted, ATTEMPTS } from "./jail_attempts.ts";
import { canJail } from "./sandbox_fixture.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COMPILER = fileURLToPath(new URL(".", import.meta.resolve("typescript")));
const IS_ROOT = Deno.build.os === "linux" && Deno.uid() === 0;
const JAIL = await canJail();
const SECRET = "k3pt_to_itself";

function jailed(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: JAIL.can ? name : `${name} (${JAIL.why})`, ignore: !JAIL.can, fn });
}

/** Children of the host, what they were started with, and what they said at their end. */
class Heard implements Children {
  readonly specs: ChildSpec[] = [];
  readonly errors: Promise<string>[] = [];
  readonly #real = new RealChildren();

  start(spec: ChildSpec): Child {
    this.specs.push(spec);
    const child = this.#real.start(spec);
    this.errors.push(child.ended.then(({ errors }) => errors));
    return child;
  }

  jail(): ReturnType<Children["jail"]> {
    return this.#real.jail();
  }
}

/** A folder with a secret that would be a module, for as long as `use` takes. */
async function withSecret(use: (folder: string, path: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "libos-secret-" });
  const path = `${folder}/secret.ts`;
  Deno.writeTextFileSync(path, `export type A = "${SECRET}"; declare const ${SECRET}: 1;\n`);
  try {
    await use(folder, path);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Ways to name a file, `PATH`, so that a compiler which is not ours would read it. */
const SOURCES: readonly string[] = [
  `/// <reference path="PATH" />\n${TOOL}`,
  `///<reference types="PATH"/>\n${TOOL}`,
  `/// <reference lib="PATH" />\n${TOOL}`,
  `/// <amd-dependency path="PATH" />\n${TOOL}`,
  `/* a */ /// <reference path='PATH' />\n${TOOL}`,
  `import "PATH";\n${TOOL}`,
  `import type { A } from "PATH";\nconst a: A = 1;\n${TOOL}`,
  `import a from "PATH" with { type: "json" };\n${TOOL}`,
  at(`export * from "PATH";`),
  at(`import a = require("PATH");`),
  at(`const a: import("PATH").A = 1;`),
  at(`const a: typeof import("PATH") = 1;`),
  at(`/** @type {import("PATH").A} */\nconst a: number = "";`),
  at(`/** @import { A } from "PATH" */\nconst a: A = 1;`),
  at(`declare module "PATH" { export type B = A; }`),
  at(`// @deno-types="PATH"`),
  at(`// @filename: PATH\nconst a: A = 1;`),
  at(`// @typeRoots: PATH\n// @types: PATH\n// @tsconfig: PATH\nconst a: A = 1;`),
  at(`//# sourceMappingURL=PATH`),
  at(`/** @jsxImportSource PATH */\nconst a = <b />;`),
  within(`const { A } = await import("PATH"); return { total: A };`),
  within(`return { total: require("PATH").A };`),
  within(`return { total: ${SECRET} };`),
  `{ "extends": "PATH", "files": ["PATH"], "compilerOptions": { "types": ["PATH"] } }`,
];

/** The same by schemas. */
const SCHEMAS: readonly JsonObject[] = [
  { $ref: "file://PATH" },
  { $schema: "PATH", type: "object" },
  { type: "object", properties: { "a; import('PATH').A": { const: "import('PATH').A" } } },
  {
    type: "object",
    description: `*/ } import type { A } from "PATH"; /// <reference path="PATH" />`,
  },
  { enum: [`"; type B = import("PATH").A; const a: B = "`] },
];

for (const jail of [false, true]) {
  const name = `No source makes the compiler read a file, ${jail ? "in a jail" : "without a jail"}`;
  const can = !jail || JAIL.can;
  Deno.test({ name: can ? name : `${name} (${JAIL.why})`, ignore: !can }, async () => {
    await withSecret(async (_, path) => {
      const children = new RealChildren();
      const compiler = new TypeScriptCompiler({ children, clock: realClock, jail });
      // Where the system notes reads at all, it notes one of a file that was changed since.
      Deno.utimeSync(path, 0, 1_000);
      const named = (text: string) => text.replaceAll("PATH", path);
      const tried = [
        ...SOURCES.map((source) => ({ source, inputSchema: { type: "object" } as JsonObject })),
        ...SCHEMAS.map((inputSchema) => ({ source: TOOL, inputSchema })),
      ];
      for (const one of tried) {
        const tool = JSON.parse(named(JSON.stringify(one))) as typeof one;
        const checked = await compiler.check({ ...tool, outputSchema: null });
        // Whoever wrote the name may be told it again, but not what is in the file.
        const said = JSON.stringify(checked).replaceAll(`Cannot find \\"${SECRET}\\"`, "");
        assert.equal(said.includes(SECRET), false, tool.source);
        if (checked.ok) assert.equal(checked.code.includes(path), false, tool.source);
      }
      assert.equal(Deno.statSync(path).atime?.getTime(), 0);
      await compiler.close();
    });
  });
}

/** In place of the compiler: says by its error what it came to. */
const TAKEN_OVER = `
const { readFileSync, readdirSync, writeFileSync } = require("node:fs");
const tries = {
  "reads its own folder": () => readdirSync(__dirname).length > 0,
  "reads a secret": () => readFileSync("FOLDER/secret.ts") !== "",
  "lists a folder": () => readdirSync("FOLDER").length > 0,
  "lists all there is": () => readdirSync("/").length > 0,
  "writes": () => writeFileSync("FOLDER/written", "") === undefined,
  "writes beside itself": () => writeFileSync(__dirname + "/written", "") === undefined,
  "reads the environment": () => Object.keys(process.env).length > 0,
  "starts a program": () => !require("node:child_process").spawnSync("/bin/true").error,
  "may reach the network": () => Deno.permissions.querySync({ name: "net" }).state === "granted",
  "may be granted more": () => Deno.permissions.requestSync({ name: "read" }).state === "granted",
  "knows the host": () => require("node:os").hostname() !== "",
  "loads native code": () => Deno.dlopen("libc.so.6", {}) !== null,
  "signals the kernel": () => process.kill(PID, 0),
  "makes code of text": () => new Function("return 1")() === 1,
};
const through = Object.keys(tries).filter((name) => { try { return tries[name](); } catch {} });
throw new Error("came through: " + through.join("; ") + ".");
`;

for (const jail of [false, true]) {
  const name = `A compiler that was taken over comes to nothing, ${jail ? "in" : "without"} a jail`;
  const can = !jail || JAIL.can;
  Deno.test({ name: can ? name : `${name} (${JAIL.why})`, ignore: !can }, async () => {
    await withSecret(async (folder) => {
      const own = Deno.makeTempDirSync({ prefix: "libos-compiler-" });
      const typescript = `${own}/typescript.js`;
      const text = TAKEN_OVER.replaceAll("FOLDER", folder).replaceAll("PID", String(Deno.pid));
      Deno.writeTextFileSync(typescript, text);
      const children = new Heard();
      const compiler = new TypeScriptCompiler({ children, clock: realClock, jail, typescript });
      await assert.rejects(compiler.warm(), { code: "EIO" });
      const [errors = ""] = await Promise.all(children.errors);
      assert.match(errors, /came through: reads its own folder\.$/m);
      Deno.removeSync(own, { recursive: true });
    });
  });
}

/** What the compiler is started with in a jail. */
async function specOf(): Promise<ChildSpec> {
  const children = new Heard();
  const compiler = new TypeScriptCompiler({ children, clock: realClock, jail: true });
  await compiler.warm();
  await compiler.close();
  await Promise.all(children.errors);
  return children.specs[0]!;
}

/** Runs a program to which everything is allowed where the compiler would be. */
async function inItsPlace(url: string, jail: boolean): Promise<unknown> {
  const children = new RealChildren();
  await children.jail();
  const args = ["run", "-A", "--quiet", "--no-config", url];
  const child = children.start({ ...await specOf(), dataBytesMax: null, args, jail });
  const [chunks, { code, errors }] = await Promise.all([
    Array.fromAsync(child.output),
    child.ended,
  ]);
  assert.deepEqual([code, errors], [0, ""]);
  return JSON.parse(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).text());
}

jailed(
  "In the compiler's jail a program to which all is allowed comes through nowhere",
  async () => {
    await withSecret(async (folder) => {
      Deno.writeTextFileSync(`${folder}/secret.txt`, SECRET);
      const socket = Deno.listen({ transport: "unix", path: `${folder}/socket` });
      const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
      const server = Deno.serve(options, () => new Response("you came through"));
      const target = {
        folder,
        repository: `${ROOT}tests`,
        program: Deno.execPath(),
        port: server.addr.port,
        pid: Deno.pid,
        hostname: Deno.hostname(),
      };
      const free = await inItsPlace(attempted(ATTEMPTS, target), false);
      const held = await inItsPlace(attempted(ATTEMPTS, { ...target, program: "/deno" }), true);
      const tries = ATTEMPTS.filter(([, , who]) => who !== "root" || IS_ROOT);
      // An attempt that never comes through would show nothing.
      assert.deepEqual(free, tries.map(([name]) => name));
      assert.deepEqual(held, []);
      socket.close();
      await server.shutdown();
    });
  },
);

jailed(
  "In the compiler's jail are the runtime, the compiler and its own code, and no more",
  async () => {
    const code = `
    const files = [];
    const walk = (folder) => {
      for (const { name, isDirectory } of Deno.readDirSync(folder || "/")) {
        if (isDirectory) walk(folder + "/" + name); else files.push(folder + "/" + name);
      }
    };
    walk("");
    console.log(JSON.stringify([files.sort(), Deno.readTextFileSync("/proc/self/maps")]));`;
    const url = `data:application/javascript,${encodeURIComponent(code)}`;
    const [files, maps] = await inItsPlace(url, true) as [string[], string];
    const own = [
      COMPILER,
      ...["sandboxes/compiler/", "broker/", "kernel/"].map((one) => ROOT + one),
    ];
    const others = files.filter((path) => !own.some((folder) => path.startsWith(folder)));
    assert.deepEqual(
      others.filter((path) => !/\/(?:lib|ld-)[\w.-]+$/.test(path)),
      ["/deno", "/proc/self/exe", "/proc/self/maps"],
    );
    for (const folder of own) assert.ok(files.some((path) => path.startsWith(folder)), folder);
    // It says where nothing is: addresses would help who looks for a way out.
    assert.equal(maps.split("\n").length, 3);
    assert.doesNotMatch(maps, /deno|lib/);
  },
);

Deno.test("A compiler that shall be in a jail checks nothing where there is none", async () => {
  const children = new RealChildren({ jailPath: "no-such-jail" });
  const compiler = new TypeScriptCompiler({ children, clock: realClock, jail: true });
  const tool = { source: TOOL, inputSchema: { type: "object" }, outputSchema: null };
  await assert.rejects(compiler.check(tool), {
    code: "ENOSYS",
    message: 'Cannot start the compiler in a jail: no "no-such-jail" on the path, expected ' +
      "bubblewrap: apt-get install bubblewrap",
  });
  await compiler.close();
});
