/**
 * Content that is taken away: erased, redacted or collected, with every log valid afterwards.
 * @module
 */

import assert from "node:assert/strict";
import { SqliteStore, StoreKey, SysError } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import { sha256 } from "../kernel/json.ts";
import { type Archive, archiveOf, type Store } from "../kernel/store.ts";
import { gc } from "../runtime/collect.ts";
import { exportTree, importTree } from "../runtime/portable.ts";
import { retain } from "../runtime/redaction.ts";
import { countErased, eraseObject } from "../runtime/retention.ts";
import { batchOf } from "./store_fixture.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, World } from "./world_fixture.ts";

const SECRET = "The secret of Ann: ".padEnd(600, "s");
const OTHER = "Nothing of note. ".padEnd(600, "n");
const DAY = 86_400_000;

/** Leaves an object with two versions, a list, and what is not to be touched. */
const WRITER: Body = async ({ sys }) => {
  const { object } = await sys.object.create({ name: "ann", mutable: true, value: SECRET });
  await sys.object.write({ object, value: { told: SECRET }, from: 1 });
  await sys.object.create({ name: "bob", value: OTHER });
  await sys.object.read({ object });
  return [SECRET, OTHER];
};

/** Everything of a store as one text. */
async function textOf(store: Store): Promise<string> {
  let all = "";
  for (const { tree } of await store.list({ limit: 100 })) {
    for await (const { lines, payloads } of store.read(tree, 1)) {
      all += [...lines, ...payloads.values()].join("\n");
    }
    for (let at = await store.getSnapshot(tree); at !== undefined;) {
      all += at.state;
      at = await store.getSnapshot(tree, at.seq - 1);
    }
  }
  for (const { hash } of await archiveOf(store).blobs("", 1_000)) all += await store.getBlob(hash);
  return all;
}

const KINDS: Readonly<Record<string, () => Store>> = {
  MemoryStore: () => new MemoryStore(),
  SqliteStore: () => SqliteStore.open(":memory:", { durability: "process" }),
  "encrypted SqliteStore": () =>
    SqliteStore.open(":memory:", { encryption: StoreKey.of("7a".repeat(32)) }),
};

for (const [kind, open] of Object.entries(KINDS)) {
  Deno.test(`Erased content is nowhere in a ${kind}, and the log stays valid`, () =>
    inWorld(async (world) => {
      const { store } = world;
      const input = { about: `Ann says: "${SECRET}"` };
      await world.run(WRITER, { input });
      const tree = await world.tree();
      await world.os.node.durable(tree);
      const { seq } = tree.state;
      await store.putSnapshot("t_1", { seq, head: tree.head, state: tree.dump() });
      assert.match(await textOf(store), /secret of Ann/);
      const told = await eraseObject(world.os.node, "t_1", "p_1/ann", {
        by: "dpo",
        reason: "asked",
      });
      assert(told.hashes.length >= 4 && told.bytes > 2_000, JSON.stringify(told));
      assert.deepEqual([told.trees, told.left], [["t_1"], []]);
      const text = await textOf(store);
      assert.doesNotMatch(text, /secret of Ann/);
      assert.match(text, /Nothing of note/);
      const [said] = await world.events("content.erased");
      const erased = await countErased(store, "t_1");
      assert(erased > 0 && erased < told.hashes.length);
      assert.deepEqual(said, { hashes: told.hashes, by: "dpo", reason: "asked" });
      for (const { broken } of await world.os.verify()) assert.equal(broken, null);
      const again = await eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "" });
      assert.equal(again.bytes, 0);
      const records = await Array.fromAsync(exportTree(store, "t_1"));
      assert.equal((await importTree(new MemoryStore(), records)).created, true);
      assert.deepEqual(await store.check(), []);
    }, { store: open() }));
}

