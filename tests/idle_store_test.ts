/**
 * What a store says of trees that wait: which of them ask a person; and trees nobody may open.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { SysError } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import type { Store } from "../kernel/store.ts";
import { batchOf, LIVE, newTree } from "./store_fixture.ts";
import { codeOf, imageOf, inWorld } from "./world_fixture.ts";

async function asking(store: Store): Promise<(readonly [string, number | undefined])[]> {
  const found = await store.list({ live: true, asking: true, limit: 10 });
  return found.map(({ tree, summary }) => [tree, summary.asking] as const);
}

const STORES: Readonly<Record<string, () => Store>> = {
  MemoryStore: () => new MemoryStore(),
  SqliteStore: () => SqliteStore.open(":memory:"),
};

for (const [name, open] of Object.entries(STORES)) {
  Deno.test(`${name} list() finds the live trees that ask, as long as they do`, async () => {
    const store = open();
    const [quiet, one, ended] = [await newTree(store), await newTree(store), await newTree(store)];
    await store.commit([
      batchOf(quiet),
      batchOf(one, { summary: { ...LIVE, asking: 3 } }),
      batchOf(ended, { summary: { ...LIVE, live: false, asking: 1 } }),
    ]);
    assert.deepEqual(await asking(store), [[one, 3]]);
    assert.equal((await store.head(quiet))!.summary.asking, undefined);
    const after = await store.list({ live: true, asking: true, after: one, limit: 10 });
    assert.deepEqual(after, []);
    await store.commit([batchOf(one, { seq: 2 }), batchOf(quiet, { seq: 2, summary: ASKING })]);
    assert.deepEqual(await asking(store), [[quiet, 1]]);
    await store.close();
  });
}

const ASKING = { ...LIVE, asking: 1 };

Deno.test("A SQLite file from before requests were counted says that its trees may ask", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/libos.db`;
  try {
    const first = SqliteStore.open(path);
    const tree = await newTree(first);
    await first.commit([batchOf(tree)]);
    await first.close();
    const db = new DatabaseSync(path);
    db.exec("DROP INDEX trees_asking; ALTER TABLE trees DROP COLUMN asking");
    db.close();
    const reader = SqliteStore.open(path, { mode: "read" });
    assert.deepEqual(await asking(reader), [[tree, 1]]);
    await reader.close();
    const store = SqliteStore.open(path);
    assert.deepEqual(await asking(store), [[tree, 1]]);
    assert.equal(await codeOf(store.commit([batchOf(tree, { seq: 9 })])), "ESTALE");
    await store.commit([batchOf(tree, { seq: 2 })]);
    assert.deepEqual(await asking(store), []);
    await store.commit([batchOf(tree, { seq: 3, summary: ASKING })]);
    assert.deepEqual(await asking(store), [[tree, 1]]);
    assert.deepEqual(await store.check(), []);
    await store.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Node.bar() stops a tree, whether it is in memory or not", () =>
  inWorld(async (world) => {
    const { node } = world.os;
    for (let i = 0; i < 3; i++) await world.start(imageOf(({ sys }) => sys.message.receive({})));
    for (let i = 0; i < 3; i++) node.leaveIdle({ quiet: 0, quietMs: 0, asking: 0 });
    assert.deepEqual(node.trees, []);
    const error = new SysError("EINTEGRITY", "Cannot go on: its log was changed");
    await node.open("t_3");
    node.bar("t_1", error);
    node.bar("t_3", error);
    assert.equal(node.peek("t_3"), undefined);
    const codes = (["t_1", "t_2", "t_3"] as const).map((id) => codeOf(node.open(id)));
    assert.deepEqual(await Promise.all(codes), ["EINTEGRITY", "ok", "EINTEGRITY"]);
  }));
