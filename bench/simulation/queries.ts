/**
 * What nodes ask a PostgreSQL database, as it fills with trees that only wait: how many pages each
 * statement touches and how long it takes, over ten thousand trees, a hundred thousand, a million,
 * and with `--long` ten million. Writes `bench/simulation/measured.json`, which the simulation
 * reads.
 * @module
 */

import { sha256 } from "../../kernel/json.ts";
import type { Batch } from "../../kernel/store.ts";
import { Postgres, type Run } from "../../providers/postgres_handle.ts";
import { PostgresFleet } from "../../providers/postgres_fleet.ts";
import { PostgresWriter } from "../../providers/postgres_writer.ts";
import { PostgresStore } from "../../providers/postgres_store.ts";
import { startPostgres } from "../../tests/postgres_place.ts";
import { times } from "../measure.ts";

/** Pages touched; milliseconds at best, at the median and at the 99th percentile. */
export interface Asked {
  readonly pages: number;
  readonly least: number;
  readonly ms: number;
  readonly p99: number;
}

/** What was measured. */
export interface Measured {
  readonly at: string;
  /** Bytes of a waiting tree in the database, its share of indexes included; no line of its log. */
  readonly treeBytes: number;
  /** Bytes of one step (an intent and its outcome, 1 KB of arguments) in tables, and in the WAL. */
  readonly stepBytes: number;
  readonly stepWalBytes: number;
  /** A commit of one tree, and of 64, at best of all sizes: some of it is this program's. */
  readonly commitMs: number;
  readonly commit64Ms: number;
  /** Telling other nodes, and taking 64 trees. */
  readonly notifyMs: number;
  readonly takeMs: number;
  /** By how many trees there are, and by what is asked. */
  readonly asked: Readonly<Record<string, Readonly<Record<string, Asked>>>>;
}

/** Trees that have something to do, however many wait: of each kind. */
const BUSY = 200;
const ROUNDS = 60;
const NODE = "node-bench";

async function fill(run: Run, from: number, to: number): Promise<void> {
  // Nine of ten wait for a person, one for a time of next month; none has an owner.
  await run(
    `INSERT INTO libos.trees(id, epoch, seq, head, owner, lease, due, live, ready, asking, title)
     SELECT i, 1, 12, repeat('0', 64), NULL, 0,
       CASE WHEN i % 10 = 0 THEN 9000000000000 + i ELSE NULL END, true, false,
       CASE WHEN i % 10 = 0 THEN 0 ELSE 1 END, '"Research the market of ' || i || '"'
     FROM generate_series($1::bigint, $2::bigint) AS i`,
    [from, to],
  );
  await run(`SELECT setval('libos.tree_number', $1::bigint)`, [to]);
}

async function busy(run: Run, trees: number): Promise<void> {
  const each = Math.floor(trees / BUSY);
  const picked = (offset: number) =>
    `SELECT i * ${each} + ${offset} FROM generate_series(0, ${BUSY - 1}) AS i`;
  await run(
    "UPDATE libos.trees SET ready = false, due = NULL, owner = NULL WHERE ready OR due < 9",
  );
  await run("DELETE FROM libos.inbox");
  await run(`UPDATE libos.trees SET ready = true WHERE id IN (${picked(1)})`);
  await run(`UPDATE libos.trees SET due = 8 WHERE id IN (${picked(2)})`);
  await run(
    `INSERT INTO libos.inbox(tree, id, body) SELECT i, '"a"', '{}' FROM (${picked(3)}) AS p(i)`,
  );
  await run("VACUUM ANALYZE libos.trees");
  await run("VACUUM ANALYZE libos.inbox");
}

