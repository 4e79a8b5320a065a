/**
 * Asking: the requests that wait for a person, those of trees out of memory too.
 *
 * Trees in memory are looked at by whoever shows requests. Here it is known which others may have
 * some: what the store said at the beginning, a page at a time, and what was heard of since.
 *
 * Invariants:
 *   E1. A request that somebody has not been shown is in memory, in a tree that is known here, or
 *       in one that the store has still to name.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { RequestId, TreeId } from "../kernel/ids.ts";
import { countAsking } from "../kernel/schedule.ts";
import type { RequestRecord } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Node } from "./node.ts";

/** Trees that the store is asked for at a time. */
const PAGE = 100;

/** A request that waits, and its tree. */
export interface Pending {
  readonly tree: Tree;
  readonly request: RequestRecord;
}

/** All requests of these trees that wait for an answer, oldest first. */
export function pendingRequests(trees: readonly Tree[]): Pending[] {
  return trees
    .flatMap((tree) => Object.values(tree.state.requests).map((request) => ({ tree, request })))
    .filter(({ request }) => request.status === "pending")
    .sort((a, b) => a.request.createdMs - b.request.createdMs);
}

/** The trees which may have requests that somebody was not shown. */
export class AskingTrees {
  readonly #node: Node;
  readonly #known = new Set<TreeId>();
  #after: TreeId | undefined;
  #isRead = false;
  #off: () => void = () => {};

  /** Nothing is known yet. */
  constructor(node: Node) {
    this.#node = node;
  }

  /** Hears of requests from now on; `heard` is called after each change of a tree. */
  listen(heard: (tree: TreeId) => void): void {
    this.#off = this.#node.listen((id) => {
      const tree = this.#node.peek(id);
      if (tree !== undefined && countAsking(tree.state) > 0) this.#known.add(id);
      heard(id);
    });
  }

  /** Hears of nothing any more. */
  close(): void {
    this.#off();
  }

  /** A request of a tree is to be shown again. */
  again(id: TreeId): void {
    this.#known.add(id);
  }

  /** A request for which `isNew` holds, of a tree in or out of memory; undefined for none now. */
  async next(isNew: (id: RequestId) => boolean): Promise<Pending | undefined> {
    do {
      for (const id of this.#known) {
        const tree = this.#node.peek(id) ?? await this.#open(id);
        const found = tree && pendingRequests([tree]).find(({ request }) => isNew(request.id));
        // It stays known: it may have others.
        if (found !== undefined) return found;
        this.#known.delete(id);
      }
    } while (await this.#read());
    return undefined;
  }

  /** Learns of some more trees from the store; false when it has named all. */
  async #read(): Promise<boolean> {
    if (this.#isRead) return false;
    const after = this.#after;
    const page = await this.#node.options.store.list({
      live: true,
      asking: true,
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    for (const { tree, seq } of page) if (seq > 0) this.#known.add(tree);
    this.#after = page.at(-1)?.tree;
    this.#isRead = page.length < PAGE;
    return true;
  }

  /** A tree, or undefined when this node cannot have it: then others show what it asks. */
  async #open(id: TreeId): Promise<Tree | undefined> {
    try {
      return await this.#node.open(id);
    } catch (error) {
      if (error instanceof SysError) return undefined;
      throw error;
    }
  }
}
