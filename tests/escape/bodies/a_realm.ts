/**
 * Hostile bodies that walk about in their realm and look for a door, or bend its intrinsics.
 * @module
 */

import type { Hostile, HostileClass } from "../hostile.ts";
import { FOREIGN, PLATFORM } from "../probes.ts";

const made = (kind: HostileClass) => (name: string, body: string): Hostile => ({
  class: kind,
  name,
  source: `${FOREIGN}${PLATFORM}\n${body}`,
});
const walk = made("realm walking");
const poison = made("prototype poisoning");

/** Bodies. */
export const BODIES: readonly Hostile[] = [
  walk(
    "walks all that can be reached from the globals, `os` and its arguments",
    `export default async function (...given) {
  const seen = new Set(), todo = [globalThis, ...given, import.meta, this, arguments, new.target];
  const add = (x) => { if (isObject(x)) todo.push(x); };
  for (const make of [() => (function* () {})(), () => (async function* () {})(), async () => {},
    () => new Intl.Collator(), () => new Intl.DateTimeFormat(), () => new Intl.NumberFormat(),
    () => new Intl.Segmenter().segment("a b")[Symbol.iterator](), () => new Intl.Locale("en"),
    () => "x".matchAll(/x/g), () => Iterator.from([1]).map((x) => x), () => new URL("http://a/?b"),
    () => new URL("http://a/?b").searchParams, () => new URLSearchParams("a=b").entries(),
    () => new TextEncoder().encode("x"), () => AbortSignal.any([]), () => AbortSignal.timeout(1e6),
    () => new AbortController(), () => structuredClone(new Error("x")), () => new Error("x"),
    () => os.call("nothing"), () => setTimeout(() => {}, 1e6), () => crypto, () => ((a) => a)\`x\`,
    () => new DisposableStack(), () => Temporal.Instant.fromEpochMilliseconds(0),
    () => Error.captureStackTrace(given) ?? given, () => Object.getOwnPropertyDescriptor(new Error, "stack")]) {
    try { add(await make()); add(make()); } catch (e) { add(e); }
  }
  while (todo.length > 0) {
    const one = todo.pop();
    if (seen.has(one)) continue;
    seen.add(one);
    if (foreign(one)) return tell([one]);
    add(protoOf(one));
    for (const key of Reflect.ownKeys(one)) {
      let d; try { d = Reflect.getOwnPropertyDescriptor(one, key); } catch { continue; }
      add(d.value); add(d.get); add(d.set);
      if (d.get) try { add(Reflect.apply(d.get, one, [])); } catch (e) { add(e); }
    }
  }
  return seen.size > 500 ? "held" : { escaped: false, few: seen.size };
}`,
  ),
  walk(
    "calls every function it can reach with strange arguments, and walks what they give",
    `export default async (input, os) => {
  const skip = new Set(["log", "info", "warn", "error", "debug", "trace", "dir", "assert", "call", "repeat",
    "padStart", "padEnd", "fill", "Array", "setTimeout", "setInterval", "escape", "freeze", "seal",
    "preventExtensions", "setPrototypeOf", "defineProperty", "defineProperties", "assign", "deleteProperty",
    "__defineGetter__", "__defineSetter__", "set", "timeout"]);
  const seen = new Set(), todo = [globalThis], got = [];
  while (todo.length > 0 && seen.size < 3000) {
    const one = todo.pop();
    if (!isObject(one) || seen.has(one) || one === os) continue;
    seen.add(one);
    for (const key of Reflect.ownKeys(one)) {
      if (skip.has(key) || (typeof key === "string" && key.startsWith("__"))) continue;
      const d = Reflect.getOwnPropertyDescriptor(one, key);
      todo.push(d.value, d.get);
      const f = d.value;
      if (typeof f !== "function") continue;
      for (const args of [[], [globalThis], [() => {}], [{}, "constructor"]]) {
        for (const self of [undefined, {}, one]) {
          try { got.push(Reflect.apply(f, self, args)); } catch (e) { got.push(e, e?.constructor); }
        }
        try { got.push(Reflect.construct(f, args)); } catch (e) { got.push(e, e?.constructor); }
      }
    }
  }
  return tell(got);
};`,
  ),
  walk(
    "makes functions from strings by every constructor of functions",
    `export default async () => {
  const got = [];
  const makers = [Function, (async () => {}).constructor, (function* () {}).constructor,
    (async function* () {}).constructor, Object.getPrototypeOf(class {}).constructor];
  for (const make of makers) for (const way of [(t) => make(t), (t) => new make(t),
    (t) => Reflect.construct(make, [t], Object), (t) => make("a = (" + t + ")", ""),
    (t) => make.call(null, t), (t) => make.bind(null, t)()]) {
    try { way("return globalThis")(); return { escaped: true, what: make.name }; } catch (e) { got.push(e, e.constructor); }
  }
  for (const way of [(t) => eval(t), (t) => (0, eval)(t), (t) => globalThis.eval?.(t), (t) => eval?.(t),
    (t) => [t].map(eval)[0], (t) => setTimeout(t, 0), (t) => Reflect.apply(eval, null, [t]),
    (t) => new Function("return eval")()(t)]) {
    try { if (way("(() => 42)()") === 42) return { escaped: true }; } catch (e) { got.push(e, e.constructor); }
  }
  return tell(got);
};`,
  ),
  walk(
    "looks at its callers",
    `export default async function tool(input, os) {
  const got = [];
  const look = function () {
    for (const read of [() => look.caller, () => tool.caller, () => look.arguments, () => arguments.callee,
      () => Object.getOwnPropertyDescriptor(Function.prototype, "caller").get.call(look),
      () => Object.getOwnPropertyDescriptor(Function.prototype, "caller").get.call(os.call),
      () => os.call.caller, () => os.log.arguments, () => Function.prototype.caller]) {
      try { got.push(read()); } catch (e) { got.push(e, e.constructor); }
    }
  };
  look();
  await os.call("object.read", { get a() { look(); return 1; } }).catch(look);
  setTimeout(look, 1);
  await new Promise((r) => setTimeout(r, 2));
  os.log({ toJSON: look });
  return tell(got);
}`,
  ),
  walk(
    "looks for the platform by name, through inheritance and through `this`",
    `const top = this;
export default function () {
  const found = [...platform(globalThis), ...platform(Object.prototype), ...platform(crypto), ...(top ? ["this"] : []), ...(this ? ["this of the tool"] : [])];
  const known = Object.getOwnPropertyNames(globalThis).filter((n) => /deno|node|intern|core|__/i.test(n));
  return found.length + known.length > 0 ? { escaped: true, found, known } : "held";
}`,
  ),
  walk(
    "brings back what the realm has deleted",
    `export default async () => {
  const got = [];
  for (const way of [() => new Uint8Array(1).buffer.constructor.prototype.slice.constructor("return SharedArrayBuffer")(),
    () => structuredClone(globalThis), () => new Uint8Array(4).buffer.transfer?.().constructor === ArrayBuffer ? 0 : SharedArrayBuffer,
    () => Object.getOwnPropertyDescriptor(globalThis, "WebAssembly").value,
    () => globalThis.constructor.WebAssembly, () => protoOf(globalThis).WebAssembly, () => Iterator.WebAssembly,
    () => Intl.constructor.Atomics, () => Symbol.asyncDispose.constructor.WeakRef, () => new ShadowRealm(),
    () => new globalThis.constructor(), () => Reflect.construct(Object, [], globalThis.constructor)]) {
    try { const x = way(); got.push(x); if (x?.Memory || x?.wait) return { escaped: true }; } catch (e) { got.push(e, e.constructor); }
  }
  const missing = ["WebAssembly", "SharedArrayBuffer", "Atomics", "WeakRef", "FinalizationRegistry"];
  return missing.some((n) => n in globalThis) ? { escaped: true } : tell(got);
};`,
  ),
  walk(
    "finds another realm by species, by symbols and by tagged templates",
    `export default async () => {
  const got = [];
  const tag = (strings) => strings;
  got.push(tag\`a\`, tag\`a\`.raw, Array[Symbol.species], Promise[Symbol.species], RegExp[Symbol.species], Map[Symbol.species]);
  class Spy extends Promise { constructor(run) { super((a, b) => { got.push(a, b, run); run(a, b); }); } }
  await Spy.resolve(1).then(() => {}).finally(() => {});
  await Spy.all([1, Spy.reject(2).catch(() => {})]);
  class List extends Array { static get [Symbol.species]() { return function (...a) { got.push(this, ...a); return []; }; } }
  got.push(new List(1, 2, 3).map((x) => x), new List(3).slice(), new List(1, 2).concat([1]));
  class Bytes extends Uint8Array { static get [Symbol.species]() { return function (...a) { got.push(...a); return new Uint8Array(9); }; } }
  got.push(new Bytes(3).slice(0, 1), new Bytes(3).subarray(1), new TextEncoder().encode("x").buffer);
  return tell(got);
};`,
  ),
  walk(
    "trips the signal of its run and takes hold of who listens",
    `export default async (input, os) => {
  const got = [os.signal, protoOf(os.signal)];
  const add = os.signal.addEventListener;
  AbortSignal.prototype.addEventListener = function (...a) { got.push(this, ...a); return add.apply(this, a); };
  for (const way of [() => AbortSignal.trip(os.signal, "x"), () => os.signal.constructor.trip(os.signal),
    () => AbortSignal.any([os.signal]).throwIfAborted(), () => new AbortController().abort.call({ signal: os.signal })]) {
    try { got.push(way()); } catch (e) { got.push(e, e?.constructor); }
  }
  got.push(await os.call("object.read", {}));
  return tell(got);
};`,
  ),
  poison(
    "bends every method of every prototype, and goes on calling",
    `export default async (input, os) => {
  const got = [];
  const apply = Reflect.apply, own = Reflect.ownKeys, descriptor = Reflect.getOwnPropertyDescriptor, define = Reflect.defineProperty;
  const push = (x) => { got[got.length] = x; };
  let busy = false;
  const kinds = [Array, String, Number, Map, Set, WeakMap, RegExp, Error, Date, Boolean, Symbol, Uint8Array, DataView, ArrayBuffer, JSON, Math, Reflect];
  for (const kind of kinds) for (const on of [kind, kind.prototype]) {
    if (!on) continue;
    for (const key of own(on)) {
      const d = descriptor(on, key);
      if (typeof d.value !== "function" || key === "constructor") continue;
      const f = d.value;
      define(on, key, { configurable: true, writable: true, value: function (...a) {
        if (!busy) { busy = true; push(this); for (let i = 0; i < a.length; i++) push(a[i]); busy = false; }
        return apply(f, this, a);
      } });
    }
  }
  push(await os.call("object.read", { a: [1, "x", { b: 1.5 }] }));
  os.log("x", [1], { a: 1 }, new Error("e"));
  await os.object.read("obj_1", { from: 1 });
  await new Promise((r) => setTimeout(r, 1));
  push(new URL("http://a/b?c=d").href);
  busy = true;
  return tell(got);
};`,
  ),
  poison(
    "reads its run's number in a frame by a bent array iterator",
    `export default async (input, os) => {
  const got = [], iterate = Array.prototype[Symbol.iterator];
  let told = null;
  const look = (x) => { if (isObject(x)) for (let i = 0; i < (x.length >>> 0) && i < 9; i++)
    if (typeof x[i] === "string" && /^[0-9a-f]{16}$/.test(x[i])) told = x[i]; };
  Array.prototype[Symbol.iterator] = function () { look(this); got.push(this); return Reflect.apply(iterate, this, []); };
  const next = protoOf([][Symbol.iterator]()).next;
  protoOf([][Symbol.iterator]()).next = function () { const r = Reflect.apply(next, this, []); look([r.value]); return r; };
  for (const key of ["0", "1", "2", "id", "text", "nonce", "value"]) Object.defineProperty(ObjectProto, key, {
    configurable: true, set(v) { look([v]); got.push(this, v); Object.defineProperty(this, key, { value: v, writable: true, configurable: true, enumerable: true }); } });
  await os.call("object.read", { a: 1 });
  await os.call("file.read", { b: 1 }).catch(() => {});
  await new Promise((r) => setTimeout(r, 1));
  for (const key of ["0", "1", "2", "id", "text", "nonce", "value"]) delete ObjectProto[key];
  Array.prototype[Symbol.iterator] = iterate;
  return told ? { escaped: true, told } : tell(got);
};`,
  ),
  poison(
    "puts accessors for every name the cage uses on Object.prototype",
    `export default async (input, os) => {
  const got = [];
  const names = ["call", "log", "over", "returned", "threw", "ok", "reply", "message", "kind", "name", "args", "then",
    "get", "set", "value", "writable", "enumerable", "configurable", "constructor", "resolve", "reject", "isWait",
    "jsonDepth", "argumentBytes", "text", "why", "limit", "toJSON", "data", "default", "code", "input", "nowMs",
    "seed", "limits", "identifier", "context", "filename", "transfer", "signal", "aborted", "stack", "cause"];
  for (const name of names) Object.defineProperty(ObjectProto, name, { __proto__: null, configurable: true,
    get() { got[got.length] = this; return undefined; },
    set(v) { got[got.length] = this; got[got.length] = v;
      Object.defineProperty(this, name, { __proto__: null, value: v, writable: true, configurable: true, enumerable: true }); } });
  let seen;
  try { seen = await os.call("object.read", { __proto__: null, a: 1 }); } catch (e) { seen = e; }
  console.log("x");
  await new Promise((r) => setTimeout(r, 1));
  for (const name of names) delete ObjectProto[name];
  ObjectProto.constructor = Object;
  got.push(seen);
  return tell(got);
};`,
  ),
  poison(
    "bends Promise before its module has been evaluated",
    `const got = [], realThen = Promise.prototype.then, RealPromise = Promise;
Object.defineProperty(Promise.prototype, "constructor", { configurable: true, get() { got.push(this); return RealPromise; } });
Promise.prototype.then = function (...a) { got.push(this, ...a); return Reflect.apply(realThen, this, a); };
Promise.prototype.catch = Promise.prototype.finally = function (...a) { got.push(this, ...a); };
for (const name of ["resolve", "all", "race", "reject"]) { const f = Promise[name]; Promise[name] = function (...a) { got.push(this, ...a); return Reflect.apply(f, this, a); }; }
globalThis.Promise = function (...a) { got.push(...a); return new RealPromise(...a); };
await null;
await RealPromise.resolve(1);
export default async (input, os) => { got.push(await os.call("object.read", {})); return tell(got); };`,
  ),
  poison(
    "gives the outer await a promise with a constructor of its own",
    `const got = [], realThen = Promise.prototype.then;
function Mine(run) { got.push(this, run); run((x) => got.push(x), (x) => got.push(x)); }
Mine.prototype = Promise.prototype; Mine[Symbol.species] = Mine;
Object.defineProperty(Promise.prototype, "constructor", { configurable: true, get() { got.push(this); return Mine; } });
Promise.prototype.then = function (a, b) { got.push(this, a, b);
  for (const f of [a, b]) if (typeof f === "function") { try { got.push(f.constructor("return globalThis")()); } catch (e) { got.push(e, e.constructor); } got.push(f.prototype, f.caller); }
  return Reflect.apply(realThen, this, [a, b]); };
export default () => tell(got);`,
  ),
  poison(
    "takes setters for indices of the cage's own lists",
    `export default async (input, os) => {
  const got = [];
  for (let i = 0; i < 70; i++) Object.defineProperty(Array.prototype, i, { configurable: true,
    get() { return undefined; },
    set(v) { if (got.length < 5000) { const at = got.length; Object.defineProperty(got, at, { value: this, configurable: true }); Object.defineProperty(got, at + 1, { value: v, configurable: true }); }
      Object.defineProperty(this, i, { value: v, writable: true, configurable: true, enumerable: true }); } });
  for (let i = 0; i < 3; i++) setTimeout(() => {}, i);
  await os.call("object.read", { a: { b: { c: [[[1]]] } } });
  console.log([[1]], { a: 1 });
  await new Promise((r) => setTimeout(r, 2));
  for (let i = 0; i < 70; i++) delete Array.prototype[i];
  return tell(got);
};`,
  ),
  poison(
    "freezes and empties its own realm, and leaves it so for the next call",
    `export default () => {
  const later = Object.getOwnPropertyNames(globalThis).filter((n) => n !== "globalThis" && n !== "Reflect");
  for (const kind of [Array, Object, String, Promise, Function, Map, Error, JSON, Math]) for (const on of [kind.prototype, kind]) {
    if (on) for (const key of Reflect.ownKeys(on)) try { on[key] = () => { throw "poisoned"; }; } catch {}
  }
  for (const name of later) try { delete globalThis[name]; } catch {}
};`,
  ),
  poison(
    "poisons the prototypes that the next call would inherit from",
    `export default () => {
  Object.prototype.poisoned = "by the call before";
  Array.prototype.map = () => "poisoned"; Array.prototype.sort = () => ["poisoned"];
  JSON.stringify = () => "poisoned"; globalThis.left = 1; Object.defineProperty(globalThis, "os", { value: null });
};`,
  ),
  poison(
    "sets prototypes of what the cage gave it",
    `export default async (input, os) => {
  const got = [], base = {};
  for (const on of [os, os.object, os.signal, os.call, crypto, console, globalThis, import.meta, input, setTimeout]) {
    for (const way of [() => Reflect.setPrototypeOf(on, base), () => { on.__proto__ = base; }, () => Object.defineProperty(on, "call", { value: 1 }),
      () => { delete on.call; }, () => { on.constructor = base; }, () => Object.assign(on, { call: base })]) {
      try { got.push(way()); } catch (e) { got.push(e, e.constructor); }
    }
  }
  try { got.push(await os.call("object.read", { __proto__: { a: 1 } })); } catch (e) { got.push(e, e.constructor); }
  return tell(got.filter((x) => x !== base));
};`,
  ),
];
