/**
 * Going back and branching off: a tree at an earlier position of its log, or a new one from there.
 *
 * Invariants:
 *   V1. A tree that goes back stands still meanwhile, with every effect it sent come home.
 *   V2. What was read is what is decided on: a line that came in between makes it begin anew.
 * @module
 */

import { branched, type BranchEdits } from "../kernel/branch.ts";
import { findPosition } from "../kernel/checkpoint.ts";
import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { Message } from "../kernel/event.ts";
import { type Pid, type TreeId, treeNumber, treeOf } from "../kernel/ids.ts";
import { diffStates } from "../kernel/patch.ts";
import { parsePolicy } from "../kernel/policy.ts";
import { openIntents } from "../kernel/process.ts";
import { refuseGone } from "../kernel/retention.ts";
import { type LaterEffect, readSince, rewind, type Since } from "../kernel/rewind.ts";
import { renamed } from "../kernel/rename.ts";
import { emptyState, type State } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import { linesAfter, type Past, treeAt } from "./history.ts";
import type { Node } from "./node.ts";
import { type FileUndo, planUndo, undoFiles } from "./undo.ts";

/** What going back came to. */
export interface Restored {
  /** The line it went back to. */
  readonly to: number;
  /** The line that says so. */
  readonly at: number;
  /** Effects that were sent after `to`, oldest first: they stand, unless something undoes them. */
  readonly effects: readonly LaterEffect[];
  /** Messages from outside that came after `to`: they are not delivered again. */
  readonly messages: readonly Message[];
  /** Paths that effects since `to` left different, and what became of them. */
  readonly files: readonly FileUndo[];
}

const TRIES = 5;

/** Runs a job while a tree stands still (V1). */
export async function standingStill<T>(
  node: Node,
  id: TreeId,
  job: (tree: Tree) => Promise<T>,
): Promise<T> {
  const hosted = await node.hosted(id);
  hosted.held += 1;
  try {
    for (const run of hosted.runs.values()) run.end("stopped");
    const { clock } = node.options.world;
    const sent = (): Promise<unknown>[] =>
      [...node.broker.sending].filter(([call]) => treeOf(call.slice(0, call.indexOf("#"))) === id)
        .map(([, outcome]) => outcome);
    while (hosted.runs.size > 0 || sent().length > 0) {
      await Promise.allSettled(sent());
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
    await node.durable(hosted.tree);
    return await job(hosted.tree);
  } finally {
    hosted.held -= 1;
    await node.pump();
  }
}

/** What a tree was at a position, and what came after it that cannot be taken back. */
export async function pastOf(node: Node, tree: Tree, at: string | number): Promise<{
  readonly seq: number;
  readonly past: Past;
  readonly since: Since;
}> {
  const { store, context } = node.options;
  const id = tree.state.tree;
  const seq = findPosition(tree.state, at);
  const past = await treeAt(store, id, seq, context);
  const since = await readSince(linesAfter(store, id, { seq, head: past.head }));
  return { seq, past, since };
}

/** Takes a tree back to a checkpoint, or to a line. Throws `ENOENT`, `ESTATE`. */
export async function restoreTree(node: Node, id: TreeId, given: {
  readonly to: string | number;
  readonly by: string;
  /** Whether files are put back, too. */
  readonly files: boolean;
}): Promise<Restored> {
  return await standingStill(node, id, async (tree) => {
    for (let i = 0; i < TRIES; i++) {
      const end = tree.state.seq;
      const { seq, past, since } = await pastOf(node, tree, given.to);
      // V2
      if (tree.state.seq !== end) {
        await node.durable(tree);
        continue;
      }
      refuseInDoubt(tree);
      refuseGone(past.tree.state);
      const files = await fileWork(node, tree, { ...given, to: seq, touches: since.touches });
      const state = rewind(past.tree.state, tree.state, since);
      const draft = new Draft(tree, node.options.world.clock.now());
      const patch = diffStates(tree.state, state);
      draft.add("tree.restored", { to: seq, by: given.by, patch });
      tree.commit(draft);
      node.changed(tree);
      await node.durable(tree);
      return {
        to: seq,
        at: tree.state.seq,
        effects: since.effects,
        messages: since.messages,
        files,
      };
    }
    throw new SysError("EAGAIN", `Cannot take tree "${id}" back: it does not come to rest`);
  });
}

/** Puts files back before the tree goes back; or says what could be. */
async function fileWork(node: Node, tree: Tree, given: {
  readonly files: boolean;
  readonly to: number;
  readonly by: string;
  readonly touches: Since["touches"];
}): Promise<readonly FileUndo[]> {
  const { files } = node.options.world;
  if (files === null) return [];
  const { to, by, touches } = given;
  return given.files
    ? await undoFiles(node, tree, { files, touches, to, by })
    : await planUndo(files, touches);
}

function refuseInDoubt(tree: Tree): void {
  for (const process of Object.values(tree.state.processes)) {
    const [open] = openIntents(process);
    if (open === undefined) continue;
    const sentence = `Cannot take tree "${tree.state.tree}" back: an effect of "${process.pid}" is`;
    throw new SysError("ESTATE", `${sentence} in doubt, expected its outcome; answer its request`);
  }
}

/** Starts a new tree from a position of another. Throws `ENOENT`, `ESTATE`, `EINVAL`. */
export async function forkTree(node: Node, id: TreeId, given: {
  readonly at: string | number;
  readonly by: string;
  readonly edits: BranchEdits;
}): Promise<Pid> {
  const tree = await node.open(id);
  if (given.edits.policy !== undefined) parsePolicy(given.edits.policy, node.options.context);
  await node.durable(tree);
  const { seq, past, since } = await pastOf(node, tree, given.at);
  refuseGone(past.tree.state);
  const rewound = rewind(past.tree.state, tree.state, since);
  const root: Pid = `p_${treeNumber(id)}`;
  const state = branched(rewound, root, given.edits);
  const { by } = given;
  const nonce = node.options.world.random.bytes(16).toHex();
  return await node.plant(null, (draft) => {
    const to = draft.tree.state.tree;
    const patch = diffStates(emptyState(to), renamed(state, to) as State);
    draft.add("tree.forked", { from: id, seq, head: past.head, nonce, by, patch });
    return `p_${treeNumber(to)}`;
  });
}
