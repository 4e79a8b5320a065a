/**
 * What is tried on detached children: births that nobody decided, ends that are told twice, crashes
 * at every commit, and going back over them.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import { Draft } from "../kernel/draft.ts";
import type { EventMap } from "../kernel/event.ts";
import { kinItem } from "../kernel/kin.ts";
import { LIMITS } from "../kernel/limits.ts";
import { codeOf, CountedFiles, imageOf, inWorld, START_MS, World } from "./world_fixture.ts";
import { Died, MortalWorld } from "./world_fixture_crash.ts";

const ALL = [allow("process.*"), allow("file.*"), allow("message.*")];
const child = imageOf(async ({ sys, input }) => {
  if (input === "wait") await sys.message.receive({});
  await sys.file.write({ path: `of ${input}`, text: "x", mode: "create" });
  return input;
}, { name: "child" });
const parent = imageOf(async ({ sys, input }) => {
  const grants = ["file.write(./**)"];
  const given = { image: "child", goal: "x", grants, input: input ?? "nothing" };
  const { pid } = await sys.process.detach(given);
  const { ended } = await sys.process.wait({ pids: [pid] });
  return [pid, ended?.outcome.kind];
}, { name: "parent" });
const start = (world: World, input?: string) =>
  world.start(parent, { grants: ALL, images: [child], ...(input === undefined ? {} : { input }) });

/** Lines of a tree that say why an item was refused. */
async function refusals(world: World, tree: "t_1" | "t_2" | "t_3"): Promise<unknown[]> {
  return (await world.events("inbox.refused", tree)).map(({ code }) => code);
}

Deno.test("A birth that the parent's log has not is refused, and nothing begins", () =>
  inWorld(async (world) => {
    await start(world);
    const { tree } = await world.store.create(null);
    const told = (await world.lines()).find(({ type }) => type === "kin.told")!;
    const [item] = [kinItem("t_1", told.seq)];
    // A line that says nothing, one that is not there, one told to another tree, and a text.
    await world.store.putInbox(tree, kinItem("t_1", 2));
    await world.store.putInbox(tree, kinItem("t_1", 9_999));
    await world.store.putInbox(tree, kinItem("t_77", 1));
    await world.store.putInbox(tree, item!);
    await world.store.putInbox(tree, { id: "raw", body: { kind: "kin", say: { kind: "birth" } } });
    await world.os.runUntilIdle();
    assert.deepEqual(await refusals(world, "t_3"), Array(5).fill("EPERM"));
    assert.deepEqual((await world.tree("t_3")).state.processes, {});
  }));

Deno.test("What was told is heard once: an end and a birth that come again change nothing", () =>
  inWorld(async (world) => {
    const process = await start(world);
    const before = (await world.ended(process)).spent;
    const ended = (await world.lines("t_2")).find(({ type }) => type === "kin.told")!;
    const birth = (await world.lines()).find(({ type }) => type === "kin.told")!;
    await world.store.putInbox("t_1", { ...kinItem("t_2", ended.seq), id: "again" });
    await world.store.putInbox("t_2", { ...kinItem("t_1", birth.seq), id: "again" });
    await world.os.runUntilIdle();
    assert.deepEqual(await refusals(world, "t_1"), ["EPERM"]);
    assert.deepEqual(await refusals(world, "t_2"), ["ESTATE"]);
    assert.deepEqual((await process.wait()).spent, before);
  }));

Deno.test("A tree that is no child of it is not heard by a tree, whatever it tells", () =>
  inWorld(async (world) => {
    await start(world, "wait");
    const other = await start(world, "wait");
    await other.signal("kill");
    await world.os.runUntilIdle();
    const kill = (await world.lines("t_3")).findLast(({ type }) => type === "kin.told")!;
    await world.store.putInbox("t_2", kinItem("t_3", kill.seq));
    await world.os.runUntilIdle();
    assert.deepEqual(await refusals(world, "t_2"), ["EPERM"]);
    assert.equal((await (await world.os.get("p_2"))!.info()).state, "waiting");
  }));

Deno.test("A log that claims another parent's line is found by verify", async () => {
  const world = new World();
  await start(world);
  const { tree } = await world.store.create(null);
  const forged = await world.os.node.open(tree);
  const draft = new Draft(forged, START_MS);
  const [created] = await world.events("tree.created", "t_2");
  draft.add("tree.created", created as unknown as EventMap["tree.created"]);
  forged.commit(draft);
  await world.os.node.durable(forged);
  const broken = (await world.os.verify()).filter((one) => one.broken !== null);
  assert.deepEqual(broken.map((one) => one.tree), [tree]);
  assert.match(broken[0]!.broken!, /claims to be the child of p_1 by line \d+ of t_1, which does/);
  await world.os.close();
});

Deno.test("A child's tree begins once more from its log, and so does its parent's", () =>
  inWorld(async (world) => {
    const process = await start(world);
    for (const one of [process, (await world.os.get("p_2"))!]) {
      assert.equal((await one.replay()).diverged, null);
    }
  }));

