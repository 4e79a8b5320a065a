/**
 * What trees refer to by hash, and the collection of values that none of them does.
 * @module
 */

import type { ValueRef } from "../kernel/event.ts";
import type { State } from "../kernel/state.ts";
import { archiveOf } from "../kernel/store.ts";
import type { Removed, Store } from "../kernel/store.ts";
import type { TreeContext } from "../kernel/tree.ts";
import { loadTree } from "./load.ts";
import { PAGE, treesOf } from "./seal.ts";

const REF = /"hash":"([0-9a-f]{64})"/g;

/** Adds what a text of a log or state refers to by hash, and perhaps more. */
export function addRefs(refs: Set<string>, text: string): void {
  for (const [, hash] of text.matchAll(REF)) refs.add(hash!);
}

/** Hashes of the values that the objects and tools of a state have. */
export function valuesOf(state: State): Set<string> {
  const found = new Set<string>();
  const add = (ref: ValueRef): void => {
    if ("hash" in ref) found.add(ref.hash);
  };
  for (const { versions, items } of Object.values(state.objects)) {
    for (const { value } of [...versions, ...items]) add(value);
  }
  for (const { source, code, tests } of Object.values(state.tools)) {
    for (const ref of [source, code, tests]) add(ref);
  }
  return found;
}

/**
 * Hashes that a tree refers to in `state`, its kept snapshots and its checkpoints, and in the lines
 * since the oldest checkpoint: what going back to one would need. Perhaps some more.
 */
export async function refsOf(store: Store, state: State): Promise<Set<string>> {
  const refs = new Set<string>();
  const marks = Object.values(state.checkpoints).map(({ seq }) => seq);
  let at = await store.getSnapshot(state.tree, state.seq);
  const oldest = Math.min(at?.seq ?? 0, ...marks);
  let from = 0;
  for (; at !== undefined; at = await store.getSnapshot(state.tree, at.seq - 1)) {
    addRefs(refs, at.state);
    if (at.seq <= oldest) from = Math.max(from, at.seq);
  }
  for await (const { seq, lines, payloads } of store.read(state.tree, from + 1)) {
    if (seq > state.seq) break;
    for (const text of [...lines, ...payloads.values()]) addRefs(refs, text);
  }
  return refs;
}

/** What a collection came to. */
export interface Collected extends Removed {
  /** Values that some tree refers to. */
  readonly kept: number;
}

/**
 * Removes values that no tree refers to: in its state, its kept snapshots, its checkpoints, or in
 * the lines since. May run beside a kernel: what is committed meanwhile stays (A2 of archives).
 * Going back to a line that none of these is for may then find a value gone, which says so.
 */
export async function gc(
  store: Store,
  options: { readonly nowMs: number; readonly context: TreeContext },
): Promise<Collected> {
  const archive = archiveOf(store);
  const since = await archive.position();
  const refs = new Set<string>();
  for await (const { tree, seq } of treesOf(store)) {
    if (seq === 0) continue;
    const { state } = (await loadTree(store, tree, options.context)).tree;
    for (const hash of await refsOf(store, state)) refs.add(hash);
  }
  const loose: string[] = [];
  let kept = 0;
  for (let after = "";;) {
    const page = await archive.blobs(after, PAGE);
    for (const { hash } of page) {
      if (refs.has(hash)) kept += 1;
      else loose.push(hash);
    }
    if (page.length < PAGE) break;
    after = page.at(-1)!.hash;
  }
  const when = new Date(options.nowMs).toISOString().slice(0, 10);
  const removed = await archive.sweep(loose, { note: `no tree referred to it on ${when}`, since });
  return { ...removed, kept: kept + loose.length - removed.count };
}
