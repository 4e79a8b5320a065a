/**
 * Trails: what a tree in memory knows of its latest checkpoints is what its log says of them, is
 * bounded, and holds nothing that was taken away. (After each test of a world all are compared.)
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import { takeCheckpoint } from "../kernel/checkpoint.ts";
import { Draft } from "../kernel/draft.ts";
import type { EventMap, EventType } from "../kernel/event.ts";
import type { ObjectId, TreeId } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Batch, Snapshot, StoredBatch } from "../kernel/store.ts";
import { Tree } from "../kernel/tree.ts";
import { eraseObject } from "../runtime/retention.ts";
import { codeOf, imageOf, inWorld, START_MS, World } from "./world_fixture.ts";

const SECRET = "The secret of Ann: ".padEnd(600, "s");

function add<T extends EventType>(tree: Tree, type: T, data: EventMap[T]): void {
  const draft = new Draft(tree, START_MS);
  draft.add(type, data);
  tree.commit(draft);
}

function mark(tree: Tree): number {
  const draft = new Draft(tree, START_MS);
  takeCheckpoint(draft, { name: "here", by: "test" });
  tree.commit(draft);
  return tree.state.seq;
}

function make(tree: Tree, n: number): ObjectId {
  const id: ObjectId = `obj_1.${n}`;
  const label = { sensitivity: "public", trust: "user" } as const;
  const from = { call: "p_1#1.1", pid: "p_1", sources: [] } as const;
  const data = { id, name: `p_1/${n}`, owner: "p_1", type: "json", mutable: true } as const;
  add(tree, "object.created", { ...data, list: true, version: 0, label, from });
  return id;
}

Deno.test("A trail knows the latest checkpoints, as many as there is room for, and forgets the oldest", () => {
  const tree = Tree.empty("t_1", { rights: [] });
  const dumps = new Map<number, string>();
  for (let i = 0; i < LIMITS.positionsKeptMax + 5; i++) {
    make(tree, i);
    dumps.set(mark(tree), tree.dump());
  }
  assert.equal(tree.trail.seqs.length, LIMITS.positionsKeptMax);
  assert.deepEqual(tree.trail.seqs, [...dumps.keys()].slice(-LIMITS.positionsKeptMax));
  for (const seq of tree.trail.seqs) {
    assert.equal(canonical(tree.trail.recall(seq, true)!.state), dumps.get(seq));
  }
  assert.equal(tree.trail.recall([...dumps.keys()][0]!, true), undefined);
});

Deno.test("A trail keeps no more entries than there is room for, and ends where one checkpoint has more", () => {
  const tree = Tree.empty("t_1", { rights: [] });
  const first = mark(tree);
  make(tree, 0);
  const second = mark(tree);
  const before = tree.dump();
  for (let i = 1; i < LIMITS.positionEntriesKeptMax; i++) make(tree, i);
  assert.deepEqual(tree.trail.seqs, [second], `the checkpoint at ${first} is kept`);
  assert.equal(canonical(tree.trail.recall(second, true)!.state), before);
  make(tree, LIMITS.positionEntriesKeptMax);
  make(tree, LIMITS.positionEntriesKeptMax + 1);
  assert.deepEqual(tree.trail.seqs, []);
  const third = mark(tree);
  const dump = tree.dump();
  make(tree, LIMITS.positionEntriesKeptMax + 2);
  assert.equal(canonical(tree.trail.recall(third, true)!.state), dump);
});

Deno.test("An item more of a list copies none of those it has", () => {
  const tree = Tree.empty("t_1", { rights: [] });
  const id = make(tree, 0);
  const item = (n: number) => {
    const from = { call: "p_1#1.1", pid: "p_1", sources: [] } as const;
    const label = { sensitivity: "public", trust: "user" } as const;
    add(tree, "object.appended", { id, version: n, item: { value: n }, label, from });
  };
  item(1);
  const seq = mark(tree);
  item(2);
  item(3);
  const { items } = tree.trail.recall(seq, false)!.state.objects[id]!;
  assert.deepEqual(items.map(({ value }) => value), [{ value: 1 }]);
  assert.equal(tree.state.objects[id]!.items.length, 3);
});

Deno.test("What was erased since a checkpoint is not brought back by going back or branching off", () =>
  inWorld(async (world) => {
    const agent = await world.start(imageOf(async ({ sys }) => {
      await sys.object.create({ name: "ann", value: SECRET });
      await sys.checkpoint.create({ name: "told" });
    }));
    assert.equal((await world.tree()).trail.seqs.length, 1);
    await eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "" });
    assert.deepEqual((await world.tree()).trail.seqs, []);
    assert.equal(await codeOf(agent.restore("told")), "ESTATE");
    assert.equal(await codeOf(agent.fork("told")), "ESTATE");
  }));

Deno.test("A line that lets payloads be redacted ends the trail: what they said is not kept", () => {
  const tree = Tree.empty("t_1", { rights: [] });
  mark(tree);
  add(tree, "payloads.redacted", { to: 1, kept: [], by: "test" });
  assert.deepEqual(tree.trail.seqs, []);
});

/** A store which notes what of a log is read. */
class Noted extends MemoryStore {
  readonly reads: number[] = [];
  looks = 0;
  /** The commit with a line of this type is never heard of again: before, or after it was made. */
  dies: { readonly type: string; readonly when: "before" | "after" } | null = null;
  isDead = false;

