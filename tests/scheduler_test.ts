/**
 * Whose turn it is: fair between trees and processes, by priority, and never starving anyone.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Pid, TreeId } from "../kernel/ids.ts";
import { Scheduler } from "../kernel/scheduler.ts";
import { imageOf, inWorld, type World } from "./world_fixture.ts";

/** Turns taken by processes that are always ready, which is the hardest case. */
function turns(trees: readonly (readonly number[])[], count: number): Map<Pid, number[]> {
  const scheduler = new Scheduler();
  const priorities = new Map<Pid, number>();
  const taken = new Map<Pid, number[]>();
  for (const [t, processes] of trees.entries()) {
    for (const [p, priority] of processes.entries()) {
      const pid: Pid = `p_${t + 1}.${p + 1}`;
      priorities.set(pid, priority);
      taken.set(pid, []);
      scheduler.enqueue(`t_${t + 1}`, pid);
    }
  }
  for (let turn = 0; turn < count; turn++) {
    const next = scheduler.next((_, pid) => priorities.get(pid)!)!;
    taken.get(next.pid)!.push(turn);
    scheduler.enqueue(next.tree, next.pid);
  }
  return taken;
}

const PRIORITY = fc.integer({ min: 1, max: 100 });
const TREES = fc.array(fc.array(PRIORITY, { minLength: 1, maxLength: 6 }), {
  minLength: 1,
  maxLength: 5,
});

Deno.test("Scheduler starves nobody: each process has a turn within its share of all turns", () => {
  fc.assert(
    fc.property(TREES, (trees) => {
      const taken = turns(trees, 4_000);
      for (const [t, processes] of trees.entries()) {
        const all = processes.reduce((sum, each) => sum + each, 0);
        for (const [p, priority] of processes.entries()) {
          // Its share of the turns of its tree, whose share is that of any tree; one round of slack.
          const gapMax = trees.length * (Math.ceil(all / priority) + processes.length + 1);
          const mine = taken.get(`p_${t + 1}.${p + 1}`)!;
          let last = -1;
          for (const turn of mine.concat(gapMax < 4_000 ? [] : [last])) {
            assert.ok(turn - last <= gapMax, `waited ${turn - last} turns, expected ${gapMax}`);
            last = turn;
          }
          if (gapMax < 4_000) assert.ok(mine.length > 0);
        }
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("Scheduler is fair between trees, however many processes each has", () => {
  fc.assert(
    fc.property(TREES, (trees) => {
      const taken = turns(trees, 100 * trees.length);
      for (const [t, processes] of trees.entries()) {
        const mine = processes.map((_, p) => taken.get(`p_${t + 1}.${p + 1}`)!.length);
        assert.equal(mine.reduce((sum, each) => sum + each, 0), 100);
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("Scheduler gives equal priorities their turns in rounds", () => {
  const taken = turns([[10, 10, 10, 10]], 40);
  for (const mine of taken.values()) {
    assert.deepEqual(mine, Array.from({ length: 10 }, (_, i) => mine[0]! + 4 * i));
  }
});

Deno.test("Scheduler gives turns in proportion to priority", () => {
  const taken = turns([[10, 20, 70]], 1_000);
  const counts = [1, 2, 3].map((p) => taken.get(`p_1.${p}`)!.length);
  for (const [i, share] of [100, 200, 700].entries()) {
    assert.ok(Math.abs(counts[i]! - share) <= 3, `${counts} turns, expected about ${share}`);
  }
});

Deno.test("Scheduler lets a newcomer neither wait for the past nor be owed it", () => {
  const scheduler = new Scheduler();
  const next = (): Pid => scheduler.next(() => 10)!.pid;
  scheduler.enqueue("t_1", "p_1.1");
  for (let i = 0; i < 100; i++) {
    assert.equal(next(), "p_1.1");
    scheduler.enqueue("t_1", "p_1.1");
  }
  scheduler.enqueue("t_1", "p_1.2");
  const order: Pid[] = [];
  for (let i = 0; i < 6; i++) {
    const pid = next();
    order.push(pid);
    scheduler.enqueue("t_1", pid);
  }
  const newcomers = order.filter((pid) => pid === "p_1.2").length;
  assert.ok(newcomers >= 2 && newcomers <= 4, order.join());
});

Deno.test("Scheduler queues a process once, and is empty when all had their turn", () => {
  const scheduler = new Scheduler();
  for (let i = 0; i < 3; i++) scheduler.enqueue("t_1", "p_1");
  assert.equal(scheduler.size, 1);
  assert.deepEqual(scheduler.next(() => 1), { tree: "t_1", pid: "p_1" });
  assert.equal(scheduler.next(() => 1), undefined);
  scheduler.forget("t_1", "p_1");
  scheduler.forget("t_9" as TreeId, "p_9");
  assert.equal(scheduler.size, 0);
});

/** Processes that each make so many steps, and the order in which they made them. */
async function spawnSteppers(world: World, count: number, steps: number): Promise<string[]> {
  const order: string[] = [];
  const image = imageOf(({ step }) => Promise.resolve(step));
  const program: NonNullable<typeof image.program> = async (context) => {
    order.push(context.pid);
    if (context.step === steps) await context.sys.process.exit({});
  };
  for (let i = 0; i < count; i++) await world.os.spawn({ ...image, program }, { goal: "x" });
  return order;
}

Deno.test("Runtime.step() makes one step of one process, in turn, and none when none is ready", () =>
  inWorld(async (world) => {
    const order = await spawnSteppers(world, 3, 2);
    await world.clock.settle();
    assert.deepEqual(order, []);
    for (let made = 1; made <= 6; made++) {
      assert.equal(await world.os.step(), true);
      assert.equal(order.length, made);
    }
    assert.equal(await world.os.step(), false);
    assert.deepEqual(new Set(order.slice(0, 3)), new Set(["p_1", "p_2", "p_3"]));
  }));

Deno.test("Runtime with autorun: false runs nothing by itself, not even what an order woke", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(({ sys }) => sys.message.receive({})));
    await process.send("hello");
    await world.clock.settle();
    assert.equal((await process.info()).state, "ready");
    await world.os.runUntilIdle();
    assert.equal((await process.info()).state, "ended");
  }));

for (const concurrency of [1, 3, 64]) {
  Deno.test(`Runtime makes at most ${concurrency} steps at the same time`, () =>
    inWorld(async (world) => {
      let running = 0;
      let most = 0;
      const image = imageOf(async ({ sys }) => {
        running += 1;
        most = Math.max(most, running);
        await sys.object.create({ name: "a" });
        await sys.object.create({ name: "b" });
        running -= 1;
      });
      for (let i = 0; i < 10; i++) await world.os.spawn(image, { goal: "x" });
      await world.os.runUntilIdle();
      assert.equal(most, Math.min(10, concurrency));
    }, { concurrency }));
}
