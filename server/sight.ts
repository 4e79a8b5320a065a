/**
 * Sight: what a principal may see of trees and processes.
 *
 * Invariants:
 *   S1. What a principal may not see is absent to them: the same answer in the same words.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import type { Process } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { House } from "./api.ts";
import { type Principal, seesTree } from "./principal.ts";

/** A process that a principal may see. Throws `ENOENT`. */
export async function seenProcess(
  house: House,
  who: Principal,
  pid: Pid,
): Promise<{ readonly tree: Tree; readonly process: Process }> {
  const tree = await opened(house, treeOf(pid));
  const process = tree !== undefined && Object.hasOwn(tree.state.processes, pid)
    ? tree.state.processes[pid]
    : undefined;
  if (tree === undefined || process === undefined || !seesTree(who, tree.state)) {
    throw new SysError("ENOENT", `Cannot find process "${pid}": absent, expected one of the list`);
  }
  return { tree, process };
}

/** A tree whose root a principal may see. Throws `ENOENT`. */
export async function seenTree(house: House, who: Principal, id: TreeId): Promise<Tree> {
  const tree = await opened(house, id);
  if (tree === undefined || !seesTree(who, tree.state)) {
    throw new SysError("ENOENT", `Cannot find tree "${id}": absent, expected one of the list`);
  }
  return tree;
}

async function opened(house: House, id: TreeId): Promise<Tree | undefined> {
  try {
    return await house.runtime.node.open(id);
  } catch (thrown) {
    if (thrown instanceof SysError && thrown.code === "ENOENT") return undefined;
    throw thrown;
  }
}
