/**
 * A batch that changes nothing but its tree's log is one statement of the SQLite store: it is
 * fenced, durable and refused as any other, and never a part of anybody else's transaction.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { sha256 } from "../kernel/json.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { SqliteHandle, SqliteStatement } from "../providers/sqlite_handle.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { batchOf, item, linesOf, newTree, rejects } from "./store_fixture.ts";

/** A handle that remembers what was run on it, and says of transactions what it was told to. */
class Telling implements SqliteHandle {
  readonly ran: string[] = [];
  readonly #database = new DatabaseSync(":memory:");

  constructor(readonly field: "isTransaction" | "inTransaction" | null) {}

  get isTransaction(): boolean | undefined {
    return this.field === "isTransaction" ? this.#database.isTransaction : undefined;
  }

  get inTransaction(): boolean | undefined {
    return this.field === "inTransaction" ? this.#database.isTransaction : undefined;
  }

  exec(sql: string): void {
    this.#database.exec(sql);
  }

  prepare(sql: string): SqliteStatement {
    const statement = this.#database.prepare(sql);
    return {
      run: (...values) => {
        this.ran.push(sql.split(/[ (]/).slice(0, 3).join(" "));
        return statement.run(...values);
      },
      get: (...values) => statement.get(...values),
      all: (...values) => statement.all(...values),
    };
  }

  close(): void {
    this.#database.close();
  }
}

const LONG = ["BEGIN IMMEDIATE", "UPDATE trees SET", "INSERT INTO batches", "COMMIT"];

Deno.test("A batch that changes its tree's log alone is one statement", async () => {
  for (const field of ["isTransaction", "inTransaction", null] as const) {
    const handle = new Telling(field);
    const store = SqliteStore.over(handle);
    const tree = await newTree(store);
    await store.commit([batchOf(tree, { seq: 1 })]);
    const ranFor = async (more: Parameters<typeof batchOf>[1]): Promise<string[]> => {
      handle.ran.length = 0;
      await store.commit([batchOf(tree, more)]);
      return [...handle.ran];
    };
    const one = field === null ? LONG : ["INSERT INTO appended"];
    assert.deepEqual(await ranFor({ seq: 2 }), one);
    assert.deepEqual(await ranFor({ seq: 3 }), one);
    const blobs = new Map([[sha256("value"), "value"]]);
    assert.deepEqual(await ranFor({ seq: 4, blobs }), [
      ...LONG.slice(0, 2),
      "INSERT INTO blobs",
      ...LONG.slice(2),
    ]);
    assert.equal((await linesOf(store, tree)).length, 4);
    assert.deepEqual(await store.check(), []);
    await store.close();
  }
});

Deno.test("What goes along with a batch, or changes what lists show, is never left out", async () => {
  const store = SqliteStore.open(":memory:");
  const [tree, other] = [await newTree(store), await newTree(store)];
  const summary = { live: true, ready: true, key: null, title: "a" };
  await store.commit([batchOf(tree, { seq: 1, summary, dueMs: null })]);
  const see = async () => (await store.head(tree))!;
  await store.commit([batchOf(tree, { seq: 2, summary, dueMs: 7 })]);
  assert.equal((await see()).dueMs, 7);
  for (
    const [seq, change] of [
      [3, { title: "b" }],
      [4, { key: "k" }],
      [5, { ready: false }],
      [6, { asking: 2 }],
      [7, { live: false }],
    ] as const
  ) {
    Object.assign(summary, change);
    await store.commit([batchOf(tree, { seq, summary: { ...summary }, dueMs: 7 })]);
    assert.deepEqual((await see()).summary, summary);
  }
  const put = { tree: other, item: item("a") };
  await store.commit([batchOf(tree, { seq: 8, summary, dueMs: 7, puts: [put] })]);
  assert.equal((await store.getInbox(other)).length, 1);
  const taken = { seq: 1, taken: ["a"] };
  await store.commit([batchOf(other, taken)]);
  assert.deepEqual(await store.getInbox(other), []);
  assert.deepEqual(await store.check(), []);
  await store.close();
});

Deno.test("Inside a transaction of whoever has the handle as well, no batch counts as written", async () => {
  const handle = new DatabaseSync(":memory:");
  const store = SqliteStore.over(handle);
  const tree = await newTree(store);
  for (const seq of [1, 2]) await store.commit([batchOf(tree, { seq })]);
  handle.exec("BEGIN");
  await rejects(store.commit([batchOf(tree, { seq: 3 })]), "EIO");
  if (handle.isTransaction) handle.exec("ROLLBACK");
  assert.equal((await linesOf(store, tree)).length, 2);
  await store.commit([batchOf(tree, { seq: 3 })]);
  assert.equal((await linesOf(store, tree)).length, 3);
  await store.close();
});

/** A store with a tree of two lines that it remembers, and another connection to its file. */
async function beside(
  job: (store: SqliteStore, tree: TreeId, other: DatabaseSync) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const store = SqliteStore.open(`${folder}/libos.db`);
  const other = new DatabaseSync(`${folder}/libos.db`);
  try {
    const tree = await newTree(store);
    for (const seq of [1, 2]) await store.commit([batchOf(tree, { seq })]);
    await job(store, tree, other);
  } finally {
    other.close();
    await store.close();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("A batch alone that its tree's epoch or place refuses leaves the file as it was", async () => {
  for (const [sql, code] of [["epoch = epoch + 1", "EFENCED"], ["seq = 7", "ESTALE"]] as const) {
    await beside(async (store, tree, other) => {
      const rows = () => [
        other.prepare("SELECT id, seq, epoch, head, last FROM trees").all(),
        other.prepare("SELECT id, tree, seq, count, back FROM batches").all(),
      ];
      other.exec(`UPDATE trees SET ${sql}`);
      const before = rows();
      for (let attempt = 0; attempt < 2; attempt++) {
        await rejects(store.commit([batchOf(tree, { seq: 3 })]), code);
        assert.deepEqual(rows(), before);
      }
    });
  }
});

Deno.test("A batch alone goes behind what another connection appended meanwhile", async () => {
  await beside(async (store, tree, other) => {
    other.exec(
      "INSERT INTO batches SELECT id + 1, tree + 1, 1, count, NULL, body, payloads FROM batches " +
        "ORDER BY id DESC LIMIT 1",
    );
    await store.commit([batchOf(tree, { seq: 3 })]);
    await store.commit([batchOf(tree, { seq: 4 })]);
    assert.equal((await linesOf(store, tree)).length, 4);
    const ids = other.prepare("SELECT id FROM batches ORDER BY id").all().map(({ id }) => id);
    assert.deepEqual(ids, [1, 2, 3, 4, 5]);
  });
});

Deno.test("A group goes behind what another connection appended meanwhile", async () => {
  await beside(async (store, tree, other) => {
    const [second, third] = [await newTree(store), await newTree(store)];
    await store.commit([second, third].map((each) => batchOf(each)));
    other.exec(
      "INSERT INTO batches SELECT id + 1, 9, 1, count, NULL, body, payloads FROM batches " +
        "ORDER BY id DESC LIMIT 1",
    );
    const blobs = new Map([[sha256("value"), "value"]]);
    await store.commit([
      batchOf(tree, { seq: 3, blobs }),
      ...[second, third].map((each) => batchOf(each, { seq: 2 })),
    ]);
    await store.commit([batchOf(tree, { seq: 4 })]);
    assert.equal((await linesOf(store, tree)).length, 4);
    assert.equal((await linesOf(store, third)).length, 2);
    const ids = other.prepare("SELECT id FROM batches ORDER BY id").all().map(({ id }) => id);
    assert.deepEqual(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
