/**
 * What a node keeps when the database, the line to it, or another node dies under it.
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { createRuntime } from "../mod.ts";
import type { Store } from "../kernel/store.ts";
import { PostgresStore } from "../postgres.ts";
import { VirtualClock } from "../testing.ts";
import { steady } from "./postgres_child.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { batchOf, linesOf, newTree, rejects } from "./store_fixture.ts";
import { TcpProxy } from "./tcp_proxy.ts";

const ignore = noPostgres() !== undefined;
let server: Server;
let schemas = 0;

Deno.test.beforeAll(async () => {
  if (!ignore) server = await startPostgres(["fsync=off"]);
});
Deno.test.afterAll(async () => {
  if (!ignore) await server.stop();
});

const fresh = (): string => `libos_node_${Deno.pid}_${schemas += 1}`;

/** An address of the same database through a line of the test's own. */
function through(proxy: TcpProxy): string {
  const at = new URL(server.url);
  at.port = `${proxy.port}`;
  return at.href;
}

async function withLine(body: (store: Store, proxy: TcpProxy) => Promise<void>): Promise<void> {
  await using proxy = new TcpProxy(Number(new URL(server.url).port));
  const options = { schema: fresh(), connections: 1 };
  const store = await PostgresStore.open(through(proxy), options);
  try {
    await body(store, proxy);
  } finally {
    await store.close();
  }
}

Deno.test({
  name: "P1 A commit whose answer is lost is found to have happened, and happens once",
  ignore,
  fn: () =>
    withLine(async (store, proxy) => {
      const tree = await newTree(store);
      const lost = proxy.loseAnswer();
      const committed = store.commit([batchOf(tree, { lines: ['"once"'] })]);
      await lost;
      await committed;
      assert.deepEqual(await linesOf(store, tree), ['"once"']);
      await store.commit([batchOf(tree, { seq: 2, lines: ['"next"'] })]);
      assert.deepEqual(await linesOf(store, tree), ['"once"', '"next"']);
    }),
});

Deno.test({
  name: "P1 A commit whose answer is lost is refused all the same when it did not fit",
  ignore,
  fn: () =>
    withLine(async (store, proxy) => {
      const tree = await newTree(store);
      const lost = proxy.loseAnswer();
      const refused = rejects(store.commit([batchOf(tree, { seq: 2 })]), "ESTALE");
      await lost;
      await refused;
      assert.deepEqual(await linesOf(store, tree), []);
    }),
});

Deno.test({
  name: "P1 A commit waits while the database is away, and is made when it is back",
  ignore,
  fn: () =>
    withLine(async (store, proxy) => {
      const tree = await newTree(store);
      const options = { schema: fresh(), connections: 1, awayMs: 1_000, isPatient: false };
      const hasty = await PostgresStore.open(through(proxy), options);
      proxy.isDown = true;
      proxy.cut();
      let isAnswered = false;
      const committed = store.commit([batchOf(tree)]).then(() => isAnswered = true);
      // Who waits no longer hears that it is away.
      await rejects(hasty.head(tree), "EIO");
      await rejects(hasty.putInbox(tree, { id: "a", body: {} }), "EIO");
      await rejects(hasty.commit([batchOf(tree)]), "EIO");
      await rejects(hasty.create(null), "EIO");
      await hasty.close();
      assert.equal(isAnswered, false);
      proxy.isDown = false;
      await committed;
      assert.equal((await store.head(tree))?.seq, 1);
    }),
});

Deno.test({
  name: "T2 Nodes that start together over an empty database make one set of tables",
  ignore,
  fn: async () => {
    const schema = fresh();
    const stores = await Promise.all(
      [1, 2, 3, 4].map(() => PostgresStore.open(server.url, { schema, connections: 1 })),
    );
    const trees = await Promise.all(stores.map((store) => newTree(store)));
    assert.deepEqual(trees.sort(), ["t_1", "t_2", "t_3", "t_4"]);
    const same = await Promise.all(stores.map((store) => store.create("one key")));
    assert.equal(new Set(same.map(({ tree }) => tree)).size, 1);
    assert.equal(same.filter(({ created }) => created).length, 1);
    for (const store of stores) await store.close();
  },
});

