/**
 * Bodies that take memory: in every kind of thing that the language has to put something in.
 *
 * The worker tier holds none of those that only grow (`GROWING`), nor the two texts of half a
 * gigabyte: a Worker which runs out of memory ends its process, and nobody measures it before.
 * @module
 */

import type { Hostile } from "../hostile.ts";

function body(name: string, source: string): Hostile {
  return { class: "memory", name, source };
}

/** Without end: not held by the worker tier, whose memory is the host's. */
const GROWING: readonly Hostile[] = [
  body(
    "fills an array",
    `export default () => { const all = []; for (;;) all.push({ a: all.length }); };`,
  ),
  body(
    "fills arrays of a size that is asked for at once",
    `export default () => { const all = []; for (;;) all.push(new Array(1e6).fill(1.5)); };`,
  ),
  body(
    "keeps flat texts",
    `export default () => {
  const all = [];
  for (let i = 0; ; i++) all.push(JSON.stringify("x".repeat(1e6) + i));
};`,
  ),
  body(
    "flattens ropes that share their halves",
    `export default () => {
  const all = [];
  for (let i = 0; ; i++) {
    let rope = "0123456789abcdef" + i;
    while (rope.length < 1e7) rope += rope;
    rope.charCodeAt(5);
    all.push(rope);
  }
};`,
  ),
  body(
    "fills a map with keys that are objects",
    `export default () => { const map = new Map(); for (;;) map.set({}, {}); };`,
  ),
  body(
    "fills a weak map whose keys it keeps",
    `export default () => {
  const map = new WeakMap(), keys = [];
  for (;;) { keys.push({}); map.set(keys.at(-1), new Array(100)); }
};`,
  ),
  body(
    "keeps promises that nobody resolves",
    `export default () => {
  const all = [];
  for (;;) all.push(new Promise(() => {}).then(() => {}));
};`,
  ),
  body(
    "queues jobs without doing any",
    `export default () => { for (;;) queueMicrotask(() => {}); };`,
  ),
  body(
    "rejects promises that nobody heeds",
    `export default () => { for (;;) Promise.reject(new Error("x".repeat(100))); };`,
  ),
  body(
    "fills typed arrays",
    `export default () => { const all = []; for (;;) all.push(new Uint8Array(2 ** 24).fill(1)); };`,
  ),
  body(
    "grows a buffer in place",
    `export default () => {
  const all = [];
  for (;;) {
    const buffer = new ArrayBuffer(1, { maxByteLength: 2 ** 28 });
    for (let size = 2 ** 22; size <= 2 ** 28; size += 2 ** 22) {
      buffer.resize(size);
      new Uint8Array(buffer, size - 2 ** 22).fill(7);
    }
    all.push(buffer);
  }
};`,
  ),
  body(
    "keeps BigInts",
    `export default () => {
  const all = [];
  for (let i = 0n; ; i++) all.push((1n << 8000000n) + i);
};`,
  ),
  body(
    "registers symbols",
    `export default () => { for (let i = 0; ; i++) Symbol.for("x".repeat(1000) + i); };`,
  ),
  body(
    "keeps closures with what they close over",
    `export default () => {
  let last = () => {};
  for (;;) { const before = last, held = new Array(50).fill(0); last = () => [before, held]; }
};`,
  ),
  body(
    "keeps what a regular expression matched",
    String.raw`export default () => {
  const all = [], text = "ab".repeat(10000);
  for (;;) all.push([...text.matchAll(/(a)(b)/dg)]);
};`,
  ),
  body(
    "keeps generators that have begun",
    `export default () => {
  const all = [];
  for (;;) {
    const one = (function* (...held) { yield held; })(1, 2, 3, 4);
    one.next();
    all.push(one);
  }
};`,
  ),
  body(
    "clones a structure into itself",
    `export default () => {
  let value = [1, 2, 3];
  for (;;) value = [structuredClone(value), structuredClone(value)];
};`,
  ),
  body(
    "gives an object keys until it is a dictionary, and on",
    `export default () => { const all = {}; for (let i = 0; ; i++) all["key " + i] = i; };`,
  ),
  body(
    "makes shapes of objects without end",
    `export default () => {
  const all = [];
  for (let i = 0; ; i++) { const one = {}; one["a" + i] = 1; one["b" + i] = 2; all.push(one); }
};`,
  ),
  body(
    "keeps formatters of the platform, whose memory is native",
    `export default () => {
  const all = [];
  const zones = Intl.supportedValuesOf("timeZone");
  for (let i = 0; ; i++) {
    const timeZone = zones[i % zones.length];
    all.push(new Intl.DateTimeFormat("ar-u-nu-thai", { dateStyle: "full", timeZone }));
    all.push(new Intl.Collator("zh-u-co-stroke", { numeric: true }).compare);
  }
};`,
  ),
  body(
    "fills memory in the toJSON of its result",
    `export default () => new (class {
  toJSON() { const all = []; for (;;) all.push("x".repeat(1000) + all.length); }
})();`,
  ),
  body(
    "fills memory while a call is out",
    `export default async (_, os) => {
  os.call("message.receive", {});
  // By then it has been sent, and the cage is looked at less often.
  for (let i = 0; i < 9; i++) await os.call("clock.now", {});
  const all = [];
  for (;;) all.push(new Uint8Array(2 ** 23).fill(1));
};`,
  ),
];

/** What is refused to them at once, or is soon over: held by each tier. */
const BOUNDED: readonly Hostile[] = [
  body(
    "asks for the largest buffer there is",
    `export default () => {
  const got = [];
  for (const size of [2 ** 53 - 1, 2 ** 40, 2 ** 33]) {
    try { got.push(new ArrayBuffer(size).byteLength); } catch {}
  }
  return got.length === 0 ? "refused" : got;
};`,
  ),
  body(
    "makes a text of the largest length there is",
    `export default () => { let rope = "x"; for (;;) rope += rope; };`,
  ),
  body(
    "recurses",
    `export default () => { const down = () => down() + 1; return down(); };`,
  ),
  body(
    "recurses again and again, and calls at the foot of the stack",
    `export default (_, os) => {
  const down = () => {
    try { down(); } catch {}
    try { os.call("clock.now", {}).catch(() => {}); } catch {}
  };
  try { down(); } catch {}
  return "up again";
};`,
  ),
  body(
    "recurses in a getter of its result",
    `export default () => {
  const result = { get value() { return result.value; } };
  return result;
};`,
  ),
  body(
    "clones what is deeper than the stack",
    `export default () => {
  let value = [];
  for (let i = 0; i < 1e6; i++) value = [value];
  return structuredClone(value).length;
};`,
  ),
  body(
    "gives a result that is deeper than the stack",
    `export default () => {
  let value = [];
  for (let i = 0; i < 1e6; i++) value = [value];
  return value;
};`,
  ),
  body(
    "throws an error with a message of half a gigabyte",
    `export default () => { throw new Error("x".repeat(2 ** 29 - 24)); };`,
  ),
  body(
    "logs a text of half a gigabyte",
    `export default (_, os) => { os.log("x".repeat(2 ** 29 - 24)); return "logged"; };`,
  ),
];

/** Bodies that take memory. */
export const BODIES: readonly Hostile[] = [...GROWING, ...BOUNDED];