/** Times `ask`; then counts the pages that its statements touch, and takes them back. */
async function asked(db: Postgres, ask: (spied: Postgres) => Promise<unknown>): Promise<Asked> {
  const through = (run: Run): Postgres => {
    const { schema, teller, awayMs } = db;
    return { schema, teller, awayMs, run } as Postgres;
  };
  const samples: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    await ask(through(db.run));
    samples.push(performance.now() - start);
  }
  let pages = 0;
  await ask(through(async (sql, values) => {
    await db.transaction(async (run) => {
      const [row] = await run(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`, values);
      const [{ Plan: plan }] = row!["QUERY PLAN"] as [{ Plan: Record<string, number> }];
      pages += plan["Shared Hit Blocks"]! + plan["Shared Read Blocks"]!;
      throw new TakenBack();
    }).catch((error) => {
      if (!(error instanceof TakenBack)) throw error;
    });
    return [];
  }));
  const sorted = samples.sort((a, b) => a - b);
  return {
    pages,
    least: sorted[0]!,
    ms: times(samples).median,
    p99: sorted[Math.floor(ROUNDS * 0.99)]!,
  };
}

class TakenBack extends Error {}

let next = 0;
function batchOf(tree: number, seq: number): Batch {
  const text = `{"seq":${seq},"args":"${"x".repeat(1_000)}${next += 1}"}`;
  return {
    tree: `t_${tree}`,
    epoch: 1,
    seq,
    lines: [text],
    head: sha256(text),
    payloads: new Map(),
    blobs: new Map(),
    taken: [],
    dueMs: null,
    puts: [],
    summary: { live: true, title: "", key: null, ready: false },
  };
}

const answering = (db: Postgres) => <T>(_: string, job: (db: Postgres) => Promise<T>) => job(db);
const fleetOf = (db: Postgres): PostgresFleet => {
  const answer = answering(db);
  return new PostgresFleet(db, { answer, aside: answer });
};

async function asks(db: Postgres, trees: number): Promise<Record<string, Asked>> {
  const wish = { nowMs: 9, active: 0, limit: 64, isOver: false, barred: [] };
  let [at, seq] = [trees - 3, 13];
  const result: Record<string, Asked> = {};
  const note = async (name: string, ask: (spied: Postgres) => Promise<unknown>): Promise<void> => {
    result[name] = await asked(db, ask);
    const { pages, least, ms, p99 } = result[name];
    console.log(
      `${trees} trees, ${name}: ${pages} pages, ${least.toFixed(2)} ms at best, ${
        ms.toFixed(2)
      } ms, p99 ${p99.toFixed(1)}`,
    );
  };
  await note("take 64 trees", async (spied) => {
    const fleet = fleetOf(spied);
    const { trees: taken } = await fleet.take(NODE, wish);
    await fleet.giveBack(NODE, taken);
  });
  await note("what is there for this node", (spied) => fleetOf(spied).mine(NODE));
  await note(
    "the next due time",
    (spied) =>
      spied.run("SELECT due FROM libos.trees WHERE due IS NOT NULL AND live ORDER BY due LIMIT 1"),
  );
  await note(
    "a commit of one tree",
    (spied) => new PostgresWriter(spied, true).commit([batchOf(at, seq++)]),
  );
  at = Math.floor(trees / 2);
  const seqs = new Map<number, number>();
  await note(
    "a commit of 64 trees",
    (spied) =>
      new PostgresWriter(spied, true).commit(Array.from({ length: 64 }, (_, i) => {
        const tree = at + i * 7;
        seqs.set(tree, (seqs.get(tree) ?? 12) + 1);
        return batchOf(tree, seqs.get(tree)!);
      })),
  );
  await note("telling other nodes", (spied) => spied.run("SELECT pg_notify('libos', 'other -')"));
  return result;
}

type Sizes = Pick<Measured, "treeBytes" | "stepBytes" | "stepWalBytes">;

/** Bytes of a tree, and those that steps leave in the tables and in the WAL. */
async function sizesOf(db: Postgres, trees: number): Promise<Sizes> {
  const size = async (): Promise<readonly [number, number]> => {
    const [row] = await db.run(
      `SELECT pg_total_relation_size('libos.batches') AS bytes,
         pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS wal`,
    );
    return [row!.bytes as number, row!.wal as number];
  };
  const [row] = await db.run("SELECT pg_total_relation_size('libos.trees') AS bytes");
  const writer = new PostgresWriter(db, true);
  const [bytes, wal] = await size();
  const steps = 1_000;
  for (let i = 0; i < steps; i++) {
    const tree = Math.floor(trees / 4) + i;
    await writer.commit([batchOf(tree, 13)]);
    await writer.commit([batchOf(tree, 14)]);
  }
  const [bytesAfter, walAfter] = await size();
  return {
    treeBytes: Math.round((row!.bytes as number) / trees),
    stepBytes: Math.round((bytesAfter - bytes) / steps),
    stepWalBytes: Math.round((walAfter - wal) / steps),
  };
}

async function write(
  all: Readonly<Record<string, Readonly<Record<string, Asked>>>>,
  sizes: Sizes,
): Promise<void> {
  const least = (kind: string): number =>
    Math.min(...Object.values(all).map((asked) => asked[kind]!.least));
  const measured: Measured = {
    at: `PostgreSQL 18 on the machine of the bench, synced, ${navigator.hardwareConcurrency} cores`,
    ...sizes,
    commitMs: least("a commit of one tree"),
    commit64Ms: least("a commit of 64 trees"),
    notifyMs: least("telling other nodes"),
    takeMs: least("take 64 trees"),
    asked: all,
  };
  const text = JSON.stringify(measured, null, 2);
  await Deno.writeTextFile(new URL("measured.json", import.meta.url), `${text}\n`);
}

async function main(): Promise<void> {
  const server = await startPostgres(["synchronous_commit=on", "shared_buffers=512MB"]);
  const sizes = Deno.args.includes("--long") ? [1e4, 1e5, 1e6, 1e7] : [1e4, 1e5, 1e6];
  try {
    await (await PostgresStore.open(server.url)).close();
    const db = new Postgres(server.url, { awayMs: 600_000 });
    await fleetOf(db).join(
      {
        id: NODE,
        name: NODE,
        labels: {},
        version: "0",
        capacity: 1e6,
        leaseMs: 86_400_000,
      } as never,
    );
    const all: Record<string, Record<string, Asked>> = {};
    let from = 1;
    for (const size of sizes) {
      await fill(db.run, from, size);
      from = size + 1;
      await busy(db.run, size);
      all[size] = await asks(db, size);
      await write(all, await sizesOf(db, size));
    }
    await db.close();
  } finally {
    await server.stop();
  }
}

if (import.meta.main) await main();
