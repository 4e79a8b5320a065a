/**
 * The parts of a gate: its breaker, what it reads in headers, its line.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { BREAKER, Breaker, type BreakerEvent, type BreakerState } from "../kernel/gate_breaker.ts";
import { type Head, ratesOf } from "../kernel/gate_head.ts";
import { Line, type Standing } from "../kernel/gate_line.ts";
import { LIMITS } from "../kernel/limits.ts";

const SMALL = { attempts: 4, threshold: 0.5, coolMs: 1_000 };

/** A breaker that has come to a state at time 0, or when what it waits for is over. */
function breakerIn(state: BreakerState): { readonly breaker: Breaker; readonly nowMs: number } {
  const breaker = new Breaker(SMALL);
  if (state === "closed") return { breaker, nowMs: 0 };
  for (let n = 0; n < 4; n++) breaker.ended(false, { era: breaker.sent(), nowMs: 0 });
  if (state === "trying") breaker.untilMs(1_000);
  return { breaker, nowMs: state === "trying" ? 1_000 : 0 };
}

function happen(breaker: Breaker, event: BreakerEvent, nowMs: number): void {
  const era = breaker.sent();
  if (event === "cool") breaker.untilMs(nowMs + 1_000);
  else if (event === "trip") {
    for (let n = 0; n < 4; n++) breaker.ended(false, { era, nowMs });
  } else breaker.ended(event === "pass", { era, nowMs });
}

for (const [from, row] of Object.entries(BREAKER)) {
  for (const [event, to] of Object.entries(row)) {
    // Of an open one nothing is out: what comes back is of a time before, and counts for nothing.
    Deno.test(`A breaker that is ${from} is ${to} after "${event}"`, () => {
      const { breaker, nowMs } = breakerIn(from as BreakerState);
      assert.equal(breaker.state, from);
      happen(breaker, event as BreakerEvent, nowMs);
      assert.equal(breaker.state, to);
    });
  }
}

Deno.test("What comes back late from before a breaker opened neither closes it nor opens it", () => {
  const { breaker } = breakerIn("closed");
  const early = breaker.sent();
  for (let n = 0; n < 4; n++) breaker.ended(false, { era: early, nowMs: 0 });
  assert.equal(breaker.untilMs(0), 1_000);
  breaker.ended(true, { era: early, nowMs: 10 });
  assert.equal(breaker.untilMs(20), 1_000);
  assert.equal(breaker.untilMs(1_000), 0);
  breaker.ended(true, { era: early, nowMs: 1_001 });
  breaker.ended(false, { era: early, nowMs: 1_001 });
  assert.equal(breaker.state, "trying");
});

Deno.test("While a breaker tries one attempt is out; one that is given up makes room", () => {
  const { breaker } = breakerIn("trying");
  const era = breaker.sent();
  assert.equal(breaker.untilMs(1_000), Infinity);
  breaker.gaveUp(era);
  assert.equal(breaker.untilMs(1_000), 0);
  breaker.ended(true, { era: breaker.sent(), nowMs: 1_100 });
  assert.deepEqual([breaker.state, breaker.untilMs(1_100)], ["closed", 0]);
});

Deno.test("A breaker is open for longer each time what it tries fails, up to a bound", () => {
  const { breaker } = breakerIn("open");
  let nowMs = 0;
  const waits: number[] = [];
  for (let n = 0; n < 20; n++) {
    const untilMs = breaker.untilMs(nowMs);
    waits.push(untilMs - nowMs);
    nowMs = untilMs;
    assert.equal(breaker.untilMs(nowMs), 0);
    breaker.ended(false, { era: breaker.sent(), nowMs });
  }
  assert.deepEqual(waits.slice(0, 4), [1_000, 2_000, 4_000, 8_000]);
  assert.equal(waits.at(-1), LIMITS.gateCoolMsMax);
  breaker.untilMs(nowMs + LIMITS.gateCoolMsMax);
  breaker.ended(true, { era: breaker.sent(), nowMs });
  assert.equal(breaker.state, "closed");
});

Deno.test("A breaker stays away for as long as an endpoint says, where that is longer", () => {
  const breaker = new Breaker(SMALL);
  const at = { era: breaker.sent(), nowMs: 0 };
  for (let n = 0; n < 4; n++) breaker.ended(false, at, 30_000);
  assert.equal(breaker.untilMs(0), 30_000);
});

Deno.test("A breaker opens at its part of the latest attempts, and not before there are as many", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 8 }),
    fc.array(fc.boolean(), { maxLength: 40 }),
    (attempts, ends) => {
      const breaker = new Breaker({ attempts, threshold: 0.5, coolMs: 1_000 });
      for (let n = 0; n < ends.length; n++) {
        const latest = ends.slice(Math.max(0, n + 1 - attempts), n + 1);
        const isTripped = latest.length === attempts &&
          latest.filter((passed) => !passed).length / attempts >= 0.5;
        breaker.ended(ends[n]!, { era: breaker.sent(), nowMs: 0 });
        assert.equal(breaker.state, isTripped ? "open" : "closed");
        if (isTripped) return;
      }
    },
  ));
});