Deno.test({
  name: "T1 Tables of a newer version are refused and left as they were",
  ignore,
  fn: async () => {
    const schema = fresh();
    const sql = postgres(server.url, { max: 1, onnotice: () => {} });
    await sql.unsafe(
      `CREATE SCHEMA ${schema};
       CREATE TABLE ${schema}.layout(version integer);
       INSERT INTO ${schema}.layout VALUES(99)`,
    );
    const { message } = await rejects(PostgresStore.open(server.url, { schema }), "EINVAL");
    assert.match(message, /layout 99 by a newer version/);
    const tables = await sql`SELECT tablename FROM pg_tables WHERE schemaname = ${schema}`;
    assert.deepEqual(tables.map(({ tablename }) => tablename), ["layout"]);
    await sql.end();
  },
});

Deno.test({
  name: "version() tells a node what others put into inboxes, and nothing of its own",
  ignore,
  fn: async () => {
    const options = { schema: fresh(), connections: 1 };
    const one = await PostgresStore.open(server.url, options);
    const other = await PostgresStore.open(server.url, options);
    const tree = await newTree(one);
    const before = await one.version();
    await one.putInbox(tree, { id: "own", body: {} });
    assert.equal(await one.version(), before);
    const told = Promise.withResolvers<void>();
    const look = async (): Promise<void> => {
      if (await one.version() !== before) told.resolve();
      else setTimeout(look, 1);
    };
    await other.putInbox(tree, { id: "other", body: {} });
    await look();
    await told.promise;
    await one.close();
    await other.close();
  },
});

/** Addresses that are none, and what is said of them. */
const WRONG: readonly (readonly [string, string, RegExp])[] = [
  ["mysql://u:PRIVATE@localhost/x", "EINVAL", /expected postgres:\/\//],
  ["postgres://u:PRIVATE@127.0.0.1:1/x", "EIO", /cannot be reached/],
  ["postgres://u:PRIVATE@127.0.0.1:1/x?schema=a;b", "EINVAL", /schema "a;b"/],
];

for (const [url, code, said] of WRONG) {
  Deno.test(`Address ${url.slice(0, 8)}… of no database is refused without its password: ${code}`, async () => {
    const { message, detail } = await rejects(PostgresStore.open(url), code as "EIO");
    assert.match(message, said);
    assert.doesNotMatch(message + JSON.stringify(detail ?? {}), /PRIVATE/);
  });
}

Deno.test({
  name: "Another node goes on with the agent of one that was killed, and writes nothing twice",
  ignore,
  fn: async () => {
    const schema = fresh();
    const store = `${server.url}?schema=${schema}`;
    const folder = await Deno.makeTempDir();
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", CHILD, store, folder],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    const pid = value?.split(" ")[1]?.trim() ?? "";
    child.kill("SIGKILL");
    await Promise.all([child.status, reader.cancel(), child.stdin.close().catch(() => {})]);
    // What was written is not to be written again.
    await Deno.writeTextFile(`${folder}/c`, "of another hand");

    // The lease of the dead has run out by the database's clock, the agent's sleep by the node's.
    const sql = postgres(server.url, { max: 1, onnotice: () => {} });
    await sql.unsafe(`UPDATE ${schema}.nodes SET until = 0`);
    await sql.end();
    const clock = new VirtualClock(Date.now() + 7_200_000);
    const options = { workspace: folder, images: [steady], approvals: "deny", clock } as const;
    {
      await using os = await createRuntime({ store, ...options, autorun: false });
      const ended = (await os.get(pid))!.wait();
      await os.runUntilIdle();
      assert.equal((await ended).result, "of another hand");
      assert.deepEqual((await os.verify()).map(({ broken }) => broken), [null]);
    }
    await Deno.remove(folder, { recursive: true });
  },
});

const CHILD = fileURLToPath(new URL("postgres_child.ts", import.meta.url));
