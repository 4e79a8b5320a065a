/**
 * History: what a tree was at any position of its log, without running anything.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { ChainReader, GENESIS } from "../kernel/log.ts";
import type { Snapshot, Store, StoreReads } from "../kernel/store.ts";
import type { State } from "../kernel/state.ts";
import { Tree, type TreeContext } from "../kernel/tree.ts";
import { headOf } from "./load.ts";

/** A tree as it was after a line, and that line's hash. */
export interface Past {
  readonly tree: Tree;
  readonly head: string;
}

/**
 * A tree as it was right after line `seq`. Costs the lines since the last snapshot before it.
 * Throws `ENOENT` for a line that is not there, `EINTEGRITY` for a log that is damaged.
 */
export async function treeAt(
  store: StoreReads,
  id: TreeId,
  seq: number,
  context: TreeContext,
): Promise<Past> {
  const last = await headOf(store, id);
  if (!(Number.isSafeInteger(seq) && seq >= 1 && seq <= last.seq)) {
    const sentence = `Cannot go to line ${seq} of tree "${id}"`;
    throw new SysError("ENOENT", `${sentence}: it has lines 1 to ${last.seq}`);
  }
  const snapshot = await store.getSnapshot(id, seq);
  const { tree, reader } = begin(id, snapshot, context);
  if (reader.seq === seq) return { tree, head: reader.head };
  for await (const batch of store.read(id, reader.seq + 1)) {
    for (const line of reader.read(batch)) {
      tree.replay(line);
      if (line.seq < seq) continue;
      tree.rebase(reader.head);
      return { tree, head: reader.head };
    }
  }
  throw new SysError("EINTEGRITY", `Cannot read tree "${id}" at line ${seq}: absent`);
}

function begin(
  id: TreeId,
  snapshot: Snapshot | undefined,
  context: TreeContext,
): { readonly tree: Tree; readonly reader: ChainReader } {
  if (snapshot === undefined) {
    return { tree: Tree.empty(id, context), reader: new ChainReader(id, 0, GENESIS) };
  }
  const tree = Tree.load(snapshot.state, snapshot.head, context);
  return { tree, reader: new ChainReader(id, snapshot.seq, snapshot.head) };
}

/** The lines of a tree after line `seq`, checked against that line's hash. */
export async function* linesAfter(
  store: StoreReads,
  id: TreeId,
  past: { readonly seq: number; readonly head: string },
): AsyncGenerator<Line> {
  const reader = new ChainReader(id, past.seq, past.head);
  for await (const batch of store.read(id, past.seq + 1)) yield* reader.read(batch);
}

/** A log that is read on whenever there may be more of it: its chain is checked from the start. */
export class FollowedLog {
  readonly #store: StoreReads;
  readonly #tree: TreeId;
  readonly #from: number;
  readonly #reader: ChainReader;

  /** Gives lines from `from` on. */
  constructor(store: StoreReads, tree: TreeId, from: number) {
    this.#store = store;
    this.#tree = tree;
    this.#from = from;
    this.#reader = new ChainReader(tree, 0, GENESIS);
  }

  /** Lines that were written since this was asked for last. */
  async *more(): AsyncGenerator<Line> {
    for await (const batch of this.#store.read(this.#tree, this.#reader.seq + 1)) {
      if (batch.seq + batch.lines.length <= this.#from) this.#reader.skim(batch);
      else {
        for (const line of this.#reader.read(batch)) if (line.seq >= this.#from) yield line;
      }
    }
  }
}

/** The state of a tree in memory as it was at a line, with what it has not written yet written. */
export async function stateAt(
  node: {
    readonly options: { readonly store: Store; readonly context: TreeContext };
    peek(id: TreeId): Tree | undefined;
    durable(tree: Tree): Promise<void>;
  },
  tree: Tree,
  seq: number,
): Promise<State> {
  // One that is not in memory here was read from the store.
  if (node.peek(tree.state.tree) === tree) await node.durable(tree);
  const { store, context } = node.options;
  return (await treeAt(store, tree.state.tree, seq, context)).tree.state;
}
