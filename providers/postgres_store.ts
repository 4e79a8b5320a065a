/**
 * The shared store: trees of many nodes in one PostgreSQL database.
 *
 * Nothing here is between the database and what it guarantees: a commit is one transaction, a
 * tree's row is what two owners would meet at, and locks are the database's own.
 *
 * Invariants (P1 is in postgres_writer.ts):
 *   P2. What a failed write leaves is what a rolled back transaction leaves: nothing.
 *   P3. Whatever decides or changes something asks the primary; a replica is asked by `view` alone.
 * @module
 */

import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical, type JsonObject } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import type { Fleet } from "../kernel/fleet.ts";
import type {
  Archive,
  Batch,
  InboxDepth,
  InboxItem,
  ReplicaState,
  Snapshot,
  Store,
  StoredBatch,
  StoreView,
  TreeHead,
} from "../kernel/store.ts";
import type { Tail } from "../kernel/tail.ts";
import type { Shares } from "../kernel/shares.ts";
import { thinned } from "../kernel/store.ts";
import type { AuditStore } from "../kernel/seal.ts";
import { PostgresAuditStore } from "./postgres_audit.ts";
import { PostgresArchive } from "./postgres_archive.ts";
import { PostgresFleet } from "./postgres_fleet.ts";
import { findPostgresDamage } from "./postgres_check.ts";
import { unword, word } from "./postgres_commit.ts";
import { Postgres, postgresFailure, type PostgresOptions } from "./postgres_handle.ts";
import { treeIn } from "./postgres_log.ts";
import { headIn, PostgresReader } from "./postgres_reader.ts";
import { PostgresReplica } from "./postgres_replica.ts";
import { LOCKS, migrate } from "./postgres_schema.ts";
import { PostgresTail } from "./postgres_tail.ts";
import { PostgresShares } from "./postgres_shares.ts";
import { PostgresWriter } from "./postgres_writer.ts";
import { absentTree, closedStore, EMPTY_HEAD, refuseUnwritten } from "./store_refusals.ts";

/** Items of inboxes that are counted at most. */
const WAITING_MAX = 100_000;

/**
 * A store in a PostgreSQL database.
 *
 * @example
 * ```ts no-eval
 * import { createRuntime } from "@agent-libos/core";
 * import { PostgresStore } from "@agent-libos/core/postgres";
 * const store = await PostgresStore.open("postgres://libos@db.internal:5432/agents");
 * await using os = await createRuntime({ store, workspace: null, approvals: "queue" });
 * ```
 */
export class PostgresStore implements Store {
  readonly name: string;
  readonly isShared = true;
  readonly #db: Postgres;
  /** Rises with all that others tell. */
  #version = 0;
  readonly #reader: PostgresReader;
  readonly #writer: PostgresWriter;
  readonly #replica: PostgresReplica | null;
  #heard = (): void => {};
  #closed = false;

