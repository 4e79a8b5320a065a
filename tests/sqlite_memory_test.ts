/**
 * What the SQLite store remembers of trees between commits, and when it must not.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { batchOf, linesOf, newTree, readAll, rejects } from "./store_fixture.ts";

const CLAIM = { nowMs: 0, ttlMs: 1_000 };

/** A store whose tree has two lines and is remembered, and another connection to its file. */
async function remembered(
  job: (store: SqliteStore, tree: `t_${number}`, other: DatabaseSync) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/libos.db`;
  const store = SqliteStore.open(path);
  const other = new DatabaseSync(path);
  try {
    const tree = await newTree(store);
    await store.commit([batchOf(tree, { seq: 1 })]);
    await store.commit([batchOf(tree, { seq: 2 })]);
    await job(store, tree, other);
  } finally {
    other.close();
    await store.close();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("What another connection wrote into a tree's row is seen by the next commit", async () => {
  await remembered(async (store, tree, other) => {
    other.exec("UPDATE trees SET epoch = epoch + 1");
    await rejects(store.commit([batchOf(tree, { seq: 3 })]), "EFENCED");
    assert.equal((await readAll(store, tree)).length, 2);
  });
});

Deno.test("A position that another connection moved on is seen by the next commit", async () => {
  await remembered(async (store, tree, other) => {
    other.exec("UPDATE trees SET seq = 7");
    await rejects(store.commit([batchOf(tree, { seq: 3 })]), "ESTALE");
  });
});

Deno.test("After a refused group nothing is remembered that was not written", async () => {
  await remembered(async (store, tree) => {
    const good = batchOf(tree, { seq: 3 });
    const bad = batchOf(tree, { seq: 9 });
    await rejects(store.commit([good, bad]), "ESTALE");
    assert.equal((await readAll(store, tree)).length, 2);
    await store.commit([good]);
    await store.commit([batchOf(tree, { seq: 4 })]);
    assert.equal((await linesOf(store, tree)).length, 4);
    assert.deepEqual(await store.check(), []);
  });
});

Deno.test("A commit that SQLite fails leaves nothing remembered of it", async () => {
  await remembered(async (store, tree, other) => {
    other.exec(
      "CREATE TRIGGER full BEFORE INSERT ON batches BEGIN SELECT RAISE(ABORT, 'no room'); END",
    );
    await rejects(store.commit([batchOf(tree, { seq: 3 })]), "EIO");
    other.exec("DROP TRIGGER full");
    await store.commit([batchOf(tree, { seq: 3 })]);
    assert.equal((await linesOf(store, tree)).length, 3);
    assert.deepEqual(await store.check(), []);
  });
});

Deno.test("A claim raises the epoch that a commit is held against", async () => {
  await remembered(async (store, tree) => {
    const claim = await store.claim(tree, "another", { ...CLAIM, steal: true });
    await rejects(store.commit([batchOf(tree, { seq: 3 })]), "EFENCED");
    await store.commit([batchOf(tree, { seq: 3, epoch: claim!.epoch })]);
    assert.equal((await linesOf(store, tree)).length, 3);
  });
});

Deno.test("Trees that are committed together keep their logs apart", async () => {
  const store = SqliteStore.open(":memory:");
  const trees: `t_${number}`[] = [];
  for (let i = 0; i < 40; i++) trees.push(await newTree(store));
  for (const seq of [1, 2, 3]) await store.commit(trees.map((tree) => batchOf(tree, { seq })));
  for (const tree of trees) assert.equal((await linesOf(store, tree)).length, 3);
  assert.deepEqual(await store.check(), []);
  await store.close();
});
