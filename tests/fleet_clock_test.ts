/**
 * The time of nodes that share a store: whatever the machine's own clock does, it is the store's.
 * @module
 */

import assert from "node:assert/strict";
import { FleetClock } from "../runtime/fleet_clock.ts";
import { SeededRandom, VirtualClock } from "../testing.ts";

const HOUR_MS = 3_600_000;

/** A machine: its clock can be set, its steady time goes on. */
class Machine extends VirtualClock {
  ownMs = 0;
  steadyMs = 50_000;

  override now(): number {
    return this.ownMs;
  }

  steady(): number {
    return this.steadyMs;
  }
}

/** Asks a store whose time is the machine's steady one and `aheadMs`; the answer takes so long. */
async function ask(
  machine: Machine,
  clock: FleetClock,
  aheadMs: number,
  [thereMs, backMs]: readonly [number, number],
): Promise<void> {
  await clock.hear(() => {
    machine.steadyMs += thereMs;
    const nowMs = machine.steadyMs + aheadMs;
    machine.steadyMs += backMs;
    return Promise.resolve(nowMs);
  }, (nowMs) => nowMs);
}

function over(machine: Machine): FleetClock {
  const clock = FleetClock.over(machine);
  assert.ok(clock instanceof FleetClock);
  return clock;
}

Deno.test("FleetClock goes by the machine until it has heard the store, and then by the store", async () => {
  const machine = new Machine();
  machine.ownMs = 7 * HOUR_MS;
  const clock = over(machine);
  assert.equal(clock.now(), 7 * HOUR_MS);
  await ask(machine, clock, 1_000_000, [0, 0]);
  assert.equal(clock.now(), machine.steadyMs + 1_000_000);
  // Between two answers time goes on, whatever is done to the machine's clock.
  for (const jumpMs of [HOUR_MS, -3 * HOUR_MS, 48 * HOUR_MS]) {
    machine.ownMs += jumpMs;
    machine.steadyMs += 250;
    assert.equal(clock.now(), machine.steadyMs + 1_000_000);
  }
});

Deno.test("FleetClock is off by no more than the answer took, and each answer only mends it", async () => {
  const random = new SeededRandom(5);
  for (let round = 0; round < 200; round++) {
    const machine = new Machine();
    const clock = over(machine);
    const aheadMs = random.below(10 * HOUR_MS) - 5 * HOUR_MS;
    let offMs = Infinity;
    for (let answer = 0; answer < 6; answer++) {
      const took = [random.below(4_000), random.below(4_000)] as const;
      await ask(machine, clock, aheadMs, took);
      const nowMs = Math.abs(clock.now() - (machine.steadyMs + aheadMs));
      assert.ok(nowMs <= took[0] + took[1] + 1 && nowMs <= offMs + 1, `${nowMs} of ${took}`);
      offMs = nowMs;
      machine.steadyMs += random.below(10_000);
    }
  }
});

Deno.test("FleetClock follows a store whose time was set, and a machine that slept", async () => {
  const machine = new Machine();
  const clock = over(machine);
  await ask(machine, clock, 0, [1, 1]);
  await ask(machine, clock, -HOUR_MS, [1, 1]);
  assert.ok(Math.abs(clock.now() - (machine.steadyMs - HOUR_MS)) <= 2);
  // The steady time stood still for an hour, and the store's did not.
  await ask(machine, clock, 0, [1, 1]);
  assert.ok(Math.abs(clock.now() - machine.steadyMs) <= 2);
});

Deno.test("FleetClock keeps what it knows when nothing was heard", async () => {
  const machine = new Machine();
  const clock = over(machine);
  await ask(machine, clock, 9_000, [0, 0]);
  await clock.hear(() => Promise.resolve(null), () => undefined);
  await assert.rejects(clock.hear(() => Promise.reject(new Error("away")), () => 1), /away/);
  assert.equal(clock.now(), machine.steadyMs + 9_000);
});

Deno.test("A clock without steady time is taken at its word", () => {
  const clock = new VirtualClock(12);
  assert.equal(FleetClock.over(clock), clock);
});
