/**
 * Bodies that take the processor and do not give it back: in the language, in native code, and in
 * what the cage itself runs of a tool's while it reads a value.
 *
 * Nothing is to be got here. What they may not do is keep the host from answering by its deadline,
 * and go on when the run is over.
 *
 * The worker tier holds none of those that do not end by themselves (all but the few which reach
 * a limit of the cage): a Worker that is ended runs on in this process, in native code (`NATIVE`) to
 * its end and in the language for a second or two, and nobody measures its processor time.
 * @module
 */

import type { Hostile } from "../hostile.ts";

function body(name: string, source: string): Hostile {
  return { class: "processor time", name, source };
}

/** In native code from one line: not held by the worker tier, where it goes on to its end. */
const NATIVE: readonly Hostile[] = [
  body(
    "backtracks in a regular expression",
    String.raw`export default () => /^(a+)+$/.test("a".repeat(64) + "b");`,
  ),
  body(
    "backtracks in a look-behind",
    String.raw`export default () => /(?<=^(?:a|aa)+)c/.test("x" + "a".repeat(64) + "c");`,
  ),
  body(
    "backtracks in a split",
    String.raw`export default () => ("x".repeat(40) + "!").split(/(x+x+)+y/).length;`,
  ),
  body(
    "replaces with a sticky expression over a long text",
    String.raw`export default () => "ab".repeat(200000).replace(/(?:a|b|ab)*?c/g, "").length;`,
  ),
  body(
    "raises a BigInt to a power",
    `export default () => { let n = 3n; for (;;) n **= 7n; };`,
  ),
  body(
    "multiplies BigInts of millions of digits",
    `export default () => { const n = (1n << 29999999n) - 1n; for (;;) n * n; };`,
  ),
  body(
    "writes a BigInt in decimal",
    `export default () => { for (;;) ((1n << 20000000n) - 1n).toString(); };`,
  ),
  body(
    "reads a BigInt of millions of digits",
    `export default () => { for (;;) BigInt("9".repeat(6000000)); };`,
  ),
  body(
    "normalizes a text that grows eighteenfold",
    String.raw`export default () => { for (;;) "\ufdfa".repeat(4000000).normalize("NFKD"); };`,
  ),
  body(
    "normalizes a text of combining marks in the worst order",
    String
      .raw`export default () => ("a" + "\u0301\u0316".repeat(8000000)).normalize("NFC").length;`,
  ),
  body(
    "compares long texts in a locale",
    String.raw`export default () => {
  const a = "\u00e9".repeat(4000000), b = "e\u0301".repeat(4000000);
  for (;;) new Intl.Collator("sv", { numeric: true }).compare(a, b);
};`,
  ),
  body(
    "cuts a long text into words",
    `export default () => {
  const text = "a b ".repeat(4000000);
  const words = new Intl.Segmenter("th", { granularity: "word" });
  for (;;) for (const part of words.segment(text)) part.index;
};`,
  ),
  body(
    "sorts numbers without a comparator",
    `export default () => { for (;;) Float64Array.from({ length: 4e6 }, Math.random).sort(); };`,
  ),
  body(
    "sorts as texts what is slow to be a text",
    `export default () => {
  const long = "x".repeat(1000);
  const all = Array.from({ length: 200000 }, (_, i) => long + ((i * 7919) % 200003));
  for (;;) all.slice().sort();
};`,
  ),
  body(
    "looks in a long text for what is almost there",
    `export default () => {
  const text = "a".repeat(20000000), part = "a".repeat(100000) + "b" + "a".repeat(100000);
  for (;;) text.lastIndexOf(part);
};`,
  ),
  body(
    "fills and copies within a typed array",
    `export default () => {
  const bytes = new Uint8Array(6e7);
  for (;;) { bytes.fill(1); bytes.copyWithin(1, 0); bytes.reverse(); bytes.lastIndexOf(2); }
};`,
  ),
  body(
    "joins an array whose length is a lie",
    `export default () => { const all = []; all.length = 4294967295; return all.indexOf(1, 0); };`,
  ),
  body(
    "makes JSON text and reads it, without end",
    `export default () => {
  let value = [];
  for (let i = 0; i < 20; i++) value = [value, value];
  for (;;) JSON.parse(JSON.stringify(value));
};`,
  ),
  body(
    "makes a text of an array that holds itself many times",
    `export default () => {
  let value = ["x"];
  for (let i = 0; i < 26; i++) value = [value, value];
  return String(value).length;
};`,
  ),
];

