/**
 * Going back: a tree at an earlier position of its log.
 *
 * Invariants:
 *   V1. A tree that goes back stands still meanwhile, with every effect it sent come home.
 *   V2. What was read is what is decided on: a line that came in between makes it begin anew.
 * @module
 */

import { findPosition } from "../kernel/checkpoint.ts";
import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { Message } from "../kernel/event.ts";
import { type ObjectId, type TreeId, treeNumber, treeOf } from "../kernel/ids.ts";
import { diffStates } from "../kernel/patch.ts";
import { openIntents } from "../kernel/process.ts";
import { refuseGone } from "../kernel/retention.ts";
import {
  type LaterEffect,
  NOTHING_SINCE,
  readSince,
  rewind,
  type Since,
} from "../kernel/rewind.ts";
import type { State } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree, TreeContext } from "../kernel/tree.ts";
import type { Hosted } from "./forest.ts";
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
  const past = known === undefined ? await wholeAt(store, state.tree, { seq, context }) : null;
  const head = known ?? past!.head;
  const since = await readSince(linesAfter(store, state.tree, { seq, head }));
  return { seq, head, read: past?.tree.state ?? null, since };
}

/**
 * A tree as it was at a line, where it was whole. Throws `ESTATE` for one that had no root yet, or
 * was yet to grow.
 */
export async function wholeAt(store: Store, id: TreeId, at: {
  readonly seq: number;
  readonly context: TreeContext;
}): Promise<Past> {
  const past = await treeAt(store, id, at.seq, at.context);
  const { branch, processes } = past.tree.state;
  const isRooted = Object.hasOwn(processes, `p_${treeNumber(id)}`);
  if (branch === undefined && isRooted) return past;
  const state = branch === undefined
    ? "its root does not live there"
    : "not all of it was there yet";
  const sentence = `Cannot go to line ${at.seq} of "${id}": ${state}`;
  throw new SysError("ESTATE", `${sentence}, expected a later line`);
}

/**
 * What a tree was at a position, to be used before the next wait; undefined where the tree
 * went on meanwhile and does not know it any more. `objects` are those that may differ from now;
 * absent: all.
 */
function thenOf(
  { state, trail }: Tree,
  { seq, read }: Position,
): { readonly state: State; readonly objects?: Iterable<string> } | undefined {
  if (read !== null) return { state: read };
  if (state.seq !== seq) return trail.recall(seq, false);
  return { state: { ...state, objects: {} }, objects: [] };
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
      refuseGone(thenOf(tree, position)!.state);
      files ??= await fileWork(node, tree, { ...given, to: seq, touches: since.touches });
      // V2
      if (tree.state.seq !== end) {
        await node.durable(tree);
        continue;
      }
      const draft = new Draft(tree, node.options.world.clock.now());
      const { state: then, objects } = thenOf(tree, position)!;
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
