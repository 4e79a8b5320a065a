/**
 * The history in a SQLite file: what every `AuditStore` keeps, and what can only be done to a file.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { canonical } from "../kernel/json.ts";
import type { AuditStore } from "../kernel/seal.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { seal } from "../runtime/seal.ts";
import { prove, verifyStore } from "../runtime/audit.ts";
import { auditReport } from "../runtime/auditing.ts";
import { grown, placeOf, write } from "./audit_fixture.ts";
import { testAuditStore } from "./audit_store_claims.ts";
import { rejects } from "./store_fixture.ts";

/** Histories that are open, with the store and the folder that go with them. */
const opened = new Map<AuditStore, { readonly store: SqliteStore; readonly folder: string }>();

function openHistory(folder: string): AuditStore {
  const store = SqliteStore.open(`${folder}/libos.db`);
  const audit = store.audit();
  opened.set(audit, { store, folder });
  return audit;
}

async function reopenHistory(audit: AuditStore): Promise<AuditStore> {
  const { store, folder } = opened.get(audit)!;
  await store.close();
  opened.delete(audit);
  return openHistory(folder);
}

testAuditStore(
  "SqliteAuditStore",
  async () => openHistory(await Deno.makeTempDir()),
  reopenHistory,
);

Deno.test.afterEach(async () => {
  for (const { store, folder } of opened.values()) {
    await store.close();
    await Deno.remove(folder, { recursive: true });
  }
  opened.clear();
});

/** Does a job with a sealed store in a file, and what it was sealed with. */
async function inFile(
  job: (path: string, parts: ReturnType<typeof partsOf>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/libos.db`;
  const parts = partsOf(SqliteStore.open(path));
  try {
    const tree = await grown(parts.store, 5);
    await seal(parts);
    await write(parts.store, tree, 4);
    await seal(parts);
    await job(path, parts);
  } finally {
    await parts.store.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function partsOf(store: SqliteStore) {
  return { ...placeOf(), store, audit: store.audit() };
}

Deno.test("A store in a file is sealed, read beside its kernel, and refuses who may only look", async () => {
  await inFile(async (path, parts) => {
    const looking = SqliteStore.open(path, { mode: "read" });
    const joined = SqliteStore.open(path, { mode: "join" });
    try {
      const read = { store: looking, audit: looking.audit() };
      const { faults, lines, unsealed } = await verifyStore(read, parts.trust);
      assert.deepEqual([faults, lines, unsealed], [[], 9, 0]);
      assert.equal((await prove(read, "t_1", 7)).index, 2);
      await write(parts.store, "t_1", 1);
      await rejects(seal({ ...parts, ...read }), "EFENCED");
      const sealed = await seal({ ...parts, store: joined, audit: joined.audit() });
      assert.deepEqual([sealed.lines, sealed.head.size], [1, 4]);
      // The kernel goes on from there, and who comes late is told so.
      await write(parts.store, "t_1", 1);
      assert.equal((await seal(parts)).head.size, 5);
      const { head, peaks } = (await joined.audit().last())!;
      await rejects(joined.audit().append(["{}"], head, peaks), "ESTALE");
      assert.deepEqual(await looking.check(), []);
    } finally {
      await looking.close();
      await joined.close();
    }
  });
});

/** What is done to the file, and what the check says of it. */
const DAMAGE: readonly (readonly [string, string, RegExp])[] = [
  [
    "a leaf changed",
    "UPDATE audit_leaves SET body = replace(body, '\"at\":', '\"at\":1') WHERE n = 1",
    /leaves 0 to 1/,
  ],
  ["a leaf removed", "DELETE FROM audit_leaves WHERE n = 1", /from line 6, expected 1/],
  ["the last leaf removed", "DELETE FROM audit_leaves WHERE n = 2", /ends before it/],
  [
    "leaves swapped",
    "UPDATE audit_leaves SET n = 9 WHERE n = 1; UPDATE audit_leaves SET n = 1 WHERE n = 2; UPDATE audit_leaves SET n = 2 WHERE n = 9",
    /from line 6, expected 1/,
  ],
  [
    "a head changed",
    "UPDATE audit_heads SET body = replace(body, '\"at\":', '\"at\":1') WHERE size = 3",
    /signature is not its key's/,
  ],
  [
    "a head filed elsewhere",
    "UPDATE audit_heads SET size = 7 WHERE size = 3",
    /head of 7 leaves is not what was stored/,
  ],
  ["the heads removed", "DELETE FROM audit_heads", /no signed head|never/],
];

for (const [what, sql, why] of DAMAGE) {
  Deno.test(`A history in a file with ${what} is found`, async () => {
    await inFile(async (path, parts) => {
      const other = new DatabaseSync(path);
      other.exec(sql);
      other.close();
      const { faults, head } = await auditReport(parts, parts.trust);
      const said = head === null && faults.length === 0 ? "no signed head" : canonical(faults[0]!);
      assert.match(said, why);
    });
  });
}

Deno.test("check() and reads find a leaf that is filed under another line", async () => {
  await inFile(async (path, parts) => {
    const other = new DatabaseSync(path);
    other.exec("UPDATE audit_leaves SET seq = 6 WHERE n = 1");
    other.close();
    assert.deepEqual(await parts.store.check(), ["Leaf 1 is filed under another line"]);
    await rejects(parts.audit.covering("t_1", 2), "EINTEGRITY");
    await rejects(prove(parts, "t_1", 2), "EINTEGRITY");
  });
});

Deno.test("A frontier that was changed is not sealed on", async () => {
  await inFile(async (path, parts) => {
    const other = new DatabaseSync(path);
    other.exec("UPDATE audit_heads SET peaks = '[]' WHERE size = 3");
    other.close();
    await write(parts.store, "t_1", 1);
    await rejects(seal(parts), "EINTEGRITY");
    assert.equal((await parts.audit.leaves(0, 9)).length, 3);
  });
});
