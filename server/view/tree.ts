/**
 * A tree as the API shows it, with what the store and the node know of it.
 * @module
 */

import type { StoreReads } from "../../kernel/store.ts";
import type { Tree } from "../../kernel/tree.ts";
import type { House } from "../api.ts";
import type { TreeView } from "../schema/process.ts";
import { treeView } from "./process.ts";

/** A tree. */
export async function shownTree(
  house: House,
  tree: Tree,
  from?: StoreReads,
): Promise<TreeView> {
  const { node } = house.runtime;
  const head = await (from ?? node.options.store).head(tree.state.tree);
  return treeView({ state: tree.state, head: head?.head ?? "" }, {
    live: Object.values(tree.state.processes).some(({ life }) => life.state !== "ended"),
    broken: node.broken.get(tree.state.tree)?.message ?? null,
  });
}
