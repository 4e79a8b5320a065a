/**
 * The tail of a PostgreSQL store: batches of all trees by their position, each once.
 *
 * A position is given before its transaction commits, so they become visible out of order: what is
 * missing below the last one that was seen is a gap. Its transaction had its number by then, since
 * a commit changes its tree's row before it asks for a position: once all with numbers that were
 * given until then are over, it is there or it never comes.
 *
 * Invariants:
 *   PL1. A gap is looked for until its transaction is over, and no longer.
 *   PL2. One look reads so many rows at most, found by the index on positions; what it costs does
 *        not grow with the number of trees.
 * @module
 */

import { type TreeId, treeNumber } from "../kernel/ids.ts";
import type { Tail, TailBatch } from "../kernel/tail.ts";
import type { Postgres, PostgresRow } from "./postgres_handle.ts";
import { batchIn } from "./postgres_log.ts";
import type { Answer } from "./postgres_reader.ts";

/** So far back before its beginning commits may be under way: more than there are lines. */
const BACK = 10_000;

interface Seen {
  readonly position: number;
  readonly tree: TreeId;
  readonly seq: number;
}

/** A look at positions: what was visible, and which transactions were over. */
interface Look {
  readonly rows: readonly Seen[];
  /** All before it are over. */
  readonly over: number;
}

/** What nodes commit, from when it was opened. */
export class PostgresTail implements Tail {
  readonly #answer: Answer;
  /** Up to here positions were told, or are gaps. */
  #high: number;
  /** Positions that may come still, and a number that their transactions are below. */
  readonly #gaps: Map<number, number>;

  private constructor(answer: Answer, high: number, gaps: Map<number, number>) {
    this.#answer = answer;
    this.#high = high;
    this.#gaps = gaps;
  }

  /** Begins with what is committed from now on. */
  static async open(answer: Answer): Promise<PostgresTail> {
    return await answer("follow", async (db) => {
      const [row] = await db.run(
        `SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS at
         FROM ${db.schema}.batches_position_seq`,
      );
      const high = row!.at as number;
      const from = Math.max(0, high - BACK);
      const { rows } = await look(db, [from, [], BACK]);
      const gaps = new Map<number, number>();
      const missing = missingIn(rows, from, high);
      if (missing.length > 0) {
        const next = await nextNumber(db);
        for (const at of missing) gaps.set(at, next);
      }
      return new PostgresTail(answer, high, gaps);
    });
  }

  async next(
    limit: number,
    has: (tree: TreeId, seq: number) => boolean,
  ): Promise<readonly TailBatch[]> {
    return await this.#answer("follow", async (db) => {
      const gaps = [...this.#gaps.keys()];
      const found = await look(db, [this.#high, gaps, limit]);
      const { rows } = found;
      const high = Math.max(this.#high, rows.at(-1)?.position ?? 0);
      const missing = missingIn(rows, this.#high, high);
      const next = missing.length === 0 ? 0 : await nextNumber(db);
      const bodies = await bodiesOf(db, rows.filter(({ tree, seq }) => !has(tree, seq)));
      this.#pass(found, rows.length < limit);
      for (const at of missing) this.#gaps.set(at, next);
      this.#high = high;
      return rows.map(({ tree, seq }) => {
        const row = bodies.get(`${tree} ${seq}`);
        return { tree, seq, ...(row === undefined ? {} : { batch: batchIn(tree, row) }) };
      });
    });
  }

  /** What was seen is not asked for again, nor a gap whose transaction is over (PL1). */
  #pass({ rows, over }: Look, isAll: boolean): void {
    for (const { position } of rows) this.#gaps.delete(position);
    // Of a look that was cut short, what was left out is there.
    if (!isAll) return;
    for (const [at, next] of this.#gaps) if (next <= over) this.#gaps.delete(at);
  }
}

/** Positions above one, up to another, that are not there. */
function missingIn(rows: readonly Seen[], above: number, high: number): number[] {
  const seen = new Set(rows.map(({ position }) => position));
  const missing: number[] = [];
  for (let at = above + 1; at <= high; at++) if (!seen.has(at)) missing.push(at);
  return missing;
}

/** A number of a transaction that is above all that were given so far. */
async function nextNumber({ run }: Postgres): Promise<number> {
  const [row] = await run("SELECT pg_current_xact_id()::text::bigint AS next");
  return row!.next as number;
}

/** What is visible above a position and in gaps below it, so many rows at most. */
async function look(
  db: Postgres,
  given: readonly [above: number, gaps: readonly number[], most: number],
): Promise<Look> {
  const rows = await db.run(
    `SELECT pg_snapshot_xmin(now.at)::text::bigint AS over, b.position, b.tree, b.seq
     FROM (SELECT pg_current_snapshot() AS at) AS now LEFT JOIN
       ${db.schema}.followed_8($1::bigint, $2::bigint[], $3::integer) AS b ON true
     ORDER BY b.position`,
    given,
  );
  const seen = rows.filter(({ position }) => position !== null);
  return { over: rows[0]!.over as number, rows: seen.map(seenIn) };
}

function seenIn({ position, tree, seq }: PostgresRow): Seen {
  return { position: position as number, tree: `t_${tree as number}`, seq: seq as number };
}

/** The rows of batches, by tree and line. */
async function bodiesOf(
  db: Postgres,
  wanted: readonly Seen[],
): Promise<ReadonlyMap<string, PostgresRow>> {
  if (wanted.length === 0) return new Map();
  const rows = await db.run(
    `SELECT b.tree, b.seq, count, body, payloads
     FROM unnest($1::bigint[], $2::bigint[]) AS wanted(tree, seq)
     JOIN ${db.schema}.batches b ON b.tree = wanted.tree AND b.seq = wanted.seq`,
    [wanted.map(({ tree }) => treeNumber(tree)), wanted.map(({ seq }) => seq)],
  );
  return new Map(rows.map((row) => [`t_${row.tree as number} ${row.seq as number}`, row]));
}
