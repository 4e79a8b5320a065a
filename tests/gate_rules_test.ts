/**
 * The rules of a gate: who is sent, when, and again when, with time as an argument.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Admission, type AttemptEnd, type Entering } from "../kernel/gate.ts";
import { checkGate, type GateOptions } from "../kernel/gate_options.ts";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";

function call(tree: string, more: Partial<Entering> = {}): Entering {
  return { tree, pid: `${tree}/1`, priority: 1, tokens: 10, ...more };
}

/** A gate with calls of as many trees, of which those that may be are sent at time 0. */
function gateOf(count: number, options: GateOptions = {}) {
  const gate = new Admission(options);
  const ids = Array.from({ length: count }, (_, n) => gate.enter(call(`t_${n}`), 0));
  return { gate, ids, sent: gate.next(0).send };
}

function codeOf(job: () => unknown): string {
  try {
    job();
  } catch (thrown) {
    if (thrown instanceof SysError) return thrown.code;
  }
  return "nothing was refused";
}

const FAILED: AttemptEnd = { how: "failed" };
const PASSED: AttemptEnd = { how: "passed", tokens: 10 };

Deno.test("No more are out than the width, and one that ends lets one in", () => {
  const { gate, ids, sent } = gateOf(5, { concurrency: 2, concurrencyMax: 2 });
  assert.deepEqual(sent, ids.slice(0, 2));
  assert.deepEqual(gate.next(0), { send: [], over: [], wakeAtMs: LIMITS.gateWaitMsDefault });
  assert.equal(gate.ended(ids[0]!, PASSED, 5), "over");
  assert.deepEqual(gate.next(5).send, [ids[2]]);
});

Deno.test("The width grows by one a round while it is full, and halves once for what was sent together", () => {
  const { gate, sent } = gateOf(40, { concurrency: 4, concurrencyMax: 8 });
  for (const id of sent) {
    gate.ended(id, PASSED, 1);
    gate.next(1);
  }
  assert.equal(gate.state(1).width, 4, "three quarters of a round");
  const more = gate.next(1).send;
  assert.deepEqual(more, []);
  const out = [4, 5, 6, 7, 8];
  gate.ended(out[0]!, PASSED, 2);
  const { width } = gate.state(2);
  assert.equal(width, 5);
  gate.next(2);
  for (const id of out.slice(1)) gate.ended(id, { how: "overloaded" }, 3);
  assert.equal(gate.state(3).width, 2);
});

Deno.test("Slow answers narrow the gate", () => {
  const { gate, sent } = gateOf(8, { concurrency: 8, slowMs: 100 });
  for (const id of sent) gate.ended(id, PASSED, 101);
  assert.equal(gate.state(101).width, 4);
});

Deno.test("Who is told when to come again waits for it without spending a try, and all others too", () => {
  const { gate, ids } = gateOf(2, { concurrency: 1, tries: 1 });
  let nowMs = 0;
  for (let n = 0; n < 20; n++) {
    const end: AttemptEnd = { how: "limited", rates: { retryAfterMs: 1_000 } };
    assert.equal(gate.ended(ids[0]!, end, nowMs), "again");
    const { send, wakeAtMs } = gate.next(nowMs);
    assert.deepEqual(send, []);
    assert.ok(wakeAtMs! >= nowMs + 1_000);
    nowMs = wakeAtMs!;
    assert.deepEqual(gate.next(nowMs).send, [ids[0]], "what was sent already goes first");
  }
  assert.equal(gate.attempts(ids[0]!), 21);
  assert.equal(gate.ended(ids[0]!, PASSED, nowMs), "over");
  assert.deepEqual(gate.next(nowMs).send, [ids[1]]);
});

