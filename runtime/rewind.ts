/**
 * Going back and branching off: a tree at an earlier position of its log, or a new one from there.
 *
 * Invariants:
 *   V1. A tree that goes back stands still meanwhile, with every effect it sent come home.
 *   V2. What was read is what is decided on: a line that came in between makes it begin anew.
 *   V3. A tree that is branched off from runs on, and stays in memory until what it was is copied:
 *       what it had revoked or loaded when its log was read is known to the branch.
 * @module
 */

import { branched, type BranchEdits } from "../kernel/branch.ts";
import { findPosition } from "../kernel/checkpoint.ts";
import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { Message } from "../kernel/event.ts";
import { isId, type ObjectId, type Pid, type TreeId, treeNumber, treeOf } from "../kernel/ids.ts";
import { refuseKin } from "../kernel/kin.ts";
import { diffStates } from "../kernel/patch.ts";
import { parsePolicy } from "../kernel/policy.ts";
import { openIntents } from "../kernel/process.ts";
import { refuseGone } from "../kernel/retention.ts";
import {
  type LaterEffect,
  NOTHING_SINCE,
  readSince,
  rewind,
  type Since,
} from "../kernel/rewind.ts";
import { type Seed, seedOf, sown } from "../kernel/seed.ts";
import type { State } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Hosted } from "./forest.ts";
import { linesAfter, treeAt } from "./history.ts";
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
  job: (tree: Tree, hosted: Hosted) => Promise<T>,
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
    return await job(hosted.tree, hosted);
  } finally {
    hosted.held -= 1;
    // Nobody else's tree has to do with it.
    node.resume(hosted);
  }
}

/** A position of a tree, and what came after it that cannot be taken back. */
export interface Position {
  readonly seq: number;
  /** SHA-256 of line `seq`. */
  readonly head: string;
  /** What the tree was there; null where the tree in memory knows, see {@linkcode thenOf}. */
  readonly read: State | null;
  readonly since: Since;
}

/** Looks a position up; what the tree is now, or was at its latest checkpoints, is not read. */
export async function pastOf(
  node: Node,
  { tree, durableSeq }: Hosted,
  at: string | number,
): Promise<Position> {
  const { store, context } = node.options;
  const { state } = tree;
  const seq = findPosition(state, at);
  if (seq === state.seq && seq === durableSeq) {
    return { seq, head: tree.head, read: null, since: NOTHING_SINCE };
  }
  const known = tree.trail.head(seq);
  const past = known === undefined ? await treeAt(store, state.tree, seq, context) : null;
  const head = known ?? past!.head;
  const since = await readSince(linesAfter(store, state.tree, { seq, head }));
  return { seq, head, read: past?.tree.state ?? null, since };
}

/**
 * What a tree was at a position, to be used before the next wait (V3); undefined where the tree
 * went on meanwhile and does not know it any more. `objects` are those that may differ from now;
 * absent: all. Others are in the state only if it is to be whole.
 */
function thenOf(
  { state, trail }: Tree,
  { seq, read }: Position,
  whole: boolean,
): { readonly state: State; readonly objects?: Iterable<string> } | undefined {
  if (read !== null) return { state: read };
  if (state.seq !== seq) return trail.recall(seq, whole);
  return whole ? { state } : { state: { ...state, objects: {} }, objects: [] };
}

/** A state that has of its objects only those with these ids. */
function among(state: State, ids: Iterable<string>): State {
  const objects: State["objects"] = {};
  for (const id of ids as Iterable<ObjectId>) {
    if (Object.hasOwn(state.objects, id)) objects[id] = state.objects[id]!;
  }
  return { ...state, objects };
}

