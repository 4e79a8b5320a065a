/**
 * The archive of a SQLite store: trees adopted as a whole, and content taken away.
 *
 * Invariants:
 *   Z1. What is taken away is overwritten in the file, and the write-ahead log is emptied of it,
 *       unless another connection reads on: then with a later checkpoint.
 *   Z2. A note about a blob that is gone stands only while no text with its hash is there.
 * @module
 */

import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Archive, Batch, Removed, Snapshot, StoredBatch } from "../kernel/store.ts";
import { hashesIn, takenTree } from "../kernel/store.ts";
import { numberIn, numberOrNull, textIn, textOrNull } from "./sqlite_handle.ts";
import type { SqliteConnection } from "./sqlite_handle.ts";
import { batchAt, columnsOf, reachOf, stretch } from "./sqlite_log.ts";
import { redactableTrees } from "./sqlite_redactions.ts";
import { asCells } from "./sqlite_schema.ts";

/** How the store lets its archive in. */
interface Access {
  read<T>(verb: string, job: () => T): Promise<T>;
  write<T>(verb: string, job: () => T): Promise<T>;
  /** Appends batches inside a transaction. */
  append(batches: readonly Batch[]): void;
}

const NOTES = "CREATE TABLE IF NOT EXISTS gone(" +
  "hash TEXT PRIMARY KEY, note TEXT NOT NULL) STRICT, WITHOUT ROWID";

/** Carrying trees and taking content away, in a SQLite store. */
export class SqliteArchive implements Archive {
  readonly #db: SqliteConnection;
  readonly #access: Access;
  /** The values of an encrypted store, as they were when the first page was asked for. */
  #listed: { readonly hash: string; readonly bytes: number }[] | null = null;

  /** Over the store's connection. */
  constructor(db: SqliteConnection, access: Access) {
    this.#db = db;
    this.#access = access;
  }