Deno.test("An endpoint that says to come at once, again and again, is asked less and less often", () => {
  const { gate, ids } = gateOf(1);
  let nowMs = 0;
  let attempts = 0;
  for (; nowMs < 600_000; attempts++) {
    gate.ended(ids[0]!, { how: "limited", rates: { retryAfterMs: 0 } }, nowMs);
    const turn = gate.next(nowMs);
    if (turn.send.length > 0) continue;
    nowMs = turn.wakeAtMs!;
    gate.next(nowMs);
  }
  assert.ok(attempts < 30, `${attempts} attempts in ten minutes`);
});

Deno.test("A rate of which nothing is left holds its calls until it is there again", () => {
  const { gate, ids, sent } = gateOf(5, { concurrency: 2, concurrencyMax: 2 });
  const told = (left: number): AttemptEnd => ({
    how: "passed",
    rates: { requests: { limit: 3, left, resetInMs: 60_000 - 10 } },
  });
  gate.ended(sent[0]!, told(2), 10);
  assert.deepEqual(gate.next(10).send, [ids[2]]);
  gate.ended(sent[1]!, told(1), 10);
  gate.ended(ids[2]!, told(0), 10);
  assert.deepEqual(gate.next(10), { send: [], over: [], wakeAtMs: 60_000 });
  assert.deepEqual(gate.next(60_000).send, ids.slice(3));
});

Deno.test("What the headers of a long answer say holds before its end", () => {
  const { gate, ids, sent } = gateOf(3, { concurrency: 2, concurrencyMax: 2 });
  gate.heard(sent[0]!, { requests: { left: 1, resetInMs: 1_000 } }, 0);
  gate.ended(sent[1]!, { how: "passed", rates: { requests: { left: 0, resetInMs: 1_000 } } }, 0);
  assert.deepEqual(gate.next(0), { send: [], over: [], wakeAtMs: 1_000 });
  assert.deepEqual(gate.next(1_000).send, [ids[2]]);
});

Deno.test("A rate that was given is kept to in every minute, whatever the endpoint says", () => {
  const { gate, ids } = gateOf(3, { requestsPerMinute: 2 });
  for (const id of ids.slice(0, 2)) gate.ended(id, PASSED, 100);
  assert.deepEqual(gate.next(100), { send: [], over: [], wakeAtMs: 60_000 });
  assert.deepEqual(gate.next(60_000).send, [ids[2]]);
});

Deno.test("A rate of tokens counts what answers took", () => {
  const { gate, ids } = gateOf(2, { tokensPerMinute: 100, concurrency: 1, concurrencyMax: 1 });
  gate.ended(ids[0]!, { how: "passed", tokens: 95 }, 10);
  assert.deepEqual(gate.next(10).send, []);
  assert.equal(gate.state(10).tokens.left, 5);
  assert.deepEqual(gate.next(60_010).send, [ids[1]]);
});

Deno.test("A failure is tried again after a pause that doubles, up to its tries", () => {
  const { gate, ids } = gateOf(2, { tries: 4, concurrency: 2, breaker: { attempts: 100 } });
  gate.ended(ids[1]!, PASSED, 0);
  let nowMs = 0;
  const pauses: number[] = [];
  while (gate.ended(ids[0]!, FAILED, nowMs) === "again") {
    const { wakeAtMs } = gate.next(nowMs);
    pauses.push(wakeAtMs! - nowMs);
    nowMs = wakeAtMs!;
    assert.deepEqual(gate.next(nowMs).send, [ids[0]]);
  }
  assert.equal(pauses.length, 3);
  for (const [n, pause] of pauses.entries()) {
    assert.ok(pause >= 125 * 2 ** n && pause <= 375 * 2 ** n, `${pause}`);
  }
  assert.equal(gate.state(nowMs).waiting, 0);
});

Deno.test("An endpoint that never answered is given up sooner", () => {
  const { gate, ids } = gateOf(1);
  let nowMs = 0;
  let tries = 1;
  for (; gate.ended(ids[0]!, FAILED, nowMs) === "again"; tries++) {
    nowMs = gate.next(nowMs).wakeAtMs!;
    gate.next(nowMs);
  }
  assert.equal(tries, LIMITS.modelRetriesMax);
});

