/**
 * Bodies that use what engines have learned of late, and what few programs use: values that change
 * their size, disposal, iterator helpers, deferred imports, durations, chains without end.
 *
 * `{ escaped: true }` comes of something that is told of the cage, of the host or of another run.
 * @module
 */

import type { Hostile, HostileClass } from "../hostile.ts";

function body(
  about: HostileClass,
  name: string,
  source: string,
  more: Partial<Hostile> = {},
): Hostile {
  return { class: about, name, source, ...more };
}

const VALUES: readonly Hostile[] = [
  body(
    "hostile values",
    "shrinks the buffer under a view while the view is read as its result",
    `export default () => {
  const buffer = new ArrayBuffer(64, { maxByteLength: 1024 });
  const view = new Uint8Array(buffer);
  return { get first() { buffer.resize(0); return 1; }, all: Array.from(view),
    toJSON: undefined, get last() { return [...view].length; } };
};`,
  ),
  body(
    "hostile values",
    "moves a buffer out of a call's arguments while they are read",
    `export default async (_, os) => {
  const buffer = new ArrayBuffer(32);
  const args = { get object() { buffer.transfer(); return new Uint8Array(buffer).length + "x"; } };
  await os.call("object.read", args).catch(() => {});
  return structuredClone({ args: 1 }, { transfer: [new ArrayBuffer(8)] });
};`,
  ),
  body(
    "hostile values",
    "returns raw JSON that says more than a value",
    `export default () => {
  const tries = ['1,"escaped":true', '{"escaped":true}', '"a"],["returned",{"escaped":true},null'];
  const raw = tries.map((text) => { try { return JSON.rawJSON(text); } catch { return "refused"; } });
  String.prototype.toJSON = Number.prototype.toJSON = () => ({ escaped: true });
  Boolean.prototype.toJSON = () => JSON.rawJSON("1");
  return [raw, JSON.rawJSON("1"), "text", 1, true];
};`,
  ),
  body(
    "hostile values",
    "is a tower of proxies that is looked through",
    `export default () => {
  let tower = {};
  for (let i = 0; i < 200000; i++) tower = new Proxy(tower, {});
  return tower;
};`,
  ),
  body(
    "hostile values",
    "inherits through a hundred thousand objects, and is asked what it is",
    `export default (_, os) => {
  let one = null;
  for (let i = 0; i < 100000; i++) one = Object.create(one);
  os.log(one, one.nothing, "nothing" in one);
  return one;
};`,
  ),
  body(
    "hostile values",
    "names each of its objects' fields otherwise, with escapes in the names",
    `export default () =>
  Array.from({ length: 40000 }, (_, i) => ({ ["\\"\\\\" + i]: i }));`,
  ),
  body(
    "hostile values",
    "makes calls with names of fields that are all alike but for escapes",
    `export default async (_, os) => {
  const keys = ["\\t", "\\u0009", "\\\\t", "\\\\u0009", "__proto__", "\\"", "name-0-0"];
  const args = JSON.parse("{" + keys.map((key) => JSON.stringify(key) + ":1").join(",") + "}");
  for (let i = 0; i < 20; i++) await os.call("object.create", [args, { args }][i % 2]).catch(() => {});
  return Object.keys(args);
};`,
  ),
];

