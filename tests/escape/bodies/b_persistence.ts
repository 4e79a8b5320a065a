/**
 * Bodies that want to find again what they left behind: in the run after, and in another tool.
 *
 * Each leaves a mark wherever it may be left, and tells when it finds one. A witness only looks.
 * @module
 */

import type { Hostile, HostileClass } from "../hostile.ts";

/** Looks for a mark, leaves one, and tells; `places` is a record of pairs `[look, leave]`. */
function marked(places: string): string {
  return `const places = ${places};
export default async (input, os) => {
  const found = [];
  // Looks everywhere first: what is left on one prototype is seen through another.
  for (const [name, [look]] of Object.entries(places)) {
    try { if (await look(input, os)) found.push(name); } catch {}
  }
  for (const [, leave] of Object.values(places)) {
    try { await leave(input, os); } catch {}
  }
  return found.length === 0 ? "nothing" : { escaped: true, found };
};`;
}

/** The places in which something is left, by what they are. */
const PLACES: Readonly<Record<string, string>> = {
  "on the global object": `{
  plain: [() => "mark" in globalThis, () => { globalThis.mark = 1; }],
  fixed: [() => Object.hasOwn(globalThis, "fixed"), () => Object.defineProperty(globalThis, "fixed",
    { value: 1, configurable: false })],
  frozen: [() => Object.isFrozen(Math) || !Object.isExtensible(globalThis), () => {
    Object.freeze(Math);
    Object.preventExtensions(globalThis);
  }],
  taken: [() => typeof Array !== "function", () => delete globalThis.Array],
}`,
  "on prototypes": `{
  object: [() => ({}).mark === 1, () => { Object.prototype.mark = 1; }],
  array: [() => [].mark === 1, () => { Array.prototype.mark = 1; }],
  func: [() => (() => {}).mark === 1, () => { Function.prototype.mark = 1; }],
  promise: [() => Promise.resolve().mark === 1, () => { Promise.prototype.mark = 1; }],
  text: [() => "".mark === 1, () => { String.prototype.mark = 1; }],
  symbol: [() => Symbol.iterator.mark === 1, () => { Symbol.prototype.mark = 1; }],
  error: [() => new RangeError().mark === 1, () => { Error.prototype.mark = 1; }],
  iterator: [() => [].values().mark === 1, () => {
    Object.getPrototypeOf([].values()).mark = 1;
  }],
  generator: [() => (function* () {})().mark === 1, () => {
    Object.getPrototypeOf(Object.getPrototypeOf((function* () {})())).mark = 1;
  }],
  asynchronous: [() => (async () => {}).mark === 1, () => {
    Object.getPrototypeOf(async () => {}).mark = 1;
  }],
}`,
  "in the functions and objects it is given": `{
  os: [(_, os) => os.mark === 1, (_, os) => { os.mark = 1; }],
  noun: [(_, os) => os.object?.mark === 1, (_, os) => { os.object.mark = 1; }],
  call: [(_, os) => os.call.mark === 1, (_, os) => { os.call.mark = 1; }],
  read: [(_, os) => os.object?.read.mark === 1, (_, os) => { os.object.read.mark = 1; }],
  signal: [(_, os) => os.signal.mark === 1, (_, os) => { os.signal.mark = 1; }],
  input: [(input) => input?.mark === 1, (input) => { input.mark = 1; }],
  date: [() => Date.mark === 1, () => { Date.mark = 1; }],
  console: [() => console.mark === 1, () => { console.mark = 1; }],
  timer: [() => setTimeout.mark === 1, () => { setTimeout.mark = 1; }],
  url: [() => URL.mark === 1 || new URL("a:b").mark === 1, () => {
    URL.mark = 1;
    URL.prototype.mark = 1;
  }],
  signals: [() => AbortSignal.mark === 1 || AbortSignal.prototype.mark === 1, () => {
    AbortSignal.mark = 1;
    AbortSignal.prototype.mark = 1;
  }],
}`,
  "in the platform's own memory": String.raw`{
  expression: [() => RegExp.$1 === "mark" || RegExp.lastMatch === "mark", () => /(mark)/.exec("mark")],
  limit: [() => Error.stackTraceLimit === 7, () => { Error.stackTraceLimit = 7; }],
  prepare: [() => typeof Error.prepareStackTrace === "function", () => {
    Error.prepareStackTrace = () => "mark";
  }],
  registered: [() => Symbol.for("mark").description === "other", () => {
    Symbol.for("mark").description = "other";
  }],
  template: [() => Object.isExtensible(((text) => text)${"`mark`"}), () => {}],
  locale: [() => new Intl.NumberFormat().resolvedOptions().mark === 1, () => {
    Intl.NumberFormat.prototype.resolvedOptions = () => ({ mark: 1 });
  }],
  random: [() => Math.random() === globalThis.drawn, () => { globalThis.drawn = Math.random(); }],
}`,
  "in what the module itself keeps": `(() => {
  let kept = 0;
  const cache = new Map(), promise = Promise.resolve({ count: 0 });
  class Counted { static count = 0; }
  return {
    variable: [() => kept > 0, () => { kept++; }],
    map: [() => cache.size > 0, () => cache.set("mark", 1)],
    cached: [async () => (await promise).count > 0, async () => { (await promise).count++; }],
    fields: [() => Counted.count > 0, () => { Counted.count++; }],
    meta: [() => import.meta.mark === 1, () => { import.meta.mark = 1; }],
  };
})()`,
  "in the clock and chance of the run": `{
  clock: [(_, os) => os.now() >= 4e12 || Date.now() >= 4e12, async (_, os) => {
    await os.call("clock.wait", { ms: 1 });
    Date.now = () => 4e12;
  }],
  chance: [() => Math.random() === 0.5, () => { Math.random = () => 0.5; }],
  bytes: [() => crypto.randomUUID() === "mark", () => { crypto.randomUUID = () => "mark"; }],
  date: [() => new Date(0).getTime() !== 0, () => { Date.prototype.getTime = () => 1; }],
}`,
  "in intrinsics by which the cage might work": `{
  parse: [() => JSON.parse("1") !== 1, () => { JSON.parse = () => ({ escaped: true }); }],
  quote: [() => JSON.stringify(1) !== "1", () => { JSON.stringify = () => "{}"; }],
  then: [() => Promise.prototype.then.name === "mark", () => {
    Promise.prototype.then = { mark() { return this; } }.mark;
  }],
  apply: [() => Reflect.apply(() => 1) === 2, () => { Reflect.apply = () => 2; }],
  define: [() => Object.defineProperty({}, "a", {}) === 1, () => { Object.defineProperty = () => 1; }],
  map: [() => new Map([[1, 2]]).get(1) !== 2, () => { Map.prototype.get = () => 3; }],
  iterate: [() => [...[1]].length !== 1, () => { Array.prototype[Symbol.iterator] = function* () {}; }],
}`,
};