const NOW = Date.parse("2026-05-01T12:00:00Z");
const HEADS: readonly (readonly [string, Head, ReturnType<typeof ratesOf>])[] = [
  ["nothing", {}, {}],
  ["Anthropic's", {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-05-01T12:00:30Z",
    "anthropic-ratelimit-tokens-limit": "80000",
    "anthropic-ratelimit-tokens-remaining": "0",
    "anthropic-ratelimit-tokens-reset": "2026-05-01T12:01:00Z",
  }, {
    requests: { limit: 50, left: 49, resetInMs: 30_000 },
    tokens: { limit: 80_000, left: 0, resetInMs: 60_000 },
  }],
  ["OpenAI's", {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0.5s",
  }, {
    requests: { limit: 60, left: 59, resetInMs: 1_000 },
    tokens: { left: 149_984, resetInMs: 360_500 },
  }],
  ["a plain family's, with a time since 1970", {
    "x-ratelimit-limit": "10",
    "x-ratelimit-remaining": "3",
    "x-ratelimit-reset": String(NOW / 1_000 + 12),
  }, { requests: { limit: 10, left: 3, resetInMs: 12_000 } }],
  ["the draft standard's", { "ratelimit-remaining": "3", "ratelimit-reset": "12" }, {
    requests: { left: 3, resetInMs: 12_000 },
  }],
  ["seconds to come again", { "retry-after": "7" }, { retryAfterMs: 7_000 }],
  ["milliseconds before seconds", { "retry-after": "7", "retry-after-ms": "40" }, {
    retryAfterMs: 40,
  }],
  ["a date of a clock that is an hour ahead", {
    "date": "Fri, 01 May 2026 13:00:00 GMT",
    "retry-after": "Fri, 01 May 2026 13:00:09 GMT",
  }, { retryAfterMs: 9_000 }],
  ["an answer that took a while to come", {
    "date": "Fri, 01 May 2026 11:59:56 GMT",
    "anthropic-ratelimit-requests-remaining": "0",
    "anthropic-ratelimit-requests-reset": "2026-05-01T12:00:02.5Z",
  }, { requests: { left: 0, resetInMs: 2_500 } }],
  ["a time that is over", { "retry-after": "Fri, 01 May 2026 11:00:00 GMT" }, { retryAfterMs: 0 }],
  ["more than a gate waits", { "retry-after": "99999999" }, { retryAfterMs: LIMITS.gateHoldMsMax }],
  ["what is no number", {
    "retry-after": "soon",
    "x-ratelimit-remaining": "many",
    "anthropic-ratelimit-requests-remaining": "-1",
    "anthropic-ratelimit-requests-reset": "Infinity",
  }, {}],
];

for (const [what, head, expected] of HEADS) {
  Deno.test(`Rates are read of headers: ${what}`, () => {
    assert.deepEqual(ratesOf(head, NOW), expected);
  });
}

const NAMES = HEADS.flatMap(([, head]) => Object.keys(head)).concat("date");

Deno.test("Whatever headers hold, nothing is thrown, and numbers are finite and bounded", () => {
  const value = fc.oneof(fc.string(), fc.integer().map(String), fc.double().map(String));
  const head = fc.dictionary(fc.constantFrom(...new Set(NAMES)), value);
  fc.assert(fc.property(head, (given) => {
    const { requests, tokens, retryAfterMs = 0 } = ratesOf(given, NOW);
    for (const told of [requests, tokens]) {
      if (told === undefined) continue;
      const numbers = [told.left, told.limit ?? 0, told.resetInMs ?? 0];
      assert.ok(numbers.every((one) => Number.isFinite(one) && one >= 0));
      assert.ok((told.resetInMs ?? 0) <= LIMITS.gateHoldMsMax);
    }
    assert.ok(retryAfterMs >= 0 && retryAfterMs <= LIMITS.gateHoldMsMax);
  }));
});

let ids = 0;
function standing(tree: string, more: Partial<Standing> = {}): Standing {
  return { id: ids++, tree, pid: `${tree}/1`, priority: 1, weight: 1, sinceMs: 0, ...more };
}

/** The trees in the order in which they are served. */
function served(line: Line, count = Infinity): string[] {
  const order: string[] = [];
  while (order.length < count) {
    const next = line.peek();
    assert.equal(line.shift(), next);
    if (next === undefined) return order;
    order.push(next.tree);
  }
  return order;
}

Deno.test("Among n trees that all wait each is served within n calls", () => {
  const counts = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 12 });
  fc.assert(fc.property(counts, (waiting) => {
    const line = new Line();
    for (const [n, count] of waiting.entries()) {
      for (let i = 0; i < count; i++) line.push(standing(`t_${n}`));
    }
    const order = served(line);
    const all = Math.min(...waiting) * waiting.length;
    for (let at = 0; at + waiting.length <= all; at += waiting.length) {
      assert.equal(new Set(order.slice(at, at + waiting.length)).size, waiting.length);
    }
    assert.equal(line.size, 0);
  }));
});

