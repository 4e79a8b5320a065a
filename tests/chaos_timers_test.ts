/**
 * The judge of timers is judged: one that holds is let through, however late those made it who did
 * not answer; and each that fires early, late or never is found.
 * @module
 */

import assert from "node:assert/strict";
import { type Held, type Span, type Timer, timerFaults, Timers } from "./chaos/timers.ts";

const span = (fromMs: number, toMs: number): Span => ({ fromMs, toMs });
const LONG = 1_000_000;

interface Case {
  readonly name: string;
  /** When it ended, due at 100,000; by the clock unless said. */
  readonly endedMs: number;
  readonly byClock?: boolean;
  readonly held: readonly Held[];
  readonly steady: Readonly<Record<string, readonly Span[]>>;
  readonly found?: RegExp;
}

const HELD: readonly Held[] = [{ fromMs: 0, owner: "a" }];
/** The lease is 3 s, the bound 5 s. */
const CASES: readonly Case[] = [
  { name: "in time", endedMs: 100_020, held: HELD, steady: { a: [span(0, LONG)] } },
  {
    name: "a little early where its node was just heard again",
    endedMs: 98_000,
    held: HELD,
    steady: { a: [span(97_000, LONG)] },
  },
  {
    name: "early by more than an answer takes",
    endedMs: 99_000,
    held: HELD,
    steady: { a: [span(0, LONG)] },
    found: /fired 1000 ms before/,
  },
  {
    name: "early by more than a lease",
    endedMs: 96_000,
    held: HELD,
    steady: {},
    found: /fired 4000 ms before/,
  },
  {
    name: "ended by something else before it was due",
    endedMs: 50_000,
    byClock: false,
    held: HELD,
    steady: { a: [span(0, LONG)] },
  },
  {
    name: "late with a node that answers",
    endedMs: 105_001,
    held: HELD,
    steady: { a: [span(0, LONG)] },
    found: /its node a answered for 5001 ms/,
  },
  {
    name: "late, though its node stood still for most of it",
    endedMs: 120_000,
    held: HELD,
    steady: { a: [span(0, 101_000), span(116_000, LONG)] },
  },
  {
    name: "late with a node that does not answer, while another does",
    endedMs: 109_000,
    held: HELD,
    steady: { b: [span(0, LONG)] },
    found: /its node a did not answer, though another answered for 9000 ms/,
  },
  {
    name: "taken over in time",
    endedMs: 111_000,
    held: [...HELD, { fromMs: 107_000, owner: "b" }],
    steady: { b: [span(0, LONG)] },
  },
  {
    name: "late while nobody answers",
    endedMs: 500_000,
    held: HELD,
    steady: { b: [span(0, 103_000), span(200_000, 204_000)] },
  },
  {
    name: "left lying though another answers",
    endedMs: 106_000,
    held: [...HELD, { fromMs: 99_000, owner: null }],
    steady: { b: [span(0, LONG)] },
    found: /nobody had its tree, though another answered for 6000 ms/,
  },
  {
    name: "never",
    endedMs: Infinity,
    byClock: false,
    held: HELD,
    steady: { a: [span(0, LONG)] },
    found: /its node a answered/,
  },
];

for (const { name, endedMs, byClock = true, held, steady, found } of CASES) {
  Deno.test(`A timer that is ${name} is ${found === undefined ? "let through" : "found"}`, () => {
    const timer: Timer = { pid: "p_1", dueMs: 100_000, endedMs, byClock };
    const faults = timerFaults(timer, {
      ...{ held, steady: new Map(Object.entries(steady)), leaseMs: 3_000, boundMs: 5_000 },
    });
    if (found === undefined) assert.deepEqual(faults, []);
    else assert.match(faults.join(), found);
  });
}

Deno.test("Timers are waits with an end, over when they are woken, or never", () => {
  const timers = new Timers();
  const on = (untilMs: number | null) => ({ reason: "timer", untilMs });
  timers.hear("process.waiting", { pid: "p_1", on: on(50) }, 10);
  timers.hear("process.waiting", { pid: "p_2", on: on(null) }, 10);
  timers.hear("process.paused", { pid: "p_1", by: "me" }, 20);
  timers.hear("process.woken", { pid: "p_2", by: "p_1" }, 30);
  timers.hear("process.woken", { pid: "p_1", by: "clock" }, 60);
  timers.hear("process.waiting", { pid: "p_1", on: on(90) }, 70);
  timers.hear("process.ended", { pid: "p_1" }, 80);
  timers.hear("process.waiting", { pid: "p_2", on: on(100) }, 90);
  timers.end();
  assert.deepEqual(timers.all, [
    { pid: "p_1", dueMs: 50, endedMs: 60, byClock: true },
    { pid: "p_1", dueMs: 90, endedMs: 80, byClock: false },
    { pid: "p_2", dueMs: 100, endedMs: Infinity, byClock: false },
  ]);
});
