/**
 * Seals in PostgreSQL: what every history keeps, two nodes that seal one store, and what a change
 * behind their back comes to. All under the role of a node, but for the change.
 * @module
 */

import assert from "node:assert/strict";
import postgres from "postgres";
import type { AuditStore } from "../kernel/seal.ts";
import { createRuntime, defineImage } from "../mod.ts";
import { PostgresStore } from "../postgres.ts";
import { findPostgresDamage } from "../providers/postgres_check.ts";
import type { Postgres, PostgresRow } from "../providers/postgres_handle.ts";
import { testAuditStore } from "./audit_store_claims.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { dropRoles, makeRoles, makeSchema } from "./postgres_roles.ts";
import { rejects } from "./store_fixture.ts";

const ignore = noPostgres() !== undefined;
const ROLES = `libos_seal_${Deno.pid}`;
let server: Server;
let admin: postgres.Sql;
let schemas = 0;
const opened = new Map<AuditStore, { readonly store: PostgresStore; readonly url: string }>();

Deno.test.beforeAll(async () => {
  if (ignore) return;
  server = await startPostgres(["fsync=off"]);
  admin = postgres(server.url, { max: 1, onnotice: () => {} });
  await makeRoles(admin, ROLES);
});
Deno.test.afterEach(async () => {
  for (const { store } of opened.values()) await store.close();
  opened.clear();
});
Deno.test.afterAll(async () => {
  if (ignore) return;
  await dropRoles(admin, ROLES);
  await admin.end();
  await server.stop();
});

async function fresh(): Promise<{ readonly url: string; readonly schema: string }> {
  const schema = `${ROLES}_${schemas += 1}`;
  const { node } = await makeSchema(admin, { url: server.url, roles: ROLES, schema });
  return { url: node, schema };
}

async function openAt(url: string): Promise<AuditStore> {
  const store = await PostgresStore.open(url, { connections: 1 });
  const audit = store.audit();
  opened.set(audit, { store, url });
  return audit;
}

if (!ignore) {
  testAuditStore(
    "PostgresAuditStore",
    async () => await openAt((await fresh()).url),
    async (audit) => {
      const { store, url } = opened.get(audit)!;
      await store.close();
      opened.delete(audit);
      return await openAt(url);
    },
  );
}

const quiet = defineImage({
  name: "quiet",
  program: async ({ sys }) => {
    await sys.process.exit({ result: "quiet" });
  },
});

Deno.test({
  name:
    "Two nodes seal one store under one key; a line changed behind them is found, and a head too",
  ignore,
  fn: async () => {
    const { url, schema } = await fresh();
    const folder = await Deno.makeTempDir();
    const options = {
      store: url,
      workspace: null,
      approvals: "deny",
      images: [quiet],
      audit: { keyFile: `${folder}/key`, anchor: `${folder}/anchor`, every: "1h" },
    } as const;
    {
      await using one = await createRuntime(options);
      await using other = await createRuntime(options);
      for (const os of [one, other, one, other]) {
        await (await os.spawn(quiet, { goal: "Be quiet" })).wait();
        await os.seal();
      }
      // At once: one is late, and seals what is left.
      await Promise.all([one.seal(), other.seal(), one.seal(), other.seal()]);
      const checked = await other.verify();
      assert.deepEqual([...new Set(checked.map(({ broken }) => broken))], [null]);
      assert.equal(checked.at(-1)?.tree, null);
    }
    await admin.unsafe(
      `UPDATE ${schema}.batches SET body = replace(body, 'Be quiet', 'Be loud!') WHERE tree = 2`,
    );
    {
      const faults: string[] = [];
      const onFault = ({ message }: Error): unknown => faults.push(message);
      await using os = await createRuntime({ ...options, audit: { ...options.audit, onFault } });
      const broken = (await os.verify()).filter((one) => one.broken !== null);
      assert.deepEqual(broken.map(({ tree }) => tree), ["t_2"]);
    }
    await admin.unsafe(`DELETE FROM ${schema}.audit_heads WHERE size > 3`);
    await admin.unsafe(`DELETE FROM ${schema}.audit_leaves WHERE n >= 3`);
    await rejects(createRuntime(options), "EINTEGRITY");
    await Deno.remove(folder, { recursive: true });
  },
});

/** What somebody does behind the store's back, and what `check` says of it. */
const DAMAGES: readonly (readonly [string, RegExp])[] = [
  ["UPDATE $.audit_leaves SET n = n + 1 WHERE n = 3", /The history has leaf 4 where leaf 3 should/],
  ["DELETE FROM $.audit_leaves WHERE n = 3", /has 3 leaves, and its last signed head is over 4/],
  ["DELETE FROM $.audit_heads WHERE size > 2", /its last signed head is over 2/],
  ["UPDATE $.audit_leaves SET tree = 1 WHERE n = 2", /Leaf 2 does not say .* tree "t_1"/],
  ["UPDATE $.audit_leaves SET seq = seq + 1 WHERE n = 2", /Leaf 2 does not say/],
  ["UPDATE $.audit_heads SET body = replace(body, '\"size\":', '\"size\":9')", /does not say so/],
  ["UPDATE $.trees SET seq = 1 WHERE id = 1", /Leaf \d seals line \d+ of tree "t_1", which is not/],
];

Deno.test({
  name: "Seals that are gone, moved or changed are found by check",
  ignore,
  fn: async () => {
    const { url, schema } = await fresh();
    const folder = await Deno.makeTempDir();
    const images = [quiet];
    const audit = { keyFile: `${folder}/key`, anchor: `${folder}/anchor`, every: "1h" } as const;
    {
      await using os = await createRuntime({
        ...{ store: url, workspace: null, approvals: "deny", images, audit },
      });
      for (let i = 0; i < 3; i++) {
        await (await os.spawn(quiet, { goal: "Be quiet" })).wait();
        await os.seal();
      }
      const { store } = os.node.options;
      assert.deepEqual(await store.check(), []);
      for (const [damage, said] of DAMAGES) {
        const undone = new Error("undone");
        await admin.begin(async (sql) => {
          await sql.unsafe(damage.replaceAll("$.", `${schema}.`));
          // It is looked for in the transaction that is undone.
          const run = async (text: string): Promise<PostgresRow[]> =>
            text.startsWith("SET ") ? [] : [...await sql.unsafe(text)];
          const within = { schema, transaction: (job: (one: typeof run) => unknown) => job(run) };
          const found = await findPostgresDamage(within as unknown as Postgres);
          assert.match(found.join("\n"), said, damage);
          throw undone;
        }).catch((error) => assert.equal(error, undone));
      }
      assert.deepEqual(await store.check(), []);
    }
    await Deno.remove(folder, { recursive: true });
  },
});
