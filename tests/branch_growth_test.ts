/**
 * Branching off is one small commit, and what the branch begins with grows from there: beside a
 * tree that goes on, through deaths at every commit, and before anything is taken away.
 * @module
 */

import assert from "node:assert/strict";
import { allow, SqliteStore } from "../mod.ts";
import { MemoryStore, SeededRandom, VirtualClock } from "../testing.ts";
import { RIGHTS } from "../broker/table.ts";
import { branched } from "../kernel/branch.ts";
import type { EventMap } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical, sha256 } from "../kernel/json.ts";
import { renamed } from "../kernel/rename.ts";
import { readSince, rewind } from "../kernel/rewind.ts";
import { COLLECTIONS, type State } from "../kernel/state.ts";
import type { Batch, Store } from "../kernel/store.ts";
import { Tree } from "../kernel/tree.ts";
import { gc } from "../runtime/collect.ts";
import { readLines } from "../runtime/load.ts";
import { exportTree } from "../runtime/portable.ts";
import { redactDue } from "../runtime/redaction.ts";
import { eraseObject } from "../runtime/retention.ts";
import type { AgentProcess } from "../runtime/process.ts";
import { type DeathPlan, Died, MortalWorld } from "./world_fixture_crash.ts";
import { codeOf, CountedFiles, imageOf, inWorld, START_MS, World } from "./world_fixture.ts";

const GRANTS = [allow("object.*", "**"), allow("process.*", "**"), allow("message.send", "**")];
const SECRET = "The secret of Ann: ".padEnd(600, "s");
/** So many are some ten pieces, and two commits. */
const MANY = 750;

const TEXT = "x".repeat(200);

/** What is asked of the program, by message. */
interface Work {
  readonly make?: number;
  readonly change?: readonly number[];
  readonly remove?: readonly number[];
  readonly children?: number;
}

/** Makes, changes and removes objects as each message says. */
const KEEPER = imageOf(async ({ sys }) => {
  let made = 0;
  for (;;) {
    const { messages } = await sys.message.receive({});
    const work = messages[0]!["data"] as unknown as Work;
    for (let i = 0; i < (work.make ?? 0); i++, made++) {
      await sys.object.create({ name: `o${made}`, mutable: true, value: { n: made, text: TEXT } });
    }
    for (const n of work.change ?? []) {
      const { version } = await sys.object.read({ object: `o${n}` });
      await sys.object.write({ object: `o${n}`, value: { changed: n }, from: version });
    }
    for (const n of work.remove ?? []) await sys.object.delete({ object: `o${n}` });
    for (let i = 0; i < (work.children ?? 0); i++) await sys.process.fork({ goal: `child ${i}` });
  }
}, { name: "keeper" });

async function keeper(world: World, make: number): Promise<AgentProcess> {
  const agent = await world.start(KEEPER, { grants: GRANTS });
  await agent.send({ make });
  await world.os.runUntilIdle();
  return agent;
}

async function foldTo(store: Store, id: TreeId, seq: number): Promise<State> {
  const tree = Tree.empty(id, { rights: RIGHTS });
  for await (const line of readLines(store, id)) if (line.seq <= seq) tree.replay(line);
  return tree.state;
}

/** All that a branch is given, as text. */
function partsOf(state: State): string {
  const { policy, ceiling, next } = state;
  return canonical([...COLLECTIONS.map((name) => state[name]), policy, ceiling, next]);
}

/** What a branch has to be: worked out all at once from the other log, as that was. */
async function expected(store: Store, id: TreeId): Promise<string> {
  const lines = await Array.fromAsync(readLines(store, id));
  const { data } = lines.find(({ type }) => type === "tree.forked")!;
  const { from, seq, end, edits } = data as EventMap["tree.forked"];
  const since = await readSince(
    (await Array.fromAsync(readLines(store, from))).filter((line) =>
      line.seq > seq && line.seq <= end!.seq
    ),
  );
  const then = await foldTo(store, from, seq);
  const now = await foldTo(store, from, end!.seq);
  return partsOf(renamed(branched(rewind(then, now, since), "p_1", edits!), id));
}