const CODE: readonly Hostile[] = [
  body(
    "imports",
    "imports later, and the source of what it would import",
    `export default async () => {
  const got = [];
  for (const load of [
    "node:fs", "file:///etc/passwd", "data:text/javascript,export default 1", "__URL__later.js",
  ]) {
    try { got.push(await import(load, { get with() { return { type: "json" }; } })); } catch {}
    try { got.push(await import(load, { with: { type: "bytes" } })); } catch {}
    try { got.push(await import({ toString: () => load })); } catch {}
  }
  return got.length === 0 ? "nothing" : { escaped: true, got: got.map(String) };
};`,
  ),
  body(
    "imports",
    "imports by a phase of its own",
    `export default async () => (await import.defer("node:fs")) && { escaped: true };`,
  ),
  body(
    "imports",
    "imports the source of a module",
    `import source wasm from "__URL__module.wasm";
export default () => ({ escaped: true, wasm: String(wasm) });`,
  ),
  body(
    "error realms",
    "asks whether errors of the cage are errors of its own",
    `export default async (_, os) => {
  const errors = [];
  for (const wrong of [() => os.call("nope", {}), () => os.call(1), () => os.file.read(1n)]) {
    try { await wrong(); } catch (error) { errors.push(error); }
  }
  try { null.x; } catch (error) { errors.push(error); }
  const held = {};
  Error.captureStackTrace(held, os.call);
  const foreign = errors.filter((one) => !(one instanceof Error) || !Error.isError?.(one));
  const text = errors.map((one) => one.stack).join() + held.stack;
  return foreign.length > 0 || /file:|ext:|node:|\\/tmp|[0-9a-f]{16}/.test(text)
    ? { escaped: true, text }
    : "nothing";
};`,
  ),
  body(
    "realm walking",
    "reads in what the last expression matched, and in the text of functions, what the cage was told",
    `export default async (_, os) => {
  new URL("http://a/b?c=d"); new TextDecoder("utf-8").decode(new TextEncoder().encode("a"));
  await os.call("clock.now", {});
  const told = [RegExp.input, RegExp["$&"], RegExp["$\`"], RegExp["$'"], RegExp.lastParen];
  const texts = [os.call, os.log, os.file.read, console.log, setTimeout, URL, globalThis.Temporal?.Now?.instant]
    .map((one) => Function.prototype.toString.call(one ?? (() => {})));
  return /[0-9a-f]{16}|file:\\/\\/|"answer"/.test(told.join() + texts.join())
    ? { escaped: true, told }
    : "nothing";
};`,
  ),
  body(
    "thenables and getters",
    "disposes of what is a call, when it has returned",
    `export default async (_, os) => {
  await using last = { async [Symbol.asyncDispose]() { await os.call("clock.now", {}); } };
  using first = { [Symbol.dispose]() { os.call("object.read", {}).catch(() => {}); } };
  return "returned";
};`,
  ),
  body(
    "late messages",
    "never comes to an end of disposing",
    `export default async () => {
  const stack = new AsyncDisposableStack();
  const again = () => { stack.defer(again); return Promise.resolve(); };
  stack.defer(again);
  await using last = { [Symbol.asyncDispose]: () => new Promise(() => {}) };
  return "returned";
};`,
  ),
  body(
    "async stack tricks",
    "awaits through a hundred thousand functions, and throws at the end",
    `export default async () => {
  let last = Promise.reject(new Error("end"));
  for (let i = 0; i < 100000; i++) last = (async (before) => await before)(last);
  await last;
};`,
  ),
  body(
    "prototype poisoning",
    "bends what helpers of iterators inherit, and calls",
    `export default async (_, os) => {
  const bent = () => { throw new Error("bent"); };
  for (const key of Reflect.ownKeys(Iterator.prototype)) {
    try { Iterator.prototype[key] = bent; } catch {}
    try { Object.defineProperty(Iterator.prototype, key, { get: bent }); } catch {}
  }
  for (const of of [[][Symbol.iterator](), new Map().keys(), ""[Symbol.iterator]()]) {
    Object.getPrototypeOf(of).next = () => ({ done: false, value: { escaped: true } });
  }
  os.log("a", { b: [1] });
  return (await os.call("clock.now", {})).ms;
};`,
  ),
  body(
    "globals and permissions",
    "looks for realms, shared memory and collectors that came with newer engines",
    `export default () => {
  const names = ["ShadowRealm", "WeakRef", "FinalizationRegistry", "SharedArrayBuffer", "Atomics",
    "WebAssembly", "AsyncContext", "Deno", "process", "Buffer", "global", "self", "navigator",
    "performance", "gc", "d8", "print", "load", "read", "Worker", "importScripts", "reportError"];
  const found = names.filter((name) => name in globalThis);
  return found.length === 0 ? "nothing" : { escaped: true, found };
};`,
  ),
  body(
    "side channels between tools",
    "reads another time than its own by dates, durations and formats",
    `export default (_, os) => {
  const times = [Date.now(), +new Date(), Date.parse(Date()), Date.parse(new Date().toString()),
    Date.parse(new Intl.DateTimeFormat("en", { dateStyle: "short", timeStyle: "medium",
      timeZone: "UTC" }).format().replaceAll("\\u202f", " ") + " UTC")];
  for (const key of ["instant", "zonedDateTimeISO", "plainDateTimeISO"]) {
    const now = globalThis.Temporal?.Now?.[key]?.("UTC");
    if (now !== undefined) times.push(Date.parse(String(now).slice(0, 19) + "Z"));
  }
  const wrong = times.filter((time) => Number.isNaN(time) || Math.abs(time - os.now()) > 1000);
  return wrong.length === 0 ? "nothing" : { escaped: true, times };
};`,
  ),
];