/** In JavaScript: in the worker tier, burns on for a second or two when it has been ended. */
const LANGUAGE: readonly Hostile[] = [
  body("loops", `export default () => { for (;;); };`),
  body("loops before it is a tool", `for (;;); export default () => 1;`),
  body(
    "sorts by a comparator that answers anything",
    `export default () => {
  for (;;) Array.from({ length: 1e5 }, (_, i) => i).sort(() => Math.random() - 0.5);
};`,
  ),
  body(
    "keeps the queue of jobs full",
    `export default async () => { for (;;) await null; };`,
  ),
  body(
    "doubles the queue of jobs until it is stopped",
    `export default () => new Promise(() => {
  const both = () => { queueMicrotask(both); if (Math.random() < 0.01) queueMicrotask(both); };
  both();
});`,
  ),
  body(
    "resolves a promise with thenables without end",
    `export default () => {
  const next = () => ({ then: (resolve) => resolve(next()) });
  return next();
};`,
  ),
  body(
    "generates without end and collects it",
    `export default () => Math.max(...(function* () { for (;;) yield 1; })().filter(() => false));`,
  ),
  body(
    "awaits an asynchronous generator without end",
    `export default async () => {
  for await (const one of (async function* () { for (;;) yield 1; })()) one;
};`,
  ),
  body(
    "loops in a getter of its result",
    `export default () => ({ get value() { for (;;); } });`,
  ),
  body(
    "loops in the toJSON of its result",
    `export default () => new (class { toJSON() { for (;;); } })();`,
  ),
  body(
    "answers a toJSON with another toJSON without end",
    `class Next { toJSON() { return new Next(); } }
export default () => new Next();`,
  ),
  body(
    "loops in a trap while its keys are read",
    `export default () => new Proxy({}, { ownKeys() { for (;;); } });`,
  ),
  body(
    "says that its result has keys without number",
    `const keys = Array.from({ length: 1e5 }, (_, i) => "k" + i);
const some = () => new Proxy({}, { ownKeys: () => keys });
export default () => new Proxy({}, {
  ownKeys() { for (;;) Reflect.ownKeys(some()); },
});`,
  ),
  body(
    "gives an array whose length grows while it is read",
    `export default () => new Proxy([], {
  get: (all, key) => key === "length" ? Infinity : undefined,
});`,
  ),
  body(
    "loops when an argument of a call is read",
    `export default (_, os) => os.call("object.read", { get object() { for (;;); } });`,
  ),
  body(
    "loops when what it logs is shown",
    `export default (_, os) => os.log({ toString() { for (;;); }, get a() { throw 1; } }, {
  get b() { for (;;); },
});`,
  ),
  body(
    "loops when what it throws is described",
    `export default () => { throw { get name() { for (;;); }, message: "m" }; };`,
  ),
  body(
    "loops when a timer's time is made a number",
    `export default () => setTimeout(() => {}, { valueOf() { for (;;); } });`,
  ),
  body(
    "loops in a timer",
    `export default () => new Promise(() => setTimeout(() => { for (;;); }, 1));`,
  ),
  body(
    "loops while a call is out",
    `export default async (_, os) => {
  os.call("message.receive", {});
  // By then it has been sent.
  for (let i = 0; i < 9; i++) await null;
  for (;;);
};`,
  ),
  body(
    "loops when an answer is heard through its own iterator",
    `export default async (_, os) => {
  Array.prototype[Symbol.iterator] = function* () { for (;;); };
  await os.call("clock.now", {});
};`,
  ),
  body(
    "storms with timers that set themselves again",
    `export default () => new Promise(() => {
  const again = () => { for (let i = 0; i < 1e5; i++); setTimeout(again, 0); };
  for (let i = 0; i < 32; i++) again();
});`,
  ),
];

/** Bodies that take processor time. */
export const BODIES: readonly Hostile[] = [...NATIVE, ...LANGUAGE];
