/**
 * Hostile bodies that import.
 * @module
 */

import type { Hostile } from "../hostile.ts";
import { FOREIGN } from "../probes.ts";

/** A module that must not even load: a literal import with what follows. */
const literal = (name: string, statement: string): Hostile => ({
  class: "imports",
  name,
  source: `${statement}\nexport default () => ({ escaped: true, what: ${
    JSON.stringify(statement)
  } });`,
});

/** `import()` of many things; whatever loads is an escape, whatever is thrown must be of the realm. */
const dynamic = (name: string, specifiers: readonly string[], more = ""): Hostile => ({
  class: "imports",
  name,
  source: `${FOREIGN}
export default async () => {
  const got = [];
  for (const specifier of ${JSON.stringify(specifiers)}) {
    try {
      const module = await import(specifier${more});
      return { escaped: true, what: specifier, keys: Object.keys(module).slice(0, 5) };
    } catch (error) { got.push(error, error.constructor, error.stack && null); }
  }
  return tell(got);
};`,
});

/** Bodies. */
export const BODIES: readonly Hostile[] = [
  literal("imports node:fs by a literal import", 'import fs from "node:fs";'),
  literal(
    "imports a file as text by a literal import",
    'import text from "__FOLDER__/secret.txt" with { type: "text" };',
  ),
  literal(
    "imports a file as bytes by a literal import",
    'import bytes from "file://__FOLDER__/secret.txt" with { type: "bytes" };',
  ),
  literal(
    "imports JSON over HTTP by a literal import",
    'import json from "__URL__x.json" with { type: "json" };',
  ),
  literal("imports over HTTP by a literal import", 'import "__URL__literal.js";'),
  literal("re-exports a whole builtin module", 'export * from "node:process";'),
  literal("re-exports a name of a builtin module", 'export { Worker } from "node:worker_threads";'),
  literal("imports a package by a literal import", 'import chalk from "npm:chalk@5";'),
  literal("imports a JSR package by a literal import", "import x from 'jsr:@std/path';"),
  literal(
    "imports a data URL by a literal import",
    'import x from "data:text/javascript,export default 1";',
  ),
  literal("imports itself by its own identifier", 'import * as me from "tool";'),
  literal("imports by the source phase", 'import source text from "node:fs";'),
  literal("imports by the defer phase", 'import defer * as fs from "node:fs";'),
  literal("imports the cage's own script", 'import * as os from "os";'),
  dynamic("loads builtin modules by import()", [
    "node:fs",
    "node:vm",
    "node:v8",
    "node:module",
    "node:worker_threads",
    "node:process",
    "node:child_process",
    "node:sqlite",
    "node:inspector",
    "node:net",
    "node:async_hooks",
    "fs",
    "process",
    "ext:core/ops",
    "ext:deno_node/vm.js",
    "ext:runtime/98_global_scope_worker.js",
    "checkin:init",
    "internal:core",
  ]),
  dynamic("loads text from URLs by import()", [
    "data:text/javascript,export default globalThis",
    "data:application/json,1",
    "blob:null/0",
    "__URL__dynamic.js",
    "http://127.0.0.1:1/x.js",
    "https://deno.land/x/x.ts",
    "about:blank",
    "wasm:x",
  ]),
  dynamic("loads files by import()", [
    "__FOLDER__/secret.txt",
    "file://__FOLDER__/secret.txt",
    "./secret.txt",
    "../../../../../../etc/passwd",
    "file:///proc/self/environ",
    "/dev/stdin",
    "tool",
    "os",
    "",
    "\u0000",
    "#private",
  ]),
  dynamic("loads packages by import()", ["npm:zod", "npm:chalk@5", "jsr:" + "@std/path", "chalk"]),
  dynamic(
    "loads a file as text by import()",
    ["__FOLDER__/secret.txt"],
    ', { with: { type: "text" } }',
  ),
  dynamic(
    "loads a file as bytes by import()",
    ["__FOLDER__/secret.txt"],
    ', { with: { type: "bytes" } }',
  ),
  dynamic("loads JSON by import()", ["__URL__x.json"], ', { with: { type: "json" } }'),
  {
    class: "imports",
    name: "gets hold of the loader by getters in the options of import()",
    source: `${FOREIGN}
export default async () => {
  const got = [];
  const spy = new Proxy({}, { get(t, k, r) { got.push(r); return spy; }, ownKeys() { got.push(this);
    return ["type"]; }, getOwnPropertyDescriptor() { return { value: "json", enumerable: true,
    configurable: true }; } });
  for (const options of [spy, { with: spy }, { with: { get type() { got.push(this); return "json"; } } },
    { get with() { got.push(this); throw got; } }]) {
    try { got.push(await import("node:fs", options)); } catch (e) { got.push(e, e.constructor); }
  }
  return tell(got);
};`,
  },
  {
    class: "imports",
    name: "gives import() a specifier that is an object with tricks",
    source: `${FOREIGN}
export default async () => {
  const got = [];
  let times = 0;
  const specifiers = [{ toString() { times++; return times > 1 ? "node:fs" : "tool"; } },
    { [Symbol.toPrimitive](hint) { got.push(this); return "node:process"; } },
    Symbol("x"), 1n, null, undefined, new Proxy(function () {}, {}), ["node:fs"]];
  for (const specifier of specifiers) {
    try { got.push(await import(specifier)); return { escaped: true }; }
    catch (e) { got.push(e, e.constructor); }
  }
  return tell(got);
};`,
  },
  {
    class: "imports",
    name: "imports by phases at run time",
    source: `${FOREIGN}
export default async () => {
  const got = [];
  for (const load of [() => import.source("node:fs"), () => import.defer("node:fs"),
    () => import.source("data:application/wasm;base64,AGFzbQEAAAA="), () => import.defer("tool")]) {
    try { got.push(await load()); return { escaped: true }; } catch (e) { got.push(e, e.constructor); }
  }
  return tell(got);
};`,
  },
  {
    class: "imports",
    name: "resolves and reads places by import.meta",
    source: `${FOREIGN}
const meta = import.meta;
export default () => {
  const keys = Reflect.ownKeys(meta);
  if (keys.length > 0) return { escaped: true, keys: keys.map(String) };
  return tell([meta, meta.resolve, meta.url, ...Object.values(meta)]);
};`,
  },
  {
    class: "imports",
    name: "calls import() from callbacks of builtins and of the realm",
    source: `${FOREIGN}
export default async (input, os) => {
  const got = [];
  const load = () => import("node:fs");
  const ways = [() => [0].map(load)[0], () => { let p; "x".replace("x", () => { p = load(); return ""; }); return p; }, () => new Promise((r) => r(load())),
    () => Promise.resolve().then(load), () => Array.fromAsync([0], load),
    () => new Promise((done) => queueMicrotask(() => done(load()))),
    () => new Promise((done) => setTimeout(() => done(load()), 1)),
    () => JSON.parse("[1]", function (k, v) { return Array.isArray(v) ? load() : v; }),
    () => Reflect.construct(Promise, [(r) => r(load())]),
    () => new Promise((done) => { const c = new AbortController();
      c.signal.addEventListener("abort", () => done(load())); c.abort(); }),
    () => os.call("object.read", { get object() { got.push(load().catch(() => 0)); return "x"; } }).then(load)];
  for (const way of ways) try { got.push(await way()); return { escaped: true }; }
    catch (e) { got.push(e, e.constructor); }
  return tell(got);
};`,
  },
];