/** What a branch was as soon as it was whole. */
async function grown(store: Store, id: TreeId): Promise<string> {
  const lines = await Array.fromAsync(readLines(store, id));
  const last = lines.filter(({ type }) => type === "tree.grown").at(-1)!;
  assert.equal((last.data as EventMap["tree.grown"]).isWhole, true);
  return partsOf(await foldTo(store, id, last.seq));
}

/** A store that notes its commits, and how often it is read. */
class Watched extends MemoryStore {
  readonly commits: Batch[] = [];
  reads = 0;

  override read(...given: Parameters<MemoryStore["read"]>): ReturnType<MemoryStore["read"]> {
    this.reads += 1;
    return super.read(...given);
  }

  override async commit(batches: readonly Batch[]): Promise<void> {
    await super.commit(batches);
    this.commits.push(...batches);
  }
}

Deno.test("To branch off is one small commit and reads nothing, whatever the tree holds", async () => {
  const costs: unknown[] = [];
  for (const work of [{ make: 1 }, { make: MANY }, { make: 1, children: 40 }]) {
    const store = new Watched();
    await inWorld(async (world) => {
      const agent = await keeper(world, 0);
      await agent.send(work);
      await world.os.runUntilIdle();
      const { seq } = (await world.tree()).state;
      [store.commits.length, store.reads] = [0, 0];
      const branch = await agent.fork(seq, { goal: "another" });
      assert.equal(branch.pid, "p_2");
      const { commits: [commit, ...more], reads } = store;
      const bytes = commit!.lines.join("").length;
      costs.push([more.length, reads, commit!.lines.length, commit!.payloads.size]);
      assert(bytes < 1_000, `${bytes} bytes`);
    }, { store });
  }
  assert.deepEqual(costs, [[0, 0, 2, 0], [0, 0, 2, 0], [0, 0, 2, 0]]);
});

for (let seed = 1; seed <= 3; seed++) {
  Deno.test(`A branch is what its origin was, whatever that does while it grows (seed ${seed})`, async () => {
    const store = new Watched();
    await inWorld(async (world) => {
      const agent = await keeper(world, MANY);
      const random = new SeededRandom(seed);
      const some = (count: number): number[] => {
        const all = new Set<number>();
        while (all.size < count) {
          const [high, low] = random.bytes(2) as unknown as [number, number];
          all.add((high * 256 + low) % MANY);
        }
        return [...all];
      };
      await agent.checkpoint("here");
      const seqs: (number | string)[] = [(await world.tree()).state.seq, "here", "here"];
      await agent.send({ change: some(5), children: 1 });
      await world.os.runUntilIdle();
      const at = seed % 2 === 0 ? (await world.tree()).state.seq : seqs[seed % 3]!;
      const work = some(120);
      store.commits.length = 0;
      await agent.send({ make: 5, change: work.slice(0, 80), remove: work.slice(80), children: 2 });
      const branch = await agent.fork(at, { message: "of the branch" });
      await agent.checkpoint("meanwhile");
      await world.os.runUntilIdle();
      const order = store.commits.map(({ tree }) => tree);
      const [first, last] = [order.indexOf("t_2"), order.lastIndexOf("t_2")];
      assert(order.slice(first, last).includes("t_1"), "nothing went on while it grew");
      assert.equal(await grown(store, "t_2"), await expected(store, "t_2"));
      await branch.send({ make: 1 });
      await world.os.runUntilIdle();
      assert.equal((await branch.info()).state, "waiting");
    }, { store });
  });
}

type DeathPlans = readonly DeathPlan[];

/** Branches off, dies as planned, and lives again: what is there then. */
async function dies(store: Store, plan: DeathPlans): Promise<void> {
  const [clock, files] = [new VirtualClock(START_MS), new CountedFiles()];
  let life = 10;
  let isAsked = false;
  for (const each of [...plan, null]) {
    const options = { images: [KEEPER] };
    const world = new MortalWorld({ store, clock, files, plan: each, life: life++, options });
    try {
      await world.live(async () => {
        if (!isAsked) {
          isAsked = true;
          const agent = (await world.os.get("p_1"))!;
          await agent.fork((await world.tree()).state.seq);
        }
        await world.os.node.openLive(10);
        await world.os.runUntilIdle();
      });
      await world.close();
    } catch (error) {
      if (!(error instanceof Died)) throw error;
    }
  }
}

