/**
 * Trees carried from store to store: the same log runs on, and nothing half done is ever there.
 * @module
 */

import assert from "node:assert/strict";
import { allow, SqliteStore } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import type { Store } from "../kernel/store.ts";
import { commitImage, exportTree, importTree, moveTree } from "../runtime/portable.ts";
import { loadTree, verifyTree } from "../runtime/load.ts";
import { RIGHTS } from "../broker/table.ts";
import { FakeWorkshop, install } from "./fake_sandbox.ts";
import { type Body, codeOf, CountedFiles, errorOf, imageOf, World } from "./world_fixture.ts";

const CONTEXT = { rights: RIGHTS };
const LONG = "x".repeat(2_000);

/** Writes a value, sleeps, and goes on with what it wrote. */
const TRAVELLER: Body = async ({ sys }) => {
  const { object } = await sys.object.create({ name: "note", value: LONG });
  await sys.object.create({ name: "list", list: true });
  await sys.object.append({ object: "list", item: { text: LONG, n: 1 } });
  await sys.clock.sleep({ ms: 60_000 });
  const { value } = await sys.object.read({ object });
  return String(value).length;
};

/** A store with one tree that sleeps, closed. */
async function asleep(store: Store = new MemoryStore()) {
  const kept = keepOpen(store);
  const world = new World({ store: kept });
  const image = imageOf(TRAVELLER);
  const process = await world.start(image);
  await process.checkpoint("here");
  const clock = world.clock.now();
  await world.close();
  return { store, image, clock };
}

/** A store that outlives its runtime. */
function keepOpen(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "close") return () => Promise.resolve();
      const field = Reflect.get(target, name, target);
      return typeof field === "function" ? field.bind(target) : field;
    },
  });
}

const KINDS: Readonly<Record<string, () => Store>> = {
  MemoryStore: () => new MemoryStore(),
  SqliteStore: () => SqliteStore.open(":memory:", { durability: "process" }),
};

for (const [kind, open] of Object.entries(KINDS)) {
  Deno.test(`A tree goes from a store to a ${kind} and runs on there`, async () => {
    const { store, image } = await asleep();
    const records = await Array.fromAsync(exportTree(store, "t_1"));
    const target = open();
    const told = await importTree(target, records);
    assert.deepEqual([told.tree, told.created, told.inDoubt], ["t_1", true, 0]);
    assert.equal((await verifyTree(target, "t_1", CONTEXT)).broken, null);
    const world = new World({ store: keepOpen(target), seed: 7 });
    world.os.register(image);
    await world.untilDone();
    assert.equal((await (await world.os.get("p_1"))!.wait()).result, LONG.length);
    assert.equal((await world.events("tree.arrived")).length, 1);
    assert.equal((await world.start(imageOf(() => Promise.resolve(1)))).pid, "p_2");
    await world.close();
    assert.deepEqual(await target.check(), []);
    await target.close();
  });

  Deno.test(`An export is the same from a ${kind} that the tree was brought to`, async () => {
    const { store } = await asleep();
    const records = await Array.fromAsync(exportTree(store, "t_1"));
    assert.deepEqual(await Array.fromAsync(exportTree(store, "t_1")), records);
    const target = open();
    await importTree(target, records);
    const again = await Array.fromAsync(exportTree(target, "t_1"));
    const third = open();
    await importTree(third, again);
    const lines = async (of: Store) =>
      (await Array.fromAsync(of.read("t_1", 1))).flatMap((batch) => batch.lines);
    assert.deepEqual((await lines(third)).slice(0, -1), await lines(target));
    assert.equal(again.at(-2), records.at(-2));
    await target.close();
    await third.close();
  });
}

Deno.test("A second import of the same log changes nothing, and another tree's number is refused", async () => {
  const { store } = await asleep();
  const records = await Array.fromAsync(exportTree(store, "t_1"));
  const target = new MemoryStore();
  await importTree(target, records);
  const head = await target.head("t_1");
  assert.equal((await importTree(target, records)).created, false);
  assert.deepEqual(await target.head("t_1"), head);
  const other = new World({ seed: 9 });
  await other.start(imageOf(() => Promise.resolve(1)));
  const refused = await errorOf(importTree(other.store, records));
  assert.equal(refused?.code, "EEXIST");
  assert.match(refused!.message, /fork/);
  await other.close();
});

Deno.test("A stream that is cut or changed at any record is refused, and nothing is there", async () => {
  const { store } = await asleep();
  const records = await Array.fromAsync(exportTree(store, "t_1"));
  for (let at = 0; at < records.length; at++) {
    const target = new MemoryStore();
    const without = records.toSpliced(at, 1);
    const cut = records.slice(0, at);
    const changed = records.with(
      at,
      records[at]!.replace(/\d(?=[^\d]*$)/, (n) => `${9 - Number(n)}`),
    );
    for (const [what, stream] of Object.entries({ without, cut, changed })) {
      if (stream === changed && changed[at] === records[at]) continue;
      const error = await errorOf(importTree(target, stream));
      assert.equal(error?.code, "EINTEGRITY", `${what} ${at}: ${records[at]!.slice(0, 80)}`);
      // Only one whose first record is wrong has no name yet.
      const nameless = /^Cannot import (a tree, record 1:|tree .+ at line \d+)/;
      const named = /^Cannot (import|read) tree .+ at line \d+/;
      assert.match(error!.message, at === 0 ? nameless : named);
    }
    assert.equal(await target.head("t_1"), undefined);
  }
});