const LEAVING: readonly Hostile[] = Object.entries(PLACES).map(([where, places]) => ({
  class: "persistence between calls",
  name: `finds again what it left ${where}`,
  source: marked(places),
  input: { of: "the call" },
  calls: 3,
}));

/** The same marks, by another tool in the same place: what the witness must not find. */
const TELLING: readonly Hostile[] = Object.entries(PLACES).map(([where, places]) => ({
  class: "side channels between tools",
  name: `tells another tool by what it left ${where}`,
  source: marked(places),
  input: { of: "the call" },
  witness: marked(places),
}));

function body(kind: HostileClass, name: string, source: string, witness?: string): Hostile {
  const more = witness === undefined ? { calls: 3 } : { witness };
  return { class: kind, name, source, ...more };
}

const OTHERS: readonly Hostile[] = [
  body(
    "persistence between calls",
    "finds again a promise that a timer of the run before resolves",
    `export default async (_, os) => {
  if (globalThis.before) return { escaped: true, value: await globalThis.before };
  globalThis.before = new Promise((resolve) => setTimeout(() => resolve("mark"), 20));
  Object.prototype.before = globalThis.before;
  return "left";
};`,
  ),
  body(
    "persistence between calls",
    "finds memory that nobody has cleared",
    `export default () => {
  const found = [];
  for (let i = 0; i < 40; i++) {
    const bytes = new Uint8Array(2 ** 20);
    if (bytes.includes(0xa5)) found.push(i);
    const buffer = new ArrayBuffer(8, { maxByteLength: 2 ** 16 });
    buffer.resize(2 ** 16);
    if (new Uint8Array(buffer).includes(0xa5)) found.push("grown " + i);
    bytes.fill(0xa5);
    new Uint8Array(buffer).fill(0xa5);
  }
  return found.length === 0 ? "nothing" : { escaped: true, found };
};`,
  ),
  body(
    "persistence between calls",
    "outlives its run with hooks that the platform calls when memory is collected",
    `export default (_, os) => {
  const names = ["FinalizationRegistry", "WeakRef", "gc"];
  const found = names.filter((name) => globalThis[name] !== undefined);
  return found.length === 0 ? "nothing" : { escaped: true, found };
};`,
  ),
];

