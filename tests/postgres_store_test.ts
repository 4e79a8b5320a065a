/**
 * The PostgreSQL store keeps what every store keeps, in a real server, under a role that may no more
 * than docs/postgres.md says.
 * @module
 */

import assert from "node:assert/strict";
import postgres from "postgres";
import type { Store } from "../kernel/store.ts";
import { PostgresStore } from "../providers/postgres_store.ts";
import { dropRoles, makeRoles, makeSchema, type Roles } from "./postgres_roles.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { testStore } from "./store_conformance.ts";

/** Content of every table, and what numbers trees. */
const EMPTYING = ["trees", "batches", "blobs", "gone", "inbox", "snapshots"];

let server: Server | undefined;
let admin: postgres.Sql | undefined;
let schemas = 0;
/** Schemas whose store was closed: emptying one is quicker than making it. */
const free: string[] = [];
const schemaOf = new WeakMap<Store, string>();
const addresses = new Map<string, Roles>();
const ROLES = `libos_test_${Deno.pid}`;

Deno.test.beforeAll(async () => {
  if (noPostgres() !== undefined) return;
  server = await startPostgres(["fsync=off"]);
  admin = postgres(server.url, { max: 1, onnotice: () => {} });
  await makeRoles(admin, ROLES);
});
Deno.test.afterAll(async () => {
  if (admin !== undefined) await dropRoles(admin, ROLES);
  await admin?.end();
  await server?.stop();
});

async function openEmpty(): Promise<Store> {
  const schema = free.pop();
  if (schema === undefined) {
    const made = `libos_${Deno.pid}_${schemas += 1}`;
    const given = { url: server!.url, roles: ROLES, schema: made };
    addresses.set(made, await makeSchema(admin!, given));
    return await openAt(made);
  }
  const statements = EMPTYING.map((table) => `DELETE FROM ${schema}.${table};`);
  await admin!.unsafe(`${statements.join("")} ALTER SEQUENCE ${schema}.tree_number RESTART;`);
  return await openAt(schema);
}

async function openAt(schema: string): Promise<Store> {
  const store = await PostgresStore.open(addresses.get(schema)!.node, { connections: 1 });
  const close = store.close.bind(store);
  schemaOf.set(store, schema);
  store.close = async () => {
    await close();
    if (schemaOf.delete(store)) free.push(schema);
  };
  return store;
}

if (noPostgres() === undefined) {
  testStore("PostgresStore", openEmpty, {
    reopen: async (store) => {
      const schema = schemaOf.get(store);
      assert(schema !== undefined, "Only an open store is reopened");
      schemaOf.delete(store);
      await store.close();
      return await openAt(schema);
    },
  });
}
