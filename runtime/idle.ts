/**
 * Idle trees: which of those in memory only wait, and which of them leave it.
 *
 * A tree leaves in one turn, with no wait in between: whoever asks for it afterwards loads it again
 * from the store, and finds there whatever was put into its inbox meanwhile.
 *
 * Invariants:
 *   I1. A tree leaves only when the store has all of it, and nothing of it runs, is being sent, is
 *       held, or is due soon.
 *   I2. A tree that was asked for stays through that turn and the next one, so that whoever was
 *       given it may commit to it as long as nothing but microtasks came in between.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type TreeId, treeOf } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { countAsking, due, isReady } from "../kernel/schedule.ts";
import type { Hosted } from "./forest.ts";

/** How often a tree is looked at in one turn without leaving, and how many may leave in one. */
const LOOKS_MAX = 32;
const LEAVE_MAX = 1_024;
/** Trees above what is kept, before those who load more wait for a turn. */
const SLACK = 64;

/** What became of a tree that was looked at. */
export type Look = "leaves" | "stays" | "unwritten";

/** Whether nothing needs a tree in memory (I1); "unwritten": only its tail stands against it. */
export function lookAt(hosted: Hosted, nowMs: number): Look {
  const { tree, runs, held, busy, durableSeq } = hosted;
  if (runs.size > 0 || held > 0 || busy > 0 || isReady(tree.state)) return "stays";
  const dueMs = due(tree.state);
  if (dueMs !== null && dueMs - nowMs < LIMITS.treeDueMsMin) return "stays";
  if (tree.tailLength > 0) return "unwritten";
  return durableSeq === tree.state.seq ? "leaves" : "stays";
}

/** How many trees are kept that only wait, and how long. */
export interface Kept {
  /** Those that ask nobody. */
  readonly quiet: number;
  /** After so long without use, those that ask nobody leave though there is room. */
  readonly quietMs: number;
  /** Those that ask a person. */
  readonly asking: number;
}

/** What is kept where only room counts. */
export const KEPT: Kept = {
  quiet: LIMITS.treesIdleKept,
  quietMs: Infinity,
  asking: LIMITS.treesAskingKept,
};

/** What a turn of leaving goes by. */
export interface Leaving {
  readonly nowMs: number;
  readonly kept: Kept;
  /** Whether an effect of the tree is being sent. */
  isSending(hosted: Hosted): boolean;
  /** What a tree has in its tail is to be written. */
  unwritten(hosted: Hosted): void;
}

/** Trees in memory in the order in which they were used last; those that ask a person apart. */
export class IdleOrder {
  readonly #quiet = new Set<Hosted>();
  readonly #asking = new Set<Hosted>();
  #turn = 0;

  /** A tree was asked for, or something happened in it. */
  use(hosted: Hosted, nowMs: number): void {
    this.drop(hosted);
    hosted.usedTurn = this.#turn;
    hosted.usedMs = nowMs;
    const asks = countAsking(hosted.tree.state) > 0;
    (asks ? this.#asking : this.#quiet).add(hosted);
  }

  /** A tree is not in memory any more. */
  drop(hosted: Hosted): void {
    if (!this.#quiet.delete(hosted)) this.#asking.delete(hosted);
  }

  /** Whether a tree was asked for in this turn or the last one (I2). */
  isFresh(hosted: Hosted): boolean {
    return this.#turn - hosted.usedTurn < 2;
  }

  /** Whether there are more trees than are kept. */
  get isOver(): boolean {
    return this.#quiet.size > KEPT.quiet || this.#asking.size > KEPT.asking;
  }

  /** Whether there are so many more that nobody should load another one in the same turn. */
  get isFull(): boolean {
    return this.#quiet.size > KEPT.quiet + SLACK || this.#asking.size > KEPT.asking + SLACK;
  }

  /** Takes out the trees which leave now, those first that were not used for longest. */
  leave(by: Leaving): readonly Hosted[] {
    this.#turn += 1;
    const left: Hosted[] = [];
    const { nowMs, kept } = by;
    this.#clear(
      this.#quiet,
      by,
      left,
      ({ usedMs }) => this.#quiet.size > kept.quiet || nowMs - usedMs > kept.quietMs,
    );
    this.#clear(this.#asking, by, left, () => this.#asking.size > kept.asking);
    return left;
  }

  #clear(
    order: Set<Hosted>,
    by: Leaving,
    left: Hosted[],
    mayLeave: (hosted: Hosted) => boolean,
  ): void {
    let looks = 0;
    for (const hosted of order) {
      if (looks >= LOOKS_MAX || left.length >= LEAVE_MAX || !mayLeave(hosted)) return;
      // I2
      if (this.isFresh(hosted)) return;
      const look = lookAt(hosted, by.nowMs);
      order.delete(hosted);
      if (look === "leaves" && !by.isSending(hosted)) {
        left.push(hosted);
        continue;
      }
      looks += 1;
      order.add(hosted);
      if (look === "unwritten") by.unwritten(hosted);
    }
  }
}

/** Whether an effect of a tree is being sent; by the ids of the calls that are. */
export function isSendingOf(id: TreeId, calls: Iterable<string>): boolean {
  for (const call of calls) if (treeOf(call.slice(0, call.indexOf("#"))) === id) return true;
  return false;
}

/** What is said to who writes to a tree that left memory before. */
export function leftMemory(id: TreeId): SysError {
  const state = "it left memory, expected one that was opened since";
  return new SysError("EAGAIN", `Cannot write to tree "${id}": ${state}`);
}
