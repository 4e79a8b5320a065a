/**
 * The postbox: takes what came from outside out of trees' inboxes, and tells who sent it (G7).
 *
 * Invariants:
 *   X1. An item leaves the inbox in the same commit as its events, so it has its effect once.
 *   X2. Who put it in hears of it only after that commit is durable, on whatever node it was made.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { SysError, toOutcome } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import { accept, copiedOrder, type Order, orderItem } from "../kernel/inbox.ts";
import type { Word } from "../kernel/kin_hear.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { InboxItem, Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Clock } from "../kernel/world.ts";
import { takenElsewhere } from "./elsewhere.ts";
import { wordsOf } from "./kin.ts";

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

/** Whether what was put is left for whoever has the tree, or for when its store is there again. */
function isLeft(error: unknown): boolean {
  return error instanceof SysError && (error.code === "EFENCED" || error.code === "EIO");
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
  async send(tree: TreeId, given: Order, take: () => Promise<void>): Promise<void> {
    const order = copiedOrder(given);
    const id = `${this.#parts.node}:${this.#parts.clock.now()}:${++this.#orders}`;
    const { promise: heard, ...sender } = Promise.withResolvers<void>();
    heard.catch(() => {});
    this.#senders.set(id, sender);
    const { store, clock } = this.#parts;
    const over = new AbortController();
    try {
      await store.putInbox(tree, orderItem(id, order)).then(take).catch((error) => {
        if (store.isShared !== true || !isLeft(error)) throw error;
        // It is in the inbox, or may be: this node takes it yet, or whoever has the tree by then.
        takenElsewhere({ store, clock, tree, id, signal: over.signal })
          .then(sender.resolve, sender.reject);
      });
      return await heard;
    } finally {
      over.abort();
      this.#senders.delete(id);
    }
  }

  /** Takes a tree's items, oldest first; one turn after the other, so that none is read twice. */
  empty(tree: Tree): Promise<void> {
    const turn = (this.#turns.get(tree) ?? Promise.resolve()).then(() => this.#empty(tree));
    this.#turns.set(tree, turn.catch(() => {}));
    return turn;
  }

  /** Lets each item have its effect or its refusal. */
  async #empty(tree: Tree): Promise<void> {
    const { store } = this.#parts;
    const items = await store.getInbox(tree.state.tree);
    const turn = items.slice(0, LIMITS.inboxItemsPerTurnMax);
    const words = await wordsOf(store, turn);
    const told: (() => void)[] = [];
    for (const item of turn) {
      if (this.#taken.has(item.id)) continue;
      this.#taken.add(item.id);
      told.push(this.#take(tree, item, words.get(item.id)));
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

  #take(tree: Tree, item: InboxItem, word: Word | SysError | undefined): () => void {
    const sender = this.#senders.get(item.id);
    this.#senders.delete(item.id);
    const draft = new Draft(tree, this.#parts.clock.now());
    try {
      accept(draft, item, word);
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
