/**
 * Looking for damage in a PostgreSQL store; the database does the looking.
 *
 * That lines hold together as a chain of hashes is checked where they are read; here it is that
 * they are all there. Of the history it is the same: whether seals fit their lines is for `verify`.
 * @module
 */

import type { Postgres } from "./postgres_handle.ts";

/** A sentence for each thing that does not hold together; a hundred of a kind at most. */
export async function findPostgresDamage(db: Postgres): Promise<readonly string[]> {
  // In one transaction of one sight: what is committed meanwhile is no damage.
  return await db.transaction(async (run) => {
    await run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const found: string[] = [];
    for (const [sql, say] of LOOKS) {
      for (const row of await run(`${sql.replaceAll("$.", `${db.schema}.`)} LIMIT 100`)) {
        found.push(say(`${row.a}`, `${row.b ?? "none"}`, `${row.c ?? ""}`));
      }
    }
    return found;
  });
}

type Say = (a: string, b: string, c: string) => string;

const LOOKS: readonly (readonly [string, Say])[] = [
  [
    "SELECT hash AS a FROM $.blobs WHERE encode(sha256(convert_to(body, 'UTF8')), 'hex') <> hash",
    (hash) => `Blob "${hash}" has a text with another hash`,
  ],
  [
    `SELECT tree AS a, seq AS b, expected AS c FROM (
       SELECT tree, seq, lag(seq + count, 1, 1::bigint) OVER (PARTITION BY tree ORDER BY seq)
         AS expected FROM $.batches) AS links WHERE seq <> expected`,
    (tree, seq, expected) => `Tree "t_${tree}" has line ${seq} where line ${expected} should be`,
  ],
  [
    `SELECT tree AS a, seq AS b, count AS c FROM $.batches
     WHERE cardinality(string_to_array(body, E'\\n')) <> count`,
    (tree, seq, count) => `Tree "t_${tree}" has a batch at line ${seq} without its ${count} lines`,
  ],
  [
    `SELECT t.id AS a, b.last AS b, t.seq AS c FROM $.trees t LEFT JOIN (
       SELECT tree, max(seq + count - 1) AS last FROM $.batches GROUP BY tree) b ON b.tree = t.id
     WHERE coalesce(b.last, 0) <> t.seq`,
    (tree, last, seq) => `Tree "t_${tree}" ends at line ${last}, expected line ${seq}`,
  ],
  [
    `SELECT DISTINCT b.tree AS a FROM $.batches b
     WHERE NOT EXISTS (SELECT FROM $.trees t WHERE t.id = b.tree)`,
    (tree) => `Lines of tree "t_${tree}" are there, and the tree is not`,
  ],
  [
    `SELECT s.tree AS a, s.seq AS b FROM $.snapshots s LEFT JOIN $.trees t ON t.id = s.tree
     WHERE t.id IS NULL OR s.seq > t.seq`,
    (tree, seq) => `A snapshot of tree "t_${tree}" is of line ${seq}, which is not there`,
  ],
  [
    `SELECT i.tree AS a FROM $.inbox i
     WHERE NOT EXISTS (SELECT FROM $.trees t WHERE t.id = i.tree)`,
    (tree) => `An item is in the inbox of tree "t_${tree}", which is not there`,
  ],
  [
    `SELECT n AS a, expected AS b FROM (
       SELECT n, lag(n + 1, 1, 0::bigint) OVER (ORDER BY n) AS expected FROM $.audit_leaves) AS l
     WHERE n <> expected`,
    (n, expected) => `The history has leaf ${n} where leaf ${expected} should be`,
  ],
  [
    // They are added together, so that the last head is over all leaves.
    `SELECT leaves.n AS a, heads.size AS b
     FROM (SELECT coalesce(max(n) + 1, 0) AS n FROM $.audit_leaves) AS leaves,
       (SELECT coalesce(max(size), 0) AS size FROM $.audit_heads) AS heads
     WHERE leaves.n <> heads.size`,
    (n, size) => `The history has ${n} leaves, and its last signed head is over ${size}`,
  ],
  [
    `SELECT n AS a, tree AS b, seq AS c FROM $.audit_leaves WHERE tree IS NOT NULL
       AND (body NOT LIKE '%"tree":"t\\_' || tree || '"%'
         OR body NOT LIKE '%"seq":' || seq || ',%')`,
    (n, tree, seq) => `Leaf ${n} does not say that it seals tree "t_${tree}" up to line ${seq}`,
  ],
  [
    `SELECT size AS a FROM $.audit_heads WHERE body !~ ('"size":' || size || '[,}]')`,
    (size) => `The signed head over ${size} leaves does not say so`,
  ],
  [
    `SELECT l.n AS a, l.tree AS b, l.seq AS c FROM $.audit_leaves l
     LEFT JOIN $.trees t ON t.id = l.tree
     WHERE l.tree IS NOT NULL AND (t.id IS NULL OR l.seq > t.seq)`,
    (n, tree, seq) => `Leaf ${n} seals line ${seq} of tree "t_${tree}", which is not there`,
  ],
];
