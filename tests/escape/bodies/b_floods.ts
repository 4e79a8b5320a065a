/**
 * Bodies that ask for too much of what is allowed, and catch what they are told about it.
 *
 * Each goes on after the limit as if nothing had happened: had it not held, it would come to its
 * end and tell.
 * @module
 */

import type { Hostile } from "../hostile.ts";

function body(name: string, source: string, more: Partial<Hostile> = {}): Hostile {
  return { class: "floods", name, source, ...more };
}

/**
 * Bodies that flood. The worker tier does not hold the two that log for as long as they are let: its
 * port has no back-pressure, and a Worker that is ended goes on for a second or two.
 */
export const BODIES: readonly Hostile[] = [
  body(
    "makes calls without number, one after another",
    `export default async (_, os) => {
  let made = 0;
  for (let i = 0; i < 20000; i++) {
    try { await os.call("clock.now", {}); made++; } catch {}
  }
  return { escaped: true, made };
};`,
  ),
  body(
    "has more calls out than it may",
    `export default async (_, os) => {
  const all = [];
  for (let i = 0; i < 400; i++) {
    try { all.push(os.call("clock.now", { i })); } catch {}
  }
  const settled = await Promise.allSettled(all);
  return { escaped: true, heard: settled.filter((one) => one.status === "fulfilled").length };
};`,
  ),
  body(
    "has waits and calls out in turns, more than it may",
    `export default async (_, os) => {
  const all = [];
  for (let i = 0; i < 200; i++) {
    try { all.push(os.call("clock.wait", { ms: 1 }), os.call("clock.now", {})); } catch {}
  }
  await Promise.allSettled(all);
  return { escaped: true };
};`,
  ),
  body(
    "sets timers without number",
    `export default (_, os) => new Promise((resolve) => {
  let fired = 0;
  for (let i = 0; i < 5000; i++) {
    try { setTimeout(() => { if (++fired > 2000) resolve({ escaped: true }); }, 1); } catch {}
  }
});`,
  ),
  body(
    "sets and clears timers that are due ever earlier",
    `export default async (_, os) => {
  for (let i = 0; i < 20000; i++) {
    try { clearTimeout(setTimeout(() => {}, 60000 - i)); } catch {}
  }
  await os.call("clock.now", {});
  return { escaped: true };
};`,
  ),
  body(
    "repeats timers at the shortest interval",
    `export default () => new Promise(() => {
  for (let i = 0; i < 64; i++) setInterval(() => {}, 0);
});`,
  ),
  body(
    "logs without end, a line at a time",
    `export default (_, os) => {
  for (let i = 0; i < 2e6; i++) { try { os.log("line " + i); } catch {} }
  return { escaped: true };
};`,
  ),
  body(
    "logs nothing at all, without end",
    `export default (_, os) => {
  for (let i = 0; i < 2e6; i++) { try { console.error(); } catch {} }
  return { escaped: true };
};`,
  ),
  body(
    "logs one line that is too long",
    `export default (_, os) => {
  try { os.log("x".repeat(4e6)); } catch {}
  return { escaped: true };
};`,
  ),
  body(
    "logs what is three times as long in bytes",
    String.raw`export default (_, os) => {
  for (let i = 0; i < 32; i++) { try { os.log("\u20ac".repeat(60000)); } catch {} }
  return { escaped: true };
};`,
  ),
  body(
    "logs line ends only",
    String.raw`export default (_, os) => { os.log("\n".repeat(65000)); return "logged"; };`,
  ),
  body(
    "logs empty lines up to the limit",
    `export default (_, os) => { for (let i = 0; i < 65536; i++) os.log(""); return "logged"; };`,
  ),
  body(
    "logs what is six times as long when it is quoted",
    String.raw`export default (_, os) => { os.log("\u0001".repeat(65000)); return "logged"; };`,
  ),
  body(
    "logs an endless number of values at once",
    `export default (_, os) => {
  const many = new Array(60000).fill("x".repeat(1000));
  for (let i = 0; i < 3; i++) { try { os.log(...many); } catch {} }
  return { escaped: true };
};`,
  ),
  body(
    "calls with arguments that are too large",
    `export default async (_, os) => {
  try { await os.call("object.create", { value: "x".repeat(8e6) }); } catch {}
  return { escaped: true };
};`,
  ),
  body(
    "calls with arguments as large as they may be, all at once",
    `export default async (_, os) => {
  const value = "x".repeat(1000000);
  for (let round = 0; round < 4; round++) {
    const all = [];
    for (let i = 0; i < 32; i++) all.push(os.call("object.create", { value }));
    await Promise.allSettled(all);
  }
  return "called";
};`,
  ),
  body(
    "calls with a million small values",
    `export default async (_, os) => {
  const value = new Array(500000).fill(0);
  for (let i = 0; i < 30; i++) await os.call("object.create", { value });
  return "called";
};`,
  ),
  body(
    "calls with keys without number",
    `export default async (_, os) => {
  const value = {};
  for (let i = 0; i < 90000; i++) value["k" + i] = 0;
  for (let i = 0; i < 20; i++) await os.call("object.create", { value });
  return "called";
};`,
  ),
  body(
    "calls with arguments that are too deep",
    `export default async (_, os) => {
  let value = 1;
  for (let i = 0; i < 5000; i++) value = i % 2 ? [value] : { value };
  try { await os.call("object.create", { value }); } catch {}
  return { escaped: true };
};`,
  ),
  body(
    "calls with a name of millions of characters",
    `export default async (_, os) => {
  for (let i = 0; i < 8; i++) {
    try { await os.call("object.".repeat(1e6), {}); } catch {}
  }
  return "called";
};`,
  ),
  body(
    "gives a result that is too large",
    `export default () => ({ escaped: true, value: "x".repeat(8e6) });`,
  ),
  body(
    "gives a result that is too large in bytes only",
    String.raw`export default () => ({ escaped: true, value: "\u20ac".repeat(5e5) });`,
  ),
  body(
    "gives a result that is too large when it is quoted",
    String.raw`export default () => ({ escaped: true, value: "\u0000".repeat(1e6) });`,
  ),
  body(
    "gives a result that is too deep",
    `export default () => {
  let value = 1;
  for (let i = 0; i < 200; i++) value = [value];
  return { escaped: true, value };
};`,
  ),
  body(
    "gives a result as deep as it may be, many times over",
    `export default () => {
  let value = 1;
  for (let i = 0; i < 62; i++) value = [value];
  return new Array(7000).fill(value);
};`,
  ),
  body(
    "puts off the limit of its result by a call within it",
    `export default (_, os) => {
  const part = { get value() { try { os.log({}); } catch {} return "x".repeat(60000); } };
  return { escaped: true, value: new Array(200).fill(part) };
};`,
  ),
  body(
    "puts off the limit of depth by a log within it",
    `export default (_, os) => {
  let value = 1;
  for (let i = 0; i < 3000; i++) {
    const inner = value;
    value = { get a() { try { os.log({}); } catch {} return inner; } };
  }
  return { escaped: true, value };
};`,
  ),
  body(
    "ends at a limit with the stack exhausted, and goes on",
    `export default async (_, os) => {
  const down = () => {
    try { down(); } catch {}
    try { os.log("x".repeat(100000)); } catch {}
  };
  try { down(); } catch {}
  try { await os.call("clock.now", {}); } catch {}
  return { escaped: true };
};`,
  ),
  body(
    "makes calls when it has been told that the run is over",
    `export default async (_, os) => {
  try { os.log("x".repeat(4e6)); } catch {}
  for (let i = 0; i < 100; i++) os.call("object.create", { escaped: true }).catch(() => {});
  return { escaped: true };
};`,
  ),
];
