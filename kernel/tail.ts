/**
 * The tail of a store that several nodes share: what all of them commit, from a moment on.
 *
 * Invariants every tail keeps:
 *   TL1. Each batch that was committed since it began is told once, and none before.
 *   TL2. Those of one tree come in order; those of several as they were begun, as far as they are
 *        there when it looks.
 * @module
 */

import type { TreeId } from "./ids.ts";
import type { StoredBatch } from "./store.ts";

/** A batch that somebody committed. */
export interface TailBatch {
  /** Whose it is. */
  readonly tree: TreeId;
  /** Sequence number of its first line. */
  readonly seq: number;
  /** Its content; absent where whoever asked has it. */
  readonly batch?: StoredBatch;
}

/** What is committed from a moment on. */
export interface Tail {
  /**
   * The next ones, at most so many; none where nothing was committed since. What `has` says is
   * there already is told without its content. One that throws has told nothing: ask again.
   */
  next(limit: number, has: (tree: TreeId, seq: number) => boolean): Promise<readonly TailBatch[]>;
}
