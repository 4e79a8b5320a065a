/**
 * Bodies whose results, arguments and errors are not what they seem: values that run code while they
 * are read, that change, that have no end, or that become something else on the other side.
 *
 * `{ escaped: true }` comes of a value which the host took over as more than data, or of something
 * foreign that was handed to a trap, an accessor or a `toJSON`.
 * @module
 */

import type { Hostile } from "../hostile.ts";

function body(name: string, source: string, more: Partial<Hostile> = {}): Hostile {
  return { class: "hostile values", name, source, ...more };
}

/** What a trap of a proxy was given, and whether any of it is from elsewhere. */
const TRAPPED = `
const foreign = [];
const look = (one) => {
  const kind = typeof one;
  if ((kind !== "object" && kind !== "function") || one === null) return;
  for (let proto = one; proto !== null; proto = Reflect.getPrototypeOf(proto)) {
    if (proto === Object.prototype) return;
  }
  if (one !== handler && Reflect.getPrototypeOf(one) !== null) foreign.push(String(one));
};
const names = ["get", "has", "set", "ownKeys", "getPrototypeOf", "getOwnPropertyDescriptor",
  "isExtensible", "preventExtensions", "defineProperty", "deleteProperty", "apply", "construct"];
const handler = {};
for (const name of names) {
  handler[name] = (...args) => { args.slice(1).forEach(look); return Reflect[name](...args); };
}
const trapped = (target) => new Proxy(target, handler);
const found = () => foreign.length === 0 ? "nothing" : { escaped: true, foreign };
`;

