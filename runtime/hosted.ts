/**
 * A tree in memory, and what a forest of them grows on.
 * @module
 */

import type { Run } from "../broker/run.ts";
import type { Draft } from "../kernel/draft.ts";
import type { NodeLabels } from "../kernel/fleet.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree, TreeContext } from "../kernel/tree.ts";
import type { Clock } from "../kernel/world.ts";
import type { Membership } from "./membership.ts";

/** A tree in memory, with what runs of it. */
export interface Hosted {
  readonly tree: Tree;
  readonly runs: Map<Pid, Run>;
  snapshotSeq: number;
  snapshotBytes: number;
  /** How many hold it still: none of its processes is run meanwhile. */
  held: number;
  /** How many work on it without a run: they were given it, and wait for something. */
  busy: number;
  /** The last line that the store has. */
  durableSeq: number;
  /** The turn, and the time, in which it was used last. */
  usedTurn: number;
  usedMs: number;
}

/** Drafts the first lines of a tree; its root. */
export type Decide = (draft: Draft) => Pid;

/** What a forest grows on. */
export interface ForestParts {
  readonly node: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly context: TreeContext;
  /** Whether older claims are known to be void. */
  readonly alone: boolean;
  /** The node's place among others; null where the store has no nodes. */
  readonly membership: Membership | null;
  /** A tree came into memory. */
  hosted(hosted: Hosted): void;
  /** A tree left memory, because it only waits. */
  left(hosted: Hosted): void;
  /** Resolves when what a tree has in its tail is durable, whether it is in memory yet or not. */
  write(tree: Tree): Promise<void>;
  /** The node is not idle before a tree has grown. */
  growing(job: Promise<void>): void;
  /** What a tree has in its tail is to be written. */
  unwritten(hosted: Hosted): void;
  /** Whether an effect of the tree is being sent. */
  isSending(hosted: Hosted): boolean;
  /** Another node has a tree that is in memory here. */
  lost(id: TreeId): void;
  /** How many steps became durable so far. */
  steps(): number;
  /** What the node has of what trees run on. */
  has(): NodeLabels;
  /** There are so many trees that some should leave soon. */
  poke(): void;
}
