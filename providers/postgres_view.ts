/**
 * A PostgreSQL store for one question that is only shown: a replica, or the primary from where the
 * replica fails on (PR3 of postgres_replica.ts).
 * @module
 */

import type { Fleet } from "../kernel/fleet.ts";
import type { TreeId } from "../kernel/ids.ts";
import type {
  Snapshot,
  Store,
  StoredBatch,
  StoreReads,
  StoreView,
  TreeHead,
} from "../kernel/store.ts";
import type { Postgres } from "./postgres_handle.ts";
import { shownNodes } from "./postgres_nodes.ts";
import { PostgresReader } from "./postgres_reader.ts";

/** What stands behind a replica. */
export interface Behind {
  readonly primary: StoreView;
  /** How old what it has is, at most. */
  readonly behindMs: number;
  /** Hears what the replica failed at. */
  failed(thrown: unknown): void;
}

type Nodes = Pick<Fleet, "nodes" | "free">;

/** One question's view. */
export class PostgresView implements StoreView {
  readonly name: string;
  readonly #db: Postgres;
  readonly #behind: Behind;
  #copy: StoreReads | null;

  /** Over a replica that was found fit. */
  constructor(db: Postgres, behind: Behind) {
    this.name = db.name;
    this.#db = db;
    this.#behind = behind;
    this.#copy = new PostgresReader(db, (_, job) => job(db), () => false);
  }

  get behindMs(): number | null {
    return this.#copy === null ? null : this.#behind.behindMs;
  }

  head(tree: TreeId): Promise<TreeHead | undefined> {
    return this.#either((over) => over.head(tree));
  }

  list(options: Parameters<Store["list"]>[0]): Promise<readonly TreeHead[]> {
    return this.#either((over) => over.list(options));
  }

  getSnapshot(tree: TreeId, atMost?: number): Promise<Snapshot | undefined> {
    return this.#either((over) => over.getSnapshot(tree, atMost));
  }

  getBlob(hash: string): Promise<string | undefined> {
    return this.#either((over) => over.getBlob(hash));
  }

  async *read(tree: TreeId, fromSeq: number): AsyncGenerator<StoredBatch> {
    let next = fromSeq;
    if (this.#copy !== null) {
      try {
        for await (const batch of this.#copy.read(tree, fromSeq)) {
          yield batch;
          next = batch.seq + batch.lines.length;
        }
        return;
      } catch (thrown) {
        this.#turn(thrown);
      }
    }
    yield* this.#behind.primary.read(tree, next);
  }

  fleet(): Nodes {
    const { primary } = this.#behind;
    const over = (): Nodes => this.#copy === null ? primary.fleet!() : shownNodes(this.#db);
    return {
      nodes: () => this.#either(() => over().nodes()),
      free: () => this.#either(() => over().free()),
    };
  }

  async #either<T>(ask: (over: StoreReads) => Promise<T>): Promise<T> {
    if (this.#copy !== null) {
      try {
        return await ask(this.#copy);
      } catch (thrown) {
        this.#turn(thrown);
      }
    }
    return await ask(this.#behind.primary);
  }

  #turn(thrown: unknown): void {
    // Of several that failed at the same time, one says so.
    if (this.#copy === null) return;
    this.#copy = null;
    this.#behind.failed(thrown);
  }
}
