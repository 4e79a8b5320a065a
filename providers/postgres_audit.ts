/**
 * The history of a PostgreSQL store: leaves and signed heads in two tables, which are only ever
 * added to; the role of a node has no right to change them.
 *
 * Invariants:
 *   A1. Leaves and the head over them are added in one transaction, one sealer at a time, and are
 *       on the disk when `append` resolves.
 *   A2. What the columns beside a text say is not believed: it is compared with the text.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { isHash } from "../kernel/merkle.ts";
import { parseJson } from "../kernel/parse.ts";
import { HEAD, readLeaf, refuseUnfitSeal } from "../kernel/seal.ts";
import type { AuditStore, SignedHead, StoredHead, StoredStretch } from "../kernel/seal.ts";
import type { Postgres, PostgresRow } from "./postgres_handle.ts";

/** The tables of a history. `tree` and `seq` are the stretch's, and NULL for keys. */
export const AUDIT_TABLES = `
  CREATE TABLE $.audit_leaves(n bigint PRIMARY KEY, tree bigint, seq bigint, body text NOT NULL);
  CREATE INDEX audit_leaves_tree ON $.audit_leaves(tree, seq) WHERE tree IS NOT NULL;
  CREATE TABLE $.audit_heads(size bigint PRIMARY KEY, body text NOT NULL, peaks text NOT NULL);
`;

type Answer = <T>(verb: string, job: (db: Postgres) => Promise<T>) => Promise<T>;

/** The history of a store in a database. */
export class PostgresAuditStore implements AuditStore {
  readonly #answer: Answer;

  /** Over an open store. */
  constructor(answer: Answer) {
    this.#answer = answer;
  }

  append(leaves: readonly string[], head: SignedHead, peaks: readonly string[]): Promise<void> {
    return this.#answer("seal", async (db) => {
      const { schema } = db;
      const rows = leaves.map((text) => {
        const leaf = readLeaf(text);
        const of = leaf?.type === "libos.seal/1" ? leaf : undefined;
        return { text, tree: of === undefined ? null : treeNumber(of.tree), seq: of?.seq ?? null };
      });
      await db.transaction(async (run) => {
        // Two that seal at once: the second finds that the history has grown, and seals anew.
        await run(`SELECT pg_advisory_xact_lock(hashtext($1), 5)`, [schema]);
        const [end] = await run(
          `SELECT coalesce(max(n) + 1, 0) AS size FROM ${schema}.audit_leaves`,
        );
        const size = end!.size as number;
        refuseUnfitSeal(size, leaves, head);
        await run(
          `INSERT INTO ${schema}.audit_leaves(n, tree, seq, body)
             SELECT $1::bigint + i - 1, tree, seq, body
             FROM unnest($2::bigint[], $3::bigint[], $4::text[])
               WITH ORDINALITY AS given(tree, seq, body, i)`,
          [
            size,
            rows.map(({ tree }) => tree),
            rows.map(({ seq }) => seq),
            rows.map(({ text }) => text),
          ],
        );
        await run(
          `INSERT INTO ${schema}.audit_heads(size, body, peaks) VALUES($1, $2, $3)`,
          [head.size, canonical(head), canonical([...peaks])],
        );
      });
    });
  }

  last(): Promise<StoredHead | undefined> {
    return this.#answer("read the seals of", async ({ run, schema }) => {
      const [row] = await run(
        `SELECT size, body, peaks FROM ${schema}.audit_heads ORDER BY size DESC LIMIT 1`,
      );
      return row === undefined ? undefined : { head: headIn(row), peaks: peaksIn(row) };
    });
  }

  leaves(from: number, limit: number): Promise<readonly string[]> {
    return this.#answer("read the seals of", async ({ run, schema }) => {
      const rows = await run(
        `SELECT body FROM ${schema}.audit_leaves WHERE n >= $1 ORDER BY n LIMIT $2`,
        [from, limit],
      );
      return rows.map(({ body }) => body as string);
    });
  }

  heads(after: number, limit: number): Promise<readonly SignedHead[]> {
    return this.#answer("read the seals of", async ({ run, schema }) => {
      const rows = await run(
        `SELECT size, body FROM ${schema}.audit_heads WHERE size > $1 ORDER BY size LIMIT $2`,
        [after, limit],
      );
      return rows.map(headIn);
    });
  }

  latest(tree: TreeId): Promise<StoredStretch | undefined> {
    return this.#stretch(tree, "tree = $1 ORDER BY seq DESC LIMIT 1", []);
  }

  covering(tree: TreeId, seq: number): Promise<StoredStretch | undefined> {
    return this.#stretch(tree, "tree = $1 AND seq >= $2 ORDER BY seq LIMIT 1", [seq]);
  }

  #stretch(
    tree: TreeId,
    which: string,
    more: readonly number[],
  ): Promise<StoredStretch | undefined> {
    return this.#answer("read the seals of", async ({ run, schema }) => {
      const [row] = await run(
        `SELECT n, seq, body FROM ${schema}.audit_leaves WHERE ${which}`,
        [treeNumber(tree), ...more],
      );
      if (row === undefined) return undefined;
      const [index, text] = [row.n as number, row.body as string];
      const leaf = readLeaf(text);
      if (leaf?.type === "libos.seal/1" && leaf.tree === tree && leaf.seq === row.seq) {
        return { index, text, stretch: leaf };
      }
      throw misstored(`leaf ${index}`);
    });
  }
}

function headIn(row: PostgresRow): SignedHead {
  const size = row.size as number;
  const head = HEAD.safeParse(parsed(row.body as string)).data;
  if (head?.size === size) return head;
  throw misstored(`the head of ${size} leaves`);
}

function peaksIn(row: PostgresRow): readonly string[] {
  const peaks = parsed(row.peaks as string);
  if (Array.isArray(peaks) && peaks.every(isHash)) return peaks;
  throw misstored("the frontier of the last head");
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function misstored(what: string): SysError {
  const sentence = `Cannot read the seals of the store: ${what} is not what was stored`;
  return new SysError("EINTEGRITY", `${sentence}, expected what was sealed`);
}
