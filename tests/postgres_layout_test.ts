/**
 * Layouts of a PostgreSQL store: a later one comes while nodes of the one before run, and one that
 * cannot be made leaves nothing of itself.
 * @module
 */

import assert from "node:assert/strict";
import postgres from "postgres";
import { PostgresStore } from "../postgres.ts";
import { Postgres } from "../providers/postgres_handle.ts";
import { migrate, MIGRATIONS, POSTGRES_LAYOUT } from "../providers/postgres_schema.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { batchOf, linesOf, newTree, rejects } from "./store_fixture.ts";

const ignore = noPostgres() !== undefined;
let server: Server;
let admin: postgres.Sql;
let schemas = 0;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  server = await startPostgres(["fsync=off"]);
  admin = postgres(server.url, { max: 1, onnotice: () => {} });
});
Deno.test.afterAll(async () => {
  if (ignore) return;
  await admin.end();
  await server.stop();
});

/** A layout to come: a column that older nodes know nothing of, a table, a function by its number. */
const NEXT = `
  ALTER TABLE $.trees ADD COLUMN colour text;
  CREATE TABLE $.colours(name text PRIMARY KEY);
  CREATE FUNCTION $.colour_next() RETURNS text LANGUAGE sql AS $c$ SELECT 'red' $c$;
`;

async function withPool<T>(schema: string, body: (db: Postgres) => Promise<T>): Promise<T> {
  const db = new Postgres(server.url, { schema, connections: 1 });
  try {
    return await body(db);
  } finally {
    await db.close();
  }
}

const fresh = (): string => `libos_layout_${Deno.pid}_${schemas += 1}`;
const versions = async (schema: string): Promise<number[]> =>
  (await admin.unsafe(`SELECT version FROM ${schema}.layout ORDER BY 1`)).map((row) => row.version);
const tables = async (schema: string): Promise<unknown[]> => [
  ...await admin`SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = ${schema} ORDER BY 1, 2`,
  ...await admin`SELECT proname FROM pg_proc
    WHERE pronamespace = ${schema}::text::regnamespace ORDER BY 1`,
];

Deno.test({
  name: "T3 A node goes on while a later layout comes, beside one of that layout; none starts anew",
  ignore,
  fn: async () => {
    const schema = fresh();
    const open = () => PostgresStore.open(server.url, { schema, connections: 1 });
    const older = await open();
    const tree = await newTree(older);
    let seq = 0;
    const write = (): Promise<void> => older.commit([batchOf(tree, { seq: seq += 1 })]);
    await write();
    // While it writes without a pause.
    let isOver = false;
    const writing = (async () => {
      while (!isOver) await write();
    })();
    await withPool(schema, (db) => migrate(db, [...MIGRATIONS, NEXT]));
    isOver = true;
    await writing;
    await write();
    await older.putInbox(tree, { id: "a", body: {} });
    const claimed = await older.claim(tree, "older", { nowMs: 1, ttlMs: 1 });
    assert(claimed !== undefined);
    assert.deepEqual(await older.check(), []);
    assert.equal((await linesOf(older, tree)).length, seq);
    // What one of the later layout writes, the older one reads.
    await admin.unsafe(`UPDATE ${schema}.trees SET colour = ${schema}.colour_next()`);
    assert.equal((await older.head(tree))?.seq, seq);
    const { message } = await rejects(open(), "EINVAL");
    assert.match(message, new RegExp(`layout ${POSTGRES_LAYOUT + 1} by a newer version`));
    await older.close();
  },
});

Deno.test({
  name: "T2 A migration that fails leaves nothing of itself, of those with it, or of its number",
  ignore,
  fn: async () => {
    const schema = fresh();
    await withPool(schema, (db) => migrate(db));
    const before = [await tables(schema), await versions(schema)];
    const failing = [...MIGRATIONS, NEXT, `${NEXT.replaceAll("colour", "shade")} SELECT 1 / 0;`];
    await assert.rejects(withPool(schema, (db) => migrate(db, failing)), /division by zero/);
    assert.deepEqual([await tables(schema), await versions(schema)], before);
    // It comes whole once it can, from wherever it was, and once however many nodes bring it.
    await Promise.all(
      [1, 2, 3].map(() => withPool(schema, (db) => migrate(db, [...MIGRATIONS, NEXT]))),
    );
    const all = Array.from({ length: POSTGRES_LAYOUT + 1 }, (_, i) => i + 1);
    assert.deepEqual(await versions(schema), all);
  },
});

Deno.test({
  name: "T2 Every layout that ever was is brought to the newest with its trees",
  ignore,
  fn: async () => {
    for (let from = 1; from < POSTGRES_LAYOUT; from++) {
      const schema = fresh();
      await withPool(schema, (db) => migrate(db, MIGRATIONS.slice(0, from)));
      await admin.unsafe(
        `INSERT INTO ${schema}.trees(id, epoch, seq, head, lease, live, ready, asking, title)
         VALUES(nextval('${schema}.tree_number'), 0, 0, repeat('0', 64), 0, true, false, 0, '""')`,
      );
      const store = await PostgresStore.open(server.url, { schema, connections: 1 });
      await store.commit([batchOf("t_1", { lines: ['"old"'] })]);
      assert.deepEqual(await linesOf(store, "t_1"), ['"old"']);
      assert.deepEqual(await store.check(), []);
      await store.close();
    }
  },
});
