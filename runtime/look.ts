/**
 * Looking at a tree that another node may have: as the store has it then, and never to be changed.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Tree } from "../kernel/tree.ts";
import { loadTree } from "./load.ts";
import type { Node } from "./node.ts";

/** A tree to be read: in memory here, or as the store has it where another node has it. */
export async function lookAt(node: Node, id: TreeId): Promise<Tree> {
  try {
    return await node.open(id, "look");
  } catch (error) {
    if (!isElsewhere(node, error)) throw error;
    const { store, context } = node.options;
    const { tree } = await loadTree(store, id, context, "tail");
    if (tree.state.branch === undefined) return tree;
    const sentence = `Cannot look at tree "${id}": another node has it, where it is yet to grow`;
    throw new SysError("EAGAIN", `${sentence}, expected it whole; try again`);
  }
}

/** Whether it was thrown because another of the nodes that share the store has a tree. */
export function isElsewhere(node: Node, error: unknown): boolean {
  return node.membership !== null && error instanceof SysError && error.code === "EFENCED";
}