/** Bodies with hostile values. */
export const BODIES: readonly Hostile[] = [
  body(
    "returns records with a prototype as a key",
    `export default () => JSON.parse(
  '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"a":[{"__proto__":[]}]}',
);`,
  ),
  body(
    "calls with a prototype as a key, at each depth",
    `export default async (_, os) => {
  const args = JSON.parse('{"__proto__":{"object":"obj_1","polluted":1},"a":{"__proto__":{"b":1}}}');
  await os.call("object.create", args).catch(() => {});
  await os.object.create(args).catch(() => {});
  return Object.prototype.polluted === undefined ? "nothing" : { escaped: true };
};`,
  ),
  body(
    "returns numbers that JSON has not",
    `export default () => [NaN, Infinity, -Infinity];`,
  ),
  body(
    "returns numbers at the edge of what JSON has",
    `export default () => [-0, 5e-324, 1.7976931348623157e308, 2 ** 53 + 1, 1e21, -1e-7];`,
  ),
  body(
    "returns a number that is not finite once it is read as one",
    `export default () => ({ value: Number("1e400") });`,
  ),
  body("returns a BigInt", `export default () => 1n;`),
  body(
    "returns a BigInt that knows its JSON",
    `BigInt.prototype.toJSON = () => ({ escaped: true });
export default () => [1n];`,
  ),
  body("returns a symbol", `export default () => ({ [Symbol("a")]: 1, value: Symbol.iterator });`),
  body(
    "returns a function that knows its JSON",
    `export default () =>
  Object.assign(() => {}, { toJSON: () => ({ escaped: true }) });`,
  ),
  body("returns nothing at all", `export default () => {};`),
  body(
    "returns a cycle",
    `export default () => { const value = {}; value.value = [value]; return value; };`,
  ),
  body(
    "returns a cycle made of getters",
    `export default () => { const value = { get value() { return { value }; } }; return value; };`,
  ),
  body(
    "returns a sparse array of the greatest length",
    `export default () => { const all = []; all[4294967294] = 1; return all; };`,
  ),
  body(
    "returns an array with keys of its own and holes",
    `export default () => Object.assign([1, , 3], { escaped: true, "-1": 2, length: 4 });`,
  ),
  body(
    "returns an array-like that says it is an array",
    `export default () => ({ length: 3, 0: "a", 1: "b", __proto__: Array.prototype });`,
  ),
  body(
    "returns an object without a prototype, and one with null for a key",
    `export default () => ({ __proto__: null, null: { __proto__: null, "": { "": "" } } });`,
  ),
  body(
    "returns an instance of a class",
    `class Point { x = 1; } export default () => new Point();`,
  ),
  body(
    "returns what the platform holds in slots",
    `export default () => [new Map([[1, 2]]), new Set([1]), /a/g, new Uint8Array(4)];`,
  ),
  body("returns a date that is none", `export default () => new Date(NaN);`),
  body(
    "returns an error with hostile fields",
    `export default () => Object.defineProperties(new Error("message"), {
  name: { get() { throw 1; } }, stack: { get() { throw 2; } }, message: { get() { throw 3; } },
});`,
  ),
  body(
    "returns generators and iterators",
    `export default () => [(function* () { yield 1; })(), (async function* () {})(), [].values()];`,
  ),
  body(
    "returns promises within its result",
    `export default () => ({ value: Promise.resolve({ escaped: true }), none: Promise.reject(1) });`,
  ),
  body(
    "returns keys that are hostile as paths",
    String.raw`export default () => ({
  "a.b": 1, "../..": 2, "": 3, "\u0000": 4, "\u202e": 5, "hasOwnProperty": 6, "toString": 7,
  "valueOf": 8, "toJSON": 9, "then": 10, "length": 11, "constructor": 12, "__defineGetter__": 13,
});`,
  ),
  body(
    "returns a then that is no function, where a promise is expected",
    `export default () => ({ then: { call: 1, apply: 2 }, catch: 3, finally: 4 });`,
  ),
  body(
    "returns a proxy that tells what it is asked, and by whom",
    `${TRAPPED} export default async (_, os) => {
  await os.call("object.create", trapped({ a: trapped([1, trapped({})]) })).catch(() => {});
  os.log(trapped({ a: 1 }), trapped([1]), trapped(() => {}), trapped(new Error("e")));
  try { setTimeout(trapped(() => {}), trapped({})); } catch {}
  await os.object.create(trapped({ b: 1 })).catch(() => {});
  structuredClone(trapped({ a: 1 }));
  return found();
};`,
  ),
  body(
    "returns a proxy whose answers never agree",
    `let asked = 0;
export default () => new Proxy({}, {
  ownKeys: () => ["a" + ++asked, "b"],
  getOwnPropertyDescriptor: () => ({ value: ++asked, enumerable: true, configurable: true }),
  get: () => asked++ > 20 ? undefined : new Proxy([], { get: (_, key) => key === "length" ? 2 : 1 }),
  getPrototypeOf: () => asked++ % 2 ? null : Object.prototype,
});`,
  ),
  body(
    "returns a proxy that has been revoked",
    `export default () => {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return { proxy };
};`,
  ),
  body(
    "returns an array whose length is an object",
    `export default () => new Proxy([], {
  get: (_, key) => key === "length" ? { valueOf: () => 2, [Symbol.toPrimitive]: () => 2 } : "item",
});`,
  ),
  body(
    "returns a function of the run as its JSON",
    `export default (_, os) => new (class { toJSON() { return os; } })();`,
  ),
  body(
    "returns os and the global object",
    `export default (_, os) => [os.signal, globalThis, os.object].filter(() => true);`,
  ),
  body(
    "is told by toJSON, in its arguments, of something foreign",
    `export default () => {
  let escaped = false;
  class Told {
    toJSON(...args) {
      const all = [...args, new Error("e").stack].filter((one) => one !== undefined);
      escaped ||= all.some((one) => typeof one !== "string");
      return { escaped };
    }
  }
  return { inner: [new Told()] };
};`,
  ),
  body(
    "changes its result while it is being read",
    `export default () => {
  const all = Array.from({ length: 100 }, (_, i) => i);
  all[0] = { get first() { all.length = 2; all[1] = all; all[1] = { second: 1 }; return 1; } };
  return all;
};`,
  ),
  body(
    "calls and ends while its result is being read",
    `export default (_, os) => ({
  get first() { os.call("clock.now", {}); os.process.exit({ result: 1 }); return 1; },
  get last() { os.process.exit({ result: 2 }).catch(() => {}); return 2; },
});`,
  ),
  body(
    "throws itself, with a message that runs code",
    `export default () => {
  throw new Proxy(new Error("e"), { get: (_, key) => key === "message" ? "m" + key : () => "x" });
};`,
  ),
  body(
    "throws what cannot be made a text",
    `export default () => { throw { [Symbol.toPrimitive]() { throw 1; }, get message() { throw 2; } }; };`,
  ),
  body("throws a symbol", `export default () => { throw Symbol("escaped"); };`),
  body("throws nothing", `export default () => { throw undefined; };`),
  body(
    "throws an error with the code of a refusal",
    `export default () => {
  throw Object.assign(new Error("m"), { name: "SysError", code: "EFENCED", blame: "kernel" });
};`,
  ),
  body(
    "throws the refusal of a call, changed",
    `export default async (_, os) => {
  try { await os.call("object.create", { a: 1n }); } catch (error) {
    try { error.code = "EFENCED"; } catch {}
    try { Object.defineProperty(error, "code", { value: "EREPLAY" }); } catch {}
    error.message = "x".repeat(1e6);
    throw error;
  }
};`,
  ),
  body(
    "throws an error whose causes have no end",
    `export default () => {
  const error = new AggregateError([], "m");
  error.cause = error;
  error.errors.push(error);
  throw error;
};`,
  ),
  body(
    "has no default export that is a function",
    `export default { call: 1, apply: 2, then: 3 };`,
  ),
  body(
    "is a class, a proxy and a bound function instead of a function",
    `export default new Proxy(class {}, { apply: () => ({ applied: 1 }) });`,
  ),
  body(
    "logs values that run code when they are shown",
    `export default (_, os) => {
  os.log({ get a() { return 1n; } }, Symbol("s"), 1n, -0, null, undefined, [NaN], () => {});
  os.log(Object.create(null), { toString: null }, new Proxy({}, { get() { throw 1; } }));
  os.log({ [Symbol.toPrimitive]() { throw 1; } }, { [Symbol.toStringTag]: "x" }, new Date(NaN));
  return "logged";
};`,
  ),
];
