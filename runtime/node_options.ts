/**
 * What a node is made of.
 * @module
 */

import type { AnySyscall, World } from "../broker/syscall.ts";
import type { NodeLabels } from "../kernel/fleet.ts";
import type { Store } from "../kernel/store.ts";
import type { Process } from "../kernel/state.ts";
import type { Tree, TreeContext } from "../kernel/tree.ts";
import type { Membership } from "./membership.ts";
import type { Program } from "./program.ts";

/** What a node is made of. */
export interface NodeOptions {
  readonly id: string;
  readonly store: Store;
  readonly world: World;
  readonly table: Readonly<Record<string, AnySyscall>>;
  readonly context: TreeContext;
  /** How long payloads of trees are kept of which nobody said so; null: as long as the log. */
  readonly retentionDays?: number | null;
  /** Programs by the name an image gives. */
  program(name: string): Program | undefined;
  /** What it has of what trees run on, in words for other nodes. */
  has?(): NodeLabels;
  /** Runs at the same time; those that only wait at a gate are not counted. */
  readonly concurrency: number;
  /** false: nothing runs but by `runUntilIdle` and `stepOnce`. */
  readonly autorun?: boolean;
  /** Runs each step, for those who watch; it has to run `job` once, at once. */
  around?<T>(tree: Tree, process: Process, job: () => Promise<T>): Promise<T>;
  /** Hears that a call which makes others, such as a tool's, begins: `p_1#4.2`. */
  composes?(call: string): void;
  /** Whether this node is known to be the store's only one, so that older claims are void. */
  readonly alone: boolean;
  /** Its place among the nodes that share the store. */
  readonly membership?: Membership;
  /** Whether trees that are started here are to stay on nodes of its name. */
  readonly ownWorkspace?: boolean;
}