Deno.test("Content goes from every tree that has it, and reading it says who erased it and when", () =>
  inWorld(async (world) => {
    const body: Body = async ({ sys }) => {
      const made = await codeOf(sys.object.create({ name: "ann", value: SECRET }));
      if (made === "ok") return;
      await sys.message.receive({});
      const found = await errorOf(sys.object.read({ object: "ann" }));
      return [found?.code ?? "ok", found?.message ?? ""];
    };
    const process = await world.start(imageOf(body));
    const { seq } = (await world.lines()).find(({ type }) => type === "object.created")!;
    const fork = await process.fork(seq);
    await world.os.runUntilIdle();
    const erase = () => eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "" });
    const error = await errorOf(erase());
    assert.match(error!.message, /"p_2" works with it/);
    await fork.signal("kill");
    await world.untilDone();
    assert.deepEqual((await erase()).trees, ["t_1", "t_2"]);
    assert.equal((await world.events("content.erased", "t_2")).length, 1);
    assert.doesNotMatch(await textOf(world.store), /secret of Ann/);
    const hash = sha256(JSON.stringify(SECRET));
    const read = await errorOf(world.os.node.load(await world.tree("t_2"), hash));
    assert.equal(read?.code, "ENOENT");
    assert.match(
      read!.message,
      /^Cannot read value "[0-9a-f]+": erased by dpo on \d{4}-\d\d-\d\d$/,
    );
    const next = await process.fork(seq);
    await next.send("go");
    await world.untilDone();
    assert.equal(((await world.ended(next)).result as string[])[0], "ENOENT");
  }));

Deno.test("Going back to a step whose payloads were erased is refused, and so is its replay", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(WRITER));
    const { seq } = (await world.lines()).find(({ type }) => type === "object.written")!;
    await eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "" });
    assert.equal(await codeOf(process.fork(seq)), "ESTATE");
    assert.equal(await codeOf(process.restore(seq)), "ESTATE");
    assert.equal(await codeOf(process.replay()), "ENOENT");
    assert.equal((await process.inspect(seq)).seq, seq);
    const { seq: last } = (await world.lines()).at(-1)!;
    assert.equal(await codeOf(process.restore(last)), "ok");
  }));

