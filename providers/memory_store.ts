/**
 * The store for tests and for trees that need not outlive the process.
 *
 * Invariants:
 *   M1. A commit is checked as a whole before the first change, and nothing waits in between (S1).
 *   M2. What callers hand in is copied where they could change it afterwards; what they get back is
 *       frozen by type only, since all of it is text.
 * @module
 */

import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import type {
  Archive,
  Batch,
  InboxDepth,
  InboxItem,
  Snapshot,
  Store,
  StoredBatch,
  TreeHead,
  TreeSummary,
} from "../kernel/store.ts";
import { removedBlob, takenTree, thinned } from "../kernel/store.ts";
import { MemoryArchive } from "./memory_archive.ts";
import {
  absentTree,
  byNumber,
  checkedBlob,
  closedStore,
  EMPTY_HEAD,
  refuseMalformed,
  refuseUnfit,
  refuseUnwritten,
} from "./store_refusals.ts";
import type { Position } from "./store_refusals.ts";

interface Tree {
  readonly id: TreeId;
  readonly batches: StoredBatch[];
  readonly inbox: Map<string, InboxItem>;
  seq: number;
  head: string;
  epoch: number;
  owner: string | null;
  leaseMs: number;
  dueMs: number | null;
  redactMs: number | null;
  summary: TreeSummary;
  snapshots: Snapshot[];
}

/**
 * A store in the memory of this process: durable as long as the process.
 *
 * @example
 * ```ts
 * import { MemoryStore } from "@agent-libos/core/testing";
 * const store = new MemoryStore();
 * const { tree, created } = await store.create(null);
 * console.assert(created && (await store.head(tree))?.seq === 0);
 * ```
 */
export class MemoryStore implements Store {
  readonly name = "memory";
  /** In order of number. */
  #trees = new Map<TreeId, Tree>();
  #top = 0;
  readonly #keys = new Map<string, TreeId>();
  readonly #blobs = new Map<string, string>();
  /** Why a blob is gone. */
  readonly #notes = new Map<string, string>();
  /** All batches, in order of arrival. */
  readonly #heap: StoredBatch[] = [];
  #closed = false;