/** Takes a tree back to a checkpoint, or to a line. Throws `ENOENT`, `ESTATE`. */
export async function restoreTree(node: Node, id: TreeId, given: {
  readonly to: string | number;
  readonly by: string;
  /** Whether files are put back, too. */
  readonly files: boolean;
  /** Called in the turn in which the tree went back. */
  readonly went?: (tree: Tree, since: Since, from: number) => void;
}): Promise<Restored> {
  return await standingStill(node, id, async (tree, hosted) => {
    let files: readonly FileUndo[] | undefined;
    for (let i = 0; i < TRIES; i++) {
      const end = tree.state.seq;
      // V2: of what is not written yet nothing would be read.
      if (hosted.durableSeq < end) {
        await node.durable(tree);
        continue;
      }
      const position = await pastOf(node, hosted, given.to);
      const { seq, since } = position;
      // V2
      if (tree.state.seq !== end) {
        await node.durable(tree);
        continue;
      }
      refuseInDoubt(tree);
      refuseGone(thenOf(tree, position, false)!.state);
      files ??= await fileWork(node, tree, { ...given, to: seq, touches: since.touches });
      // V2
      if (tree.state.seq !== end) {
        await node.durable(tree);
        continue;
      }
      const draft = new Draft(tree, node.options.world.clock.now());
      const { state: then, objects } = thenOf(tree, position, false)!;
      const now = objects === undefined ? tree.state : among(tree.state, objects);
      const patch = diffStates(now, rewind(then, tree.state, since));
      draft.add("tree.restored", { to: seq, by: given.by, patch });
      tree.commit(draft);
      const at = tree.state.seq;
      given.went?.(tree, since, end);
      node.changed(tree);
      await node.durable(tree);
      return {
        to: seq,
        at,
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
  const { kin } = tree.state;
  if (kin?.above?.isTold === true) {
    const sentence = `Cannot take tree "${tree.state.tree}" back: its parent has its outcome`;
    throw new SysError("ESTATE", `${sentence}, expected it to live; start a child anew`);
  }
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
  /** A second branch with the same key is the first one, while that lives. */
  readonly key?: string;
}): Promise<Pid> {
  const hosted = await node.hosted(id);
  const { edits, by } = given;
  // What its parent takes back would not reach the branch.
  if (hosted.tree.state.kin?.above !== undefined) refuseKin(hosted.tree.state, "branch off");
  if (edits.policy !== undefined) parsePolicy(edits.policy, node.options.context);
  const { seq, head, seed } = await branchOf(node, hosted, given);
  const nonce = node.options.world.random.bytes(16).toHex();
  return await node.plant(given.key ?? null, (draft) => {
    const to = draft.tree.state.tree;
    const patch = sown(seed, id, to);
    const { marks } = hosted.tree.state;
    const made = { from: id, seq, head, nonce, by, ...whose(hosted.tree, by), patch };
    draft.add("tree.forked", { ...made, ...(marks === undefined ? {} : { marks }) });
    if (hosted.tree.state.retention !== undefined) {
      const { days, by, isDefault } = hosted.tree.state.retention;
      draft.add("retention.set", { days, by, isDefault });
    }
    return `p_${treeNumber(to)}`;
  });
}

/** Whose a branch is: theirs who ask for it, or whose the tree is that a process branches off. */
function whose({ state }: Tree, by: string): { readonly owner?: string } {
  if (!isId("p", by)) return { owner: by };
  return state.owner === undefined ? {} : { owner: state.owner };
}

/** What a new tree begins with, with the ids of the old one; shared with nothing (V3). */
async function branchOf(node: Node, hosted: Hosted, { at, edits }: {
  readonly at: string | number;
  readonly edits: BranchEdits;
}): Promise<{ readonly seq: number; readonly head: string; readonly seed: Seed }> {
  const { tree } = hosted;
  hosted.busy += 1;
  try {
    for (let i = 0; i < TRIES; i++) {
      if (hosted.durableSeq < tree.state.seq) await node.durable(tree);
      const position = await pastOf(node, hosted, at);
      const then = thenOf(tree, position, true)?.state;
      if (then === undefined) continue;
      refuseGone(then);
      const { seq, head, since } = position;
      const root: Pid = `p_${treeNumber(tree.state.tree)}`;
      return { seq, head, seed: seedOf(branched(rewind(then, tree.state, since), root, edits)) };
    }
    const id = tree.state.tree;
    throw new SysError("EAGAIN", `Cannot branch off from tree "${id}": it does not come to rest`);
  } finally {
    hosted.busy -= 1;
  }
}