Deno.test("Erased content is not left in the pages of a SQLite file", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/store.db`;
  const has = async (): Promise<boolean> => {
    let all = "";
    for await (const { name } of Deno.readDir(folder)) {
      all += new TextDecoder("latin1").decode(await Deno.readFile(`${folder}/${name}`));
    }
    return all.includes("secret of Ann");
  };
  try {
    const store = SqliteStore.open(path, { durability: "process" });
    await inWorld(async (world) => {
      await world.run(WRITER);
      await world.os.node.durable(await world.tree());
      assert.equal(await has(), true);
      await eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "" });
      assert.equal(await has(), false);
    }, { store });
    assert.equal(await has(), false);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Content that is taken away beside other such work is not left in the pages either", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (let turns = 0; turns < 12; turns++) {
      const path = `${folder}/${turns}.db`;
      const store = SqliteStore.open(path, { durability: "process" });
      const { tree } = await store.create(null);
      const secret = JSON.stringify(`${SECRET}${turns}`);
      const blobs = new Map([[sha256(secret), secret]]);
      await store.commit([batchOf(tree, { blobs })]);
      const archive = archiveOf(store);
      const other = archive.removeSnapshots(tree, []);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      await Promise.all([other, archive.sweep(blobs.keys(), { note: "gone" })]);
      await store.close();
      const text = new TextDecoder("latin1").decode(await Deno.readFile(path));
      assert.ok(!text.includes("secret of Ann"), `${turns} turns later`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Erased content is not left where it stood in texts of JSON in texts of JSON", () =>
  inWorld(async (world) => {
    const text = `"Now"\n${SECRET}\\`;
    await world.run(async ({ sys, pid }) => {
      await sys.object.create({ name: "ann", value: text });
      const quoted = JSON.stringify({ said: JSON.stringify({ again: JSON.stringify(text) }) });
      await sys.message.send({ to: pid, data: { quoted } });
    });
    assert.match(await textOf(world.store), /secret of Ann/);
    await eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "" });
    assert.doesNotMatch(await textOf(world.store), /secret of Ann/);
    for (const { broken } of await world.os.verify()) assert.equal(broken, null);
  }));

Deno.test("What a live process works with is not erased, and nothing has changed", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(async ({ sys }) => {
      await sys.object.create({ name: "ann", value: SECRET });
      await sys.clock.sleep({ ms: 1_000 });
    }));
    const before = await textOf(world.store);
    const erase = () =>
      eraseObject(world.os.node, "t_1", `${process.pid}/ann`, { by: "dpo", reason: "" });
    const error = await errorOf(erase());
    assert.equal(error?.code, "ESTATE");
    assert.match(error!.message, /"p_1" works with it/);
    assert.equal(await textOf(world.store), before);
    await world.untilDone();
    assert.equal(await codeOf(erase()), "ok");
  }));

Deno.test("What stands in lines themselves is not erased unawares", () =>
  inWorld(async (world) => {
    await world.run(async ({ sys }) => {
      const { object } = await sys.object.create({ name: "ann", mutable: true, value: SECRET });
      await sys.object.write({ object, value: "short", from: 1 });
    });
    const given = { by: "dpo", reason: "" };
    const erase = (partly: boolean) =>
      eraseObject(world.os.node, "t_1", "p_1/ann", { ...given, partly });
    assert.equal(await codeOf(erase(false)), "ESTATE");
    const { left, bytes } = await erase(true);
    assert.equal(left.length, 1);
    assert(bytes > 600);
    assert.doesNotMatch(await textOf(world.store), /secret of Ann/);
  }));

Deno.test("A payload that nobody erased is missed, whatever else was erased", async () => {
  const world = new World();
  await world.run(WRITER);
  await eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "" });
  await archiveOf(world.store).redact("t_1", ({ payloads }) => new Set(payloads.keys()));
  const [verified] = await world.os.verify();
  assert.match(verified!.broken ?? "", /at line \d+: .*missing or changed/);
  await world.os.close();
});

Deno.test("Payloads are redacted after the days that they are kept, and no sooner", () =>
  inWorld(async (world) => {
    await world.run(WRITER);
    const days = () => 30;
    assert.equal(await codeOf(retain(world.os.node, { days: () => 0.5 })), "EINVAL");
    assert.deepEqual(await retain(world.os.node, { days }), []);
    assert.deepEqual(await retain(world.os.node, { days: () => null }), []);
    await world.clock.advance(31 * DAY);
    const [done] = await retain(world.os.node, { days });
    assert.equal(done?.tree, "t_1");
    assert(done.bytes > 1_000);
    const left: string[] = [];
    for await (const { payloads } of world.store.read("t_1", 1)) left.push(...payloads.values());
    // What it ended with is a part of its state still.
    assert.deepEqual(left, [JSON.stringify([SECRET, OTHER])]);
    assert.equal((await world.events("payloads.redacted")).length, 1);
    assert.deepEqual(await retain(world.os.node, { days }), []);
    for (const { broken } of await world.os.verify()) assert.equal(broken, null);
    // The values of objects stay: only what calls carried went.
    const value = await world.os.node.load(await world.tree(), sha256(JSON.stringify(OTHER)));
    assert.equal(value, OTHER);
  }));

Deno.test("A step in hand keeps the payloads it would be run again with", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(async ({ sys }) => {
      const { object } = await sys.object.create({ name: "ann", value: SECRET });
      await sys.clock.sleep({ ms: 60 * DAY });
      const { value } = await sys.object.read({ object });
      return String(value).length;
    }));
    await world.clock.advance(40 * DAY);
    assert.deepEqual(await retain(world.os.node, { days: () => 30 }), []);
    await world.untilDone();
    assert.equal((await world.ended(process)).result, SECRET.length);
  }));

Deno.test("A collection keeps what states, snapshots and checkpoints refer to", () =>
  inWorld(async (world) => {
    await world.run(WRITER);
    const before = (await archiveOf(world.store).blobs("", 100)).length;
    const nothing = { count: 0, bytes: 0, kept: before, trees: [] };
    assert.deepEqual(await gc(world.os.node, "ada"), nothing);
    const tree = await world.tree();
    await world.os.node.durable(tree);
    const { object } = { object: Object.values(tree.state.objects)[0]! };
    assert.equal(object.versions.length, 2);
    await world.run(async ({ sys }) => {
      const { object } = await sys.object.create({ name: "gone", value: OTHER + "!" });
      await sys.object.delete({ object });
    });
    const second = await world.tree("t_2");
    await world.os.node.durable(second);
    const { seq } = second.state;
    await world.store.putSnapshot("t_2", { seq, head: second.head, state: second.dump() });
    const { count, bytes, trees } = await gc(world.os.node, "ada");
    assert.deepEqual([count, bytes, trees], [1, OTHER.length + 3, ["t_2"]]);
    assert.equal((await gc(world.os.node, "ada")).count, 0);
  }));

Deno.test("An erasure that was cut short leaves a valid log, and is finished by asking again", () => {
  class Failing extends MemoryStore {
    fails = "";

    override archive(): Archive {
      const archive = super.archive();
      return new Proxy(archive, {
        get: (target, name) => {
          if (name === this.fails) {
            return () => Promise.reject(new SysError("EIO", "Cannot erase: the test says so"));
          }
          return (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target);
        },
      });
    }
  }
  const store = new Failing();
  return inWorld(async (world) => {
    await world.run(WRITER);
    const tree = await world.tree();
    await world.os.node.durable(tree);
    const { seq } = tree.state;
    await store.putSnapshot("t_1", { seq, head: tree.head, state: tree.dump() });
    const erase = () =>
      eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "asked" });
    for (const step of ["removeSnapshots", "redact", "sweep"]) {
      store.fails = step;
      assert.equal(await codeOf(erase()), "EIO", step);
      for (const { broken } of await world.os.verify()) assert.equal(broken, null, step);
    }
    store.fails = "";
    assert((await erase()).bytes > 0);
    assert.doesNotMatch(await textOf(store), /secret of Ann/);
  }, { store });
});

for (const [kind, open] of Object.entries(KINDS)) {
  Deno.test(`A collection beside a running kernel on a ${kind} takes nothing that it needs`, () =>
    inWorld(async (world) => {
      const count = 60;
      const image = imageOf(async ({ sys }) => {
        const text = (i: number): string => `${i}`.padEnd(400, "z");
        const { object } = await sys.object.create({ name: "a", mutable: true, value: text(0) });
        for (let i = 1; i < count; i++) {
          await sys.object.write({ object, value: text(i), from: i });
          const other = await sys.object.create({ name: `b${i}`, value: `${i}`.padEnd(400, "b") });
          if (i % 2 === 0) await sys.object.delete({ object: other.object });
          await sys.clock.sleep({ ms: 1 });
        }
        let whole = 0;
        for (let i = 1; i < count; i++) {
          const { value } = await sys.object.read({ object: i % 2 === 0 ? "a" : `b${i}` });
          if (String(value).length === 400) whole += 1;
        }
        return whole;
      });
      const process = await world.start(image);
      let removed = 0;
      while ((await process.info()).state !== "ended") {
        const [collected] = await Promise.all([gc(world.os.node, "ada"), world.pass(1)]);
        removed += collected.count;
        const tree = await world.tree();
        await world.os.node.durable(tree);
        const { seq } = tree.state;
        await world.store.putSnapshot("t_1", { seq, head: tree.head, state: tree.dump() });
        // Nothing is answered from memory.
        tree.values.set("", null, 2 ** 25);
        tree.values.set("", null, 0);
      }
      assert.equal((await world.ended(process)).result, count - 1);
      assert(removed > 0, "nothing was ever collected");
    }, { store: open() }));
}