  private constructor(db: Postgres, options: PostgresOptions) {
    const { readUrl } = options;
    this.name = db.name;
    this.#db = db;
    this.#reader = new PostgresReader(
      db,
      (verb, job) => this.#answer(verb, job),
      () => this.#closed,
    );
    this.#writer = new PostgresWriter(db, options.isPatient !== false);
    this.#replica = readUrl === undefined ? null : new PostgresReplica(db, readUrl, options);
  }

  /**
   * Connects, and makes or migrates the tables. `EINVAL` for an address that is none, or tables of
   * a newer version; `EACCES`, `ENOENT` or `EIO` when the database refuses or does not answer.
   */
  static async open(url: string, options: PostgresOptions = {}): Promise<PostgresStore> {
    const db = new Postgres(url, options);
    try {
      const store = new PostgresStore(db, options);
      await migrate(db);
      return store;
    } catch (thrown) {
      await db.close();
      throw postgresFailure(thrown, `open store "${db.name}"`);
    }
  }

  create(key: string | null): Promise<{ readonly tree: TreeId; readonly created: boolean }> {
    return this.#answer(
      "create a tree in",
      async ({ schema }) =>
        await this.#db.transaction(async (run) => {
          if (key !== null) {
            await run(`SELECT pg_advisory_xact_lock(hashtext($1), ${LOCKS.key})`, [
              `${schema}.${word(key)}`,
            ]);
            const [known] = await run(
              `SELECT id FROM ${schema}.trees WHERE key = $1 AND live ORDER BY id LIMIT 1`,
              [word(key)],
            );
            if (known !== undefined) return { tree: treeIn(known), created: false };
          }
          const [made] = await run(
            `INSERT INTO ${schema}.trees
             (id, epoch, seq, head, lease, live, ready, asking, key, title)
           VALUES(nextval('${schema}.tree_number'), 0, 0, $1, 0, true, false, 0, $2, $3)
           RETURNING id`,
            [EMPTY_HEAD, key === null ? null : word(key), word("")],
          );
          return { tree: treeIn(made!), created: true };
        }),
    );
  }

  commit(batches: readonly Batch[]): Promise<void> {
    return this.#answer("commit to", async () => {
      if (batches.length > 0) await this.#writer.commit(batches);
    });
  }

  read(tree: TreeId, fromSeq: number): AsyncIterable<StoredBatch> {
    return this.#reader.read(tree, fromSeq);
  }

  head(tree: TreeId): Promise<TreeHead | undefined> {
    return this.#reader.head(tree);
  }

  list(options: Parameters<Store["list"]>[0]): Promise<readonly TreeHead[]> {
    return this.#reader.list(options);
  }

  putSnapshot(tree: TreeId, snapshot: Snapshot): Promise<void> {
    return this.#answer("write a snapshot to", async ({ schema }) => {
      refuseUnwritten(tree, snapshot, (await headIn(this.#db, tree))?.seq);
      const { seq, head, state } = snapshot;
      const number = treeNumber(tree);
      await this.#db.transaction(async (run) => {
        const sql = `SELECT seq FROM ${schema}.snapshots WHERE tree = $1`;
        const known = (await run(sql, [number])).map((row) => row.seq as number);
        if (known.some((one) => one > seq)) return;
        await run(`DELETE FROM ${schema}.snapshots WHERE tree = $1 AND seq = ANY($2::bigint[])`, [
          number,
          [...thinned(known, seq), seq],
        ]);
        const insert = `INSERT INTO ${schema}.snapshots(tree, seq, head, state) ` +
          "VALUES($1, $2, $3, $4)";
        await run(insert, [number, seq, head, state]);
      });
    });
  }

  getSnapshot(tree: TreeId, atMost?: number): Promise<Snapshot | undefined> {
    return this.#reader.getSnapshot(tree, atMost);
  }

  getBlob(hash: string): Promise<string | undefined> {
    return this.#reader.getBlob(hash);
  }

  putInbox(tree: TreeId, item: InboxItem): Promise<void> {
    return this.#answer("write to", async ({ schema }) => {
      const [row] = await this.#db.run(
        `WITH known AS (SELECT id, owner FROM ${schema}.trees WHERE id = $1),
           made AS (
             INSERT INTO ${schema}.inbox(tree, id, body) SELECT id, $2, $3 FROM known
             ON CONFLICT (tree, id) DO NOTHING
           )
         SELECT id, pg_notify('${schema}', $4 || ' ' || coalesce(owner, '-')) FROM known`,
        [treeNumber(tree), word(item.id), canonical(item.body), this.#db.teller],
      );
      if (row === undefined) throw absentTree("put an item into", tree);
    });
  }

  getInbox(tree: TreeId): Promise<readonly InboxItem[]> {
    return this.#answer("read", async ({ schema }) => {
      const rows = await this.#db.run(
        `SELECT id, body FROM ${schema}.inbox WHERE tree = $1 ORDER BY n`,
        [treeNumber(tree)],
      );
      return rows.map(({ id, body }) => ({
        id: unword(id as string),
        body: parseJson(body as string) as JsonObject,
      }));
    });
  }

  due(nowMs: number, limit: number, node?: string): Promise<readonly TreeId[]> {
    return this.#aside("list trees of", async ({ schema }) => {
      const free = "(t.owner IS NULL OR t.owner = $3 OR t.lease <= $1 OR $3 IS NULL)";
      // Each part gives its own first ones in the order of its index.
      const rows = await this.#db.run(
        `(SELECT t.id FROM (SELECT DISTINCT tree FROM ${schema}.inbox) i
           JOIN ${schema}.trees t ON t.id = i.tree WHERE ${free} ORDER BY t.id LIMIT $2)
         UNION (SELECT id FROM ${schema}.trees t WHERE ready AND live AND ${free}
           ORDER BY id LIMIT $2)
         UNION (SELECT id FROM (
           SELECT id FROM ${schema}.trees t WHERE due IS NOT NULL AND due <= $1 AND live AND ${free}
           ORDER BY due LIMIT $2) AS waiting)
         ORDER BY id LIMIT $2`,
        [nowMs, limit, node ?? null],
      );
      return rows.map(treeIn);
    });
  }

  nextDueMs(): Promise<number | null> {
    return this.#aside("read", async ({ schema }) => {
      const sql = `SELECT due FROM ${schema}.trees WHERE due IS NOT NULL AND live ` +
        "ORDER BY due LIMIT 1";
      const [row] = await this.#db.run(sql);
      return (row?.due as number | undefined) ?? null;
    });
  }

  claim(tree: TreeId, node: string, options: {
    readonly nowMs: number;
    readonly ttlMs: number;
    readonly steal?: boolean;
  }): Promise<{ readonly epoch: number } | undefined> {
    return this.#answer("claim a tree of", async ({ schema }) => {
      const { nowMs, ttlMs, steal = false } = options;
      const [row] = await this.#db.run(
        `UPDATE ${schema}.trees SET
           epoch = epoch + CASE WHEN owner IS NOT DISTINCT FROM $2 THEN 0 ELSE 1 END,
           owner = $2, lease = $3
         WHERE id = $1 AND (owner IS NULL OR owner = $2 OR lease <= $4 OR $5)
         RETURNING epoch`,
        [treeNumber(tree), node, nowMs + ttlMs, nowMs, steal],
      );
      if (row !== undefined) return { epoch: row.epoch as number };
      if (await headIn(this.#db, tree) === undefined) throw absentTree("claim", tree);
      return undefined;
    });
  }

  release(tree: TreeId, node: string, epoch: number): Promise<void> {
    return this.#answer("release a tree of", async ({ schema }) => {
      await this.#db.run(
        `WITH given AS (
           UPDATE ${schema}.trees SET owner = NULL, lease = 0, epoch = epoch + 1
           WHERE id = $1 AND owner = $2 AND epoch = $3 RETURNING id)
         SELECT pg_notify('${schema}', $4 || ' -') FROM given`,
        [treeNumber(tree), node, epoch, this.#db.teller],
      );
    });
  }

  version(): Promise<number> {
    return this.#aside("read", async () => {
      await this.#db.listen((isOwn) => {
        this.#version += 1;
        if (isOwn) this.#heard();
      });
      return this.#version;
    });
  }

  check(): Promise<readonly string[]> {
    return this.#answer("check", () => findPostgresDamage(this.#db));
  }

  /** What it does beside running trees: carrying them, and taking content away. */
  archive(): Archive {
    return new PostgresArchive(this.#db, (verb, job) => this.#answer(verb, job));
  }

  /** Where it is sealed: see `AuditOptions`. */
  audit(): AuditStore {
    return new PostgresAuditStore((verb, job) => this.#answer(verb, job));
  }

  waiting(): Promise<InboxDepth> {
    return this.#aside("read", async ({ schema }) => {
      const [row] = await this.#db.run(
        `SELECT count(*) AS items, ${schema}.now_ms() - min(put) AS oldest
         FROM (SELECT put FROM ${schema}.inbox LIMIT ${WAITING_MAX}) AS counted`,
      );
      const { items, oldest } = row as { readonly items: number; readonly oldest: number | null };
      return { items, oldestMs: oldest === null ? null : Math.max(0, oldest) };
    });
  }

  lines(): { readonly statements: number; readonly connections: number } {
    const { statements, connections } = this.#db;
    return { statements, connections };
  }

  shares(): Shares {
    return new PostgresShares((verb, job) => this.#answer(verb, job));
  }

  hurry(): void {
    this.#writer.hurry();
  }

  /** The nodes that share it. */
  fleet(): Fleet {
    return new PostgresFleet(this.#db, {
      answer: (verb, job) => this.#answer(verb, job),
      aside: (verb, job) => this.#aside(verb, job),
    });
  }

  async tail(): Promise<Tail> {
    const tail = await PostgresTail.open((verb, job) => this.#aside(verb, job));
    return {
      next: async (limit, has) => {
        const batches = await tail.next(limit, has);
        if (batches.length > 0) this.#replica?.passed();
        return batches;
      },
    };
  }

  async view(): Promise<StoreView> {
    if (this.#closed) throw closedStore("read", this.name);
    return await this.#replica?.view(this) ?? this;
  }

  replica(): ReplicaState | null {
    return this.#replica?.state ?? null;
  }

  hear(node: string, heard: () => void): void {
    this.#db.node = node;
    this.#heard = heard;
  }

  /** Ends its connections. A second close changes nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.hurry();
    await Promise.all([this.#db.close(), this.#replica?.close()]);
  }

  /** What it says or did is known from then on: no replica that lacks it is asked any more. */
  async #answer<T>(verb: string, job: (db: Postgres) => Promise<T>): Promise<T> {
    try {
      return await this.#aside(verb, job);
    } finally {
      this.#replica?.passed();
    }
  }

  /** The same for what goes on between nodes, of which nothing is shown. */
  async #aside<T>(verb: string, job: (db: Postgres) => Promise<T>): Promise<T> {
    if (this.#closed) throw closedStore(verb, this.name);
    try {
      return await job(this.#db);
    } catch (thrown) {
      throw postgresFailure(thrown, `${verb} store "${this.name}"`);
    }
  }
}
