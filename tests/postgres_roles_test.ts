/**
 * What the roles of docs/postgres.md cannot do; that a node can do all it has to, the suite of
 * stores shows.
 * @module
 */

import assert from "node:assert/strict";
import postgres from "postgres";
import { createRuntime, defineImage } from "../mod.ts";
import { PostgresStore } from "../postgres.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { dropRoles, makeRoles, makeSchema, type Roles } from "./postgres_roles.ts";
import { batchOf, linesOf, newTree, rejects } from "./store_fixture.ts";

const ignore = noPostgres() !== undefined;
const ROLES = `libos_may_${Deno.pid}`;
const SCHEMA = `libos_may_${Deno.pid}`;
let server: Server;
let admin: postgres.Sql;
let roles: Roles;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  server = await startPostgres(["fsync=off"]);
  admin = postgres(server.url, { max: 1, onnotice: () => {} });
  await makeRoles(admin, ROLES);
  roles = await makeSchema(admin, { url: server.url, roles: ROLES, schema: SCHEMA });
});
Deno.test.afterAll(async () => {
  if (ignore) return;
  await dropRoles(admin, ROLES);
  await admin.end();
  await server.stop();
});

/** What a node may not do to lines, to tables, or to who may what. */
const FORBIDDEN: readonly string[] = [
  "UPDATE $.batches SET body = ''",
  "UPDATE $.batches SET seq = seq + 1",
  "UPDATE $.batches SET count = 0",
  "DELETE FROM $.batches",
  "DELETE FROM $.trees",
  "TRUNCATE $.batches",
  "TRUNCATE $.blobs",
  "UPDATE $.blobs SET body = ''",
  "UPDATE $.snapshots SET state = ''",
  "UPDATE $.inbox SET body = ''",
  "DELETE FROM $.gone",
  "UPDATE $.layout SET version = 0",
  "INSERT INTO $.layout VALUES(99)",
  "DROP TABLE $.batches",
  "ALTER TABLE $.batches ADD COLUMN x integer",
  "ALTER TABLE $.batches DISABLE TRIGGER ALL",
  "CREATE TABLE $.mine(x integer)",
  "CREATE OR REPLACE FUNCTION $.commit_1() RETURNS void LANGUAGE sql AS ''",
  "CREATE RULE mine AS ON INSERT TO $.batches DO INSTEAD NOTHING",
  `SET ROLE ${ROLES}_owner`,
  "CREATE SCHEMA mine",
];

/** What one that only reads may not do beside. */
const FORBIDDEN_TO_READ: readonly string[] = [
  "UPDATE $.trees SET epoch = epoch + 1",
  "UPDATE $.batches SET payloads = NULL",
  "INSERT INTO $.inbox(tree, id, body) VALUES(1, 'x', '{}')",
  "DELETE FROM $.inbox",
  "DELETE FROM $.blobs",
  "SELECT nextval('$.tree_number')",
  "SELECT * FROM $.trees FOR UPDATE",
];

async function refused(url: string, list: readonly string[]): Promise<void> {
  const at = new URL(url);
  at.searchParams.delete("schema");
  const sql = postgres(at.href, { max: 1, onnotice: () => {} });
  try {
    // Who has no right to give has given none.
    await sql.unsafe(`GRANT ALL ON ${SCHEMA}.batches TO CURRENT_USER`);
    for (const one of list) {
      const thrown = await sql.unsafe(one.replaceAll("$.", `${SCHEMA}.`))
        .then(() => undefined, (error) => error as { code: string });
      assert.equal(thrown?.code, "42501", one);
    }
  } finally {
    await sql.end();
  }
}

Deno.test({
  name: "A node's role cannot change or remove a committed line, nor a table, nor its own rights",
  ignore,
  fn: async () => {
    const store = await PostgresStore.open(roles.node, { connections: 1 });
    const tree = await newTree(store);
    await store.commit([batchOf(tree, { lines: ['"kept"'] })]);
    await refused(roles.node, FORBIDDEN);
    assert.deepEqual(await linesOf(store, tree), ['"kept"']);
    await store.close();
  },
});

Deno.test({
  name:
    "A runtime runs whole under a node's role: spawns, writes, is answered, goes on, is verified",
  ignore,
  fn: async () => {
    const image = defineImage({
      name: "whole",
      program: async ({ sys }) => {
        const { object } = await sys.object.create({ name: "note", value: "kept" });
        const { messages: [message] } = await sys.message.receive({});
        await sys.clock.sleep({ ms: 1 });
        await sys.process.exit({
          result: [message!.data!, (await sys.object.read({ object })).value],
        });
      },
    });
    const options = { store: roles.node, workspace: null, approvals: "deny" } as const;
    await using os = await createRuntime({ ...options, images: [image] });
    const process = await os.spawn(image, { goal: "Run", retainDays: 30 });
    await process.send("hello");
    assert.deepEqual((await process.wait()).result, ["hello", "kept"]);
    assert.deepEqual((await os.verify()).map(({ broken }) => broken).at(-1), null);
  },
});

Deno.test({
  name: "A reader's role reads all that a console shows, and writes nothing",
  ignore,
  fn: async () => {
    const store = await PostgresStore.open(roles.reader, { connections: 1 });
    const [head] = await store.list({ limit: 1 });
    assert.deepEqual(await linesOf(store, head!.tree), ['"kept"']);
    assert.deepEqual(await store.check(), []);
    await rejects(store.commit([batchOf(head!.tree, { seq: 2 })]), "EACCES");
    await rejects(store.create(null), "EACCES");
    await rejects(store.putInbox(head!.tree, { id: "a", body: {} }), "EACCES");
    const claim = { nowMs: 0, ttlMs: 1 };
    await rejects(store.claim(head!.tree, "n", claim), "EACCES");
    await store.close();
    await refused(roles.reader, [...FORBIDDEN, ...FORBIDDEN_TO_READ]);
  },
});

Deno.test({
  name: "A role that cannot make tables is told so, and leaves none",
  ignore,
  fn: async () => {
    const schema = `${SCHEMA}_none`;
    await rejects(PostgresStore.open(`${roles.node}_none`, { connections: 1 }), "EACCES");
    const found = await admin`SELECT to_regnamespace(${schema}) AS there`;
    assert.equal(found[0]!.there, null);
  },
});
