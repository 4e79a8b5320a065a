/**
 * The embedded store: one SQLite file with a write-ahead log, owned by one kernel.
 *
 * Creating, claiming and releasing trees, and snapshots, do not wait for the disk by themselves:
 * the next commit's sync covers them, since the log is one file. Should the machine lose power
 * before it, nobody was told of anything that hung on them, and every claimer is gone as well.
 *
 * Invariants:
 *   Q1. At most one connection commits, claims and creates: the one which holds the file's lock, or
 *       whose handle the embedder vouches for. Others may read, put items into inboxes, and seal.
 *   Q2. A transaction begins and ends within one call, with no wait in between (S1).
 *   Q3. A file that is refused is left as it was.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import type { AuditStore } from "../kernel/seal.ts";
import type {
  Archive,
  Batch,
  Durability,
  InboxDepth,
  InboxItem,
  Snapshot,
  Store,
  StoredBatch,
  TreeHead,
} from "../kernel/store.ts";
import { removedBlob, thinned } from "../kernel/store.ts";
import { insertSnapshot, noteOf, SqliteArchive } from "./sqlite_archive.ts";
import { findAuditDamage, SqliteAuditStore } from "./sqlite_audit.ts";
import { damagedTree, damagedTrees, findDamage } from "./sqlite_check.ts";
import { numberIn, SqliteConnection, sqliteFailure, textIn } from "./sqlite_handle.ts";
import type { SqliteHandle } from "./sqlite_handle.ts";
import { LogEnd, putItem } from "./sqlite_end.ts";
import { batchesAt, reachOf, stretch } from "./sqlite_log.ts";
import { openFile, prepareDatabase, prepareFile, type SqliteMode } from "./sqlite_open.ts";
import { refuseNarrow } from "./sqlite_schema.ts";
import {
  claimTree,
  createTree,
  dueTrees,
  earliestDue,
  headOfTree,
  listTrees,
  releaseTree,
} from "./sqlite_trees.ts";
import { keysOf, refuseRekeyed } from "./sqlite_vault.ts";
import type { Encryption } from "./sqlite_vault.ts";
import { StoreLock } from "./store_lock.ts";
import { checkedBlob, closedStore, refuseUnwritten } from "./store_refusals.ts";

export type { SqliteMode } from "./sqlite_open.ts";

/** What a store is made of. */
interface Parts {
  readonly name: string;
  readonly path: string | null;
  readonly db: SqliteConnection;
  readonly mode: SqliteMode;
  readonly lock: StoreLock | undefined;
  /** Trees that are not run, and why. */
  readonly damaged?: ReadonlyMap<TreeId, string>;
}

/** How something is written: whether it waits for the disk, and who may. */
interface Writing {
  readonly synced: boolean;
  readonly modes?: readonly SqliteMode[];
}

/**
 * A store in a SQLite file.
 *
 * @example
 * ```ts
 * import { createRuntime, SqliteStore } from "@agent-libos/core";
 * const store = SqliteStore.open(":memory:", { durability: "process" });
 * await using os = await createRuntime({ store, workspace: null, approvals: "queue" });
 * console.assert((await os.trees({ all: true })).length === 0);
 * ```
 */
export class SqliteStore implements Store {
  readonly name: string;
  /** Its file, or ":memory:"; null over a handle. */
  readonly path: string | null;
  readonly #db: SqliteConnection;
  readonly #mode: SqliteMode;
  readonly #lock: StoreLock | undefined;
  readonly #end: LogEnd;
  readonly #damaged: ReadonlyMap<TreeId, string>;
  #closed = false;

  private constructor(parts: Parts) {
    this.name = parts.name;
    this.path = parts.path;
    this.#db = parts.db;
    this.#mode = parts.mode;
    this.#lock = parts.lock;
    this.#end = new LogEnd(parts.db);
    this.#damaged = parts.damaged ?? new Map();
  }

  /**
   * Opens the store at `path`, or in memory for ":memory:". "own" makes it when it is absent, and
   * refuses with `EFENCED` while another process owns it.
   */
  static open(
    path: string,
    options: {
      readonly durability?: Durability;
      readonly mode?: SqliteMode;
      /** Its key; one that is made is encrypted under the first of several. */
      readonly encryption?: Encryption;
    } = {},
  ): SqliteStore {
    const { durability = "power", mode = "own", encryption } = options;
    const isFile = path !== ":memory:";
    let lock: StoreLock | undefined;
    let db: SqliteConnection | undefined;
    try {
      if (isFile) prepareFile(path, mode);
      if (isFile && mode === "own") lock = StoreLock.take(path);
      db = new SqliteConnection(openFile(path, mode), durability);
      prepareDatabase(db, { path, mode, keys: keysOf(encryption) });
      // A large one would be long in coming; its owner checks it with `check`.
      if (lock === undefined) {
        return new SqliteStore({ name: `sqlite ${path}`, path, db, mode, lock });
      }
      const isLarge = Deno.statSync(path).size > LIMITS.checkAtOpenBytesMax;
      const damaged = damagedTrees(db, path, isLarge);
      return new SqliteStore({ name: `sqlite ${path}`, path, db, mode, lock, damaged });
    } catch (thrown) {
      db?.close();
      lock?.release();
      throw sqliteFailure(thrown, `open store "${path}"`);
    }
  }

