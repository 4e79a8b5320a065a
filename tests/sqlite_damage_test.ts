/**
 * The SQLite store when its file is absent, foreign, damaged, full or locked.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { sha256 } from "../kernel/json.ts";
import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { SqliteHandle, SqliteStatement } from "../providers/sqlite_handle.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import type { SqliteMode } from "../providers/sqlite_store.ts";
import { batchOf, item, linesOf, readAll, rejects } from "./store_fixture.ts";

/** Runs `job` in a folder which is gone afterwards. */
async function withFolder(job: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await job(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function open(path: string, mode: SqliteMode = "own"): Promise<SqliteStore> {
  return new Promise((resolve) => resolve(SqliteStore.open(path, { mode })));
}

Deno.test("SqliteStore.open() makes folder and files which only this user can read", async () => {
  if (Deno.build.os === "windows") return;
  await withFolder(async (folder) => {
    const store = await open(`${folder}/a/b/libos.db`);
    await store.create(null);
    const modeOf = (path: string) => (Deno.statSync(path).mode ?? 0) & 0o777;
    assert.equal(modeOf(`${folder}/a/b`), 0o700);
    const files = [...Deno.readDirSync(`${folder}/a/b`)].map(({ name }) => name).sort();
    assert.deepEqual(files.map((name) => [name, modeOf(`${folder}/a/b/${name}`)]), [
      ["libos.db", 0o600],
      ["libos.db-shm", 0o600],
      ["libos.db-wal", 0o600],
      ["libos.db.lock", 0o600],
      ["libos.db.owner", 0o600],
    ]);
    await store.close();
  });
});

Deno.test("SqliteStore.open() refuses to join or read what is absent or empty", async () => {
  await withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/empty.db`, new Uint8Array());
    for (const mode of ["join", "read"] as const) {
      for (const name of ["absent.db", "no/folder.db", "empty.db"]) {
        const error = await rejects(open(`${folder}/${name}`, mode), "ENOENT");
        assert.match(error.message, /mode "own" to make one/);
      }
    }
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["empty.db"]);
  });
});

Deno.test("SqliteStore.open() refuses a file that is no store, and changes nothing", async () => {
  await withFolder(async (folder) => {
    const text = `${folder}/text`;
    await Deno.writeTextFile(text, "This is a letter, not a database.\n".repeat(300));
    const other = `${folder}/other`;
    make(other, "CREATE TABLE letters(body TEXT); PRAGMA user_version = 1");
    const newer = `${folder}/newer`;
    await (await open(newer)).close();
    make(newer, "PRAGMA user_version = 3");
    for (const mode of ["own", "join", "read"] as const) {
      for (
        const [path, code] of [[text, "EINTEGRITY"], [other, "EINVAL"], [newer, "EINVAL"]] as const
      ) {
        const before = await Deno.readFile(path);
        const error = await rejects(open(path, mode), code);
        assert(error.message.includes(path));
        assert.deepEqual(await Deno.readFile(path), before);
      }
    }
    assert.match((await rejects(open(newer), "EINVAL")).message, /layout 3 .+ expected layout 2/);
  });
});

function make(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

/** What may happen to a log of 600 lines, and the first line that cannot be read then. */
const INJURIES: readonly (readonly [string, string, number])[] = [
  ["a batch is gone", "DELETE FROM batches WHERE seq = 300", 257],
  ["the first batch is gone", "DELETE FROM batches WHERE seq = 1", 1],
  ["the last batch is gone", "DELETE FROM batches WHERE seq = 600", 513],
  ["a link leads nowhere", "UPDATE batches SET back = NULL WHERE seq = 100", 1],
  ["a link skips a batch", "UPDATE batches SET back = back - 1 WHERE seq = 100", 99],
  ["a link leads to itself", "UPDATE batches SET back = id WHERE seq = 100", 1],
  ["a link leads forwards", "UPDATE batches SET back = id + 1 WHERE seq = 100", 1],
  ["a batch is another tree's", "UPDATE batches SET tree = 2 WHERE seq = 300", 257],
  ["a batch lost a line", "UPDATE batches SET count = 2 WHERE seq = 300", 302],
  [
    "a body has a line too many",
    "UPDATE batches SET body = '1' || char(10) || '2' WHERE seq = 9",
    9,
  ],
  ["a mark leads elsewhere", "UPDATE marks SET id = id - 1 WHERE seq = 256", 256],
  ["the tree forgot its end", "UPDATE trees SET last = NULL WHERE id = 1", 513],
  ["the tree is said to be longer", "UPDATE trees SET seq = 601 WHERE id = 1", 601],
];

Deno.test("SqliteStore.read() and check() find a log that does not hold together", async () => {
  for (const [what, sql, seq] of INJURIES) {
    const handle = new DatabaseSync(":memory:");
    const store = SqliteStore.over(handle);
    const { tree } = await store.create(null);
    await store.create(null);
    for (let seq = 1; seq <= 600; seq++) await store.commit([batchOf(tree, { seq, lines: ["1"] })]);
    assert.deepEqual(await store.check(), [], what);
    handle.exec(sql);
    const error = await rejects(linesOf(store, tree), "EINTEGRITY");
    assert.deepEqual(error.detail, { tree, seq }, `${what}: ${error.message}`);
    assert.match(error.message, /tree "t_1" at line/, what);
    assert.notDeepEqual(await store.check(), [], what);
    await store.close();
  }
});

Deno.test("SqliteStore.check() finds misplaced snapshots, items and blobs", async () => {
  const injuries = [
    "INSERT INTO snapshots(tree, seq, head, state) VALUES(1, 5, '', '')",
    "INSERT INTO snapshots(tree, seq, head, state) VALUES(7, 0, '', '')",
    "INSERT INTO inbox(tree, id, body) VALUES(7, 'a', '{}')",
    "INSERT INTO blobs(hash, body) VALUES('0', '1')",
    "INSERT INTO batches(id, tree, seq, count, back, body) VALUES(9, 7, 1, 1, NULL, '1')",
    "INSERT INTO batches(id, tree, seq, count, back, body) VALUES(9, 1, 0, 1, NULL, '1')",
  ];
  for (const sql of injuries) {
    const handle = new DatabaseSync(":memory:");
    const store = SqliteStore.over(handle);
    const { tree } = await store.create(null);
    await store.commit([batchOf(tree)]);
    handle.exec(sql);
    const found = await store.check();
    assert(found.length > 0, sql);
    assert.match(found.join(), /"(t_1|t_7|0)"/, sql);
    await store.close();
  }
});

Deno.test("SqliteStore says EINTEGRITY for pages which were overwritten", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const store = await open(path);
    const { tree } = await store.create(null);
    const lines = Array.from({ length: 4_000 }, (_, i) => `"${"x".repeat(100)}${i}"`);
    await store.commit([batchOf(tree, { lines: lines.slice(0, 2_000) })]);
    await store.commit([batchOf(tree, { seq: 2_001, lines: lines.slice(2_000) })]);
    await store.close();
    const bytes = await Deno.readFile(path);
    // The first page says how the file is laid out; every other one is lost.
    bytes.fill(0xa5, 4_096);
    await Deno.writeFile(path, bytes);
    const error = await rejects(open(path), "EINTEGRITY");
    assert.match(error.message, /damaged .+ mode "read"$/);
    const damaged = await open(path, "read");
    await rejects(linesOf(damaged, tree), "EINTEGRITY");
    await damaged.check().then(
      (found) => assert.match(found.join(), /The file is damaged/),
      (error) => assert.equal(error.code, "EINTEGRITY"),
    );
    await damaged.close();
  });
});

/** What a disk leaves that kept pages of two times, and where a large store shows it as well. */
const TWO_TIMES: readonly (readonly [string, string, boolean])[] = [
  ["a batch its tree does not know", "UPDATE trees SET last = 3, seq = 2 WHERE id = 1", true],
  ["a tree that forgot its end", "UPDATE trees SET last = NULL WHERE id = 1", true],
  ["an old batch that is gone", "DELETE FROM batches WHERE tree = 1 AND seq = 2", false],
  ["batches of no tree", "DELETE FROM trees WHERE id = 1", true],
];

Deno.test("What a disk kept of two times is not run on: the tree whose it is, or the store", async () => {
  for (const [what, sql, isSeenInLarge] of TWO_TIMES) {
    for (const isLarge of [false, true]) {
      await withFolder(async (folder) => {
        const path = `${folder}/libos.db`;
        const store = await open(path);
        const trees = [(await store.create(null)).tree, (await store.create(null)).tree] as const;
        const filler = isLarge ? "x".repeat(LIMITS.checkAtOpenBytesMax) : "x";
        for (let seq = 1; seq <= 4; seq++) {
          const lines = [JSON.stringify(seq === 1 ? filler : "x")];
          await store.commit(trees.map((tree) => batchOf(tree, { seq, lines })));
        }
        await store.close();
        make(path, sql);
        await open(path, "read").then((one) => one.close());
        if (sql.includes("DELETE FROM trees")) {
          const error = await rejects(open(path), "EINTEGRITY");
          assert.match(error.message, /damaged \(.+\), .+ mode "read"$/, what);
          return;
        }
        const again = await open(path);
        const claim = { nowMs: 0, ttlMs: 1_000 };
        if (isLarge && !isSeenInLarge) await again.claim(trees[0], "node", claim);
        else {
          const error = await rejects(again.claim(trees[0], "node", claim), "EINTEGRITY");
          assert.match(
            error.message,
            /^Cannot run tree "t_1": damaged \(Tree "t_1" has .+\)/,
            what,
          );
        }
        assert.equal((await again.claim(trees[1], "node", claim))?.epoch, 1);
        await again.close();
      });
    }
  }
});

Deno.test("SqliteStore.open() refuses an index without the rows of its table", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    await open(path).then((made) => made.close());
    make(path, "INSERT INTO audit_leaves(n, tree, seq, body) VALUES(0, 1, 1, '{}')");
    const database = new DatabaseSync(path);
    const { rootpage } = database.prepare(
      "SELECT rootpage FROM sqlite_schema WHERE name = 'audit_leaves_tree'",
    ).get()!;
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    const bytes = await Deno.readFile(path);
    // No cells, and content that starts at the page's end: a page as it was when it was made.
    bytes.set([0, 0, 0x10, 0], (Number(rootpage) - 1) * 4_096 + 3);
    await Deno.writeFile(path, bytes);
    const error = await rejects(open(path), "EINTEGRITY");
    assert.match(error.message, /missing from index audit_leaves_tree/);
  });
});

Deno.test("SqliteStore says ENOSPC on a full disk, and goes on once there is room", async () => {
  const handle = new DatabaseSync(":memory:");
  const store = SqliteStore.over(handle);
  const { tree } = await store.create(null);
  const { tree: other } = await store.create(null);
  await store.commit([batchOf(tree)]);
  handle.exec("PRAGMA max_page_count = 40");
  const blob = "x".repeat(300_000);
  const large = batchOf(tree, {
    seq: 2,
    blobs: new Map([[sha256(blob), blob]]),
    puts: [{ tree: other, item: item("a") }],
  });
  for (let attempt = 0; attempt < 3; attempt++) {
    const error = await rejects(store.commit([batchOf(other), large]), "ENOSPC");
    assert.equal(error.retry, true);
    assert.deepEqual((await store.list({ limit: 9 })).map(({ seq }) => seq), [1, 0]);
    assert.deepEqual(await store.getInbox(other), []);
  }
  await store.commit([batchOf(other)]);
  handle.exec("PRAGMA max_page_count = 4000");
  await store.commit([large]);
  assert.deepEqual((await store.list({ limit: 9 })).map(({ seq }) => seq), [2, 1]);
  assert.deepEqual(await store.check(), []);
  await store.close();
});

Deno.test("SqliteStore says EAGAIN while another connection writes, then goes on", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/libos.db`;
    const handle = new DatabaseSync(path);
    const store = SqliteStore.over(handle);
    // The store waits for a while; the other connection of this test never ends meanwhile.
    handle.exec("PRAGMA busy_timeout = 0");
    const { tree } = await store.create(null);
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await rejects(store.commit([batchOf(tree)]), "EAGAIN");
      assert.match(error.message, /locked by another connection/);
      assert.deepEqual(await readAll(store, tree), []);
    }
    other.exec("ROLLBACK");
    other.close();
    await store.commit([batchOf(tree)]);
    assert.equal((await store.head(tree))?.seq, 1);
    await store.close();
  });
});

