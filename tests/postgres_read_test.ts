/**
 * What is only shown is read from a hot standby, and never wrongly: a real one, which is held back,
 * cut off, stopped and promoted.
 * @module
 */

import assert from "node:assert/strict";
import postgres from "postgres";
import type { ReplicaUse, StoreView } from "../kernel/store.ts";
import { createRuntime } from "../mod.ts";
import { PostgresStore } from "../postgres.ts";
import { Place } from "./cli_place.ts";
import { FleetPlace, waiter } from "./fleet_place.ts";
import { type Server, startPostgres } from "./postgres_place.ts";
import { serverPlace } from "./server_place.ts";
import { noStandby as ignore, standbyOf } from "./standby_place.ts";
import { batchOf, rejects } from "./store_fixture.ts";
import { TcpProxy } from "./tcp_proxy.ts";

/** So old that no test waits for it. */
const NEVER_LATE = { readLagMs: 86_400_000 };

let primary: Server;
let standby: Server;
let schemas = 0;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  primary = await startPostgres([]);
  standby = await standbyOf(primary);
});
Deno.test.afterAll(async () => {
  if (ignore) return;
  await standby.stop();
  await primary.stop();
});

/** A schema on both servers, and a hand on what the standby does. */
class Pair {
  readonly schema: string = `libos_read_${Deno.pid}_${schemas += 1}`;
  readonly place: FleetPlace;
  readonly readUrl: string;
  readonly #sql: postgres.Sql;

  constructor() {
    const { schema } = this;
    this.place = new FleetPlace(primary.url, schema);
    this.readUrl = `${standby.url}?schema=${schema}`;
    this.#sql = postgres(standby.url, { max: 1, onnotice: () => {} });
  }

  async open(more: object = {}): Promise<PostgresStore> {
    const { readUrl } = this;
    return await PostgresStore.open(this.place.url, { readUrl, ...NEVER_LATE, ...more });
  }

  /** The standby hears of commits, and does none of them. */
  async pause(): Promise<void> {
    await this.#sql`SELECT pg_wal_replay_pause()`;
    while (true) {
      const [row] = await this.#sql`SELECT pg_get_wal_replay_pause_state() AS state`;
      if (row!.state === "paused") return;
    }
  }

  async resume(): Promise<void> {
    // One that was promoted has nothing to resume.
    await this.#sql`SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()`;
  }

  async close(): Promise<void> {
    await this.resume();
    await this.#sql.end();
    await this.place.close();
  }
}

function claim(name: string, body: (pair: Pair) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const pair = new Pair();
      try {
        await body(pair);
      } finally {
        await pair.close();
      }
    },
  });
}

