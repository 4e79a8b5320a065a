/**
 * Claims about verifying a store in a file: besides the log, all that is made of it is held against
 * it, whoever changed it behind the kernel's back.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { allow, SqliteStore } from "../mod.ts";
import { RIGHTS } from "../broker/table.ts";
import { Tree } from "../kernel/tree.ts";
import { readLines, verifyTree } from "../runtime/load.ts";
import { imageOf, World } from "./world_fixture.ts";

const CONTEXT = { rights: RIGHTS };

/** Does a job with a store in a file that has a tree which waits for a person. */
async function waiting(job: (path: string, store: SqliteStore) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/libos.db`;
  const world = new World({ store: SqliteStore.open(path) });
  const image = imageOf(({ sys }) => sys.human.ask({ prompt: "Go on?" }));
  await world.start(image, { grants: [allow("human.ask", "*")] });
  await world.os.close({ drain: false });
  const store = SqliteStore.open(path);
  try {
    await job(path, store);
  } finally {
    await store.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function change(path: string, sql: string, ...values: (string | number)[]): void {
  const other = new DatabaseSync(path);
  other.prepare(sql).run(...values);
  other.close();
}

async function brokenOf(store: SqliteStore): Promise<string | null> {
  return (await verifyTree(store, "t_1", CONTEXT)).broken;
}

Deno.test("An earlier snapshot that was forged is found: looking back would start from it", async () => {
  await waiting(async (path, store) => {
    const lines = await Array.fromAsync(readLines(store, "t_1"));
    const early = Tree.empty("t_1", CONTEXT);
    for (const line of lines.slice(0, 4)) early.replay(line);
    const state = early.dump();
    change(path, "INSERT INTO snapshots VALUES(1, 4, ?, ?)", lines[4]!.prev, state);
    const late = Tree.empty("t_1", CONTEXT);
    for (const line of lines.slice(0, 6)) late.replay(line);
    change(path, "INSERT INTO snapshots VALUES(1, 6, ?, ?)", lines[6]!.prev, late.dump());
    assert.equal(await brokenOf(store), null);
    const differs = "Snapshot at line 4 differs from what the log says";
    change(path, "UPDATE snapshots SET head = ? WHERE seq = 4", "f".repeat(64));
    assert.equal(await brokenOf(store), differs);
    const evil = state.replace('"owner":"operator"', '"owner":"stranger"');
    assert.notEqual(evil, state);
    const sql = "UPDATE snapshots SET head = ?, state = ? WHERE seq = 4";
    change(path, sql, lines[4]!.prev, evil);
    assert.equal(await brokenOf(store), differs);
  });
});

/** What a store lists of a tree, changed: who then does not find it, or finds another. */
const LISTED: readonly (readonly [word: string, sql: string])[] = [
  ["live", "UPDATE trees SET live = 0"],
  ["ready", "UPDATE trees SET ready = 1 - ready"],
  ["key", "UPDATE trees SET key = 'another'"],
  ["title", "UPDATE trees SET title = replace(title, 'test', 'best')"],
  ["asking", "UPDATE trees SET asking = 0"],
  ["due", "UPDATE trees SET due = due + 1"],
  ["due", "UPDATE trees SET due = NULL"],
];

for (const [word, sql] of LISTED) {
  Deno.test(`A list of trees that says another "${word}" than the log is found: ${sql}`, async () => {
    await waiting(async (path, store) => {
      assert.equal(await brokenOf(store), null);
      change(path, sql);
      assert.equal(await brokenOf(store), `The store lists another "${word}" than the log says`);
    });
  });
}