Deno.test("A snapshot, payload or value that says something else is refused", async () => {
  const { store } = await asleep();
  const { seq, head } = (await store.head("t_1"))!;
  const state = (await loadTree(store, "t_1", CONTEXT)).tree.dump();
  await store.putSnapshot("t_1", { seq, head, state });
  const records = await Array.fromAsync(exportTree(store, "t_1"));
  await importTree(new MemoryStore(), records);
  for (const kind of ["snapshot", "payload", "blob"]) {
    const at = records.findIndex((record) => record.endsWith(`"type":"libos.${kind}/1"}`));
    assert(at > 0, kind);
    const forged = records.with(at, records[at]!.replace("xxxx", "xyxx"));
    assert.notEqual(forged[at], records[at]);
    assert.equal(await codeOf(importTree(new MemoryStore(), forged)), "EINTEGRITY", kind);
  }
});

Deno.test("An effect under way at the export is in doubt at the importer, and not sent again", async () => {
  const files = new CountedFiles();
  const store = new MemoryStore();
  const world = new World({ store: keepOpen(store), files });
  let free: (() => void) | undefined;
  files.before = (what) =>
    what.startsWith("write") ? new Promise<void>((resolve) => free = resolve) : undefined;
  const image = imageOf(async ({ sys }) => await codeOf(sys.file.write({ path: "a", text: LONG })));
  await world.os.spawn(image, { goal: "test", grants: [allow("file.*", "./**")] });
  const ran = world.os.runUntilIdle();
  while (free === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const records = await Array.fromAsync(exportTree(store, "t_1"));
  (free as () => void)();
  await ran;
  await world.close();
  const elsewhere = new CountedFiles();
  const target = new World({ files: elsewhere, seed: 3 });
  assert.equal((await importTree(target.store, records)).inDoubt, 1);
  target.os.register(image);
  await target.untilDone();
  assert.equal((await (await target.os.get("p_1"))!.wait()).result, "EINDOUBT");
  assert.equal(elsewhere.count("write a"), 0);
  await target.close();
});

Deno.test("A tree that was moved ends where it was, and goes on where it came to", async () => {
  const source = new World();
  const image = imageOf(TRAVELLER);
  const process = await source.start(image);
  const before = (await source.lines()).length;
  const records = await Array.fromAsync(
    moveTree(source.os.node, "t_1", { to: "the other", by: "ann" }),
  );
  assert.deepEqual((await source.ended(process)).outcome, {
    kind: "killed",
    by: "ann",
    reason: "moved to the other",
  });
  assert.equal((await source.store.head("t_1"))?.summary.live, false);
  const again = moveTree(source.os.node, "t_1", { to: "a third", by: "eve" });
  assert.deepEqual(await Array.fromAsync(again), records);
  const target = new World({ seed: 5 });
  assert.equal((await importTree(target.store, records)).lines, before);
  target.os.register(image);
  await target.untilDone();
  assert.equal((await (await target.os.get("p_1"))!.wait()).result, LONG.length);
  await source.untilDone();
  await source.close();
  await target.close();
});

Deno.test("An image of what a process has become starts another one like it", async () => {
  const world = new World();
  const image = imageOf(TRAVELLER, { instructions: "Travel", libc: ["object_read"] });
  const process = await world.start(image);
  const tree = await world.tree();
  const made = await commitImage(world.os.node, tree, process.pid, { name: "twin", version: "2" });
  assert.deepEqual([made.ref, made.data.instructions, made.data.tools], [
    "twin@2",
    "Travel",
    ["object_read"],
  ]);
  const same = await commitImage(world.os.node, tree, process.pid, { name: "twin", version: "2" });
  assert.equal(same.sha256, made.sha256);
  const twin = await world.start(made);
  await world.untilDone();
  assert.equal((await world.ended(twin)).result, LONG.length);
  await world.close();
});

Deno.test("An image takes generated tools along, and a stream is held against a known head", async () => {
  const workshop = FakeWorkshop.of({ one: () => 1 });
  const world = new World({ workshop });
  const grants = [allow("tool.register", "**")];
  const process = await world.start(
    imageOf(async ({ sys }) => {
      const held = (await sys.tool.list()).tools.some(({ name }) => name === "one");
      if (!held) await install(sys, "one", { source: "one" });
      await sys.message.receive({});
      return (await sys.tool.call({ name: "one" })).output;
    }),
    { grants },
  );
  const made = await process.commit("twin", "2");
  assert.deepEqual(made.generated.map(({ name }) => name), ["one"]);
  assert.equal(made.data.generated?.[0]?.hash, (await process.tools()).at(-1)?.sha256);
  const records = await Array.fromAsync(exportTree(world.store, "t_1"));
  const { head } = (await world.store.head("t_1"))!;
  const target = new World({ workshop: FakeWorkshop.of({ one: () => 1 }), seed: 4 });
  const wrong = importTree(target.store, records, { head: "0".repeat(64) });
  assert.equal(await codeOf(wrong), "EINTEGRITY");
  assert.equal((await importTree(target.store, records, { head })).created, true);
  const twin = await target.start(made, { grants });
  await twin.send("go");
  await target.untilDone();
  assert.equal((await target.ended(twin)).result, 1);
  await process.signal("kill");
  await world.untilDone();
  await world.close();
  await target.os.close();
});
