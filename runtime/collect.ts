/**
 * What trees refer to by hash, and the collection of values that none of them does.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import type { EventMap, ValueRef } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import type { State } from "../kernel/state.ts";
import { archiveOf } from "../kernel/store.ts";
import type { Removed, Store } from "../kernel/store.ts";
import { allGrown, growAll } from "./growth.ts";
import { loadTree } from "./load.ts";
import type { Node } from "./node.ts";
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
  /** Values that stay: some tree refers to them, or no log ever named them. */
  readonly kept: number;
  /** Trees that named what went, each of which has a line that says so. */
  readonly trees: readonly TreeId[];
}

/**
 * Removes values that no tree refers to: in its state, its kept snapshots, its checkpoints, or in
 * the lines since. May run beside steps: what is committed meanwhile stays (A2 of archives). Going
 * back to a line that none of these is for may then find a value gone, which says so.
 *
 * Every log that names one says first that it goes. What is cut short is valid, and is finished by
 * asking for it again.
 */
export async function gc(node: Node, by: string): Promise<Collected> {
  const { store, world } = node.options;
  const archive = archiveOf(store);
  await growAll(node);
  const since = await archive.position();
  const { loose, kept } = await looseOf(store, await refsOfAll(node));
  if (loose.size === 0) return { count: 0, bytes: 0, kept, trees: [] };
  const told = new Set<string>();
  const trees: TreeId[] = [];
  for await (const { tree, seq } of treesOf(store)) {
    if (seq === 0) continue;
    const { untold, said } = await namedIn(store, tree, loose);
    for (const hash of [...said, ...untold]) told.add(hash);
    if (untold.size === 0) continue;
    trees.push(tree);
    await tell(node, tree, { loose, untold, by });
  }
  const when = new Date(world.clock.now()).toISOString().slice(0, 10);
  const note = `no tree referred to it on ${when}, collected by ${by}`;
  // What grew since is named by commits since.
  await allGrown(node);
  const removed = await archive.sweep(told, { note, since });
  return { ...removed, kept: kept + loose.size - removed.count, trees };
}

/** What all trees of a store refer to. */
async function refsOfAll({ options: { store, context } }: Node): Promise<ReadonlySet<string>> {
  const refs = new Set<string>();
  for await (const { tree, seq } of treesOf(store)) {
    if (seq === 0) continue;
    const { state } = (await loadTree(store, tree, context)).tree;
    for (const hash of await refsOf(store, state)) refs.add(hash);
  }
  return refs;
}

/** Values that are not among `refs`, with the lengths of their texts; how many are. */
async function looseOf(
  store: Store,
  refs: ReadonlySet<string>,
): Promise<{ readonly loose: ReadonlyMap<string, number>; readonly kept: number }> {
  const loose = new Map<string, number>();
  let kept = 0;
  for (let after = "";;) {
    const page = await archiveOf(store).blobs(after, PAGE);
    for (const { hash, bytes } of page) {
      if (refs.has(hash)) kept += 1;
      else loose.set(hash, bytes);
    }
    if (page.length < PAGE) return { loose, kept };
    after = page.at(-1)!.hash;
  }
}

/** Lines after which what they name is gone, unless it is named again. */
const PARTING = /"type":"(?:values\.collected|content\.erased)"\}$/;
type Parting = { readonly data: EventMap["values.collected" | "content.erased"] };

/** Of some values: those that a log names, and those of which it says that they are gone. */
async function namedIn(store: Store, id: TreeId, loose: ReadonlyMap<string, number>): Promise<{
  readonly untold: ReadonlySet<string>;
  readonly said: ReadonlySet<string>;
}> {
  const [untold, said] = [new Set<string>(), new Set<string>()];
  for await (const { lines, payloads } of store.read(id, 1)) {
    const add = (text: string): void => {
      const refs = new Set<string>();
      addRefs(refs, text);
      for (const hash of refs) if (loose.has(hash)) untold.add(hash);
    };
    for (const text of payloads.values()) add(text);
    for (const line of lines) {
      add(line);
      if (!PARTING.test(line)) continue;
      for (const hash of (parseJson(line) as Parting).data.hashes) {
        if (loose.has(hash)) said.add(hash);
        untold.delete(hash);
      }
    }
  }
  return { untold, said };
}

/** Writes down in a tree which of the values that it named go. */
async function tell(node: Node, id: TreeId, given: {
  readonly loose: ReadonlyMap<string, number>;
  readonly untold: ReadonlySet<string>;
  readonly by: string;
}): Promise<void> {
  const { loose, by } = given;
  const hosted = await node.hosted(id);
  const { tree } = hosted;
  hosted.busy += 1;
  try {
    const all = [...given.untold].sort();
    for (let i = 0; i < all.length; i += LIMITS.valuesCollectedPerLineMax) {
      const hashes = all.slice(i, i + LIMITS.valuesCollectedPerLineMax);
      const bytes = hashes.reduce((sum, hash) => sum + loose.get(hash)!, 0);
      const draft = new Draft(tree, node.options.world.clock.now());
      draft.add("values.collected", { hashes, bytes, by });
      tree.commit(draft);
    }
    node.changed(tree);
    await node.durable(tree);
  } finally {
    hosted.busy -= 1;
  }
}