Deno.test("Trees that all wait get shares as their priorities are, within the heaviest call", () => {
  const tree = fc.record({
    priority: fc.integer({ min: 1, max: 100 }),
    weights: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 5, maxLength: 20 }),
  });
  fc.assert(fc.property(fc.array(tree, { minLength: 2, maxLength: 6 }), (trees) => {
    const line = new Line();
    for (const [n, { priority, weights }] of trees.entries()) {
      for (const weight of weights) line.push(standing(`t_${n}`, { priority, weight }));
    }
    const left = trees.map(({ weights }) => weights.length);
    const got = trees.map(() => 0);
    while (left.every((count) => count > 0)) {
      const { tree, weight, priority } = line.shift()!;
      const n = Number(tree.slice(2));
      got[n]! += weight / priority;
      left[n]! -= 1;
      for (const [a, one] of trees.entries()) {
        for (const [b, other] of trees.entries()) {
          const bound = Math.max(...one.weights) / one.priority +
            Math.max(...other.weights) / other.priority;
          assert.ok(Math.abs(got[a]! - got[b]!) <= bound + 1e-6);
        }
      }
    }
  }));
});

Deno.test("No stream of newcomers, however long, keeps a tree from its turn", () => {
  const sizes = { weight: fc.integer({ min: 1, max: 20 }), many: fc.integer({ min: 1, max: 30 }) };
  fc.assert(fc.property(fc.record(sizes), ({ weight, many }) => {
    const line = new Line();
    for (let n = 0; n < 3; n++) line.push(standing("t_old", { weight }));
    for (let n = 0; n < many; n++) line.push(standing(`t_first${n}`));
    let calls = 0;
    for (let turns = 0; turns < 3; calls++) {
      line.push(standing(`t_new${calls}`));
      if (line.shift()!.tree === "t_old") turns += 1;
      assert.ok(calls <= 3 * (weight + 1) * (many + 2), "A tree starves");
    }
  }));
});

Deno.test("A tree that leaves and comes back does not gain by it", () => {
  const line = new Line();
  for (let n = 0; n < 100; n++) line.push(standing("t_stays"));
  const got = { t_stays: 0, t_returns: 0 };
  for (let n = 0; n < 60; n++) {
    line.push(standing("t_returns"));
    got[line.shift()!.tree as keyof typeof got] += 1;
  }
  assert.ok(Math.abs(got.t_stays - got.t_returns) <= 2, JSON.stringify(got));
});

Deno.test("Between the processes of a tree turns are shared, and a process's calls keep order", () => {
  const line = new Line();
  const calls = ["a", "a", "a", "b", "c"].map((pid) => standing("t_1", { pid }));
  for (const call of calls) line.push(call);
  const order = calls.map(() => line.shift()!);
  assert.deepEqual(order.map(({ pid }) => pid), ["a", "b", "c", "a", "a"]);
  const own = order.filter(({ pid }) => pid === "a").map(({ id }) => id);
  assert.deepEqual(own, own.toSorted((one, other) => one - other));
});

Deno.test("Of trees that are equally far behind, who waited longest is next", () => {
  const line = new Line();
  const since = [30, 10, 20];
  for (const sinceMs of since) line.push(standing(`t_${sinceMs}`, { sinceMs }));
  assert.deepEqual(served(line), ["t_10", "t_20", "t_30"]);
});

Deno.test("A call that is sent again goes before all others, and costs its tree nothing more", () => {
  const line = new Line();
  const [first, second] = [standing("t_1"), standing("t_1")];
  for (const one of [first, second, standing("t_2"), standing("t_2")]) line.push(one);
  assert.equal(line.shift(), first);
  line.push(first, true);
  assert.equal(line.size, 4);
  assert.deepEqual(served(line), ["t_1", "t_2", "t_1", "t_2"]);
  line.push(first, true);
  line.remove(first);
  assert.deepEqual([line.size, line.peek()], [0, undefined]);
});

Deno.test("A call leaves the line once, whoever takes it out", () => {
  const call = fc.record({ tree: fc.nat(4), taken: fc.boolean() });
  fc.assert(fc.property(fc.array(call, { maxLength: 30 }), (calls) => {
    const line = new Line();
    const all = calls.map(({ tree }) => standing(`t_${tree}`));
    for (const one of all) line.push(one);
    for (const [n, { taken }] of calls.entries()) {
      if (taken) line.remove(all[n]!);
      if (taken) line.remove(all[n]!);
    }
    const left = all.filter((_, n) => !calls[n]!.taken).map(({ id }) => id);
    assert.equal(line.size, left.length);
    const found: number[] = [];
    for (let next = line.shift(); next !== undefined; next = line.shift()) found.push(next.id);
    assert.deepEqual(found.toSorted((a, b) => a - b), left.toSorted((a, b) => a - b));
  }));
});
