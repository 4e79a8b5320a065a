/**
 * Collections as events: what goes stands in the logs that named it, before it goes, whatever dies
 * meanwhile.
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { SqliteStore, StoreKey } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import { RIGHTS } from "../broker/table.ts";
import { sha256 } from "../kernel/json.ts";
import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { archiveOf, type Batch, type Store } from "../kernel/store.ts";
import { gc } from "../runtime/collect.ts";
import { readLines, verifyTree } from "../runtime/load.ts";
import { exportTree, importTree } from "../runtime/portable.ts";
import { KEPT, LOOSE, looseText, openAt, SHARED, TREES } from "./collect_child.ts";
import { withFolder } from "./encryption_place.ts";
import { type Body, codeOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const CHILD = new URL("./collect_child.ts", import.meta.url).pathname;
const KEY = "7a".repeat(32);
const LONG = "A value of its own. ".repeat(30);

const KINDS: Readonly<Record<string, () => Store>> = {
  MemoryStore: () => new MemoryStore(),
  SqliteStore: () => SqliteStore.open(":memory:", { durability: "process" }),
  "encrypted SqliteStore": () => SqliteStore.open(":memory:", { encryption: StoreKey.of(KEY) }),
};

const hashOf = (text: string): string => sha256(JSON.stringify(text));

/** Leaves values behind to which nothing refers. */
function leaving(...texts: readonly string[]): Body {
  return async ({ sys }) => {
    for (const value of texts) {
      const { object } = await sys.object.create({ name: "passing", value });
      await sys.object.delete({ object });
    }
  };
}

/** Writes a snapshot of now, so that no line before it is needed for a start. */
async function settle(world: World, id: TreeId): Promise<void> {
  const tree = await world.tree(id);
  await world.os.node.durable(tree);
  const { seq } = tree.state;
  await world.store.putSnapshot(id, { seq, head: tree.head, state: tree.dump() });
}

for (const [kind, open] of Object.entries(KINDS)) {
  Deno.test(`Each log of a ${kind} says which of the values it named were collected, and by whom`, () =>
    inWorld(async (world) => {
      const [one, other] = [`${LONG}1`, `${LONG}2`];
      await world.run(leaving(one, SHARED));
      await world.run(leaving(other, SHARED));
      await world.run(async ({ sys }) => void await sys.object.create({ name: "a", value: LONG }));
      for (const id of ["t_1", "t_2", "t_3"] as const) await settle(world, id);
      const { count, bytes, trees } = await gc(world.os.node, "ada");
      assert.deepEqual([count, trees], [3, ["t_1", "t_2"]]);
      const told = async (id: TreeId) => await world.events("values.collected", id);
      const size = (...texts: string[]) => texts.reduce((sum, { length }) => sum + length + 2, 0);
      assert.equal(bytes, size(one, other, SHARED));
      assert.deepEqual(await told("t_1"), [
        { hashes: [one, SHARED].map(hashOf).sort(), bytes: size(one, SHARED), by: "ada" },
      ]);
      assert.deepEqual(await told("t_2"), [
        { hashes: [other, SHARED].map(hashOf).sort(), bytes: size(other, SHARED), by: "ada" },
      ]);
      assert.deepEqual(await told("t_3"), []);
      await assert.rejects(world.store.getBlob(hashOf(one)), /collected by ada/);
      for (const { broken } of await world.os.verify()) assert.equal(broken, null);
      // Nothing more goes, and nothing more is said.
      assert.deepEqual((await gc(world.os.node, "ada")).trees, []);
      assert.equal((await told("t_1")).length, 1);
    }, { store: open() }));
}

Deno.test("What was collected, and was written and left again, is said again by its writer alone", () =>
  inWorld(async (world) => {
    await world.run(leaving(SHARED));
    await world.run(leaving(SHARED));
    for (const id of ["t_1", "t_2"] as const) await settle(world, id);
    assert.deepEqual((await gc(world.os.node, "ada")).trees, ["t_1", "t_2"]);
    await world.run(leaving(SHARED));
    await settle(world, "t_3");
    const { count, trees } = await gc(world.os.node, "bob");
    assert.deepEqual([count, trees], [1, ["t_3"]]);
  }));

Deno.test("A line about a collection has a bounded number of hashes", () =>
  inWorld(async (world) => {
    const most = LIMITS.valuesCollectedPerLineMax;
    await world.run(leaving(...Array.from({ length: most + 9 }, (_, i) => `${LONG}${i}`)));
    await settle(world, "t_1");
    // A snapshot that was written meanwhile may have one of them still.
    const { count } = await gc(world.os.node, "ada");
    const lengths = (await world.events("values.collected"))
      .map(({ hashes }) => (hashes as string[]).length);
    assert.deepEqual(lengths, [most, count - most]);
    assert(count > most);
  }));