/** A view that the replica gives, once it may. */
async function copied(store: PostgresStore): Promise<StoreView> {
  for (;;) {
    const view = await store.view();
    if (view !== store) return view;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Asks until the replica stands so. */
async function untilUse(store: PostgresStore, use: ReplicaUse): Promise<void> {
  while (store.replica()!.use !== use) {
    await store.view();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const titles = async (view: Pick<StoreView, "list">): Promise<string[]> =>
  (await view.list({ limit: 100 })).map(({ summary }) => summary.title.replace(/^.* /, ""));

claim(
  "PR1 What is shown is read from the replica, with all that was written or shown here",
  async (pair) => {
    await using other = await pair.place.node();
    await other.spawn(waiter, { goal: "First" });
    // A role that may only read is enough.
    await pair.place.sql("CREATE ROLE libos_only_reads LOGIN");
    await pair.place.sql(`GRANT USAGE ON SCHEMA ${pair.schema} TO libos_only_reads`);
    await pair.place.sql(
      `GRANT SELECT ON ALL TABLES IN SCHEMA ${pair.schema} TO libos_only_reads`,
    );
    const store = await pair.open({ readUrl: pair.readUrl.replace("libos@", "libos_only_reads@") });
    assert.equal(store.replica()!.use, "unasked");
    const view = await copied(store);
    assert(typeof view.behindMs === "number");
    assert.deepEqual(await titles(view), ["First"]);
    assert.equal(store.replica()!.use, "used");

    // What another node writes since is not there, and the question did not go to the primary.
    await pair.pause();
    await other.spawn(waiter, { goal: "Second" });
    const { answered } = store.replica()!;
    const later = await store.view();
    assert.deepEqual(await titles(later), ["First"]);
    assert.deepEqual(store.replica()!.answered, { ...answered, replica: answered.replica + 1 });

    // Once somebody was shown it here, nobody is shown less.
    assert.deepEqual(await titles(store), ["First", "Second"]);
    const since = await store.view();
    assert.equal(since.behindMs ?? null, null);
    assert.deepEqual(await titles(since), ["First", "Second"]);
    const { use, detail, lagBytes } = store.replica()!;
    assert.deepEqual([use, detail], [
      "behind",
      "it lacks what was written or shown here last: the primary is read",
    ]);
    assert(lagBytes! > 0);
    await pair.resume();
    assert.deepEqual(await titles(await copied(store)), ["First", "Second"]);

    // What was written here is never missing, however late the replica is.
    for (let i = 0; i < 8; i++) {
      if (i % 2 === 0) await pair.pause();
      else await pair.resume();
      const { tree } = await store.create(null);
      const shown = await (await store.view()).list({ limit: 100 });
      assert(shown.some((head) => head.tree === tree), `${tree} at ${i}`);
      await store.commit([batchOf(tree)]);
      assert.equal((await (await store.view()).head(tree))?.seq, 1);
    }
    await store.close();
  },
);

claim(
  "A replica that is older than the limit is not asked, and is again when it is not",
  async (pair) => {
    await using other = await pair.place.node();
    const store = await pair.open({ readLagMs: 1_500 });
    await copied(store);
    await pair.pause();
    await other.spawn(waiter, { goal: "Late" });
    await untilUse(store, "behind");
    const { detail, lagMs } = store.replica()!;
    assert.equal(detail, "it is more than 1500 ms behind: the primary is read");
    assert(lagMs! > 1_500);
    assert.deepEqual(await titles(await store.view()), ["Late"]);
    await pair.resume();
    await copied(store);
    await store.close();
  },
);

claim(
  "PR3 A replica that goes in the middle of a question leaves no gap in its answer",
  async (pair) => {
    const proxy = new TcpProxy(Number(new URL(pair.readUrl).port));
    const at = new URL(pair.readUrl);
    at.port = `${proxy.port}`;
    const store = await pair.open({ readUrl: at.href });
    const { tree } = await store.create(null);
    const batches = Array.from({ length: 300 }, (_, i) => batchOf(tree, { seq: i + 1 }));
    await store.commit(batches);
    const view = await copied(store);
    const seqs: number[] = [];
    for await (const { seq } of view.read(tree, 1)) {
      seqs.push(seq);
      if (seq !== 10) continue;
      proxy.isDown = true;
      proxy.cut();
    }
    assert.deepEqual(seqs, batches.map(({ seq }) => seq));
    assert.equal(view.behindMs, null, "The primary gave the rest");
    assert.equal(store.replica()!.use, "away");
    assert.match(store.replica()!.detail, /: the primary is read$/);
    assert.equal((await (await store.view()).head(tree))?.seq, 300);

    // One that is silent holds up no question that comes later.
    proxy.isDown = false;
    await copied(store);
    proxy.isStalled = true;
    assert.equal((await (await store.view()).head(tree))?.seq, 300);
    await untilUse(store, "away");
    proxy.isStalled = false;
    proxy.cut();
    assert.equal((await (await copied(store)).head(tree))?.seq, 300);
    await store.close();
    await proxy[Symbol.asyncDispose]();
  },
);

claim("PR2 What is no standby of the store is not asked", async (pair) => {
  const foreign = await startPostgres(["fsync=off"]);
  const { place: { url } } = pair;
  const schema = new URL(url).searchParams.get("schema")!;
  for (
    const [readUrl, why] of [
      [url, /^it takes writes, as what was promoted does; expected a standby/],
      [`${foreign.url}?schema=${schema}`, /^it takes writes/],
      [pair.readUrl.replace("/postgres?", "/template1?"), /^it is of another database, expected/],
    ] as const
  ) {
    const store = await pair.open({ readUrl });
    const { tree } = await store.create(null);
    await untilUse(store, "refused");
    assert.match(store.replica()!.detail, why);
    const view = await store.view();
    assert.equal(view, store);
    assert.equal((await view.head(tree))?.tree, tree);
    assert.equal(store.replica()!.answered.replica, 0);
    await store.close();
  }
  await foreign.stop();
  await rejects(pair.open({ readUrl: `${standby.url}?schema=other` }), "EINVAL");
  await rejects(createRuntime({ store: ":memory:", readUrl: pair.readUrl }), "EINVAL");
});

claim(
  "A server says how old an answer is, and of its replica in /v1/nodes and /metrics",
  async (pair) => {
    const store = await pair.open();
    {
      await using place = await serverPlace({ runtime: { store, images: [waiter] } });
      const read = async (path: string) => {
        const answer = await place.ask("viewer", path);
        assert.equal(answer.status, 200, path);
        return { behind: answer.headers.get("libos-behind-ms"), text: await answer.text() };
      };
      const process = await place.runtime.spawn(waiter, { goal: "Shown" });
      await place.runtime.runUntilIdle();
      const tree = `t_${/\d+/.exec(process.pid)![0]}`;
      for (
        const path of [
          "/v1/processes",
          "/v1/trees",
          `/v1/trees/${tree}/events`,
          `/v1/processes/${process.pid}/timeline`,
          "/v1/decisions",
          "/v1/nodes",
          "/v1/overview",
        ]
      ) {
        // What the server was answered by the primary meanwhile may be on its way to the replica.
        for (;;) {
          const { behind, text } = await read(path);
          if (path !== "/v1/decisions") assert.match(text, /./);
          if (behind === null) continue;
          assert.match(behind, /^\d+$/);
          break;
        }
      }
      const { replica } = JSON.parse((await read("/v1/nodes")).text);
      assert.match(replica.name, /^postgres 127\.0\.0\.1:\d+\/postgres$/);
      assert(replica.answered.replica > 0);
      const { text } = await read("/metrics");
      assert.match(text, /libos_store_replica_used\{[^}]*\} [01]\n/);
      assert.match(text, /libos_store_views_total\{from="replica"\} [1-9]/);
      assert.match(text, /libos_store_replica_lag_bytes \d+\n/);

      // Who changes something sees it at once, however late the replica is.
      await pair.pause();
      const started = await place.runtime.spawn(waiter, { goal: "Since" });
      const since = await read("/v1/processes");
      assert.equal(since.behind, null);
      assert.match(since.text, new RegExp(`"${started.pid}"`));
      const signal = { signal: "pause", reason: "" };
      const paused = await place.post("operator", `/v1/processes/${started.pid}/signals`, signal);
      assert(paused.ok, await paused.text());
      assert.match((await read("/v1/processes?state=paused")).text, new RegExp(`"${started.pid}"`));
      await pair.resume();
    }
    await store.close();
  },
);

claim("doctor --store looks at the replica that nodes are to read", async (pair) => {
  await using place = await Place.make();
  await (await pair.open()).close();
  place.variables["LIBOS_DB"] = pair.place.url;
  const found = await place.libos("doctor", "--store", "--read-db", pair.readUrl);
  assert.match(found.out, /\nreplica +(ok|note) +postgres 127\.0\.0\.1:\d+\S*: \d+ bytes behind/);
  place.variables["LIBOS_READ_DB"] = pair.place.url;
  const refused = await place.libos("doctor", "--store");
  assert.match(refused.out, /\nreplica +bad +postgres \S+: it takes writes/);
  assert.equal(refused.exit, 1);
  const file = await place.libos("doctor", "--store", "--db", "x.db", "--read-db", pair.readUrl);
  assert.equal(file.exit, 2);
  assert.match(file.err, /^.*Cannot read a replica: the store is a file/);
});

claim("PR2 A standby that was promoted is not asked any more", async (pair) => {
  await using other = await pair.place.node();
  const store = await pair.open();
  await copied(store);
  const sql = postgres(standby.url, { max: 1, onnotice: () => {} });
  await sql`SELECT pg_promote()`;
  await sql.end();
  await untilUse(store, "refused");
  await other.spawn(waiter, { goal: "Kept" });
  assert.deepEqual(await titles(await store.view()), ["Kept"]);
  assert.match(store.replica()!.detail, /as what was promoted does/);
  await store.close();
});