Deno.test("A refusal for what else was out costs no try; alone it does", () => {
  const { gate, ids } = gateOf(2, { tries: 2, concurrency: 2 });
  gate.ended(ids[1]!, PASSED, 0);
  gate.enter(call("t_2"), 0);
  gate.next(0);
  let nowMs = 0;
  assert.equal(gate.ended(ids[0]!, { how: "overloaded" }, nowMs), "again");
  gate.ended(2, PASSED, nowMs);
  const ends: string[] = [];
  for (let n = 0; n < 2; n++) {
    nowMs = gate.next(nowMs).wakeAtMs!;
    gate.next(nowMs);
    ends.push(gate.ended(ids[0]!, { how: "overloaded" }, nowMs));
  }
  assert.deepEqual(ends, ["again", "over"]);
});

Deno.test("A refusal that is the caller's fault is not tried again, and trips nothing", () => {
  const { gate, ids } = gateOf(30, { concurrency: 30, breaker: { attempts: 4 } });
  for (const id of ids) assert.equal(gate.ended(id, { how: "refused" }, 0), "over");
  assert.equal(gate.state(0).breaker, "closed");
});

Deno.test("When most attempts fail nothing is sent for a while, then one, then all", () => {
  const breaker = { attempts: 4, threshold: 0.5, coolMs: 10_000 };
  const { gate, ids } = gateOf(8, { concurrency: 4, tries: 9, breaker });
  for (const id of ids.slice(0, 4)) gate.ended(id, FAILED, 0);
  assert.equal(gate.state(0).breaker, "open");
  assert.deepEqual(gate.next(9_999).send, []);
  const alone = gate.next(10_000).send;
  assert.equal(alone.length, 1);
  assert.deepEqual(gate.next(10_001).send, []);
  gate.ended(alone[0]!, PASSED, 10_002);
  assert.ok(gate.next(10_002).send.length > 1);
});

Deno.test("One that is taken back while it is tried alone lets another be tried", () => {
  const { gate, ids } = gateOf(3, { concurrency: 1, tries: 9, breaker: { attempts: 1 } });
  gate.ended(ids[0]!, FAILED, 0);
  const [alone] = gate.next(10_000).send;
  gate.leave(alone!, 10_001);
  assert.equal(gate.next(10_001).send.length, 1);
});

Deno.test("Who waited for as long as a call may take is over; who is out is not", () => {
  const { gate, ids } = gateOf(3, { concurrency: 1, waitMs: 1_000 });
  const late = gate.enter(call("t_late"), 500);
  assert.deepEqual(gate.next(500).wakeAtMs, 1_000);
  const turn = gate.next(1_000);
  assert.deepEqual([turn.over, turn.wakeAtMs], [[ids[1], ids[2]], 1_500]);
  gate.ended(ids[0]!, PASSED, 1_100);
  assert.deepEqual(gate.next(1_100), { send: [late], over: [], wakeAtMs: null });
});

Deno.test("A line that is full and a tree whose tokens are spent are refused, and nothing is kept", () => {
  const gate = new Admission({ concurrency: 1, lineMax: 1, tokensPerTree: 100 });
  const [first] = [gate.enter(call("t_1", { tokens: 60 }), 0), gate.next(0)];
  assert.equal(codeOf(() => gate.enter(call("t_1", { tokens: 60 }), 0)), "EBUDGET");
  const second = gate.enter(call("t_2", { tokens: 60 }), 0);
  assert.equal(codeOf(() => gate.enter(call("t_3"), 0)), "EAGAIN");
  gate.ended(first, { how: "passed", tokens: 30 }, 0);
  gate.next(0);
  gate.leave(second, 0);
  gate.enter(call("t_1", { tokens: 60 }), 0);
  gate.next(0);
  assert.equal(codeOf(() => gate.enter(call("t_1", { tokens: 60 }), 0)), "EBUDGET");
});

