/**
 * A gate's rates: what may be sent, of what was given and of what an endpoint says is left.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Told } from "../kernel/gate_head.ts";
import { Rate, type Sent } from "../kernel/gate_rate.ts";

Deno.test("In no window's length more is sent than the limit that was given", () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 });
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), gaps, (most, steps) => {
    const rate = new Rate({ most, windowMs: 1_000 });
    const sent: number[] = [];
    let nowMs = 0;
    for (const step of steps) {
      nowMs += step;
      const readyAtMs = rate.readyAtMs(1, nowMs);
      assert.ok(readyAtMs === 0 || (readyAtMs > nowMs && readyAtMs <= nowMs + 1_000));
      if (readyAtMs > 0) continue;
      rate.ended(rate.sent(1, nowMs), 1, nowMs);
      sent.push(nowMs);
      assert.ok(sent.filter((atMs) => atMs > nowMs - 1_000).length <= most);
    }
  }));
});

function end(rate: Rate, sent: Sent, told: Told, nowMs = 0): void {
  rate.heard(sent, told, nowMs);
  rate.ended(sent, sent.amount, nowMs);
}

const MOVES = fc.array(fc.record({ send: fc.boolean(), which: fc.nat(100) }), { maxLength: 120 });

Deno.test("What an endpoint says is left is never overdrawn, in whatever order its answers come", () => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 15 }), MOVES, (limit, moves) => {
    const rate = new Rate({ windowMs: 60_000 });
    const out: { sent: ReturnType<Rate["sent"]>; left: number }[] = [];
    let counted = 0;
    for (const { send, which } of moves) {
      // The first tells; nobody knows anything before it has.
      if (send && (counted === 0 || (out.length < counted && rate.readyAtMs(1, 0) === 0))) {
        counted += 1;
        assert.ok(counted <= limit, "More was sent than there was");
        out.push({ sent: rate.sent(1, 0), left: limit - counted });
      } else if (!send && out.length > 0) {
        const [{ sent, left }] = out.splice(which % out.length, 1) as [typeof out[number]];
        end(rate, sent, { limit, left, resetInMs: 60_000 });
      }
    }
    if (out.length > 0 || counted === 0) return;
    assert.equal(rate.state(0).left, limit - counted, "Some of the window is lost");
    assert.equal(rate.readyAtMs(1, 60_000), 0);
    assert.equal(rate.state(60_000).left, limit);
  }));
});

Deno.test("What is heard late of a window that is over says nothing of the next", () => {
  const rate = new Rate({ windowMs: 60_000 });
  const [early, late] = [rate.sent(1, 0), rate.sent(1, 0)];
  end(rate, early, { limit: 2, left: 1, resetInMs: 1_000 });
  end(rate, late, { limit: 2, left: 0, resetInMs: 0 }, 1_001);
  assert.equal(rate.readyAtMs(1, 1_001), 0);
});

Deno.test("What is said before a long answer's end holds at once, and what it costs beyond is counted", () => {
  const rate = new Rate({ windowMs: 60_000 });
  const [long, short] = [rate.sent(10, 0), rate.sent(10, 0)];
  rate.heard(long, { limit: 100, left: 90, resetInMs: 60_000 }, 0);
  assert.equal(rate.state(0).left, 80, "the other is still out");
  end(rate, short, { limit: 100, left: 80, resetInMs: 60_000 }, 10);
  assert.equal(rate.state(10).left, 80);
  rate.ended(long, 35, 30_000);
  assert.equal(rate.state(30_000).left, 55);
});

Deno.test("Where a rate fills up again as time goes, later answers say more", () => {
  const rate = new Rate({ windowMs: 60_000 });
  const hear = (left: number, nowMs: number) =>
    end(rate, rate.sent(1, nowMs), { left, resetInMs: 60_000 }, nowMs);
  hear(1, 0);
  hear(5, 5_000);
  assert.equal(rate.state(5_000).left, 5);
});

Deno.test("With nothing left, no time known and nothing out, one is sent to find out", () => {
  const rate = new Rate({ windowMs: 60_000 });
  const [first, second] = [rate.sent(1, 0), rate.sent(1, 0)];
  end(rate, first, { left: 0 });
  assert.equal(rate.readyAtMs(1, 0), Infinity);
  end(rate, second, { left: 0 });
  assert.equal(rate.readyAtMs(1, 0), 0);
});

Deno.test("A rate takes what an attempt cost in truth, and lets one through that is above it all", () => {
  const rate = new Rate({ most: 100, windowMs: 1_000 });
  assert.equal(rate.readyAtMs(500, 0), 0);
  rate.ended(rate.sent(10, 0), 90, 0);
  assert.equal(rate.state(0).left, 10);
  assert.equal(rate.readyAtMs(20, 1), 1_000);
  assert.equal(rate.readyAtMs(500, 1_000), 0);
});
