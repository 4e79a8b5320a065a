/**
 * What is read of trees in a PostgreSQL store: their heads, and their lines, a page at a time.
 * @module
 */

import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import { parseJson } from "../kernel/parse.ts";
import type { StoredBatch, TreeHead } from "../kernel/store.ts";
import { unword } from "./postgres_commit.ts";
import type { Postgres, PostgresRow } from "./postgres_handle.ts";
import { brokenLog } from "./store_refusals.ts";

/** Batches that are fetched together; a batch is what one step wrote, small as a rule. */
const PAGE = 64;

/** The batches that hold lines `from` to `end`, in order; a gap is `EINTEGRITY`. */
export async function* readBatches(
  db: Postgres,
  tree: TreeId,
  { from, end }: { readonly from: number; readonly end: number },
): AsyncGenerator<readonly StoredBatch[], undefined> {
  const sql = `SELECT seq, count, body, payloads FROM ${db.schema}.batches
    WHERE tree = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq LIMIT ${PAGE}`;
  let next = from;
  // The batch that holds the first line may begin before it.
  const [first] = await db.run(
    `SELECT max(seq) AS seq FROM ${db.schema}.batches WHERE tree = $1 AND seq <= $2`,
    [treeNumber(tree), from],
  );
  if (from <= end) next = (first?.seq as number | null) ?? 1;
  while (next <= end) {
    const rows = await db.run(sql, [treeNumber(tree), next, end]);
    if (rows.length === 0) throw brokenLog(tree, next, "absent, expected a batch");
    const page = rows.map((row) => batchIn(tree, row));
    for (const { seq, lines } of page) {
      if (seq !== next) throw brokenLog(tree, next, `found line ${seq}, expected line ${next}`);
      next += lines.length;
    }
    yield page;
  }
}

/** The batch that a row of "batches" holds. */
export function batchIn(tree: TreeId, row: PostgresRow): StoredBatch {
  const { seq, count, body } = row as { seq: number; count: number; body: string };
  const lines = body.split("\n");
  if (lines.length !== count) {
    throw brokenLog(tree, seq, `a batch of ${lines.length} lines, expected ${count}`);
  }
  const parts = row.payloads === null ? [] : (row.payloads as string).split("\n");
  if (parts.length % 2 !== 0) {
    throw brokenLog(tree, seq, "payloads without a hash, expected a hash for each");
  }
  const payloads = new Map<string, string>();
  for (let i = 0; i < parts.length; i += 2) payloads.set(parts[i]!, parts[i + 1]!);
  return { seq, lines, payloads };
}

/** The columns of `trees` that a head is made of; a lease may be that of the owner's node. */
export function headColumns({ schema }: Postgres): string {
  return "id, seq, head, epoch, owner, due, live, ready, asking, key, title, " +
    `selector::text AS selector, coalesce(
       (SELECT n.until FROM ${schema}.nodes n WHERE n.id = owner), lease) AS lease`;
}

/** The tree that a row of "trees" is. */
export function treeIn(row: PostgresRow): TreeId {
  return `t_${row.id as number}`;
}

/** The head that a row of "trees" holds. */
export function headOfRow(row: PostgresRow): TreeHead {
  const { asking, key } = row as { readonly asking: number; readonly key: string | null };
  const selector = row.selector as string | null;
  return {
    tree: treeIn(row),
    seq: row.seq as number,
    head: row.head as string,
    epoch: row.epoch as number,
    owner: row.owner as string | null,
    leaseMs: row.lease as number,
    dueMs: row.due as number | null,
    summary: {
      live: row.live as boolean,
      title: unword(row.title as string),
      key: key === null ? null : unword(key),
      ready: row.ready as boolean,
      ...(asking === 0 ? {} : { asking }),
      ...(selector === null ? {} : { selector: parseJson(selector) as Record<string, string> }),
    },
  };
}