const NATIVE: readonly Hostile[] = [
  body(
    "processor time",
    "compiles expressions that are large when they are compiled",
    `export default () => {
  for (let i = 0;; i++) new RegExp("(?:(?:(?:a{1,99}b?){1,99}){1,99}){1,99}" + i, "v").test("a");
};`,
  ),
  body(
    "processor time",
    "matches sets of texts by the newest flag",
    `export default () => {
  const all = Array.from({ length: 20000 }, (_, i) => "a".repeat(i % 300) + i).join("|");
  for (;;) new RegExp("^[\\\\q{" + all + "}--[a-z]]+$", "vi").test("a".repeat(100000));
};`,
  ),
  body(
    "processor time",
    "flattens an array that holds itself",
    `export default () => { const all = []; all.push(all, all); return all.flat(Infinity).length; };`,
  ),
  body(
    "processor time",
    "maps helpers of iterators over what has no end",
    `export default () => Iterator.from({ next: () => ({ done: false, value: 1 }) })
  .flatMap(() => Array(1e6)).drop(1e15).toArray();`,
  ),
  body(
    "processor time",
    "counts days between the ends of time",
    `export default () => {
  for (let i = 0;; i++) {
    const from = Temporal.PlainDate.from("-271821-04-20"), to = Temporal.PlainDate.from("+275760-09-13");
    for (const calendar of ["chinese", "hebrew", "islamic-civil"]) {
      from.withCalendar(calendar).until(to.withCalendar(calendar), { largestUnit: "months" });
    }
  }
};`,
  ),
  body(
    "processor time",
    "binds a function a hundred thousand times, calls it and asks its name",
    `export default () => {
  let bound = () => 1;
  for (let i = 0; i < 1e5; i++) bound = bound.bind(null, i);
  return [bound.name.length, bound()];
};`,
  ),
  body(
    "processor time",
    "takes addresses apart that are long in each way",
    `export default () => {
  const some = ["a.".repeat(2e5), "[" + ":".repeat(2e5) + "]", "0x".repeat(1e5), "%25".repeat(1e5),
    "1.".repeat(2e5), " ".repeat(4e5) + "x", "a/../".repeat(2e5)];
  for (;;) for (const one of some) {
    URL.canParse("http://" + one + "/" + one); URL.canParse("x:" + one + " "); new URLSearchParams(one);
  }
};`,
  ),
  body(
    "memory",
    "asks for buffers that may grow, and never grows them",
    `const kept = [];
export default () => { for (;;) kept.push(new ArrayBuffer(0, { maxByteLength: 2 ** 32 })); };`,
  ),
  body(
    "memory",
    "is told in hexadecimal what it holds",
    `const kept = [];
export default () => {
  const all = new Uint8Array(1e7);
  for (;;) kept.push(all.toHex(), all.toBase64(), Uint8Array.fromHex("ff".repeat(1e6)));
};`,
  ),
  body(
    "memory",
    "keeps a million templates and private names",
    `const kept = [];
export default () => {
  for (;;) kept.push(class { #a = 1; static #b = () => this; get [Symbol("x")]() { return this.#a; } },
    ((strings) => strings)\`a\${1}b\`, new WeakMap([[{}, kept]]));
};`,
  ),
  body(
    "floods",
    "sets timers by signals that abort after a time",
    `const kept = [];
export default () => {
  for (let i = 0; i < 1e5; i++) kept.push(AbortSignal.timeout(2 ** 30 + i));
  return kept.length;
};`,
  ),
  body(
    "floods",
    "joins signals without end, and listens to all",
    `const ends = function* () { for (;;) yield new AbortController().signal; };
export default () => AbortSignal.any(ends());`,
  ),
];

/** Bodies of newer and rarer uses of the engine. */
export const BODIES: readonly Hostile[] = [...VALUES, ...CODE, ...NATIVE];
