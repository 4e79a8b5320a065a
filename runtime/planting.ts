/**
 * Planting: trees are made, whole or to grow from another, with a key or without.
 *
 * Invariants:
 *   PL1. Two that come with the same key at once get the same tree, at one node or at several.
 *   PL2. Whoever wants a tree that is yet to grow waits until it is whole.
 *   PL3. What is refused, or cannot be written, leaves no tree behind: it is drafted beside the
 *        store first.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { Origin } from "../kernel/growth.ts";
import { type Pid, type TreeId, treeNumber } from "../kernel/ids.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { Tree } from "../kernel/tree.ts";
import { grow } from "./growth.ts";
import type { Decide, ForestParts, Hosted } from "./hosted.ts";

/** A tree by its root. */
export interface Planted {
  readonly pid: Pid;
  /** Resolves when what was made is durable; null where another node has the tree. */
  readonly written: Promise<void> | null;
}

/** What trees are planted in. */
export interface Plot {
  /** Whether a tree is in memory, or is about to be. */
  isHere(id: TreeId): boolean;
  open(id: TreeId): Promise<Hosted>;
  /** Claims a new tree; its epoch. */
  claim(id: TreeId): Promise<number>;
  host(tree: Tree, epoch: number): Hosted;
  /** Has whoever opens a tree wait for it (PL2). */
  loading(id: TreeId, job: Promise<Hosted>): void;
}

/** How long is waited for another node that begins a tree, before it is looked at again. */
const PLANT_LOOK_MS = 20;

/** Makes trees of one forest. */
export class Planting {
  readonly #parts: ForestParts;
  readonly #plot: Plot;
  readonly #keys = new Map<string, Promise<void>>();

  /** Plants nothing yet. */
  constructor(parts: ForestParts, plot: Plot) {
    this.#parts = parts;
    this.#plot = plot;
  }

  /**
   * Makes a tree; `decide` drafts its first lines. A live tree with the same key is opened instead,
   * if no other node has it. What begins elsewhere grows from its origin, which is let go then.
   */
  async plant(key: string | null, decide: Decide, origin?: Origin): Promise<Planted> {
    this.#rehearse(decide);
    if (key === null) return await this.#plant(null, decide, origin);
    const before = this.#keys.get(key) ?? Promise.resolve();
    const planted = before.then(() => this.#plant(key, decide, origin));
    const settled = planted.then(() => {}, () => {});
    this.#keys.set(key, settled);
    try {
      return await planted;
    } finally {
      if (this.#keys.get(key) === settled) this.#keys.delete(key);
    }
  }

  /** PL3. */
  #rehearse(decide: Decide): void {
    const { clock, context } = this.#parts;
    const draft = new Draft(Tree.empty("t_0", context), clock.now());
    decide(draft);
    canonical(draft.events as unknown as Json);
  }

  async #plant(key: string | null, decide: Decide, origin?: Origin): Promise<Planted> {
    const { store, clock, membership } = this.#parts;
    const untilMs = clock.now() + LIMITS.orderMsMax;
    for (;;) {
      const { tree: id, created } = await store.create(key);
      const pid: Pid = `p_${treeNumber(id)}`;
      const isHere = this.#plot.isHere(id);
      const isBegun = isHere || (!created && (await store.head(id))!.seq > 0);
      try {
        if (!isBegun) return { pid, ...await this.#begin(id, decide, origin) };
        origin?.letGo();
        return { pid, written: this.#parts.write((await this.#plot.open(id)).tree) };
      } catch (error) {
        const isElsewhere = error instanceof SysError && error.code === "EFENCED";
        if (membership === null || !isElsewhere || isHere) throw error;
        if (isBegun) return { pid, written: null };
        // Another node is about to begin it; should that die, it is free when its lease is over.
        if (clock.now() >= untilMs) throw error;
        await clock.sleep(PLANT_LOOK_MS);
      }
    }
  }

  async #begin(
    id: TreeId,
    decide: Decide,
    origin?: Origin,
  ): Promise<Pick<Planted, "written">> {
    const { clock, node, context, write } = this.#parts;
    const epoch = await this.#plot.claim(id);
    const tree = Tree.empty(id, context);
    tree.state.epoch = epoch;
    const draft = new Draft(tree, clock.now());
    draft.add("tree.opened", { node, epoch });
    decide(draft);
    tree.commit(draft);
    if (origin === undefined) return { written: write(this.#plot.host(tree, epoch).tree) };
    const written = write(tree);
    const grown = written.then(() => this.#grow(tree, epoch, origin));
    this.#plot.loading(id, grown.finally(() => origin.letGo()));
    return { written };
  }

  /** Only now: while the first lines are written, nothing else has to be waited for. */
  #grow(tree: Tree, epoch: number, origin: Origin): Promise<Hosted> {
    const grown = grow(tree, this.#parts, origin).then(() => this.#plot.host(tree, epoch));
    this.#parts.growing(grown.then(() => {}, () => {}));
    return grown;
  }
}
