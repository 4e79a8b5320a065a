/**
 * Returning: takes trees back whose own processes want it, when what they sent has come home.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import { refuseReturn, tellReturn } from "../kernel/returning.ts";
import type { Node } from "./node.ts";
import { restoreTree } from "./rewind.ts";

/** Takes trees of one node back. */
export class Returns {
  readonly #node: Node;
  readonly #going = new Map<TreeId, Promise<void>>();
  readonly #off: () => void;

  /** Hears of wishes from now on; one from before is heard when its tree comes into memory. */
  constructor(node: Node) {
    this.#node = node;
    this.#off = node.listen((id) => this.#look(id));
  }

  /** Hears of nothing any more; what is not done is done by the next kernel. */
  async close(): Promise<void> {
    this.#off();
    await this.settled();
  }

  /** Resolves when no tree is going back. */
  async settled(): Promise<void> {
    while (this.#going.size > 0) await Promise.all(this.#going.values());
  }

  #look(id: TreeId): void {
    if (this.#node.peek(id)?.state.going === undefined || this.#going.has(id)) return;
    const gone = this.#go(id).catch((error) => {
      const tree = this.#node.peek(id);
      if (tree !== undefined) this.#node.halt(tree, error);
    });
    this.#going.set(id, gone.finally(() => this.#going.delete(id)));
  }

  async #go(id: TreeId): Promise<void> {
    const node = this.#node;
    const going = (await node.open(id)).state.going!;
    const { clock } = node.options.world;
    try {
      await restoreTree(node, id, {
        to: going.to,
        by: going.pid,
        files: false,
        went: (tree, { effects }, from) => tellReturn(tree, clock.now(), { going, from, effects }),
      });
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const tree = await node.open(id);
      if (tree.state.going === undefined) throw error;
      const { code, message } = error;
      refuseReturn(tree, clock.now(), { going, code, message });
      node.changed(tree);
      await node.durable(tree);
    }
  }
}