Deno.test("Killed at any commit of it, a branch is whole when the store is opened again, or is not there", async () => {
  const folder = await Deno.makeTempDir({ prefix: "libos-grow-" });
  try {
    const made = `${folder}/made.db`;
    const store = SqliteStore.open(made, { durability: "process" });
    await inWorld(async (world) => void await keeper(world, MANY), { store });
    const plans: DeathPlans[] = [];
    for (let at = 2; at <= 4; at++) plans.push([{ at, when: "before" }], [{ at, when: "after" }]);
    plans.push([{ at: 2, when: "after" }, { at: 2, when: "after" }, { at: 1, when: "before" }]);
    const found = new Map<boolean, number>();
    for (const [i, plan] of plans.entries()) {
      const path = `${folder}/${i}.db`;
      await Deno.copyFile(made, path);
      const again = SqliteStore.open(path, { durability: "process" });
      await dies(again, plan);
      const isThere = ((await again.head("t_2"))?.seq ?? 0) > 0;
      found.set(isThere, (found.get(isThere) ?? 0) + 1);
      if (isThere) assert.equal(await grown(again, "t_2"), await expected(again, "t_2"), `${i}`);
      await inWorld(() => Promise.resolve(), { store: again, images: [KEEPER] });
    }
    assert((found.get(false) ?? 0) > 0 && (found.get(true) ?? 0) > 4, JSON.stringify([...found]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A store in which a branch has only its first commit. */
async function begun(work: (world: World) => Promise<AgentProcess>): Promise<MemoryStore> {
  const store = new MemoryStore();
  const [clock, files] = [new VirtualClock(START_MS), new CountedFiles()];
  const options = { images };
  const first = new MortalWorld({ store, clock, files, plan: null, life: 6, options });
  await work(first);
  await first.close();
  // Opening the origin is the first commit, and branching off is the second.
  const plan = { at: 3, when: "before" } as const;
  const world = new MortalWorld({ store, clock, files, plan, life: 7, options });
  const job = world.live(async () => {
    const agent = (await world.os.get("p_1"))!;
    await agent.fork((await world.tree()).state.seq);
    await world.os.runUntilIdle();
  });
  await assert.rejects(job, Died);
  assert.equal(
    (await store.head("t_2"))!.summary.title,
    "branched off t_1 at line " +
      `${(await store.head("t_1"))!.seq}`,
  );
  return store;
}

/** Has a large value and a small one, and waits. */
const OWNER = imageOf(async ({ sys }) => {
  const { object } = await sys.object.create({ name: "ann", mutable: true, value: SECRET });
  await sys.message.receive({});
  await sys.object.delete({ object });
  await sys.message.receive({});
}, { name: "owner" });
const images = [KEEPER, OWNER];

async function owner(world: World): Promise<AgentProcess> {
  return await world.start(OWNER, { grants: GRANTS });
}

const NOBODY = imageOf(() => Promise.resolve());

Deno.test("What is erased of the origin of a branch that has not grown is gone from the branch, which says so", async () => {
  const store = await begun(owner);
  await inWorld(async (world) => {
    // The step in hand made it: what a live process works with is not erased.
    const end = { kind: "signal", signal: "kill", reason: "", by: "operator" } as const;
    await world.os.order("t_1", { ...end, pid: "p_1" });
    assert.equal(await codeOf(eraseObject(world.os.node, "t_1", "p_1/ann", DPO)), "ESTATE");
    await world.os.order("t_2", { ...end, pid: "p_2" });
    const told = await eraseObject(world.os.node, "t_1", "p_1/ann", { ...DPO, partly: true });
    assert.deepEqual(told.trees, ["t_1", "t_2"]);
    assert.equal((await world.events("content.erased", "t_2")).length, 1);
    assert.equal(await codeOf(store.getBlob(sha256(JSON.stringify(SECRET)))), "ENOENT");
    // What its step in hand was given stands in the lines that it began with: that is said.
    const { seq } = (await world.lines("t_2")).find(({ type }) => type === "tree.grown")!;
    assert.deepEqual(told.left, [{ tree: "t_2", seq }]);
  }, { store, images: [...images, NOBODY] });
});

/** Has as much besides its secret as takes many turns to grow. */
const HEIR = imageOf(async ({ sys }) => {
  for (let i = 0; i < MANY / 3; i++) await sys.object.create({ name: `o${i}`, value: TEXT });
  await sys.object.create({ name: "ann", mutable: true, value: SECRET });
  await sys.message.receive({});
}, { name: "heir" });

Deno.test("A branch that is begun while its origin is erased, and has not grown, is found", async () => {
  let begin = (): void => {};
  class Store extends MemoryStore {
    override async commit(batches: readonly Batch[]): Promise<void> {
      await super.commit(batches);
      const isSaid = batches.some(({ lines }) => lines.some((line) => line.includes("erased")));
      if (isSaid) begin();
    }
  }
  const store = new Store();
  await inWorld(async (world) => {
    const agent = await world.start(HEIR, { grants: GRANTS });
    const { seq } = (await world.tree()).state;
    const end = { kind: "signal", signal: "kill", reason: "", by: "operator" } as const;
    await world.os.order("t_1", { ...end, pid: "p_1" });
    const begun = Promise.withResolvers<AgentProcess>();
    begin = () => {
      begin = () => {};
      begun.resolve(agent.fork(seq));
    };
    const told = await eraseObject(world.os.node, "t_1", "p_1/ann", { ...DPO, partly: true });
    assert.equal((await begun.promise).pid, "p_2");
    assert.deepEqual(told.trees, ["t_1", "t_2"]);
    const holds = (await world.lines("t_2")).find((line) => JSON.stringify(line).includes(SECRET));
    assert.deepEqual(told.left, [{ tree: "t_2", seq: holds!.seq }]);
    assert.equal((await world.events("content.erased", "t_2")).length, 1);
  }, { store });
});

const DPO = { by: "dpo", reason: "asked" } as const;

Deno.test("Collecting and redacting have branches grow first: they lose nothing of what they began with", async () => {
  for (const takes of ["gc", "redaction"] as const) {
    const store = await begun(owner);
    await inWorld(async (world) => {
      const agent = (await world.os.get("p_1"))!;
      await agent.send("delete it");
      const days = { kind: "retain", days: 1, by: "ann" } as const;
      if (takes === "redaction") await world.os.order("t_1", days);
      await world.clock.advance(3 * 86_400_000);
      if (takes === "gc") await gc(world.os.node, "ann");
      else await redactDue(world.os.node);
      assert.equal(await grown(store, "t_2"), await expectedOf(store, takes));
      const { versions } = (await world.tree("t_2")).lookUp("p_2/ann").object!;
      const { value } = versions[0]! as { readonly value: { readonly hash: string } };
      assert.equal(await store.getBlob(value.hash), JSON.stringify(SECRET));
    }, { store, images });
  }
});

/** After a redaction the lines of the origin do not say any more what the branch was given. */
async function expectedOf(store: Store, takes: "gc" | "redaction"): Promise<string> {
  return takes === "gc" ? await expected(store, "t_2") : await grown(store, "t_2");
}

Deno.test("A branch that has not grown is not exported, and once it has it needs no other tree", async () => {
  const store = await begun(owner);
  assert.equal(await codeOf(Array.fromAsync(exportTree(store, "t_2"))), "ESTATE");
  await inWorld(async (world) => {
    await world.os.node.openLive(10);
    await world.os.runUntilIdle();
    const records = await Array.fromAsync(exportTree(store, "t_2"));
    assert(records.length > 4);
  }, { store, images });
});

Deno.test("Nobody goes back to a line, or branches off there, at which not all of a branch was there", () =>
  inWorld(async (world) => {
    const agent = await keeper(world, 3);
    const branch = await agent.fork((await world.tree()).state.seq);
    const { seq } = (await world.tree("t_2")).state;
    assert.equal(await codeOf(branch.restore(2)), "ESTATE");
    assert.equal(await codeOf(branch.fork(2)), "ESTATE");
    assert.equal(await codeOf(branch.restore(seq)), "ok");
  }));