Deno.test("After a restart those that are asked for again come in the order of their first asking", () => {
  const gate = new Admission({ concurrency: 1, concurrencyMax: 1 });
  const since = [40, 10, 30, 20];
  const ids = since.map((sinceMs) => gate.enter(call(`t_${sinceMs}`, { sinceMs }), 100));
  const order: number[] = [];
  for (let n = 0; n < ids.length; n++) {
    const [id] = gate.next(100).send;
    order.push(since[ids.indexOf(id!)]!);
    gate.ended(id!, PASSED, 100);
  }
  assert.deepEqual(order, [10, 20, 30, 40]);
});

const SETTINGS: readonly (readonly [string, GateOptions])[] = [
  ["no rate at all", { requestsPerMinute: 0 }],
  ["no number", { tokensPerMinute: NaN }],
  ["more at once than any gate", { concurrency: LIMITS.gateConcurrencyMax + 1 }],
  ["a wait beyond all bounds", { waitMs: LIMITS.gateWaitMsMax + 1 }],
];

for (const [what, options] of SETTINGS) {
  Deno.test(`A gate is not opened with ${what}`, () => {
    assert.equal(codeOf(() => checkGate(options)), "EINVAL");
    assert.equal(codeOf(() => new Admission(options)), "EINVAL");
  });
}

const HOWS = ["passed", "refused", "limited", "overloaded", "failed"] as const;
const END = fc.record({
  how: fc.constantFrom(...HOWS),
  rates: fc.record({
    retryAfterMs: fc.integer({ min: 0, max: 5_000 }),
    requests: fc.record({ left: fc.nat(5), resetInMs: fc.nat(5_000) }),
  }, { requiredKeys: [] }),
});
const STEP = fc.oneof(
  fc.record({ is: fc.constant("enter" as const), tree: fc.nat(6) }),
  fc.record({ is: fc.constant("end" as const), which: fc.nat(50), end: END }),
  fc.record({ is: fc.constant("leave" as const), which: fc.nat(50) }),
  fc.record({ is: fc.constant("wait" as const), ms: fc.nat(3_000) }),
);

Deno.test("Whatever happens, every call that came in is sent or over, and ends once", () => {
  const options = { concurrency: 3, tries: 3, breaker: { attempts: 4, coolMs: 1_000 } };
  fc.assert(fc.property(fc.array(STEP, { maxLength: 120 }), (steps) => {
    const gate = new Admission(options);
    const inside = new Set<number>();
    const out = new Set<number>();
    let nowMs = 0;
    const turn = (): number | null => {
      const { send, over, wakeAtMs } = gate.next(nowMs);
      for (const id of over) assert.ok(inside.delete(id) && !out.has(id));
      for (const id of send) assert.ok(inside.has(id) && !out.has(id) && out.add(id));
      assert.ok(wakeAtMs === null || wakeAtMs > nowMs);
      assert.equal(gate.state(nowMs).out, out.size);
      assert.equal(gate.state(nowMs).waiting, inside.size - out.size);
      return wakeAtMs;
    };
    for (const step of steps) {
      const from = step.is === "end" ? [...out] : [...inside];
      if (step.is === "enter") inside.add(gate.enter(call(`t_${step.tree}`), nowMs));
      else if (step.is === "wait") nowMs += step.ms;
      else if (from.length > 0) {
        const id = from[step.which % from.length]!;
        out.delete(id);
        if (step.is === "leave") gate.leave(id, nowMs);
        const isOver = step.is === "leave" || gate.ended(id, step.end, nowMs) === "over";
        if (isOver) inside.delete(id);
      }
      turn();
    }
    for (let n = 0; inside.size > 0; n++) {
      assert.ok(n < 1_000, "A gate stands still");
      for (const id of out) {
        assert.equal(gate.ended(id, PASSED, nowMs), "over");
        inside.delete(id);
      }
      out.clear();
      nowMs = turn() ?? nowMs;
    }
  }));
});
