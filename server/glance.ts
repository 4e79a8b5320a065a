/**
 * Glances: trees as lists show them, read from the store and not opened.
 *
 * Opening a tree claims it, writes a line and keeps it in memory, and pushes others out of it. What
 * is only listed needs none of that: its snapshot and the lines after it say all there is to show.
 *
 * Invariants:
 *   N1. A tree in memory is shown as it is there, and one that is not as the store has it now.
 *   N2. Looking changes nothing: no claim, no line, and no tree leaves memory for it.
 *   N3. Looking at many lets others have their turn.
 *   N4. A tree that another node has is shown as the store has it, and says so.
 *
 * Reading a tree's lines costs half a millisecond and more, so those that the first pages show are
 * read when the server starts, before somebody asks.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { type StoreReads, type TreeHead, viewOf } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Clock } from "../kernel/world.ts";
import type { Run } from "../broker/run.ts";
import { headOf, loadTree } from "../runtime/load.ts";
import { isElsewhere } from "../runtime/look.ts";
import type { Node } from "../runtime/node.ts";
import { type Pace, paceOf } from "../runtime/pace.ts";

/** A tree, and which of its processes run here. */
export interface Glance {
  readonly tree: Tree;
  readonly runs: ReadonlyMap<Pid, Run>;
  /** Another node has it: its state here is what the store has, and is not to be changed. */
  readonly isElsewhere?: true;
}

/** Trees that are read between two turns of the event loop. */
const READS_A_TURN = 8;
const NOBODY: ReadonlyMap<Pid, Run> = new Map();

/** Looks at trees. */
export class Glances {
  readonly #node: Node;
  readonly #pace: Pace;
  readonly #kept = new Map<TreeId, Tree>();

  /** Nothing was looked at yet. */
  constructor(node: Node, clock: Clock) {
    this.#node = node;
    this.#pace = paceOf(clock, READS_A_TURN);
  }

  /**
   * A tree; undefined for one that broke, or that is not there: it has nothing to show. `from` is
   * where its head was read; what does not hold together there is read from the store.
   */
  async at(
    head: Pick<TreeHead, "tree" | "seq"> | undefined,
    from?: StoreReads,
  ): Promise<Glance | undefined> {
    if (head === undefined || head.seq === 0) return undefined;
    const { store } = this.#node.options;
    try {
      if (this.#node.peek(head.tree) !== undefined) return await this.#node.hosted(head.tree);
      const broken = this.#node.broken.get(head.tree);
      if (broken !== undefined && !isElsewhere(this.#node, broken)) return undefined;
      return { tree: this.#remembered(head) ?? await this.#read(head, from), runs: NOBODY };
    } catch (thrown) {
      if (!(thrown instanceof SysError)) throw thrown;
      if (from === undefined || from === store) return undefined;
      return await this.at(await store.head(head.tree));
    }
  }

  /**
   * A tree that somebody asks for: opened, or looked at where another node has it (N4). Throws
   * `ENOENT`.
   */
  async of(id: TreeId): Promise<Glance> {
    const node = this.#node;
    try {
      return await node.hosted(id);
    } catch (thrown) {
      if (!isElsewhere(node, thrown)) throw thrown;
      const head = await headOf(node.options.store, id);
      const tree = this.#remembered(head) ?? await this.#read(head);
      return { tree, runs: NOBODY, isElsewhere: true };
    }
  }

  /** Looks at the trees that come first in lists, so that who asks first need not wait for it. */
  async ahead(stopping: AbortSignal): Promise<void> {
    const view = await viewOf(this.#node.options.store);
    for (const head of await view.list({ live: true, limit: LIMITS.glancesAhead })) {
      if (stopping.aborted) return;
      await this.at(head, view);
    }
  }

  #remembered({ tree: id, seq }: Pick<TreeHead, "tree" | "seq">): Tree | undefined {
    const tree = this.#kept.get(id);
    this.#kept.delete(id);
    if (tree?.state.seq !== seq) return undefined;
    this.#kept.set(id, tree);
    return tree;
  }

  async #read({ tree: id }: Pick<TreeHead, "tree">, from?: StoreReads): Promise<Tree> {
    await this.#pace();
    const { store, context } = this.#node.options;
    const { tree, snapshotBytes } = await loadTree(from ?? store, id, context, "tail");
    const isSmall = snapshotBytes === 0 && tree.state.seq <= LIMITS.glanceLinesMax;
    if (!isSmall) return tree;
    this.#kept.set(id, tree);
    if (this.#kept.size > LIMITS.glancesKept) this.#kept.delete(this.#kept.keys().next().value!);
    return tree;
  }
}