/** A handle which remembers what was run on it, and how many rows came at once. */
class Spy implements SqliteHandle {
  readonly ran: string[] = [];
  rowsMax = 0;
  readonly #database = new DatabaseSync(":memory:");

  exec(sql: string): void {
    this.ran.push(sql);
    this.#database.exec(sql);
  }

  prepare(sql: string): SqliteStatement {
    const statement = this.#database.prepare(sql);
    return {
      run: (...values) => {
        this.ran.push(sql);
        return statement.run(...values);
      },
      get: (...values) => statement.get(...values),
      all: (...values) => {
        const rows = statement.all(...values);
        this.rowsMax = Math.max(this.rowsMax, rows.length);
        return rows;
      },
    };
  }

  close(): void {
    this.#database.close();
  }
}

Deno.test("S3 SqliteStore syncs commits and items at power, nothing at process", async () => {
  for (const durability of ["power", "process"] as const) {
    const spy = new Spy();
    const store = SqliteStore.over(spy, { durability });
    const { tree } = await store.create(null);
    await store.commit([batchOf(tree)]);
    await store.claim(tree, "a", { nowMs: 0, ttlMs: 1 });
    await store.putInbox(tree, item("a"));
    let level = "";
    const levels = new Map<string, string>();
    for (const sql of spy.ran) {
      level = /^PRAGMA synchronous = (\w+)$/.exec(sql)?.[1] ?? level;
      const verb = /^(INSERT INTO|UPDATE) (trees SET owner|\w+)/.exec(sql)?.[0];
      if (verb !== undefined) levels.set(verb, level);
    }
    const synced = durability === "power" ? "FULL" : "NORMAL";
    assert.equal(levels.get("INSERT INTO trees"), "NORMAL");
    assert.equal(levels.get("INSERT INTO batches"), synced);
    assert.equal(levels.get("UPDATE trees SET owner"), "NORMAL");
    assert.equal(levels.get("INSERT INTO inbox"), synced);
    await store.close();
  }
});

Deno.test("L2 SqliteStore.read() holds no more than one stretch of a long log", async () => {
  const spy = new Spy();
  const store = SqliteStore.over(spy);
  const tree: TreeId = (await store.create(null)).tree;
  for (let seq = 1; seq <= 5_000; seq += 1_000) {
    const each = Array.from({ length: 1_000 }, (_, i) => batchOf(tree, { seq: seq + i }));
    await store.commit(each);
  }
  for (const from of [1, 2_500, 4_999]) {
    const batches = await readAll(store, tree, from);
    assert.equal(batches.length, 5_001 - from);
  }
  assert(spy.rowsMax <= 257, `${spy.rowsMax} rows at once`);
  await store.close();
});
