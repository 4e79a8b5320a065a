/**
 * Bodies that still say something when they have returned, or never do.
 *
 * `{ escaped: true }` is in the arguments of calls that must not be heard: they are made when the
 * run is over. What is sent before is heard, although nobody waits for its answer.
 * @module
 */

import type { Hostile } from "../hostile.ts";

function body(name: string, source: string, more: Partial<Hostile> = {}): Hostile {
  return { class: "late messages", name, source, ...more };
}

/**
 * Bodies that are late. The worker tier does not hold the three that loop when they have returned or
 * stay awake: they are ended with their Worker, which goes on for a second or two.
 */
export const BODIES: readonly Hostile[] = [
  body(
    "makes calls in jobs that are left when it has returned",
    `export default (_, os) => {
  const later = async () => {
    for (let i = 0; i < 50; i++) await null;
    for (let i = 0; i < 20; i++) { os.call("object.create", { escaped: true }); await null; }
  };
  later();
  return "returned";
};`,
    { calls: 2 },
  ),
  body(
    "makes a call in the job after the one that returns it",
    `export default (_, os) => {
  const done = Promise.resolve("returned");
  done.then(() => Promise.resolve()).then(() => {}).then(() => {}).then(() => {})
    .then(() => os.call("object.create", { escaped: true }));
  return done;
};`,
    { calls: 2 },
  ),
  body(
    "leaves timers behind that make calls",
    `export default (_, os) => {
  for (let ms = 0; ms < 40; ms++) {
    setTimeout(() => os.call("object.create", { escaped: true }), ms);
  }
  return "returned";
};`,
    { calls: 3 },
  ),
  body(
    "leaves an interval behind that logs",
    `export default (_, os) => {
  setInterval(() => os.log("escaped"), 1);
  return "returned";
};`,
    { calls: 3 },
  ),
  body(
    "leaves calls behind whose answers make calls",
    `export default (_, os) => {
  for (let i = 0; i < 16; i++) {
    os.call("clock.now", {}).then(() => os.call("object.create", { escaped: true }));
  }
  return "returned";
};`,
    { calls: 3 },
  ),
  body(
    "leaves a wait behind whose end makes calls in the run after it",
    `export default async (_, os) => {
  os.call("clock.wait", { ms: 30 }).finally(() => os.call("object.create", { escaped: true }));
  return "returned";
};`,
    { calls: 4 },
  ),
  body(
    "hears an abort after it has returned",
    `export default (_, os) => {
  const call = () => os.call("object.create", { escaped: true });
  os.signal.addEventListener("abort", call);
  AbortSignal.timeout(5).addEventListener("abort", call);
  return "returned";
};`,
    { calls: 2 },
  ),
  body(
    "logs after it has thrown",
    `export default (_, os) => {
  Promise.resolve().then(() => {}).then(() => {}).then(() => {}).then(() => os.log("escaped"));
  throw new Error("thrown");
};`,
    { calls: 2 },
  ),
  body(
    "is awake for ever when it has returned",
    `export default () => {
  (async () => { for (;;) await null; })();
  return "returned";
};`,
    { calls: 3 },
  ),
  body(
    "loops when it has returned",
    `export default () => {
  Promise.resolve().then(() => {}).then(() => {}).then(() => {}).then(() => { for (;;); });
  return "returned";
};`,
    { calls: 3 },
  ),
  body(
    "loops when its result has been read",
    `export default () => {
  const after = () => { for (;;); };
  const soon = () => queueMicrotask(() => queueMicrotask(after));
  return { get last() { queueMicrotask(soon); return 1; } };
};`,
    { calls: 3 },
  ),
  body(
    "grows when it has returned, a little more with each call",
    `export default () => {
  const held = [];
  const grow = (n) => {
    held.push(new Array(1e5).fill(1));
    if (n > 0) queueMicrotask(() => grow(n - 1));
  };
  grow(30);
  return "returned";
};`,
    { calls: 4 },
  ),
  body(
    "never settles",
    `export default () => new Promise(() => {});`,
  ),
  body(
    "is never evaluated",
    `await new Promise(() => {}); export default () => 1;`,
  ),
  body(
    "never settles, with a thenable that keeps its resolve",
    `export default (_, os) => ({ then(resolve) { globalThis.kept = resolve; } });`,
    { calls: 2 },
  ),
  body(
    "settles twice, the second time with something else",
    `export default () => ({
  then(resolve, reject) {
    resolve("first");
    resolve({ escaped: true });
    reject(new Error("escaped"));
  },
});`,
  ),
  body(
    "settles twice, the second time later",
    `export default async (_, os) => ({
  then(resolve) {
    resolve("first");
    setTimeout(() => resolve({ escaped: true }), 1);
    queueMicrotask(() => resolve({ escaped: true }));
  },
});`,
    { calls: 2 },
  ),
  body(
    "returns and throws",
    `export default () => ({
  then(resolve) { resolve("first"); throw new Error("escaped"); },
});`,
  ),
  body(
    "returns a thenable that is another one each time it is asked",
    `let asked = 0;
export default () => ({
  get then() { return ++asked > 3 ? undefined : (resolve) => resolve(this); },
  get escaped() { return asked > 100; },
});`,
  ),
  body(
    "returns what changes while it is read, and after",
    `export default () => {
  const result = { first: 1 };
  const change = () => { result.first++; result.more = result; };
  Promise.resolve().then(change).then(change).then(change);
  return { result, get again() { change(); return 1; }, last: result };
};`,
  ),
  body(
    "makes the call that ends the step when it has returned",
    `export default (_, os) => {
  const end = () => os.process.exit({ result: { escaped: true } });
  Promise.resolve().then(() => {}).then(() => {}).then(() => {}).then(end);
  setTimeout(end, 1);
  return "returned";
};`,
    { calls: 2 },
  ),
  body(
    "makes a call as its last word, many times over",
    `export default (_, os) => {
  for (let i = 0; i < 8; i++) os.call("clock.now", {});
  return "returned";
};`,
    { calls: 20 },
  ),
];
