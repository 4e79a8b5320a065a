/**
 * What is read of a PostgreSQL store, of the primary as of a replica.
 * @module
 */

import { type TreeId, treeNumber } from "../kernel/ids.ts";
import {
  removedBlob,
  type Snapshot,
  type Store,
  type StoredBatch,
  type StoreReads,
  type TreeHead,
} from "../kernel/store.ts";
import { unword } from "./postgres_commit.ts";
import type { Postgres } from "./postgres_handle.ts";
import { headColumns, headOfRow, readBatches } from "./postgres_log.ts";
import { absentTree, checkedBlob, closedStore } from "./store_refusals.ts";

/** Does a job over a database; refuses where the store is closed, in the codes of the kernel. */
export type Answer = <T>(verb: string, job: (db: Postgres) => Promise<T>) => Promise<T>;

/** The head of a tree; undefined when there is none. */
export async function headIn(db: Postgres, tree: TreeId): Promise<TreeHead | undefined> {
  const sql = `SELECT ${headColumns(db)} FROM ${db.schema}.trees WHERE id = $1`;
  const [row] = await db.run(sql, [treeNumber(tree)]);
  return row === undefined ? undefined : headOfRow(row);
}

/** Reads, and changes nothing. */
export class PostgresReader implements StoreReads {
  readonly name: string;
  readonly #db: Postgres;
  readonly #answer: Answer;
  readonly #isClosed: () => boolean;

  /** Over a database that is there, for a store that may be closed meanwhile. */
  constructor(db: Postgres, answer: Answer, isClosed: () => boolean) {
    this.name = db.name;
    this.#db = db;
    this.#answer = answer;
    this.#isClosed = isClosed;
  }

  async *read(tree: TreeId, fromSeq: number): AsyncGenerator<StoredBatch> {
    const end = await this.#answer("read", async (db) => {
      const head = await headIn(db, tree);
      if (head === undefined) throw absentTree("read", tree);
      return head.seq;
    });
    const pages = readBatches(this.#db, tree, { from: Math.max(fromSeq, 1), end });
    for (;;) {
      const page = await this.#answer("read", () => pages.next());
      if (page.done === true) return;
      for (const batch of page.value) {
        if (this.#isClosed()) throw closedStore("read", this.name);
        yield batch;
      }
    }
  }

  head(tree: TreeId): Promise<TreeHead | undefined> {
    return this.#answer("read", (db) => headIn(db, tree));
  }

  list(options: Parameters<Store["list"]>[0]): Promise<readonly TreeHead[]> {
    return this.#answer("list trees of", async (db) => {
      const { live = false, asking = false, after, limit } = options;
      const which = asking ? "asking > 0 AND live AND" : live ? "live AND" : "";
      const sql = `SELECT ${headColumns(db)} FROM ${db.schema}.trees WHERE ${which} id > $1 ` +
        "ORDER BY id LIMIT $2";
      const rows = await db.run(sql, [after === undefined ? 0 : treeNumber(after), limit]);
      return rows.map(headOfRow);
    });
  }

  getSnapshot(tree: TreeId, atMost = Number.MAX_SAFE_INTEGER): Promise<Snapshot | undefined> {
    return this.#answer("read", async ({ run, schema }) => {
      const [row] = await run(
        `SELECT seq, head, state FROM ${schema}.snapshots WHERE tree = $1 AND seq <= $2
         ORDER BY seq DESC LIMIT 1`,
        [treeNumber(tree), atMost],
      );
      return row as Snapshot | undefined;
    });
  }

  getBlob(hash: string): Promise<string | undefined> {
    return this.#answer("read", async ({ run, schema }) => {
      const [row] = await run(`SELECT body FROM ${schema}.blobs WHERE hash = $1`, [hash]);
      if (row !== undefined) return checkedBlob(hash, row.body as string);
      const [gone] = await run(`SELECT note FROM ${schema}.gone WHERE hash = $1`, [hash]);
      if (gone !== undefined) throw removedBlob(hash, unword(gone.note as string));
      return undefined;
    });
  }
}
