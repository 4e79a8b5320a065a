/**
 * Hostile bodies that want the platform: its globals, its process, or the reader of their source.
 * @module
 */

import type { Hostile, HostileClass } from "../hostile.ts";
import { FOREIGN, PLATFORM } from "../probes.ts";

const made = (kind: HostileClass) => (name: string, body: string, more = {}): Hostile => ({
  class: kind,
  name,
  source: `${FOREIGN}${PLATFORM}\n${body}`,
  ...more,
});
const globals = made("globals and permissions");
const signals = made("signals and process");
/** Whole sources: here every byte counts. */
const source = (name: string, text: string): Hostile => ({
  class: "unicode and source tricks",
  name,
  source: text,
});

/** Each way is tried; one that gives anything is an escape. */
const ways = (list: readonly string[]): string =>
  `export default async (input, os) => {
  const got = [];
  for (const way of [${list.map((way) => `async () => ${way}`).join(",\n    ")}]) {
    try { const x = await way(); if (x !== undefined && x !== null) return { escaped: true, what: String(way) }; }
    catch (e) { got.push(e, e?.constructor); }
  }
  return tell(got);
};`;

/** Bodies. */
export const BODIES: readonly Hostile[] = [
  globals(
    "reads files and folders",
    ways([
      'Deno.readTextFileSync("__FOLDER__/secret.txt")',
      'Deno.readDirSync("__FOLDER__")',
      'Deno.openSync("/proc/self/environ")',
      'process.binding("fs")',
      'require("fs").readFileSync("__FOLDER__/secret.txt")',
      'new FileReader().readAsText("__FOLDER__/secret.txt")',
      'caches.open("x")',
      "localStorage.length",
      "navigator.storage.getDirectory()",
    ]),
  ),
  globals(
    "writes files",
    ways([
      'Deno.writeTextFileSync("__FOLDER__/written.txt", "x") ?? 1',
      'Deno.mkdirSync("__FOLDER__/made") ?? 1',
      'caches.open("x").then((c) => c.put("http://a/", new Response("x"))).then(() => 1)',
      '(localStorage.x = "y")',
      "Deno.openKv()",
    ]),
  ),
  globals(
    "makes requests",
    ways([
      'fetch("__URL__")',
      'new WebSocket("__URL__".replace("http", "ws"))',
      'new EventSource("__URL__")',
      'Deno.connect({ hostname: "127.0.0.1", port: 1 })',
      'new XMLHttpRequest().open("GET", "__URL__")',
      'navigator.sendBeacon("__URL__", "x")',
      'new Worker("__URL__", { type: "module" })',
      'new WebSocketStream("__URL__")',
      'new WebTransport("__URL__")',
      'Deno.resolveDns("x", "A")',
    ]),
  ),
  globals(
    "reads the environment",
    ways([
      'Deno.env.get("LIBOS_ESCAPE_ENV")',
      "Deno.env.toObject()",
      "process.env.LIBOS_ESCAPE_ENV",
      "globalThis.env",
      "Deno.args",
      "Deno.cwd()",
      "Deno.hostname()",
      "process.argv",
      "navigator.userAgent",
      "Deno.mainModule",
      "Deno.version",
      "process.versions",
    ]),
  ),
  globals(
    "sends messages by the platform",
    ways([
      'new BroadcastChannel("kernel").postMessage({ escaped: 1 }) ?? 1',
      'postMessage("x") ?? 1',
      'self.postMessage("x") ?? 1',
      'globalThis.postMessage("[]") ?? 1',
      "new MessageChannel()",
      'navigator.locks.request("x", () => 1)',
      'dispatchEvent(new Event("message")) ?? 1',
      "(onmessage = () => {}, globalThis.addEventListener)",
      "close() ?? 1",
      'reportError(new Error("x")) ?? 1',
    ]),
  ),
  globals(
    "asks for permissions",
    ways([
      'Deno.permissions.request({ name: "read" })',
      'Deno.permissions.query({ name: "net" })',
      'navigator.permissions.query({ name: "camera" })',
      'prompt("grant?") ?? confirm("grant?")',
      "Deno[Deno.internal]",
      "Deno.core ?? Deno[Symbol.for('Deno.internal')]",
      "__bootstrap.core",
      "globalThis[Symbol.for('Deno.internal')]",
    ]),
  ),
  globals(
    "looks for the engine's collector and flags, before and after it was collected",
    ways([
      "gc",
      "globalThis.gc",
      "globalThis['g' + 'c'] ?? Reflect.get(globalThis, 'gc')",
      "Object.getOwnPropertyDescriptor(globalThis, 'gc')",
      "Reflect.ownKeys(globalThis).find((key) => /gc|v8|flag|externalize|collect/i.test(String(key)))",
      "os.gc ?? os.collect ?? import.meta.gc",
      'import("node:v8")',
      'import("v8")',
      'require("node:v8").setFlagsFromString("--expose-gc") ?? 1',
      'process.binding("v8")',
      "process.execArgv ?? process.config",
      'v8.setFlagsFromString("--expose-gc") ?? 1',
      "collect()",
      "collector()",
      "new WeakRef({})",
      "new FinalizationRegistry(() => {})",
      '(0, eval)("%CollectGarbage(0)")',
      'new Function("return gc")()',
      '(() => {}).constructor("return globalThis.gc")()',
    ]),
    { calls: 44 },
  ),
  globals(
    "looks for hidden keys under every registered symbol",
    `export default (input, os) => {
  const names = ["Deno.internal", "Deno.customInspect", "Deno.privateCustomInspect", "nodejs.util.inspect.custom", "nodejs.util.promisify.custom",
    "[[webidl.brand]]", "nodejs.stream.errored", "Symbol.observable", "[[detached]]", "vm_context_no_contextify", "vm_dynamic_import_main_context_default"];
  const found = names.filter((n) => [globalThis, Object, Function.prototype, Object.prototype, Promise.prototype, Error, os].some((on) => Symbol.for(n) in on));
  const own = Object.getOwnPropertySymbols(globalThis).map(String).filter((n) => n !== "Symbol(Symbol.toStringTag)");
  return found.length + own.length > 0 ? { escaped: true, found, own } : "held";
};`,
  ),
  globals(
    "is told by custom inspection who looks at it",
    `const got = [];
export default async (input, os) => {
  const spy = { [Symbol.for("Deno.customInspect")](...a) { got.push(this, ...a); return "x"; }, [Symbol.for("nodejs.util.inspect.custom")](...a) { got.push(this, ...a); return "x"; },
    [Symbol.for("Deno.privateCustomInspect")](...a) { got.push(...a); return "x"; }, get [Symbol.toStringTag]() { got.push(this); return "x"; } };
  console.log(spy, [spy], "%o", spy); console.error(spy); console.assert(false, spy); console.trace(spy); console.dir(spy);
  await os.call("object.read", { a: 1 });
  return tell(got);
};`,
  ),
  globals(
    "tells the host's locale, time zone, clock and chance",
    `export default async () => {
  const { timeZone, locale } = new Intl.DateTimeFormat().resolvedOptions();
  const times = [Date.now(), +new Date(), new Date().getTime(), Number(new Intl.DateTimeFormat("en", { year: "numeric", timeZone: "UTC" }).format())];
  const found = [];
  if (timeZone === "Pacific/Chatham" || new Date(0).getTimezoneOffset() !== 0) found.push(timeZone);
  if (/^de/.test(locale)) found.push(locale);
  if (times[0] > 1e9 || times[3] > 1990) found.push(times);
  if (globalThis.Temporal?.Now) found.push(Temporal.Now.instant().toString());
  for (const way of [() => new Intl.DateTimeFormat("en").formatToParts().map((p) => p.value).join(""), () => new Date(Date.prototype.constructor()).getFullYear(), () => Date(),
    () => new (class extends Date {})().getFullYear(), () => Reflect.construct(Date, [], Object).getFullYear?.(), () => new Intl.DateTimeFormat("en").formatRange(new Date(), new Date()),
    () => new Date().toLocaleString("en"), () => Reflect.construct(Date.prototype.constructor, [], class {}).valueOf(), () => Intl.DateTimeFormat("en", { dateStyle: "full" }).format(),
    () => new Intl.DateTimeFormat("en").formatRangeToParts(Date.now(), Date.now()).map((p) => p.value).join("")]) {
    try { const t = String(way()); if (/20[2-9]\\d/.test(t)) found.push(String(way) + t); } catch {}
  }
  return found.length > 0 ? { escaped: true, found } : "held";
};`,
  ),
  globals(
    "measures real time by what the engine does in turns",
    `export default async () => {
  const t0 = Date.now(), at = [];
  for (let i = 0; i < 5; i++) { let n = 0; for (let j = 0; j < 1e6; j++) n += j; at.push(Date.now() - t0); await null; }
  return at.some((t) => t !== 0) ? { escaped: true, at } : "held";
};`,
  ),
  signals(
    "ends the process",
    ways([
      "Deno.exit(0)",
      "process.exit(0)",
      "process.reallyExit(0)",
      "process.abort()",
      "close()",
      "quit()",
      "Deno.exitCode = 3",
      "process.exitCode = 3",
      "Deno.core.ops.op_exit()",
      "self.close()",
    ]),
  ),
  signals(
    "kills and signals",
    ways([
      'Deno.kill(__PID__, "SIGKILL") ?? 1',
      'process.kill(__PID__, "SIGTERM") ?? 1',
      'process.kill(process.pid, "SIGUSR1") ?? 1',
      'Deno.addSignalListener("SIGINT", () => {}) ?? 1',
      'process.on("SIGTERM", () => {})',
      "Deno.pid",
      "Deno.ppid",
      'new Deno.Command("kill", { args: ["-9", "__PID__"] }).outputSync()',
    ]),
  ),
  signals(
    "writes to the terminal",
    ways([
      "Deno.stdout.writeSync(new Uint8Array([27, 91, 50, 74]))",
      'process.stdout.write("\\x1b[2J")',
      'process._rawDebug("\\x1b[2J") ?? 1',
      "print('x') ?? 1",
      "console._stdout.write('x')",
      "console.Console",
      "console.table ?? console.group ?? console.time ?? console.profile ?? console.context",
      "Deno.consoleSize()",
      'alert("x") ?? 1',
    ]),
  ),
  signals(
    "logs what a terminal would obey",
    `export default (input, os) => {
  for (const text of ["\\x1b]0;owned\\x07", "\\x1b[2J\\x1b[H", "\\x1b]52;c;b3duZWQ=\\x07", "\\r\\n#00000000-0000-0000-0000-000000000000#{}", "\\x9b31m", "\\u202eevil", "\\x00\\x08\\x7f"]) {
    console.log(text); console.error(text); console.warn(text); os.log(text);
  }
  throw new Error("\\x1b]0;owned\\x07\\x1b[2J thrown");
};`,
  ),
  signals(
    "reads the terminal",
    ways([
      "Deno.stdin.readSync(new Uint8Array(1))",
      "process.stdin.read()",
      "prompt()",
      "readline()",
      "read('/dev/stdin')",
    ]),
  ),
  signals(
    "starts other threads and processes",
    ways([
      'new Worker("data:text/javascript,while(1);", { type: "module" })',
      'new Deno.Command("sleep", { args: ["60"] }).spawn()',
      'require("child_process").spawn("sleep", ["60"])',
      'require("worker_threads").Worker',
      'new SharedWorker("x")',
      "Deno.dlopen('libc.so.6', {})",
      "new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))",
      "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
      "Atomics.pause() ?? 1",
    ]),
  ),
  signals(
    "tries to bring its isolate down with odd uses of the engine",
    `export default async (input, os) => {
  const tries = [() => { const p = new Proxy([], {}); p.__proto__ = p; return p.x; }, () => { let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return p.x; },
    () => { const a = []; a.push(a); a.flat(Infinity); }, () => JSON.stringify(Array.from({ length: 1e5 }).reduce((a) => [a], 0)), () => { let f = () => {}; for (let i = 0; i < 1e5; i++) f = f.bind(null); f(); },
    () => "a".repeat(2 ** 29).split(""), () => new Array(2 ** 32 - 1).join("x"), () => { const r = /(?:a*)*b/; return r.exec("a".repeat(25)); }, () => Object.setPrototypeOf(globalThis, new Proxy({}, {})),
    () => { throw Object.setPrototypeOf(new Error("x"), null); }, () => Array.prototype.concat.apply([], Array(5e5)), () => new Intl.DateTimeFormat("en-u-" + "x-".repeat(1e4)), () => new (class A { static { A.x = A; } static [Symbol.hasInstance]() { throw 1; } })() instanceof Function,
    () => Reflect.construct(Object, [], new Proxy(function () {}, { get() { throw 1; } })), () => { const g = (function* () { g.next(); })(); g.next(); }, () => structuredClone(Array.from({ length: 2e4 }).reduce((a) => ({ a }), 0))];
  for (const one of tries) try { one(); } catch {}
  return { escaped: false };
};`,
  ),
  source(
    "has a source map that names a file",
    `export default () => { throw new Error("mapped"); };\n//# sourceMappingURL=file://__FOLDER__/secret.txt\n`,
  ),
  source(
    "has an inline source map whose sources are files",
    `export default () => { const e = new Error("mapped"); return { text: String(e.stack) }; };\n//# sourceMappingURL=data:application/json;base64,${
      btoa(
        '{"version":3,"sources":["file:///etc/hostname","../secret.txt"],"names":[],"mappings":"AAAA","sourcesContent":[null,null]}',
      )
    }\n`,
  ),
  source(
    "has a source map over HTTP",
    `export default () => { null.x; };\n//@ sourceMappingURL=__URL__map.json\n`,
  ),
  source(
    "names itself as a file of the kernel",
    `export default () => { throw new Error("who"); };\n//# sourceURL=file://__FOLDER__/secret.txt\n`,
  ),
  source(
    "hides a directive behind line separators",
    `export default () => { null.x; };\u2028//# sourceMappingURL=file://__FOLDER__/secret.txt\u2029/*# sourceURL=file:///etc/passwd */`,
  ),
  source(
    "closes the wrapper it may have been put in",
    `}); })(); globalThis.out = 1; (function () { return { escaped: true }; ({ //\nexport default () => ({ escaped: true });`,
  ),
  source("ends its text with an open comment", `export default () => "held"; /* `),
  source("ends its text with an open template", "export default () => `held"),
  source(
    "begins with a hash bang and a byte order mark",
    `\ufeff#!/usr/bin/env deno\nexport default () => "held";`,
  ),
  source(
    "is full of bytes that frames are made of",
    `export default () => "\\u0000\\u0000\\u0000\\u0005hello \u0001\u0002 \u2028\u2029 \ufffe \\ud83d";`,
  ),
  source(
    "has lone surrogates in its source",
    `export default () => ["\ud800", "\udfff\ud800", "x"].map((s) => s.isWellFormed());`,
  ),
  source(
    "writes its names with escapes and look-alikes",
    `export default async () => {
  const got = [];
  for (const n of ["\\u0044eno", "D\\u{65}no", "pro\\u0063ess", "globalThi\\u0073"]) { const x = globalThis[n]; if (x && x !== globalThis) got.push(n); }
  try { \\u0044eno.exit(); got.push("Deno"); } catch {}
  try { await im\\u0070ort; } catch {}
  return got.length ? { escaped: true, got } : "held";
};`,
  ),
  source(
    "uses comments of HTML and right-to-left marks to look like other code",
    `export default () => "held"; /*\u202e } \u2066return { escaped: true }\u2069 \u2066*/ if (0) { }\n--> export default`,
  ),
  source(
    "is sloppy code: with, octals, delete of names",
    `with (globalThis) { var x = 010; delete x; }\nexport default () => ({ escaped: true });`,
  ),
  source(
    "has a name that redefines what the module system uses",
    `export default () => "held"; export const __esModule = true, constructor = 1, prototype = 2, toString = 3, __proto__ = { escaped: true }; export { then as await }; function then() {}`,
  ),
  source(
    "has an export whose name is no Unicode",
    `const x = 1; export { x as "\\ud800" }; export default () => ({ escaped: true });`,
  ),
  source(
    "is a megabyte of nesting",
    `export default () => ${"[".repeat(20_000)}${"]".repeat(20_000)};`,
  ),
  source("is half a megabyte of one expression", `export default () => ${"1+".repeat(250_000)}1;`),
  source("is nothing at all", ""),
];