  /**
   * A store over an open database of `node:sqlite` or `@db/sqlite` (with `int64: true`). The store
   * closes it. The embedder vouches that no other kernel runs on it: no lock is taken.
   */
  static over(
    handle: SqliteHandle,
    options: { readonly durability?: Durability; readonly encryption?: Encryption } = {},
  ): SqliteStore {
    const db = new SqliteConnection(handle, options.durability ?? "power");
    try {
      refuseNarrow(db, "sqlite");
      prepareDatabase(db, { path: "sqlite", mode: "own", keys: keysOf(options.encryption) });
      return new SqliteStore({ name: "sqlite", path: null, db, mode: "own", lock: undefined });
    } catch (thrown) {
      throw sqliteFailure(thrown, 'open store "sqlite"');
    }
  }

  create(key: string | null): Promise<{ readonly tree: TreeId; readonly created: boolean }> {
    return this.#write("create a tree in", () => createTree(this.#db, key), { synced: false });
  }

  commit(batches: readonly Batch[]): Promise<void> {
    return this.#answer("commit to", () => {
      this.#end.commit(batches, (job) => this.#transact("commit to", job, { synced: true }));
    });
  }

  async *read(tree: TreeId, fromSeq: number): AsyncIterable<StoredBatch> {
    const reach = await this.#answer("read", () => reachOf(this.#db, tree));
    let [next, width] = [Math.max(fromSeq, 1), 1];
    while (next <= reach.end) {
      const links = this.#guard("read", () => stretch(this.#db, reach, next));
      for (let at = 0; at < links.length;) {
        const some = links.slice(at, at + width);
        const read = this.#guard("read", () => batchesAt(this.#db, tree, some));
        yield* read.batches;
        at += some.length;
        width = read.width;
      }
      next = links.at(-1)!.seq + links.at(-1)!.count;
    }
  }

  head(tree: TreeId): Promise<TreeHead | undefined> {
    return this.#answer("read", () => headOfTree(this.#db, tree));
  }

  list(options: {
    readonly live?: boolean;
    readonly after?: TreeId;
    readonly limit: number;
  }): Promise<readonly TreeHead[]> {
    return this.#answer("list trees of", () => listTrees(this.#db, options));
  }

  putSnapshot(tree: TreeId, snapshot: Snapshot): Promise<void> {
    return this.#write("write a snapshot to", () => {
      const { seq } = snapshot;
      refuseUnwritten(tree, snapshot, headOfTree(this.#db, tree)?.seq);
      const number = treeNumber(tree);
      const known = this.#db.all("SELECT seq FROM snapshots WHERE tree = ?", number)
        .map((row) => numberIn(row, "seq"));
      if (known.some((one) => one > seq)) return;
      for (const gone of [...thinned(known, seq), seq]) {
        this.#db.run("DELETE FROM snapshots WHERE tree = ? AND seq = ?", number, gone);
      }
      insertSnapshot(this.#db, number, snapshot);
    }, { synced: false });
  }

  getSnapshot(tree: TreeId, atMost = Number.MAX_SAFE_INTEGER): Promise<Snapshot | undefined> {
    return this.#answer("read", () => {
      const row = this.#db.get(
        "SELECT seq, head, state FROM snapshots WHERE tree = ? AND seq <= ? " +
          "ORDER BY seq DESC LIMIT 1",
        treeNumber(tree),
        atMost,
      );
      if (row === undefined) return undefined;
      const seq = numberIn(row, "seq");
      const state = this.#db.cells.get(row, "state", "snapshot", [treeNumber(tree), seq]);
      return { seq, head: textIn(row, "head"), state };
    });
  }

  getBlob(hash: string): Promise<string | undefined> {
    return this.#answer("read", () => {
      const { cells } = this.#db;
      const row = this.#db.get("SELECT body FROM blobs WHERE hash = ?", cells.mark(hash));
      if (row !== undefined) return checkedBlob(hash, cells.get(row, "body", "value", [hash]));
      const note = noteOf(this.#db, hash);
      if (note !== undefined) throw removedBlob(hash, note);
      return undefined;
    });
  }

  putInbox(tree: TreeId, item: InboxItem): Promise<void> {
    return this.#write("write to", () => putItem(this.#db, tree, item), {
      synced: true,
      modes: ["own", "join"],
    });
  }

  waiting(): Promise<InboxDepth> {
    return this.#answer("read", () => {
      const items = numberIn(this.#db.get("SELECT count(*) AS n FROM inbox")!, "n");
      return { items, oldestMs: null };
    });
  }

  getInbox(tree: TreeId): Promise<readonly InboxItem[]> {
    return this.#answer("read", () => {
      const number = treeNumber(tree);
      const rows = this.#db.all("SELECT id, body FROM inbox WHERE tree = ? ORDER BY n", number);
      return rows.map((row) => {
        const id = textIn(row, "id");
        const body = this.#db.cells.get(row, "body", "item", [number, id]);
        return { id, body: parseBody(tree, body) };
      });
    });
  }

  due(nowMs: number, limit: number, node?: string): Promise<readonly TreeId[]> {
    return this.#answer("list trees of", () => dueTrees(this.#db, { nowMs, limit, node }));
  }

  nextDueMs(): Promise<number | null> {
    return this.#answer("read", () => earliestDue(this.#db));
  }

  claim(tree: TreeId, node: string, options: {
    readonly nowMs: number;
    readonly ttlMs: number;
    readonly steal?: boolean;
  }): Promise<{ readonly epoch: number } | undefined> {
    this.#end.forget(tree);
    return this.#write("claim a tree of", () => {
      const what = this.#damaged.get(tree);
      if (what !== undefined) throw damagedTree(tree, what);
      return claimTree(this.#db, { tree, node }, options);
    }, { synced: false });
  }

  release(tree: TreeId, node: string, epoch: number): Promise<void> {
    this.#end.forget(tree);
    return this.#write("release a tree of", () => releaseTree(this.#db, { tree, node }, epoch), {
      synced: false,
    });
  }

  version(): Promise<number> {
    return this.#answer("read", () => {
      const row = this.#db.get("PRAGMA data_version");
      return row === undefined ? 0 : numberIn(row, "data_version");
    });
  }

  check(): Promise<readonly string[]> {
    return this.#answer("check", () => [...findDamage(this.#db), ...findAuditDamage(this.#db)]);
  }

  /** The history of the store's seals. Whoever opened it with "join" may seal too. */
  audit(): AuditStore {
    const modes: readonly SqliteMode[] = ["own", "join"];
    return new SqliteAuditStore(this.#db, {
      read: (verb, job) => this.#answer(verb, job),
      write: (verb, job) => this.#write(verb, job, { synced: true, modes }),
    });
  }

  /** What it does beside running trees: carrying them, and taking content away. */
  archive(): Archive {
    return new SqliteArchive(this.#db, {
      read: (verb, job) => this.#answer(verb, job),
      write: (verb, job) => this.#write(verb, job, { synced: true }),
      append: (batches) => this.#end.append(batches),
    });
  }

  /** Closes the file and gives its lock up. A second close changes nothing. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return this.#answer("close", () => {
      this.#closed = true;
      try {
        this.#db.close();
      } finally {
        this.#lock?.release();
      }
    });
  }

  #write<T>(verb: string, job: () => T, options: Writing): Promise<T> {
    return this.#answer(verb, () => this.#transact(verb, job, options));
  }

  #transact<T>(verb: string, job: () => T, { synced, modes = ["own"] }: Writing): T {
    if (!modes.includes(this.#mode)) throw this.#unowned(verb);
    try {
      return this.#db.transaction({ synced }, () => {
        // Who owns the store would have to be asked before it is encrypted anew; others are not.
        if (this.#mode === "join") refuseRekeyed(this.#db);
        return job();
      });
    } catch (thrown) {
      this.#end.forget();
      throw thrown;
    }
  }

  #unowned(verb: string): SysError {
    return new SysError(
      "EFENCED",
      `Cannot ${verb} store "${this.name}": opened with mode "${this.#mode}", expected mode "own"`,
    );
  }

  #answer<T>(verb: string, job: () => T): Promise<T> {
    return new Promise((resolve) => resolve(this.#guard(verb, job)));
  }

  #guard<T>(verb: string, job: () => T): T {
    if (this.#closed) throw closedStore(verb, this.name);
    try {
      return job();
    } catch (thrown) {
      // What cannot be deciphered may be under a data key that came since.
      const isCipher = this.#db.cells.isEncrypted && this.#mode !== "own";
      if (isCipher && !(thrown instanceof SysError && thrown.code === "ESTALE")) {
        refuseRekeyed(this.#db);
      }
      throw sqliteFailure(thrown, `${verb} store "${this.name}"`);
    }
  }
}

function parseBody(tree: TreeId, text: string): JsonObject {
  try {
    return parseJson(text) as JsonObject;
  } catch {
    throw new SysError(
      "EINTEGRITY",
      `Cannot read the inbox of tree "${tree}": no JSON, expected what was put`,
      { tree },
    );
  }
}
