/**
 * When lines are written: a run that is alone waits for no turn, what is ready together goes
 * together, and who is always ready keeps nobody from the processor.
 * @module
 */

import assert from "node:assert/strict";
import { realClock } from "../providers/clock.ts";
import { MemoryStore } from "../testing.ts";
import type { Batch } from "../kernel/store.ts";
import { Tree } from "../kernel/tree.ts";
import { Committer } from "../runtime/committer.ts";
import { allow } from "../mod.ts";
import { imageOf, inWorld, type World } from "./world_fixture.ts";

/** A store that notes how many trees went into each commit. */
class NotedStore extends MemoryStore {
  readonly groups: number[] = [];

  override commit(batches: readonly Batch[]): Promise<void> {
    this.groups.push(batches.length);
    return super.commit(batches);
  }
}

const CALLS = 4_000;

/** A process that appends, a call at a time, until it is told that it is enough; it may dawdle. */
async function spawnBusy(
  world: World,
  isEnough: (calls: number) => boolean,
  waits = 0,
): Promise<void> {
  await world.os.spawn(
    imageOf(async ({ sys }) => {
      await sys.object.create({ name: "list", list: true });
      for (let n = 0; n < CALLS && !isEnough(n); n++) {
        for (let i = 0; i < waits; i++) await undefined;
        await sys.object.append({ object: "list", item: n });
      }
    }),
    { goal: "busy" },
  );
}

Deno.test("A run that is alone is answered before the event loop turns, and every so often after", async () => {
  let turns = 0;
  let isOver = false;
  const clock = { ...realClock, now: () => 0 };
  const count = (): void => {
    turns += 1;
    if (!isOver) clock.soon(count);
  };
  const committer = new Committer(new MemoryStore(), clock, {
    isAlone: () => true,
    committed: () => {},
    refused: () => assert.fail("nothing was to be refused"),
  });
  const tree = Tree.empty("t_1", { rights: [] });
  clock.soon(count);
  await committer.durable(tree);
  assert.equal(turns, 0);
  for (let n = 0; n < 1_000; n++) await committer.durable(tree);
  assert.ok(turns >= 100 && turns < 300, `${turns} turns`);
  isOver = true;
});

Deno.test("A run that is alone gives a turn before each write when writing takes long", async () => {
  let turns = 0;
  let nowMs = 0;
  const committer = new Committer(new MemoryStore(), {
    ...realClock,
    now: () => nowMs += 10,
    soon: (job) => {
      turns += 1;
      realClock.soon(job);
    },
  }, {
    isAlone: () => true,
    committed: () => {},
    refused: () => assert.fail("nothing was to be refused"),
  });
  const tree = Tree.empty("t_1", { rights: [] });
  for (let n = 0; n < 100; n++) await committer.durable(tree);
  assert.equal(turns, 100);
});

Deno.test("A process that makes thousands of durable calls keeps no timer and no other process waiting", () =>
  inWorld(async (world) => {
    const seen = { timer: false, other: false };
    let calls = 0;
    await spawnBusy(world, (made) => {
      calls = made;
      return seen.timer && seen.other;
    });
    const timer = setTimeout(() => seen.timer = true, 0);
    const run = world.os.runUntilIdle();
    setImmediate(() =>
      void world.os.spawn(
        imageOf(async ({ sys }) => {
          await sys.object.create({ name: "note", value: 1 });
          seen.other = true;
        }),
        { goal: "other" },
      )
    );
    await run;
    clearTimeout(timer);
    assert.ok(seen.timer && seen.other, `${calls} calls: ${JSON.stringify(seen)}`);
    assert.ok(calls < CALLS - 1, `${calls} calls were made meanwhile`);
  }));

Deno.test("Trees that are ready together are written together", async () => {
  const store = new NotedStore();
  await inWorld(async (world) => {
    const trees = 20;
    for (let i = 0; i < trees; i++) await spawnBusy(world, (made) => made === 50, i);
    store.groups.length = 0;
    await world.os.runUntilIdle();
    const lone = store.groups.filter((size) => size < trees).length;
    assert.ok(lone <= 4, `groups of ${store.groups}`);
  }, { store });
});

Deno.test("What one run asks at once is written at once", async () => {
  const store = new NotedStore();
  await inWorld(async (world) => {
    let before = 0;
    let after = 0;
    await world.run(async ({ sys }) => {
      await sys.object.create({ name: "list", list: true });
      before = store.groups.length;
      await Promise.all([
        sys.object.append({ object: "list", item: 1 }),
        sys.file.write({ path: "./a.txt", text: "a" }),
        sys.file.write({ path: "./b.txt", text: "b" }),
      ]);
      after = store.groups.length;
    }, { grants: [allow("file.write", "./*")] });
    // The item with both intents, then both outcomes.
    assert.equal(after - before, 2);
  }, { store });
});

/** A store that is away: commits take a while, and it is noted which trees are under way at once. */
class FarStore extends MemoryStore {
  readonly isShared = true;
  readonly #underWay = new Set<string>();
  most = 0;
  #commits = 0;

  override async commit(batches: readonly Batch[]): Promise<void> {
    for (const { tree } of batches) {
      assert.ok(!this.#underWay.has(tree), `two commits of "${tree}" are under way`);
      this.#underWay.add(tree);
    }
    this.#commits += 1;
    this.most = Math.max(this.most, this.#commits);
    for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => realClock.soon(resolve));
    await super.commit(batches);
    this.#commits -= 1;
    for (const { tree } of batches) this.#underWay.delete(tree);
  }
}

Deno.test("K1 Two commits of many trees are under way where a store is away, and one of each tree", async () => {
  const store = new FarStore();
  await inWorld(async (world) => {
    for (let i = 0; i < 64; i++) await spawnBusy(world, (made) => made === 8, i % 4);
    store.most = 0;
    await world.os.runUntilIdle();
  }, { store });
  assert.equal(store.most, 2);
});
