/**
 * The archive of a PostgreSQL store: trees adopted as a whole, and content taken away.
 *
 * Invariants:
 *   Z1. A sweep takes nothing that a commit named since its position: every commit holds the lock
 *       of sweeps in common with others, a sweep holds it alone while it looks and takes.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Archive, Batch, Removed, Snapshot, StoredBatch } from "../kernel/store.ts";
import { hashesIn, takenTree } from "../kernel/store.ts";
import { commitCall, commitColumns, joined, UNFIT, word } from "./postgres_commit.ts";
import { type Postgres, type Run, stateOf } from "./postgres_handle.ts";
import { batchIn } from "./postgres_log.ts";
import { LOCKS } from "./postgres_schema.ts";
import { absentTree, EMPTY_HEAD } from "./store_refusals.ts";

/** Batches that are looked through at once. */
const SPARED = 256;

type Answer = <T>(verb: string, job: (db: Postgres) => Promise<T>) => Promise<T>;

/** Carrying trees and taking content away, in a PostgreSQL database. */
export class PostgresArchive implements Archive {
  readonly #db: Postgres;
  readonly #answer: Answer;

  /** Over an open store. */
  constructor(db: Postgres, answer: Answer) {
    this.#db = db;
    this.#answer = answer;
  }

  adopt(batches: readonly Batch[], snapshot: Snapshot | null): Promise<void> {
    return this.#answer("adopt a tree in", async ({ schema }) => {
      const { tree, epoch } = batches[0]!;
      const number = treeNumber(tree);
      const columns = commitColumns(this.#db, batches);
      try {
        await this.#db.transaction(async (run) => {
          const made = await run(
            `INSERT INTO ${schema}.trees
               (id, epoch, seq, head, lease, live, ready, asking, title)
             VALUES($1, $2, 0, $3, 0, true, false, 0, $4)
             ON CONFLICT (id) DO NOTHING RETURNING id`,
            [number, epoch, EMPTY_HEAD, word("")],
          );
          if (made.length === 0) throw takenTree(tree);
          await run(commitCall(schema, batches), columns);
          if (snapshot !== null) {
            const { seq, head, state } = snapshot;
            const insert = `INSERT INTO ${schema}.snapshots(tree, seq, head, state) ` +
              "VALUES($1, $2, $3, $4)";
            await run(insert, [number, seq, head, state]);
          }
          // Numbers are given out above it from now on; a sequence is not rolled back, only later.
          await run(
            `SELECT setval('${schema}.tree_number', greatest($1, (
               SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ${schema}.tree_number
             )))`,
            [number],
          );
        });
      } catch (thrown) {
        if (stateOf(thrown) !== UNFIT) throw thrown;
        const sentence =
          `Cannot adopt tree "${tree}": a gap between its lines, expected all of them`;
        throw new SysError("ESTALE", sentence, { tree });
      }
    });
  }

  redact(tree: TreeId, pick: (batch: StoredBatch) => ReadonlySet<string>): Promise<Removed> {
    return this.#answer("take content out of", async ({ schema }) => {
      const removed = { count: 0, bytes: 0 };
      const number = treeNumber(tree);
      const known = await this.#db.run(`SELECT id FROM ${schema}.trees WHERE id = $1`, [number]);
      if (known.length === 0) throw absentTree("redact", tree);
      for (let after = 0;;) {
        const rows = await this.#db.run(
          `SELECT seq, count, body, payloads FROM ${schema}.batches
           WHERE tree = $1 AND seq > $2 AND payloads IS NOT NULL ORDER BY seq LIMIT 64`,
          [number, after],
        );
        if (rows.length === 0) return removed;
        for (const row of rows) await this.#strip(batchIn(tree, row), { number, pick, removed });
        after = rows.at(-1)!.seq as number;
      }
    });
  }

  async #strip({ seq, lines, payloads }: StoredBatch, job: {
    readonly number: number;
    readonly pick: (batch: StoredBatch) => ReadonlySet<string>;
    readonly removed: { count: number; bytes: number };
  }): Promise<void> {
    const picked = job.pick({ seq, lines, payloads });
    const gone = [...payloads].filter(([hash]) => picked.has(hash));
    if (gone.length === 0) return;
    const left = new Map([...payloads].filter(([hash]) => !picked.has(hash)));
    await this.#db.run(
      `UPDATE ${this.#db.schema}.batches SET payloads = $3 WHERE tree = $1 AND seq = $2`,
      [job.number, seq, joined(left)],
    );
    job.removed.count += gone.length;
    for (const [, text] of gone) job.removed.bytes += text.length;
  }

  redactable(nowMs: number, limit: number): Promise<readonly TreeId[]> {
    return this.#answer("list trees of", async ({ schema }) => {
      const rows = await this.#db.run(
        `SELECT id FROM ${schema}.trees WHERE redact <= $1 ORDER BY redact, id LIMIT $2`,
        [nowMs, limit],
      );
      return rows.map(({ id }): TreeId => `t_${id as number}`);
    });
  }

  removeSnapshots(tree: TreeId, seqs: readonly number[]): Promise<void> {
    return this.#answer("take content out of", async ({ schema }) => {
      await this.#db.run(
        `DELETE FROM ${schema}.snapshots WHERE tree = $1 AND seq = ANY($2::bigint[])`,
        [treeNumber(tree), [...seqs]],
      );
    });
  }

  position(): Promise<number> {
    return this.#answer("read", () =>
      this.#db.transaction(async (run) => {
        await this.#alone(run);
        return await this.#top(run);
      }));
  }

  /** Waits until no commit is under way, and holds others back while the transaction lasts. */
  async #alone(run: Run): Promise<void> {
    const { schema } = this.#db;
    await run(`SELECT pg_advisory_xact_lock(hashtext('${schema}.'), ${LOCKS.sweep})`);
  }

  async #top(run: Run): Promise<number> {
    const [row] = await run(
      `SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS top
       FROM ${this.#db.schema}.batches_position_seq`,
    );
    return row!.top as number;
  }

  blobs(after: string, limit: number): ReturnType<Archive["blobs"]> {
    return this.#answer("read", async ({ schema }) => {
      const rows = await this.#db.run(
        `SELECT hash, length(body) AS bytes FROM ${schema}.blobs
         WHERE hash > $1 ORDER BY hash LIMIT $2`,
        [after, limit],
      );
      return rows as unknown as { hash: string; bytes: number }[];
    });
  }

  sweep(hashes: Iterable<string>, given: {
    readonly note: string;
    readonly since?: number;
  }): Promise<Removed> {
    return this.#answer("take content out of", async ({ schema }) => {
      const left = new Set(hashes);
      const since = given.since ?? null;
      // Most is looked through while others commit; only what came meanwhile holds them up.
      const seen = since === null ? 0 : await this.position();
      if (since !== null) await this.#spare(this.#db.run, left, [since, seen]);
      return await this.#db.transaction(async (run) => {
        await this.#alone(run);
        if (since !== null) await this.#spare(run, left, [seen, await this.#top(run)]);
        const [row] = await run(
          `WITH taken AS (
             DELETE FROM ${schema}.blobs WHERE hash = ANY($1::text[]) RETURNING hash, body
           ), noted AS (
             INSERT INTO ${schema}.gone(hash, note) SELECT hash, $2 FROM taken
             ON CONFLICT (hash) DO UPDATE SET note = EXCLUDED.note
           )
           SELECT count(*) AS count, coalesce(sum(length(body)), 0)::bigint AS bytes FROM taken`,
          [[...left], word(given.note)],
        );
        return { count: row!.count as number, bytes: row!.bytes as number };
      });
    });
  }

  /** Takes out of a set what batches after one position, up to another, name. */
  async #spare(
    run: Run,
    hashes: Set<string>,
    [from, to]: readonly [number, number],
  ): Promise<void> {
    for (let after = from; after < to && hashes.size > 0; after += SPARED) {
      const rows = await run(
        `SELECT body, payloads FROM ${this.#db.schema}.batches
         WHERE position > $1 AND position <= $2`,
        [after, Math.min(after + SPARED, to)],
      );
      for (const { body, payloads } of rows) {
        const lines = (body as string).split("\n");
        for (const hash of hashesIn(lines, [(payloads as string | null) ?? ""])) {
          hashes.delete(hash);
        }
      }
    }
  }
}