Deno.test("A parent's tree that goes back to before a child was started ends that child", () =>
  inWorld(async (world) => {
    const process = await world.os.spawn(parent, {
      goal: "x",
      grants: ALL,
      images: [child],
      input: "wait",
    });
    const before = await process.checkpoint("before");
    await world.os.runUntilIdle();
    await process.restore(before);
    await world.os.runUntilIdle();
    assert.equal((await world.ended((await world.os.get("p_2"))!)).outcome.kind, "killed");
    // It did anew what it had done: with another child.
    const again = (await world.os.get("p_3"))!;
    await again.send("go");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, ["p_3", "exited"]);
  }));

Deno.test("A parent's tree that goes back over its child's end does not wait for it in vain", () =>
  inWorld(async (world) => {
    const process = await start(world, "wait");
    const during = await process.checkpoint("during");
    await (await world.os.get("p_2"))!.send("go");
    await world.os.runUntilIdle();
    await world.ended(process);
    await process.restore(during);
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, ["p_2", "exited"]);
    const gone = await codeOf((await world.os.get("p_2"))!.restore(3));
    assert.equal(gone, "ESTATE");
  }));

Deno.test("A branch of a parent's tree has no part in its child, and a child's tree has none", () =>
  inWorld(async (world) => {
    const process = await start(world, "wait");
    const branch = await process.fork((await world.tree()).state.seq);
    assert.equal(await codeOf((await world.os.get("p_2"))!.fork(3)), "ESTATE");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(branch)).result, ["p_2", "killed"]);
    await (await world.os.get("p_2"))!.send("go");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, ["p_2", "exited"]);
  }));

Deno.test("What a detached child was given is what it keeps: limits and rights are no more given", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      const { pid } = await sys.process.detach({ image: "child", goal: "x", input: "wait" });
      return [
        await codeOf(sys.capability.delegate({ to: pid, rule: "file.read(./a)" })),
        await codeOf(sys.budget.limit({ pid, limits: { tokens: 1 } })),
        await codeOf(sys.process.signal({ pid, signal: "pause" })),
        await codeOf(sys.process.signal({ pid, signal: "kill" })),
        (await sys.process.wait({ pids: [pid] })).ended?.outcome.kind,
      ];
    }, { grants: ALL, images: [child] });
    assert.deepEqual(said, ["ESTATE", "ESTATE", "ok", "ok", "killed"]);
  }));

Deno.test("No generation is too deep by having a tree of its own", () =>
  inWorld(async (world) => {
    const deep = imageOf(async ({ sys, input }) => {
      const n = input as number;
      const grants = ["process.detach(deep@*)"];
      const given = { image: "deep", goal: "x", input: n + 1, grants };
      const trees = LIMITS.processDepthMax - n;
      try {
        const { pid } = await sys.process.detach({ ...given, trees: Math.max(0, trees) });
        const { ended } = await sys.process.wait({ pids: [pid] });
        return (ended?.outcome as unknown as { readonly result: unknown }).result;
      } catch (error) {
        return [n, (error as { readonly code: string }).code];
      }
    }, { name: "deep" });
    const process = await world.start(deep, { grants: ALL, images: [deep], input: 1 });
    const { result } = await world.ended(process);
    assert.deepEqual(result, [LIMITS.processDepthMax, "ELIMIT"]);
  }));

/** One history: a kernel that dies at its nth commit, and others until all is done. */
async function lived(at: number, when: "before" | "after"): Promise<boolean> {
  const store = new MemoryStore();
  const clock = new VirtualClock(START_MS);
  const files = new CountedFiles();
  for (let life = 1;; life++) {
    const plan = life === 1 ? { at, when } : null;
    const world = new MortalWorld({ store, clock, files, plan, life });
    world.os.register(parent);
    world.os.register(child);
    try {
      await world.live(async () => {
        const given = { goal: "x", grants: ALL, images: [child], idempotencyKey: "one" };
        const isThere = ((await world.mortal.head("t_1"))?.seq ?? 0) > 0;
        const process = isThere
          ? (await world.os.get("p_1"))!
          : await world.os.spawn(parent, given);
        await world.os.runUntilIdle();
        assert.deepEqual((await world.ended(process)).result, ["p_2", "exited"]);
      });
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      continue;
    }
    assert.deepEqual(files.done.filter((each) => each.startsWith("write")), ["write of nothing"]);
    const begun = (await store.list({ limit: 9 })).filter(({ seq }) => seq > 0);
    assert.deepEqual(begun.map(({ tree }) => tree), ["t_1", "t_2"]);
    assert.equal((await world.events("kin.settled")).length, 1);
    assert.equal((await world.events("kin.heard", "t_2")).length, 1);
    await world.close();
    return life > 1;
  }
}

Deno.test("A kernel that dies at any commit leaves one child, which is waited for once", async () => {
  let deaths = 0;
  for (let at = 1;; at++) {
    const before = await lived(at, "before");
    const after = await lived(at, "after");
    if (!before && !after) break;
    deaths += 1;
  }
  assert.ok(deaths >= 8, `${deaths} commits`);
});
