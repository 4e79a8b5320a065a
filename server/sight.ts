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
import { ownedElsewhere } from "../runtime/membership.ts";
import type { House } from "./api.ts";
import type { Glance } from "./glance.ts";
import { isConfined, type Principal, seesTree } from "./principal.ts";

/** A process that a principal may see, wherever its tree is. Throws `ENOENT`. */
export async function seenProcess(
  house: House,
  who: Principal,
  pid: Pid,
): Promise<Glance & { readonly process: Process }> {
  const seen = await found(house, who, treeOf(pid));
  const tree = seen?.tree;
  const process = tree !== undefined && Object.hasOwn(tree.state.processes, pid)
    ? tree.state.processes[pid]
    : undefined;
  if (seen === undefined || process === undefined || !seesTree(who, seen.tree.state)) {
    throw new SysError("ENOENT", `Cannot find process "${pid}": absent, expected one of the list`);
  }
  return { ...seen, process };
}

/** A tree whose root a principal may see, wherever it is. Throws `ENOENT`. */
export async function seenTree(house: House, who: Principal, id: TreeId): Promise<Tree> {
  const tree = (await found(house, who, id))?.tree;
  if (tree === undefined || !seesTree(who, tree.state)) {
    throw new SysError("ENOENT", `Cannot find tree "${id}": absent, expected one of the list`);
  }
  return tree;
}

/** Refuses to change a tree that was looked at only, since another node has it. `EFENCED`. */
export function refuseElsewhere(house: House, { state }: Tree): void {
  if (house.runtime.node.peek(state.tree) === undefined) throw ownedElsewhere(state.tree);
}

async function found(house: House, who: Principal, id: TreeId): Promise<Glance | undefined> {
  try {
    return await house.glances.of(id);
  } catch (thrown) {
    if (!(thrown instanceof SysError)) throw thrown;
    // Nobody knows the labels of one that is damaged (S1).
    const isHidden = thrown.code === "EINTEGRITY" && isConfined(who);
    if (thrown.code === "ENOENT" || isHidden) return undefined;
    throw thrown;
  }
}
