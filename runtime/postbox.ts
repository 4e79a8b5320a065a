/**
 * The postbox: takes what came from outside out of trees' inboxes, and tells who sent it (G7).
 *
 * Invariants:
 *   X1. An item leaves the inbox in the same commit as its events, so it has its effect once.
 *   X2. Who put it in hears of it only after that commit is durable.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { toOutcome } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import { accept, type Order, orderItem } from "../kernel/inbox.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { InboxItem, Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Clock } from "../kernel/world.ts";

interface Sender {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What a postbox works with. */
export interface PostboxParts {
  /** The node's id: item ids are made from it. */
  readonly node: string;
  readonly store: Store;
  readonly clock: Clock;
  /** Resolves when what was committed to the tree is durable. */
  durable(tree: Tree): Promise<void>;
  /** Lines were added to a tree. */
  changed(tree: Tree): void;
}

/** Puts orders in and takes items out. */
export class Postbox {
  readonly #parts: PostboxParts;
  readonly #senders = new Map<string, Sender>();
  /** Items whose commit is under way: two turns may see the same one. */
  readonly #taken = new Set<string>();
  /** The last turn of each tree. */
  readonly #turns = new WeakMap<Tree, Promise<void>>();
  #orders = 0;

  /** A postbox of one node. */
  constructor(parts: PostboxParts) {
    this.#parts = parts;
  }

  /** Puts an order in; `take` has it taken out. Throws what refuses it. */
  async send(tree: TreeId, order: Order, take: () => Promise<void>): Promise<void> {
    const id = `${this.#parts.node}:${this.#parts.clock.now()}:${++this.#orders}`;
    const heard = new Promise<void>((resolve, reject) => {
      this.#senders.set(id, { resolve, reject });
    });
    heard.catch(() => {});
    try {
      await this.#parts.store.putInbox(tree, orderItem(id, order));
      await take();
    } catch (error) {
      this.#senders.delete(id);
      throw error;
    }
    return await heard;
  }

  /** Takes a tree's items, oldest first; one turn after the other, so that none is read twice. */
  empty(tree: Tree): Promise<void> {
    const turn = (this.#turns.get(tree) ?? Promise.resolve()).then(() => this.#empty(tree));
    this.#turns.set(tree, turn.catch(() => {}));
    return turn;
  }

  /** Lets each item have its effect or its refusal. */
  async #empty(tree: Tree): Promise<void> {
    const items = await this.#parts.store.getInbox(tree.state.tree);
    const told: (() => void)[] = [];
    for (const item of items.slice(0, LIMITS.inboxItemsPerTurnMax)) {
      if (this.#taken.has(item.id)) continue;
      this.#taken.add(item.id);
      told.push(this.#take(tree, item));
    }
    if (told.length === 0) return;
    this.#parts.changed(tree);
    try {
      await this.#parts.durable(tree);
    } finally {
      for (const item of items) this.#taken.delete(item.id);
    }
    for (const tell of told) tell();
  }

  #take(tree: Tree, item: InboxItem): () => void {
    const sender = this.#senders.get(item.id);
    this.#senders.delete(item.id);
    const draft = new Draft(tree, this.#parts.clock.now());
    try {
      accept(draft, item);
    } catch (error) {
      const { code, message } = toOutcome(error);
      const refusal = new Draft(tree, this.#parts.clock.now());
      refusal.add("inbox.refused", { inbox: item.id, code, message });
      refusal.along.taken.push(item.id);
      tree.commit(refusal);
      return () => sender?.reject(error);
    }
    draft.along.taken.push(item.id);
    tree.commit(draft);
    return () => sender?.resolve();
  }
}