Deno.test("A value that no log ever named is left where it is", () => {
  const stray = JSON.stringify("stray");
  class Strange extends MemoryStore {
    override commit(batches: readonly Batch[]): Promise<void> {
      const blobs = new Map([[sha256(stray), stray]]);
      return super.commit(batches.map((one) => ({ ...one, blobs })));
    }
  }
  return inWorld(async (world) => {
    await world.run(async () => {});
    await world.os.node.durable(await world.tree());
    assert.deepEqual(await gc(world.os.node, "ada"), { count: 0, bytes: 0, kept: 1, trees: [] });
  }, { store: new Strange() });
});

Deno.test("A tree is taken back and carried away after a collection, and says what is gone", () =>
  inWorld(async (world) => {
    const process = await world.os.spawn(
      imageOf(async ({ sys }) => {
        const { object } = await sys.object.create({ name: "a", mutable: true, value: LONG });
        await sys.message.receive({});
        await sys.object.delete({ object });
        await sys.message.receive({});
      }),
      { goal: "-" },
    );
    await world.os.runUntilIdle();
    const { seq: then } = (await world.tree()).state;
    await process.send("go");
    await world.os.runUntilIdle();
    await settle(world, "t_1");
    assert.equal((await gc(world.os.node, "ada")).count, 1);
    await process.restore(then);
    const tree = await world.tree();
    assert.equal(await codeOf(world.os.node.load(tree, hashOf(LONG))), "ENOENT");
    await world.os.node.durable(tree);
    const there = new MemoryStore();
    const records = await Array.fromAsync(exportTree(world.store, "t_1"));
    assert.equal((await importTree(there, records)).created, true);
    await there.close();
  }));

/** Hashes that the logs of a store say were collected. */
async function saidIn(store: Store): Promise<Set<string>> {
  const said = new Set<string>();
  for (const { tree } of await store.list({ limit: 100 })) {
    for await (const { type, data } of readLines(store, tree)) {
      if (type !== "values.collected") continue;
      for (const hash of (data as unknown as { hashes: string[] }).hashes) said.add(hash);
    }
  }
  return said;
}

async function child(...args: readonly string[]): Promise<string> {
  const { signal, success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, ...args],
  }).output();
  if (signal === "SIGKILL") return "killed";
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

/** Checks a store: logs are whole, what is gone was said, what stays stays. */
async function check(path: string, key: string, isDone: boolean): Promise<void> {
  const store = openAt(path, key);
  try {
    assert.deepEqual(await store.check(), []);
    for (const { tree } of await store.list({ limit: 100 })) {
      assert.equal((await verifyTree(store, tree, { rights: RIGHTS })).broken, null);
    }
    const there = new Set((await archiveOf(store).blobs("", 1_000)).map(({ hash }) => hash));
    const said = await saidIn(store);
    const loose = [SHARED, ...texts()].map(hashOf);
    for (const hash of loose) assert(there.has(hash) || said.has(hash), "gone, and nobody says so");
    assert(there.has(hashOf(KEPT)) && !said.has(hashOf(KEPT)));
    if (!isDone) return;
    assert.deepEqual([...there], [hashOf(KEPT)]);
    assert.deepEqual([...said].sort(), loose.sort());
  } finally {
    await store.close();
  }
}

function texts(): string[] {
  return Array.from(
    { length: TREES },
    (_, tree) => Array.from({ length: LOOSE }, (_, i) => looseText(tree + 1, i)),
  ).flat();
}

for (const [kind, key] of [["store", "-"], ["encrypted store", KEY]] as const) {
  Deno.test(`A collection that is killed at any write is finished by the next one: ${kind}`, () =>
    withFolder(async (folder) => {
      const made = join(folder, "made.db");
      await child(made, "make", key);
      const writes = Number(
        await child(await copy(made, join(folder, "0.db")), "collect", key, "0"),
      );
      await check(join(folder, "0.db"), key, true);
      // Two logs and the values.
      assert(writes >= 3, `${writes} writes`);
      for (let at = 1; at <= writes; at++) {
        const path = await copy(made, join(folder, `${at}.db`));
        assert.equal(await child(path, "collect", key, `${at}`), "killed", `write ${at}`);
        await check(path, key, false);
        await child(path, "collect", key, "0");
        await check(path, key, true);
      }
    }));
}

async function copy(from: string, to: string): Promise<string> {
  for (const end of ["", "-wal"]) {
    await Deno.copyFile(`${from}${end}`, `${to}${end}`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  return to;
}
