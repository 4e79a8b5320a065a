/**
 * What the claims about stores are written with: small trees, batches and items.
 * @module
 */

import assert from "node:assert/strict";
import { SysError } from "../kernel/errors.ts";
import type { Errno } from "../kernel/errors.ts";
import { sha256 } from "../kernel/json.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Batch, InboxItem, Store, StoredBatch } from "../kernel/store.ts";

/** What more can be tried with a kind of store. */
export interface StoreTestOptions {
  /** Closes a store and opens the same one again, as a restarted kernel would. */
  readonly reopen?: (store: Store) => Promise<Store>;
}

/** One claim about an empty store. */
export type Claim = (store: Store, options: StoreTestOptions) => Promise<void>;

/** A batch of one line with nothing beside it, but for what `changes` says. */
export function batchOf(tree: TreeId, changes: Partial<Batch> = {}): Batch {
  const seq = changes.seq ?? 1;
  const lines = changes.lines ?? [`{"seq":${seq}}`];
  return {
    tree,
    epoch: 0,
    seq,
    lines,
    head: sha256(lines.at(-1) ?? ""),
    payloads: new Map(),
    blobs: new Map(),
    taken: [],
    dueMs: null,
    puts: [],
    summary: { live: true, title: "", key: null, ready: false },
    ...changes,
  };
}

/** All of what a read gives. */
export async function readAll(store: Store, tree: TreeId, fromSeq = 1): Promise<StoredBatch[]> {
  return await Array.fromAsync(store.read(tree, fromSeq));
}

/** All lines of a tree. */
export async function linesOf(store: Store, tree: TreeId): Promise<string[]> {
  return (await readAll(store, tree)).flatMap((batch) => [...batch.lines]);
}

/** Refuses anything but a `SysError` of `code` with a sentence in the house's form. */
export async function rejects(job: Promise<unknown>, code: Errno): Promise<SysError> {
  const thrown = await job.then(() => undefined, (error: unknown) => error);
  assert(thrown instanceof SysError, `expected ${code}, got ${thrown}`);
  assert.equal(thrown.code, code, thrown.message);
  assert.match(thrown.message, /^Cannot [a-z]+ .+: .+[^.]$/s);
  return thrown;
}

/** A new, empty tree. */
export async function newTree(store: Store, key: string | null = null): Promise<TreeId> {
  return (await store.create(key)).tree;
}

/** An item with a body of its own. */
export function item(id: string): InboxItem {
  return { id, body: { say: id } };
}

/** What is in an inbox, by id. */
export async function inboxIds(store: Store, tree: TreeId): Promise<string[]> {
  return (await store.getInbox(tree)).map(({ id }) => id);
}

/** The summary of a tree that has not ended and waits for the outside. */
export const LIVE = { live: true, title: "t", key: null, ready: false };

/** Everything that can be seen of some trees, to show that nothing changed. */
export async function picture(store: Store, trees: readonly TreeId[]): Promise<unknown> {
  const of = trees.map(async (tree) => [
    await store.head(tree),
    await readAll(store, tree),
    await store.getInbox(tree),
    await store.getSnapshot(tree),
  ]);
  return [await Promise.all(of), await store.due(1e15, 1_000), await store.nextDueMs()];
}
