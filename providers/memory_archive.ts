/**
 * The archive of a store in memory: trees adopted as a whole, and content taken away.
 * @module
 */

import type { TreeId } from "../kernel/ids.ts";
import type { Archive, Batch, Removed, Snapshot, StoredBatch } from "../kernel/store.ts";
import { hashesIn } from "../kernel/store.ts";

/** How the store lets its archive in. */
interface Access {
  answer<T>(verb: string, job: () => T): Promise<T>;
  tree(verb: string, id: TreeId): {
    readonly batches: readonly StoredBatch[];
    snapshots: Snapshot[];
  };
  adopt(batches: readonly Batch[], snapshot: Snapshot | null): void;
  trees(): Iterable<readonly [TreeId, { readonly redactMs: number | null }]>;
  readonly blobs: Map<string, string>;
  /** Why a blob is gone. */
  readonly notes: Map<string, string>;
  /** All batches, in order of arrival. */
  readonly heap: readonly StoredBatch[];
}

/** Carrying trees and taking content away, in a store in memory. */
export class MemoryArchive implements Archive {
  readonly #access: Access;

  /** Over what the store holds. */
  constructor(access: Access) {
    this.#access = access;
  }

  adopt(batches: readonly Batch[], snapshot: Snapshot | null): Promise<void> {
    return this.#access.answer("adopt a tree in", () => this.#access.adopt(batches, snapshot));
  }

  redact(tree: TreeId, pick: (batch: StoredBatch) => ReadonlySet<string>): Promise<Removed> {
    return this.#access.answer("take content out of", () => {
      const removed = { count: 0, bytes: 0 };
      for (const batch of this.#access.tree("redact", tree).batches) {
        remove(pick(batch), batch.payloads as Map<string, string>, removed);
      }
      return removed;
    });
  }

  redactable(nowMs: number, limit: number): Promise<readonly TreeId[]> {
    return this.#access.answer("list trees of", () => {
      const due = [...this.#access.trees()].flatMap(([id, { redactMs }]) =>
        redactMs === null || redactMs > nowMs ? [] : [[redactMs, id] as const]
      );
      return due.sort(([one], [other]) => one - other).slice(0, limit).map(([, id]) => id);
    });
  }

  removeSnapshots(tree: TreeId, seqs: readonly number[]): Promise<void> {
    return this.#access.answer("take content out of", () => {
      const stored = this.#access.tree("take a snapshot of", tree);
      stored.snapshots = stored.snapshots.filter(({ seq }) => !seqs.includes(seq));
    });
  }

  position(): Promise<number> {
    return this.#access.answer("read", () => this.#access.heap.length);
  }

  blobs(after: string, limit: number): ReturnType<Archive["blobs"]> {
    return this.#access.answer(
      "read",
      () =>
        [...this.#access.blobs].filter(([hash]) => hash > after)
          .sort(([one], [other]) => one < other ? -1 : 1).slice(0, limit)
          .map(([hash, text]) => ({ hash, bytes: text.length })),
    );
  }

  sweep(hashes: Iterable<string>, given: {
    readonly note: string;
    readonly since?: number;
  }): Promise<Removed> {
    return this.#access.answer("take content out of", () => {
      const { blobs, notes, heap } = this.#access;
      const left = new Set(hashes);
      for (const { lines, payloads } of heap.slice(given.since ?? heap.length)) {
        for (const hash of hashesIn(lines, payloads.values())) left.delete(hash);
      }
      const removed = { count: 0, bytes: 0 };
      for (const hash of remove(left, blobs, removed)) notes.set(hash, given.note);
      return removed;
    });
  }
}

/** Takes texts out of a map, counts them, and returns the hashes of those that were there. */
function remove(
  hashes: ReadonlySet<string>,
  texts: Map<string, string>,
  removed: { count: number; bytes: number },
): string[] {
  const gone = [...hashes].filter((hash) => texts.has(hash));
  for (const hash of gone) {
    removed.count += 1;
    removed.bytes += texts.get(hash)!.length;
    texts.delete(hash);
  }
  return gone;
}