const CHANNELS: readonly Hostile[] = [
  body(
    "side channels between tools",
    "listens at what is shared by name",
    `export default () => "nothing";`,
    `export default () => {
  const names = ["BroadcastChannel", "caches", "localStorage", "sessionStorage", "indexedDB",
    "navigator", "SharedArrayBuffer", "Atomics", "MessageChannel", "Worker", "performance",
    "WebAssembly", "location", "name", "process", "Deno", "global", "require"];
  const found = names.filter((name) => name in globalThis);
  return found.length === 0 ? "nothing" : { escaped: true, found };
};`,
  ),
  body(
    "side channels between tools",
    "has a clock that goes on by itself",
    `export default () => { for (let i = 0; i < 1e6; i++); return "worked"; };`,
    `export default (_, os) => {
  const clocks = [() => os.now(), () => Date.now(), () => +new Date(), () => Date(),
    () => new Intl.DateTimeFormat("en", { timeStyle: "full" }).format(),
    () => JSON.stringify(new Intl.DateTimeFormat("en", { fractionalSecondDigits: 3 }).formatToParts()),
    () => new (class extends Date {})().getTime(), () => Reflect.construct(Date, [], Object) + "",
    () => globalThis.Temporal?.Now?.instant().epochNanoseconds ?? 0n,
    () => globalThis.performance?.now() ?? 0, () => new Date().toLocaleString()];
  const before = clocks.map((clock) => { try { return String(clock()); } catch { return ""; } });
  for (let i = 0; i < 5e6; i++);
  const after = clocks.map((clock) => { try { return String(clock()); } catch { return ""; } });
  const goes = before.flatMap((text, i) => text === after[i] ? [] : [String(clocks[i])]);
  return goes.length === 0 ? "nothing" : { escaped: true, goes };
};`,
  ),
  body(
    "side channels between tools",
    "leaves its arguments and results for another to read",
    `const secret = "mark " + Math.random();
export default async (_, os) => {
  await os.call("object.create", { value: { secret } });
  os.log(secret);
  throw new Error(secret);
};`,
    `export default async (input, os) => {
  const seen = [];
  const look = (one, depth) => {
    if (depth > 6 || seen.includes(one)) return false;
    if (typeof one === "string") return one.startsWith("mark ");
    if ((typeof one !== "object" && typeof one !== "function") || one === null) return false;
    seen.push(one);
    return Reflect.ownKeys(one).some((key) => {
      try { return String(key).startsWith("mark ") || look(one[key], depth + 1); } catch {}
    });
  };
  const found = look(globalThis, 0) || look(os, 0) || look(input, 0) || look(new Error("e"), 0);
  return found ? { escaped: true } : "nothing";
};`,
  ),
  body(
    "side channels between tools",
    "is given the same chance as another",
    `export default () => { for (let i = 0; i < 1000; i++) Math.random(); return Math.random(); };`,
    `export default () => {
  const drawn = Array.from({ length: 64 }, () => Math.random());
  const same = new Set(drawn).size < 60 || drawn.some((one) => one < 0 || one >= 1);
  return same ? { escaped: true, drawn } : "nothing";
};`,
  ),
  body(
    "side channels between tools",
    "takes all the room, and another feels it",
    `export default () => {
  globalThis.held = Array.from({ length: 9 }, () => new Uint8Array(4e6).fill(1));
  return "held";
};`,
    `export default () => {
  const held = Array.from({ length: 9 }, () => new Uint8Array(4e6).fill(1));
  return held.length;
};`,
  ),
];

/** Bodies that leave something behind. */
export const BODIES: readonly Hostile[] = [...LEAVING, ...TELLING, ...OTHERS, ...CHANNELS];