  override read(tree: TreeId, fromSeq: number): AsyncIterable<StoredBatch> {
    this.reads.push(fromSeq);
    return super.read(tree, fromSeq);
  }

  override getSnapshot(tree: TreeId, atMost?: number): Promise<Snapshot | undefined> {
    this.looks += 1;
    return super.getSnapshot(tree, atMost);
  }

  override async commit(batches: readonly Batch[]): Promise<void> {
    const { dies } = this;
    const isIt = dies !== null &&
      batches.some(({ lines }) => lines.some((line) => line.endsWith(`"type":"${dies.type}"}`)));
    if (isIt && dies.when === "after") await super.commit(batches);
    if (isIt) this.isDead = true;
    if (this.isDead) return new Promise(() => {});
    return await super.commit(batches);
  }
}

const CLERK = imageOf(async ({ sys }) => {
  const { object } = await sys.object.create({ name: "notes", mutable: true, value: 0 });
  for (let n = 1;; n++) {
    await sys.message.receive({});
    await sys.object.write({ object, value: n, from: n });
  }
}, { name: "clerk" });

Deno.test("Going back to a checkpoint, and branching off from it, read no line before it", async () => {
  const store = new Noted();
  await inWorld(async (world) => {
    const agent = await world.start(CLERK, { grants: [allow("object.*", "**")] });
    await agent.send("one");
    await world.os.runUntilIdle();
    await agent.checkpoint("here");
    const { seq } = (await world.tree()).state;
    await agent.send("two");
    await world.os.runUntilIdle();
    [store.looks, store.reads.length] = [0, 0];
    const branch = await agent.fork("here");
    await agent.restore("here");
    assert.deepEqual(store.reads, [seq + 1, seq + 1]);
    assert.equal(store.looks, 0);
    for (const [id, pid] of [["t_1", "p_1"], ["t_2", branch.pid]] as const) {
      const tree = await world.tree(id);
      const { versions } = tree.lookUp(`${pid}/notes`).object!;
      assert.deepEqual(versions.at(-1)!.value, { value: 1 });
    }
  }, { store });
});

for (const when of ["before", "after"] as const) {
  for (const type of ["tree.restored", "tree.forked"] as const) {
    Deno.test(`A kernel that dies ${when} its commit of ${type} leaves all or nothing of it`, async () => {
      const store = new Noted();
      const first = new World({ store });
      const agent = await first.start(CLERK, { grants: [allow("object.*", "**")] });
      await agent.checkpoint("here");
      await agent.send("one");
      await first.os.runUntilIdle();
      store.dies = { type, when };
      const job = type === "tree.forked" ? agent.fork("here") : agent.restore("here");
      job.then(() => assert.fail("it was heard of"), () => {});
      while (!store.isDead) await first.clock.settle();
      [store.dies, store.isDead] = [null, false];
      const { clock, files } = first;
      await inWorld(async (world) => {
        await world.os.node.openLive(10);
        await world.os.runUntilIdle();
        const isWhole = when === "after";
        assert.equal(
          (await world.events("tree.restored")).length,
          Number(isWhole && type === "tree.restored"),
        );
        const trees = await world.os.trees({ all: true });
        const forked = trees.filter(({ tree }) => tree !== "t_1");
        for (const { tree } of forked) {
          const lines = await world.lines(tree as TreeId);
          assert.equal(lines.some((line) => line.type === "tree.forked"), isWhole);
        }
        // Once more: whatever there was of it is in nobody's way.
        const again = (await world.os.get("p_1"))!;
        const branch = await again.fork("here");
        await branch.send("two");
        await world.os.runUntilIdle();
        assert.equal((await branch.info()).state, "waiting");
      }, { store, clock, files, seed: 2, images: [CLERK] });
    });
  }
}