  create(key: string | null): Promise<{ readonly tree: TreeId; readonly created: boolean }> {
    return this.#answer("create a tree in", () => {
      const known = key === null ? undefined : this.#keys.get(key);
      if (known !== undefined) return { tree: known, created: false };
      const id: TreeId = `t_${this.#top += 1}`;
      this.#trees.set(id, emptyTree(id, key));
      if (key !== null) this.#keys.set(key, id);
      return { tree: id, created: true };
    });
  }

  commit(batches: readonly Batch[]): Promise<void> {
    return this.#answer("commit to", () => {
      this.#refuse(batches);
      for (const batch of batches) this.#append(batch);
    });
  }

  async *read(tree: TreeId, fromSeq: number): AsyncIterable<StoredBatch> {
    const stored = await this.#answer("read", () => this.#tree("read", tree));
    const end = stored.batches.length;
    for (let i = firstHolding(stored.batches, fromSeq); i < end; i++) {
      this.#refuseClosed("read");
      const batch = stored.batches[i];
      if (batch !== undefined) yield batch;
    }
  }

  head(tree: TreeId): Promise<TreeHead | undefined> {
    return this.#answer("read", () => {
      const stored = this.#trees.get(tree);
      return stored === undefined ? undefined : headOf(stored);
    });
  }

  list(options: {
    readonly live?: boolean;
    readonly asking?: boolean;
    readonly after?: TreeId;
    readonly limit: number;
  }): Promise<readonly TreeHead[]> {
    return this.#answer("list trees of", () => {
      const after = options.after === undefined ? 0 : treeNumber(options.after);
      const heads: TreeHead[] = [];
      for (const tree of this.#trees.values()) {
        if (heads.length >= options.limit) break;
        if (treeNumber(tree.id) <= after) continue;
        const { live, asking = 0 } = tree.summary;
        if ((options.live === true || options.asking === true) && !live) continue;
        if (options.asking === true && asking === 0) continue;
        heads.push(headOf(tree));
      }
      return heads;
    });
  }

  putSnapshot(tree: TreeId, snapshot: Snapshot): Promise<void> {
    return this.#answer("write a snapshot to", () => {
      const stored = this.#trees.get(tree);
      refuseUnwritten(tree, snapshot, stored?.seq);
      if (stored === undefined || stored.snapshots.some(({ seq }) => seq > snapshot.seq)) return;
      const gone = [...thinned(stored.snapshots.map(({ seq }) => seq), snapshot.seq), snapshot.seq];
      stored.snapshots = stored.snapshots.filter(({ seq }) => !gone.includes(seq));
      stored.snapshots.push({ ...snapshot });
    });
  }

  getSnapshot(tree: TreeId, atMost = Infinity): Promise<Snapshot | undefined> {
    return this.#answer(
      "read",
      () => this.#trees.get(tree)?.snapshots.findLast(({ seq }) => seq <= atMost),
    );
  }

  getBlob(hash: string): Promise<string | undefined> {
    return this.#answer("read", () => {
      const text = this.#blobs.get(hash);
      if (text !== undefined) return checkedBlob(hash, text);
      const note = this.#notes.get(hash);
      if (note !== undefined) throw removedBlob(hash, note);
      return undefined;
    });
  }

  putInbox(tree: TreeId, item: InboxItem): Promise<void> {
    return this.#answer("write to", () => put(this.#tree("put an item into", tree), item));
  }

  waiting(): Promise<InboxDepth> {
    return this.#answer("read", () => ({
      items: [...this.#trees.values()].reduce((sum, { inbox }) => sum + inbox.size, 0),
      oldestMs: null,
    }));
  }

  getInbox(tree: TreeId): Promise<readonly InboxItem[]> {
    return this.#answer("read", () => [...(this.#trees.get(tree)?.inbox.values() ?? [])]);
  }

  due(nowMs: number, limit: number, node?: string): Promise<readonly TreeId[]> {
    return this.#answer("list trees of", () => {
      const due: TreeId[] = [];
      for (const tree of this.#trees.values()) {
        if (due.length >= limit) break;
        const isTheirs = node !== undefined && tree.owner !== null && tree.owner !== node &&
          tree.leaseMs > nowMs;
        if (!isTheirs && isDue(tree, nowMs)) due.push(tree.id);
      }
      return due.sort(byNumber);
    });
  }

  nextDueMs(): Promise<number | null> {
    return this.#answer("read", () => {
      let next: number | null = null;
      for (const { dueMs, summary } of this.#trees.values()) {
        if (dueMs === null || !summary.live) continue;
        if (next === null || dueMs < next) next = dueMs;
      }
      return next;
    });
  }

  claim(tree: TreeId, node: string, options: {
    readonly nowMs: number;
    readonly ttlMs: number;
    readonly steal?: boolean;
  }): Promise<{ readonly epoch: number } | undefined> {
    return this.#answer("claim a tree of", () => {
      const stored = this.#tree("claim", tree);
      const held = stored.owner !== null && stored.leaseMs > options.nowMs;
      if (stored.owner !== node) {
        if (held && options.steal !== true) return undefined;
        stored.epoch += 1;
        stored.owner = node;
      }
      stored.leaseMs = options.nowMs + options.ttlMs;
      return { epoch: stored.epoch };
    });
  }

  release(tree: TreeId, node: string, epoch: number): Promise<void> {
    return this.#answer("release a tree of", () => {
      const stored = this.#trees.get(tree);
      if (stored === undefined || stored.owner !== node || stored.epoch !== epoch) return;
      stored.owner = null;
      stored.leaseMs = 0;
      stored.epoch += 1;
    });
  }

  version(): Promise<number> {
    return this.#answer("read", () => 0);
  }

  check(): Promise<readonly string[]> {
    return this.#answer("check", () => {
      const found: string[] = [];
      for (const [hash, text] of this.#blobs) {
        if (sha256(text) !== hash) found.push(`Blob "${hash}" has a text with another hash`);
      }
      return found;
    });
  }

  /** What it does beside running trees: carrying them, and taking content away. */
  archive(): Archive {
    return new MemoryArchive({
      answer: (verb, job) => this.#answer(verb, job),
      tree: (verb, id) => this.#tree(verb, id),
      adopt: (batches, snapshot) => this.#adopt(batches, snapshot),
      trees: () => this.#trees.entries(),
      blobs: this.#blobs,
      notes: this.#notes,
      heap: this.#heap,
    });
  }

  #adopt(batches: readonly Batch[], snapshot: Snapshot | null): void {
    const { tree: id, epoch } = batches[0]!;
    if (this.#trees.has(id)) throw takenTree(id);
    const tree = { ...emptyTree(id, null), epoch };
    const ordered = [...this.#trees, [id, tree] as const];
    this.#trees = new Map(ordered.sort(([one], [other]) => byNumber(one, other)));
    try {
      this.#refuse(batches);
    } catch (error) {
      this.#trees.delete(id);
      throw error;
    }
    this.#top = Math.max(this.#top, treeNumber(id));
    for (const batch of batches) this.#append(batch);
    if (snapshot !== null) tree.snapshots.push({ ...snapshot });
  }

  /** Refuses all further use. What it holds goes with the object itself. */
  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #answer<T>(verb: string, job: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#refuseClosed(verb);
      resolve(job());
    });
  }

  #refuseClosed(verb: string): void {
    if (this.#closed) throw closedStore(verb, this.name);
  }

  #tree(verb: string, id: TreeId): Tree {
    const tree = this.#trees.get(id);
    if (tree === undefined) throw absentTree(verb, id);
    return tree;
  }

  #refuse(batches: readonly Batch[]): void {
    const ends = new Map<TreeId, Position>();
    for (const batch of batches) {
      refuseMalformed(batch);
      const position = ends.get(batch.tree) ?? this.#trees.get(batch.tree);
      refuseUnfit(batch, position);
      ends.set(batch.tree, {
        seq: position.seq + batch.lines.length,
        epoch: position.epoch,
        owner: position.owner,
      });
    }
  }

  #append(batch: Batch): void {
    const tree = this.#tree("append to", batch.tree);
    const { seq, lines, payloads } = batch;
    const stored = { seq, lines: [...lines], payloads: new Map(payloads) };
    tree.batches.push(stored);
    this.#heap.push(stored);
    tree.seq += lines.length;
    tree.head = batch.head;
    tree.dueMs = batch.dueMs;
    if (batch.redactMs !== undefined) tree.redactMs = batch.redactMs;
    this.#summarize(tree, batch.summary);
    for (const [hash, text] of batch.blobs) {
      if (!this.#blobs.has(hash)) this.#blobs.set(hash, text);
    }
    for (const id of batch.taken) tree.inbox.delete(id);
    for (const { tree: other, item } of batch.puts) {
      const to = this.#trees.get(other);
      if (to !== undefined) put(to, item);
    }
  }

  #summarize(tree: Tree, summary: TreeSummary): void {
    const was = tree.summary.key;
    if (was !== null && this.#keys.get(was) === tree.id) this.#keys.delete(was);
    tree.summary = { ...summary };
    const { key, live } = summary;
    if (key !== null && live && !this.#keys.has(key)) this.#keys.set(key, tree.id);
  }
}

