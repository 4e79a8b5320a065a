/**
 * Growing: a tree that was branched off is given what it begins with, a piece a turn, beside
 * whatever else its node does.
 *
 * Invariants:
 *   GW1. Cut short at any commit, it goes on wherever the tree is opened next, from the log of the
 *        other tree, which is refused where it is another than the first commit says.
 *   GW2. Before content is taken away all branches have grown that may refer to it: what is left
 *        says so in their own logs, or says itself that it has the content.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import { Growth, type Origin, type Past } from "../kernel/growth.ts";
import type { ObjectId, TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { NOTHING_SINCE, readSince } from "../kernel/rewind.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree, TreeContext } from "../kernel/tree.ts";
import type { Branch } from "../kernel/tree_event.ts";
import type { Clock } from "../kernel/world.ts";
import { linesAfter, type Past as TreePast, treeAt } from "./history.ts";
import { loadTree } from "./load.ts";
import type { Node } from "./node.ts";

/** What a tree grows with. */
export interface GrowthParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly context: TreeContext;
  /** Resolves when all that is in the tree's tail is durable. */
  write(tree: Tree): Promise<void>;
}

/** Gives a tree all that it begins with; from the store, where nobody has its origin in memory. */
export async function grow(tree: Tree, parts: GrowthParts, origin?: Origin): Promise<void> {
  const { clock } = parts;
  const turn = (): Promise<void> => new Promise((resolve) => clock.soon(resolve));
  // Whoever branched it off hears of it first.
  await turn();
  const growth = new Growth(tree.state, origin ?? await storedOrigin(parts, tree.state.branch!));
  while (tree.state.branch !== undefined) {
    await turn();
    const draft = new Draft(tree, clock.now());
    draft.add("tree.grown", growth.next());
    tree.commit(draft);
    if (tree.tailLength >= LIMITS.growthPiecesPerCommit) await parts.write(tree);
  }
  await parts.write(tree);
}

/** The other tree as its log says (GW1). */
async function storedOrigin({ store, context }: GrowthParts, branch: Branch): Promise<Origin> {
  const { from, seq, head, end } = branch;
  const there = await lineOf({ store, context }, from, branch);
  const then = there.tree.state;
  const isEnd = end.seq === seq;
  const now = isEnd ? then : (await lineOf({ store, context }, from, end)).tree.state;
  const lines = linesAfter(store, from, { seq, head });
  const since = isEnd ? NOTHING_SINCE : await readSince(until(lines, end.seq));
  const ids = Object.keys(then.objects) as ObjectId[];
  const past: Past = { then, now, since, ids };
  return { past: () => past, object: (id) => then.objects[id], letGo: () => {} };
}

async function lineOf(
  { store, context }: Pick<GrowthParts, "store" | "context">,
  id: TreeId,
  { seq, head }: { readonly seq: number; readonly head: string },
): Promise<TreePast> {
  const past = await treeAt(store, id, seq, context);
  if (past.head === head) return past;
  const sentence = `Cannot read tree "${id}" at line ${seq}: another line stands there`;
  throw new SysError("EINTEGRITY", `${sentence}, expected the one that was branched off from`);
}

/** Lines up to one. */
export async function* until<T extends { readonly seq: number }>(
  lines: AsyncIterable<T>,
  seq: number,
): AsyncGenerator<T> {
  for await (const line of lines) {
    if (line.seq > seq) return;
    yield line;
  }
}

/** Resolves when this node has nothing that is yet to grow; may have, after the next wait. */
export async function allGrown({ branching }: Node): Promise<void> {
  while (branching.size > 0) await Promise.all(branching);
}

/**
 * Has all trees of a store grown (GW2). One whose origin is damaged is left: it cannot. Throws
 * `EFENCED` while another node has one that is yet to grow.
 */
export async function growAll(node: Node): Promise<void> {
  const { store } = node.options;
  await allGrown(node);
  for (const id of await store.due(0, ALL)) {
    if (node.peek(id) !== undefined || !await isGrowing(node, id)) continue;
    await node.open(id).catch((error) => {
      const isLost = error instanceof SysError && ["EINTEGRITY", "ENOENT"].includes(error.code);
      if (!isLost) throw error;
    });
  }
}

/** More trees than a store has. */
const ALL = 2 ** 31 - 1;
const FORKED = /"type":"tree\.forked"\}$/;

/** Whether a tree is yet to grow. Of most only their first lines are read. */
async function isGrowing(node: Node, id: TreeId): Promise<boolean> {
  const { store, context } = node.options;
  for await (const { lines } of store.read(id, 1)) {
    if (!lines.some((line) => FORKED.test(line))) return false;
    return (await loadTree(store, id, context, "tail")).tree.state.branch !== undefined;
  }
  return false;
}
