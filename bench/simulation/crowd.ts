/**
 * Many nodes that take trees of one PostgreSQL at the same time: how long it takes until all are
 * taken, what a look costs, and how evenly they are shared. `deno run -A bench/simulation/crowd.ts`.
 * @module
 */

import { LIMITS } from "../../kernel/limits.ts";
import { PostgresFleet } from "../../providers/postgres_fleet.ts";
import { Postgres } from "../../providers/postgres_handle.ts";
import { PostgresStore } from "../../providers/postgres_store.ts";
import { startPostgres } from "../../tests/postgres_place.ts";
import { fairness } from "../../tests/chaos/judge.ts";

const TREES = 100_000;
/** One of so many has something to do. */
const READY = 20;
const CAPACITY = 1_000;

const fleetOf = (db: Postgres): PostgresFleet => {
  const answer = <T>(_: string, job: (db: Postgres) => Promise<T>): Promise<T> => job(db);
  return new PostgresFleet(db, { answer, aside: answer });
};

async function fill(db: Postgres): Promise<void> {
  await db.run(
    `INSERT INTO libos.trees(id, epoch, seq, head, owner, lease, due, live, ready, asking, title)
     SELECT i, 1, 12, repeat('0', 64), NULL, 0, NULL, true, i % ${READY} = 0, 0, '"x"'
     FROM generate_series(1, ${TREES}) AS i`,
  );
}

/** All take at the same time, again and again, until nobody gets any. */
async function crowd(nodes: readonly Postgres[]): Promise<void> {
  const counts = nodes.map(() => 0);
  const times: number[] = [];
  const beganMs = performance.now();
  const take = async (db: Postgres, i: number): Promise<number> => {
    const atMs = performance.now();
    const wish = { nowMs: 9, active: counts[i]!, isOver: false, barred: [] };
    const taken = await fleetOf(db).take(`n${i}`, { ...wish, limit: LIMITS.nodeTakesMax });
    times.push(performance.now() - atMs);
    counts[i]! += taken.trees.length;
    return taken.trees.length;
  };
  while ((await Promise.all(nodes.map(take))).some((count) => count > 0));
  const ms = performance.now() - beganMs;
  times.sort((a, b) => a - b);
  const sum = counts.reduce((a, b) => a + b, 0);
  console.log(
    `${nodes.length} nodes: ${sum} trees in ${
      (ms / 1_000).toFixed(1)
    } s, ${times.length} looks of ` +
      `${times[times.length >> 1]!.toFixed(0)} ms; Jain's index ${fairness(counts).toFixed(3)}, ` +
      `from ${Math.min(...counts)} to ${Math.max(...counts)}`,
  );
}

async function main(): Promise<void> {
  const server = await startPostgres(["fsync=off", "max_connections=80"]);
  const db = new Postgres(server.url, { awayMs: 600_000 });
  try {
    await (await PostgresStore.open(server.url)).close();
    await fill(db);
    for (const count of [4, 16, 40]) {
      await db.run("UPDATE libos.trees SET owner = NULL WHERE owner IS NOT NULL");
      await db.run("DELETE FROM libos.nodes");
      await db.run("VACUUM ANALYZE libos.trees");
      const nodes = Array.from(
        { length: count },
        () => new Postgres(server.url, { awayMs: 600_000, connections: 1 }),
      );
      const facts = { labels: {}, version: "0.1.0", capacity: CAPACITY, leaseMs: 86_400_000 };
      await Promise.all(
        nodes.map((one, i) => fleetOf(one).join({ ...facts, id: `n${i}`, name: `n${i}` })),
      );
      await crowd(nodes);
      await Promise.all(nodes.map((one) => one.close()));
    }
  } finally {
    await db.close();
    await server.stop();
  }
}

if (import.meta.main) await main();
