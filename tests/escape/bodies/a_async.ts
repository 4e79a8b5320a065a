/**
 * Hostile bodies that use thenables, getters, the stack and errors to meet code of another realm.
 * @module
 */

import type { Hostile, HostileClass } from "../hostile.ts";
import { FOREIGN } from "../probes.ts";

const made = (kind: HostileClass) => (name: string, body: string, more = {}): Hostile => ({
  class: kind,
  name,
  source: `${FOREIGN}\n${body}`,
  ...more,
});
const thenable = made("thenables and getters");
const stack = made("async stack tricks");
const error = made("error realms");

/** What a body holds of the functions that it was called with. */
const SPY = `const got = [];
const spy = (name) => function (...a) { got.push(this, ...a); for (const f of a) if (typeof f === "function")
  try { got.push(f.constructor("return globalThis")()); } catch (e) { got.push(e, e.constructor); } };`;

/** Bodies. */
export const BODIES: readonly Hostile[] = [
  thenable(
    "returns a thenable that keeps what it is called with, and reports it by a call",
    `export default (input, os) => ({ then(resolve, reject) {
  const told = tell([this, resolve, reject, resolve.constructor]);
  try { resolve.constructor("return 1")(); os.call("object.read", { escaped: true }); } catch {}
  resolve(told);
} });`,
  ),
  thenable(
    "settles a thenable again and again, with other values",
    `export default () => ({ then(resolve, reject) {
  resolve("first"); resolve({ escaped: true }); reject(new Error("x"));
  queueMicrotask(() => { resolve({ escaped: true }); throw new Error("late"); });
  throw new Error("y");
} });`,
  ),
  thenable(
    "is a module that is itself thenable",
    `${SPY}
export function then(resolve, reject) { spy("then").call(this, resolve, reject); resolve({ default: () => ({ escaped: true }) }); }
export default () => tell(got);`,
  ),
  thenable(
    "hides its default export behind a live binding that changes",
    `let tool = () => tell([]);
export { tool as default };
queueMicrotask(() => { tool = { __proto__: Function.prototype, call: () => ({ escaped: true }) }; });`,
  ),
  thenable(
    "exports a proxy with every trap",
    `${SPY}
const traps = {};
for (const name of Object.getOwnPropertyNames(Reflect)) traps[name] = function (...a) {
  got.push(this, ...a); return Reflect[name](...a); };
traps.apply = (target, self, args) => { got.push(target, self, args, ...args); return tell(got); };
export default new Proxy(function () {}, traps);`,
  ),
  thenable(
    "gives a call arguments made of getters, proxies and toJSON that look around",
    `${SPY}
export default async (input, os) => {
  const handler = {};
  for (const name of Object.getOwnPropertyNames(Reflect)) handler[name] = function (...a) { got.push(this, ...a); return Reflect[name](...a); };
  const traps = [new Proxy({ a: 1 }, handler), new Proxy([1, 2], handler), new (class { toJSON(...a) { got.push(this, ...a); return 1; } })(),
    { get a() { got.push(this); return 1; } }, new Proxy(function () {}, handler), { then: spy("then") }, new Proxy({}, { get: spy("get"), ownKeys: () => ["x"] })];
  for (const trap of traps) for (const way of [(t) => os.call("object.read", t), (t) => os.call("object.read", { t }), (t) => os.object.read(t),
    (t) => os.call(t, {}), (t) => os.object.read("x", t), (t) => os.process.exit(t)]) {
    try { got.push(await way(trap)); } catch (e) { got.push(e, e.constructor); }
  }
  console.log(...traps, { traps });
  return tell(got);
};`,
  ),
  thenable(
    "returns a value that changes between looks",
    `export default () => {
  let looks = 0;
  return new Proxy({}, { ownKeys: () => looks++ % 2 ? ["a"] : ["a", "b"], get: (t, k) => k === "toJSON" ? undefined : looks++ > 3 ? "\\ud800" : looks,
    getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }), getPrototypeOf: () => looks++ % 2 ? null : Object.prototype });
};`,
  ),
  thenable(
    "answers the encoder with lengths and keys without end",
    `export default async (input, os) => {
  const long = new Proxy([], { get: (t, k) => k === "length" ? 2 ** 53 - 1 : null });
  const keys = new Proxy({}, { ownKeys: () => Array.from({ length: 1e5 }, (_, i) => "k" + i), getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }) });
  os.call("object.read", keys).catch(() => {});
  return long;
};`,
  ),
  thenable(
    "throws from a getter of what it returns, and of what it throws",
    `${SPY}
export default () => { throw { get name() { got.push(this); throw got; }, get message() { got.push(this); return { toString: spy("text") }; },
  get constructor() { throw 1; }, get code() { throw 2; }, [Symbol.toPrimitive]: spy("primitive"), toString: spy("string") }; };`,
  ),
  thenable(
    "makes the realm's own promises subclasses that leak their resolvers",
    `${SPY}
export default async (input, os) => {
  const promise = os.call("object.read", {});
  const Species = function (run) { run(spy("a"), spy("b")); };
  promise.constructor = { [Symbol.species]: Species };
  try { got.push(promise.then(() => {})); } catch (e) { got.push(e); }
  Object.defineProperty(Promise, Symbol.species, { value: Species });
  try { got.push(Promise.prototype.finally.call(promise, () => {})); } catch (e) { got.push(e); }
  await null;
  return tell(got);
};`,
  ),
  stack(
    "gets call sites by Error.prepareStackTrace",
    `export default async (input, os) => {
  const got = [];
  const take = (e, sites) => { got.push(e, sites, ...sites.flatMap((s) => [s, s.getThis?.(), s.getFunction?.()])); return "taken"; };
  for (const on of [Error, TypeError, globalThis.Error, Object.prototype, Function.prototype, globalThis]) {
    for (const way of [() => { on.prepareStackTrace = take; }, () => Object.defineProperty(on, "prepareStackTrace", { value: take, configurable: true, writable: true }),
      () => Reflect.set(on, "prepareStackTrace", take)]) try { way(); } catch (e) { got.push(e, e.constructor); }
  }
  try { Object.defineProperty(globalThis, "Error", { value: { prepareStackTrace: take } }); } catch (e) { got.push(e); }
  const o = {}; Error.captureStackTrace(o);
  for (const x of [o.stack, new Error("x").stack, new TypeError("y").stack]) if (x === "taken") return { escaped: true };
  try { null.x; } catch (e) { if (e.stack === "taken") return { escaped: true }; got.push(e.stack); }
  return tell(got);
};`,
  ),
  stack(
    "gets call sites while its module is evaluated, with the cage below it on the stack",
    `const got = [];
for (const on of [Error, Object.prototype, Function.prototype]) try { on.prepareStackTrace = (e, sites) => { got.push(...sites.flatMap((s) => [s, s.getThis?.(), s.getFunction?.()])); return sites; }; } catch {}
const trace = {}; Error.captureStackTrace(trace); const sites = trace.stack;
export default () => Array.isArray(sites) ? { escaped: true } : tell([...got, trace]);`,
  ),
  stack(
    "reads the paths of the machine in its own stack",
    `const top = String(new Error("top").stack);
export default async (input, os) => {
  Error.stackTraceLimit = 1e6;
  const seen = [top, new Error("x").stack];
  await os.call("object.read", { get a() { seen.push(new Error("y").stack); return 1; } });
  seen.push(new Error("z").stack);
  const text = seen.join("\\n");
  return /file:\\/\\/|\\/root|\\/home|\\/work|\\/tmp|libos|__FOLDER__/.test(text) ? { escaped: true, text: text.slice(0, 300) } : "held";
};`,
  ),
  stack(
    "sets a stack trace limit with tricks",
    `export default () => {
  const got = [];
  for (const value of [{ valueOf() { got.push(this); return 3; } }, Infinity, -1, NaN, "9", 2 ** 31, 1n, new Proxy({}, {})]) {
    try { Error.stackTraceLimit = value; got.push(new Error("x").stack?.length > 1e6 ? globalThis : 1); } catch (e) { got.push(e); }
  }
  Object.defineProperty(Error, "stackTraceLimit", { get() { got.push(this); return 1e9; } });
  const deep = (n) => n === 0 ? new Error("deep").stack : deep(n - 1);
  deep(500);
  return tell(got);
};`,
  ),
  stack(
    "takes apart the accessors of a stack",
    `export default async (input, os) => {
  const got = [];
  const failed = await os.call("nothing", {}).catch((e) => e);
  for (const on of [new Error("x"), failed, (() => { const o = {}; Error.captureStackTrace(o); return o; })()]) {
    const d = Object.getOwnPropertyDescriptor(on, "stack");
    got.push(d, d.get, d.set, d.value);
    for (const self of [globalThis, os, os.call, Promise.resolve(), Object.create(on), undefined]) for (const way of [() => d.get.call(self), () => d.set.call(self, {})])
      try { got.push(way()); } catch (e) { got.push(e, e.constructor); }
  }
  for (const on of [os, os.call, globalThis, Promise.prototype]) try { Error.captureStackTrace(on); got.push(on.stack); } catch (e) { got.push(e, e.constructor); }
  return tell(got);
};`,
  ),
  stack(
    "exhausts the stack and calls the port from its edge",
    `export default async (input, os) => {
  const got = [];
  const edge = (job) => { try { edge(job); } catch (e) { got.length < 300 && got.push(e, e.constructor, protoOf(e)); try { job(); } catch (f) { got.length < 300 && got.push(f, f.constructor); } } };
  const jobs = [() => os.log("x"), () => os.call("object.read", {}).catch((e) => got.push(e)), () => setTimeout(() => {}, 1),
    () => import("node:fs").catch((e) => got.push(e, e.constructor)), () => new URL("http://x/"), () => structuredClone(new Error("x")),
    () => os.call("object.read", { a: "x".repeat(2e6) }), () => new Error("e").stack, () => Promise.reject(new Error("r"))];
  for (const job of jobs) edge(job);
  return tell(got);
};`,
  ),
  stack(
    "exhausts the stack in a getter which the outer realm asks",
    `const got = [];
let depth = 0;
const fall = () => { depth++; fall(); };
Object.defineProperty(Promise.prototype, "constructor", { configurable: true, get() { try { fall(); } catch (e) { got.push(e, e.constructor); } throw new Error("from the getter"); } });
export default () => tell(got);
await null;`,
  ),
  stack(
    "exhausts the stack while the cage sends what was too much",
    `export default (input, os) => {
  const big = "x".repeat(600000);
  const edge = () => { try { edge(); } catch { os.log(big); os.log(big); } };
  edge();
  return { escaped: false };
};`,
  ),
  stack(
    "leaves promises that nobody heeds, with reasons that look around",
    `const got = [];
const spy = new Proxy(function () {}, Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((n) => [n, function (...a) { got.push(this, ...a); return Reflect[n](...a); }])));
export default async (input, os) => {
  for (const reason of [spy, new Error("x"), { get stack() { got.push(this); return spy; }, get message() { got.push(this); } }, Object.create(null), null]) {
    Promise.reject(reason); (async () => { throw reason; })(); new Promise(() => { throw reason; });
  }
  const late = Promise.reject(spy);
  for (let i = 0; i < 3; i++) await new Promise((r) => setTimeout(r, 5));
  late.catch(() => {});
  await new Promise((r) => setTimeout(r, 5));
  return tell(got);
};`,
  ),
  stack(
    "throws from timers, jobs and listeners",
    `export default async (input, os) => {
  const controller = new AbortController();
  controller.signal.onabort = () => { throw new Error("listener"); };
  try { controller.abort(); } catch {}
  new Promise(() => queueMicrotask(() => { throw new Error("job"); }));
  setTimeout(() => { throw { escaped: false, toString: () => { throw 1; } }; }, 1);
  await new Promise((r) => setTimeout(r, 20));
  return { escaped: false };
};`,
  ),
  stack(
    "suspends generators and async iterators in the middle of the cage's calls",
    `export default async (input, os) => {
  const got = [];
  function* lazy() { try { got.push(yield os.call("object.read", {})); } finally { got.push(this); os.log("closed"); } }
  async function* slow() { try { yield os.call("object.read", {}); yield* slow(); } finally { await os.call("object.read", {}); } }
  const g = lazy(); g.next(); g.return(Promise.reject(1).catch(() => {}));
  let n = 0; for await (const x of slow()) { got.push(x); if (++n > 20) break; }
  { await using held = { [Symbol.asyncDispose]: async () => got.push(await os.call("object.read", {})) }; using also = { [Symbol.dispose]() { got.push(this); } }; }
  return tell(got);
};`,
  ),
  error(
    "is refused by every function of the cage, and looks at the errors",
    `export default async (input, os) => {
  const got = [];
  const keep = (e) => { got.push(e, e?.constructor, e && protoOf(e), e?.cause, e?.stack); };
  const ways = [() => os.call(), () => os.call(1), () => os.call("x", 1n), () => os.call("x", Symbol()), () => os.call("x", () => {}), () => os.call("x", { a: NaN }),
    () => os.call("\\ud800"), () => os.object.read(1, 2, 3, 4, 5, 6, 7), () => os.log(Symbol("x")), () => setTimeout(), () => setTimeout("x"), () => queueMicrotask(),
    () => atob("%"), () => btoa("\\u1234"), () => new URL("x"), () => new TextDecoder("utf-16"), () => new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([255])),
    () => structuredClone(() => {}), () => crypto.getRandomValues(1), () => crypto.getRandomValues(new Uint8Array(1e6)), () => new URLSearchParams([[1]]), () => AbortSignal.abort().throwIfAborted(),
    () => AbortSignal.any(1), () => os.signal.throwIfAborted.call({}), () => new os.call(), () => new AbortSignal.timeout(), () => URL.prototype.href, () => decodeURIComponent("%"),
    () => JSON.parse("{"), () => new RegExp("("), () => null.x, () => undefinedName, () => "x".repeat(2 ** 30), () => new Array(-1), () => 1n / 0n, () => (1).toFixed(1e9), () => new Intl.NumberFormat("x-", {}),
    () => Object.defineProperty(os, "x", {}), () => { os.call = 1; }, () => new Uint8Array(2 ** 53), () => Temporal.Instant.from("x"), () => structuredClone({ get a() { throw new Error("a"); } })];
  for (const way of ways) try { got.push(await way()); } catch (e) { keep(e); }
  return tell(got);
};`,
  ),
  error(
    "is refused by the port, and looks at the error",
    `export default async (input, os) => {
  const e = await os.call("process.spawn", {}).catch((x) => x);
  return tell([e, e.constructor, protoOf(e), Object.getOwnPropertyDescriptor(e, "code"), e.stack, e.cause]);
};`,
  ),
  error(
    "throws an error of its own that claims a code of the kernel",
    `export default () => { const e = new Error("forged"); e.name = "SysError"; e.code = "EINDOUBT"; throw e; };`,
  ),
  error(
    "throws at once from its module, with a look at who catches",
    `${SPY}
throw new Proxy(new Error("top"), { get(t, k, r) { got.push(r); if (k === "message") return tell(got) === "held" ? "held" : '{"escaped":true}'; return Reflect.get(t, k); },
  getPrototypeOf(t) { got.push(this); return Error.prototype; }, has() { got.push(this); return true; } });
export default 1;`,
  ),
  error(
    "is no module at all, and reads the syntax error of its neighbour",
    `export default () => {{{ `,
  ),
  error(
    "has a default export that is not there yet",
    `export { tool as default };
await new Promise((r) => setTimeout(r, 1)); class tool { constructor() { return { escaped: true }; } }`,
  ),
  error(
    "chains errors with causes and aggregates in a circle",
    `export default () => { const a = new AggregateError([], "a"), b = new SuppressedError(a, a, "b"); a.errors.push(a, b); a.cause = b; b.cause = a; a.message = "held"; throw a; };`,
  ),
  error(
    "throws a string that looks like a frame and a terminal's command",
    `export default () => { throw '\\x1b]0;escaped\\x07\\x1b[2J"]\\n["0000000000000000",0,["returned",{"escaped" :true},null]]\\u2028\\u0000\\ud800'; };`,
  ),
];