  adopt(batches: readonly Batch[], snapshot: Snapshot | null): Promise<void> {
    return this.#access.write("adopt a tree in", () => {
      const { tree, epoch } = batches[0]!;
      const number = treeNumber(tree);
      const { title } = this.#db.cells.words(number, { key: null, title: "" });
      if (this.#db.get("SELECT id FROM trees WHERE id = ?", number) !== undefined) {
        throw takenTree(tree);
      }
      this.#db.run(
        "INSERT INTO trees(id, epoch, seq, head, lease, live, ready, title) " +
          "VALUES(?, ?, 0, ?, 0, 1, 0, ?)",
        number,
        epoch,
        "0".repeat(64),
        title,
      );
      this.#access.append(batches);
      if (snapshot !== null) insertSnapshot(this.#db, number, snapshot);
    });
  }

  async redact(
    tree: TreeId,
    pick: (batch: StoredBatch) => ReadonlySet<string>,
  ): Promise<Removed> {
    const removed = { count: 0, bytes: 0 };
    const reach = await this.#access.read("read", () => reachOf(this.#db, tree));
    for (let next = 1; next <= reach.end;) {
      const links = await this.#access.read("read", () => stretch(this.#db, reach, next));
      await this.#overwriting(() => {
        for (const link of links) {
          const batch = batchAt(this.#db, tree, link);
          const given = { id: link.id, number: treeNumber(tree), pick, removed };
          if (batch.payloads.size > 0) this.#strip(batch, given);
        }
      });
      const last = links.at(-1)!;
      next = last.seq + last.count;
    }
    await this.#flush();
    return removed;
  }

  #strip({ seq, lines, payloads }: StoredBatch, job: {
    readonly id: number;
    readonly number: number;
    readonly pick: (batch: StoredBatch) => ReadonlySet<string>;
    readonly removed: { count: number; bytes: number };
  }): void {
    const gone = job.pick({ seq, lines, payloads });
    const left = [...payloads].filter(([hash, text]) => {
      if (!gone.has(hash)) return true;
      job.removed.count += 1;
      job.removed.bytes += text.length;
      return false;
    });
    if (left.length === payloads.size) return;
    const columns = columnsOf(this.#db, job.number, { seq, lines, payloads: new Map(left) });
    this.#db.run("UPDATE batches SET body = ?, payloads = ? WHERE id = ?", ...columns, job.id);
  }

  redactable(nowMs: number, limit: number): Promise<readonly TreeId[]> {
    return this.#access.read("list trees of", () => redactableTrees(this.#db, nowMs, limit));
  }

  async removeSnapshots(tree: TreeId, seqs: readonly number[]): Promise<void> {
    await this.#overwriting(() => {
      const sql = "DELETE FROM snapshots WHERE tree = ? AND seq = ?";
      for (const seq of seqs) this.#db.run(sql, treeNumber(tree), seq);
    });
    await this.#flush();
  }

  position(): Promise<number> {
    return this.#access.read("read", () => {
      const row = this.#db.get("SELECT max(id) AS id FROM batches");
      return row === undefined ? 0 : numberOrNull(row, "id") ?? 0;
    });
  }

  blobs(after: string, limit: number): ReturnType<Archive["blobs"]> {
    return this.#access.read("read", () => {
      if (this.#db.cells.isEncrypted) return this.#marked(after, limit);
      const sql = "SELECT hash, length(body) AS bytes FROM blobs " +
        "WHERE hash > ? ORDER BY hash LIMIT ?";
      return this.#db.all(sql, after, limit)
        .map((row) => ({ hash: textIn(row, "hash"), bytes: numberIn(row, "bytes") }));
    });
  }

  /** A page of values that are filed under marks: all are listed once, for the first page. */
  #marked(after: string, limit: number): Awaited<ReturnType<Archive["blobs"]>> {
    const { cells } = this.#db;
    if (after === "" || this.#listed === null) {
      this.#listed = this.#db.all("SELECT hash, length(body) AS bytes FROM blobs")
        .map((row) => ({
          hash: cells.unmark(textIn(row, "hash")),
          bytes: cells.size(numberIn(row, "bytes")),
        }))
        .sort((one, other) => one.hash < other.hash ? -1 : 1);
    }
    const listed = this.#listed;
    let [low, high] = [0, listed.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (listed[middle]!.hash > after) high = middle;
      else low = middle + 1;
    }
    return listed.slice(low, low + limit);
  }

  async sweep(hashes: Iterable<string>, given: {
    readonly note: string;
    readonly since?: number;
  }): Promise<Removed> {
    const { note, since } = given;
    const left = new Set(hashes);
    const removed = { count: 0, bytes: 0 };
    await this.#overwriting(() => {
      // In the transaction itself: what was committed meanwhile is seen, what comes later is whole.
      if (since !== undefined) this.#spare(left, since);
      const { cells } = this.#db;
      this.#db.exec(cells.isEncrypted ? asCells(NOTES) : NOTES);
      for (const hash of left) {
        const mark = cells.mark(hash);
        const row = this.#db.get("SELECT length(body) AS n FROM blobs WHERE hash = ?", mark);
        if (row === undefined) continue;
        removed.count += 1;
        removed.bytes += cells.size(numberIn(row, "n"));
        this.#db.run("DELETE FROM blobs WHERE hash = ?", mark);
        const said = cells.put(note, "note", [hash]);
        this.#db.run("INSERT OR REPLACE INTO gone(hash, note) VALUES(?, ?)", mark, said);
      }
    });
    await this.#flush();
    return removed;
  }

  #spare(hashes: Set<string>, since: number): void {
    const rows = this.#db.all(
      "SELECT tree, seq, count, body, payloads FROM batches WHERE id > ?",
      since,
    );
    for (const row of rows) {
      const place = [numberIn(row, "tree"), numberIn(row, "seq")] as const;
      const said = this.#db.cells.get(row, "body", "lines", place);
      const lines = said.split("\n");
      const beside = [...lines.splice(numberIn(row, "count")), textOrNull(row, "payloads") ?? ""];
      for (const hash of hashesIn(lines, beside)) hashes.delete(hash);
    }
  }

  /** A write after which the pages hold nothing of what it removed (Z1). */
  #overwriting<T>(job: () => T): Promise<T> {
    return this.#access.write("take content out of", () => {
      // All in one turn: what others take out beside this is overwritten, too.
      this.#db.exec("PRAGMA secure_delete = ON");
      try {
        return job();
      } finally {
        this.#db.exec("PRAGMA secure_delete = OFF");
      }
    });
  }

  async #flush(): Promise<void> {
    await this.#access.read("clean", () => this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
}

/** Why a blob is not there, when it was taken away. */
export function noteOf(db: SqliteConnection, hash: string): string | undefined {
  const table = "SELECT 1 AS one FROM sqlite_schema WHERE type = 'table' AND name = 'gone'";
  if (db.get(table) === undefined) return undefined;
  const row = db.get("SELECT note FROM gone WHERE hash = ?", db.cells.mark(hash));
  return row === undefined ? undefined : db.cells.get(row, "note", "note", [hash]);
}

/** Writes a snapshot; runs inside the caller's transaction. */
export function insertSnapshot(db: SqliteConnection, tree: number, snapshot: Snapshot): void {
  const { seq, head, state } = snapshot;
  const sql = "INSERT INTO snapshots(tree, seq, head, state) VALUES(?, ?, ?, ?)";
  db.run(sql, tree, seq, head, db.cells.put(state, "snapshot", [tree, seq]));
}