function emptyTree(id: TreeId, key: string | null): Tree {
  return {
    id,
    batches: [],
    inbox: new Map(),
    seq: 0,
    head: EMPTY_HEAD,
    epoch: 0,
    owner: null,
    leaseMs: 0,
    dueMs: null,
    redactMs: null,
    summary: { live: true, title: "", key, ready: false },
    snapshots: [],
  };
}

function put(tree: Tree, item: InboxItem): void {
  if (!tree.inbox.has(item.id)) tree.inbox.set(item.id, structuredClone(item));
}

function isDue(tree: Tree, nowMs: number): boolean {
  if (tree.inbox.size > 0) return true;
  if (!tree.summary.live) return false;
  return tree.summary.ready || (tree.dueMs !== null && tree.dueMs <= nowMs);
}

function headOf(tree: Tree): TreeHead {
  const { id, seq, head, epoch, owner, leaseMs, dueMs, summary } = tree;
  return { tree: id, seq, head, epoch, owner, leaseMs, dueMs, summary };
}

/** The index of the batch which holds line `seq`; the length when all lines come before. */
function firstHolding(batches: readonly StoredBatch[], seq: number): number {
  let low = 0;
  let high = batches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const batch = batches[middle];
    if (batch !== undefined && batch.seq + batch.lines.length <= seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
