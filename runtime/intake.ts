/**
 * Intake: brings trees what came for them, into memory first if need be.
 *
 * Invariants:
 *   N1. A tree whose inbox is being emptied stays in memory until that is durable.
 *   N2. A tree that cannot take what came for it stops, or is left for whoever owns it; the others
 *       get theirs.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { EventMap, Line } from "../kernel/event.ts";
import type { ClaimFor } from "../kernel/fleet.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import type { Order } from "../kernel/inbox.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Clock } from "../kernel/world.ts";
import type { Forest } from "./forest.ts";
import type { Membership } from "./membership.ts";
import { Postbox } from "./postbox.ts";

/** What an intake works with. */
export interface IntakeParts {
  /** The node's id. */
  readonly node: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly forest: Forest;
  readonly membership: Membership | null;
  /** Resolves when what was committed to the tree is durable. */
  durable(tree: Tree): Promise<void>;
  /** Lines were added to a tree. */
  changed(tree: Tree): void;
  /** A tree cannot go on. */
  halt(tree: Tree, error: unknown): void;
}

/** Brings items to trees. */
export class Intake {
  readonly #parts: IntakeParts;
  readonly #postbox: Postbox;

  /** The intake of one node. */
  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.#postbox = new Postbox({
      ...parts,
      changed: (tree) => {
        // A tree that just began may be for another node: then nothing of it runs here.
        parts.forest.place(tree);
        parts.changed(tree);
      },
    });
  }

  /** Puts an order into a tree's inbox and waits for its effect. Throws what refuses it. */
  async order(id: TreeId, order: Order): Promise<void> {
    await this.#postbox.send(id, order, () => this.#empty(id, "order"));
  }

  /** Lets a tree take what is in its inbox; nobody waits for it (N2). */
  async take(id: TreeId): Promise<void> {
    const { forest, halt } = this.#parts;
    try {
      await this.#empty(id, "look");
    } catch (error) {
      const hosted = forest.get(id);
      if (!(error instanceof SysError)) {
        if (hosted === undefined) throw error;
        halt(hosted.tree, error);
      } else if (!error.retry && error.code !== "EFENCED" && error.code !== "ENOENT") {
        forest.broken.set(id, error);
      }
    }
  }

  /** Opens the trees that have something to do, and lets each take what is in its inbox. */
  async takeAll(): Promise<void> {
    const { forest, membership } = this.#parts;
    const due = await forest.due(forest.all.length + 1_000);
    const left = due.filter((id) => !forest.isBarred(id));
    // A database that others share is a line away: while one waits, others are asked for.
    const next = async (): Promise<void> => {
      for (let id = left.shift(); id !== undefined; id = left.shift()) await this.take(id);
    };
    const lanes = membership === null ? 1 : LIMITS.nodeTakesAtOnceMax;
    await Promise.all(Array.from({ length: lanes }, next));
    if (membership?.isMore(due.length) === true) membership.wake();
  }

  async #empty(id: TreeId, why: ClaimFor): Promise<void> {
    const hosted = await this.#parts.forest.open(id, why);
    hosted.busy += 1;
    try {
      await this.#postbox.empty(hosted.tree);
    } finally {
      hosted.busy -= 1;
    }
  }
}

/** Other trees that lines put something into the inbox of. */
export function addressees(tree: TreeId, lines: readonly Line[]): ReadonlySet<TreeId> {
  const found = new Set<TreeId>();
  for (const { type, data } of lines) {
    if (type === "kin.told") found.add((data as EventMap["kin.told"]).to);
    if (type !== "call.done") continue;
    const { name, args } = data as { readonly name: string; readonly args: unknown };
    if (name !== "message.send") continue;
    const to = treeOf((args as { readonly to: Pid }).to);
    if (to !== tree) found.add(to);
  }
  return found;
}
