/**
 * Parting: trees in memory that are to be given back to the other nodes.
 *
 * Invariants:
 *   PA1. A tree is given back only when the store has all of it, and nothing of it runs, is being
 *        sent, or is held by somebody else; nothing of it begins meanwhile.
 * @module
 */

import { isReady } from "../kernel/schedule.ts";
import type { Hosted } from "./forest.ts";
import type { Membership } from "./membership.ts";

/** What parting asks of its forest. */
export interface PartingParts {
  readonly membership: Membership | null;
  /** The trees in memory. */
  all(): readonly Hosted[];
  /** Whether a tree was asked for a moment ago. */
  isFresh(hosted: Hosted): boolean;
  /** Whether an effect of the tree is being sent. */
  isSending(hosted: Hosted): boolean;
  /** What a tree has in its tail is to be written. */
  unwritten(hosted: Hosted): void;
  /** Lets a tree go from memory. */
  drop(hosted: Hosted): void;
  /** Somebody should look soon. */
  poke(): void;
}

/** Trees that are held until they can be given back. */
export class Parting {
  readonly #parts: PartingParts;
  readonly #all = new Set<Hosted>();

  /** None is to be given back yet. */
  constructor(parts: PartingParts) {
    this.#parts = parts;
  }

  /** Whether there are any. */
  get isAny(): boolean {
    return this.#all.size > 0;
  }

  /** Has a tree given back: nothing of it begins, and it leaves when what runs is over. */
  add(hosted: Hosted | undefined): void {
    if (hosted === undefined || this.#all.has(hosted)) return;
    hosted.held += 1;
    this.#all.add(hosted);
    this.#parts.poke();
  }

  /** Has so many trees given back that wait for their turn. */
  addQueued(count: number): void {
    const queued = this.#parts.all().filter((one) =>
      one.runs.size + one.busy + one.held === 0 && isReady(one.tree.state)
    );
    for (const hosted of queued.slice(0, count)) this.add(hosted);
  }

  /** A tree is not in memory any more. */
  forget(hosted: Hosted): void {
    this.#all.delete(hosted);
  }

  /** Gives back what can be (PA1). */
  look(): void {
    const { membership, isSending, isFresh, unwritten, drop } = this.#parts;
    for (const hosted of this.#all) {
      const { tree, runs, held, busy, durableSeq } = hosted;
      if (runs.size > 0 || held > 1 || busy > 0 || isSending(hosted)) continue;
      if (tree.tailLength > 0) unwritten(hosted);
      if (durableSeq !== tree.state.seq || tree.tailLength > 0 || isFresh(hosted)) continue;
      this.#all.delete(hosted);
      drop(hosted);
      membership?.giveBack({ tree: tree.state.tree, epoch: tree.state.epoch });
    }
  }
}

/** Whether a tree has something to do. */
export function isActive({ tree, runs, busy }: Hosted): boolean {
  return runs.size > 0 || busy > 0 || isReady(tree.state);
}
