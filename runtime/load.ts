/**
 * Loading a tree: snapshot and tail, with the chain checked on the way.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { type Json, sha256 } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { ChainReader, GENESIS } from "../kernel/log.ts";
import { parseJson } from "../kernel/parse.ts";
import { wants } from "../kernel/schedule.ts";
import type { State } from "../kernel/state.ts";
import type { StoreReads, TreeHead } from "../kernel/store.ts";
import { Tree, type TreeContext } from "../kernel/tree.ts";
import { unproved } from "./kin.ts";
import type { Pace } from "./pace.ts";

/** A tree as it was loaded. */
export interface Loaded {
  readonly tree: Tree;
  readonly head: TreeHead;
  /** Position and size of the snapshot it was loaded from; zeros when there was none. */
  readonly snapshotSeq: number;
  readonly snapshotBytes: number;
}

/** The head of a tree, or `ENOENT`. */
export async function headOf(store: StoreReads, id: TreeId): Promise<TreeHead> {
  const head = await store.head(id);
  if (head !== undefined) return head;
  throw absentTree(id);
}

/** Tells that the store has no such tree. */
export function absentTree(id: TreeId): SysError {
  return new SysError("ENOENT", `Cannot find tree "${id}": absent, expected one of the store`);
}

/**
 * Loads a tree. The tail after the snapshot is always checked, and the whole chain when it is not
 * longer than `LIMITS.verifyAtOpenLinesMax`, unless only the tail is to be; `libos verify` checks
 * all of any length.
 * Throws `EINTEGRITY` with the position of the first broken line.
 */
export async function loadTree(
  store: StoreReads,
  id: TreeId,
  context: TreeContext,
  check: "whole" | "tail" = "whole",
): Promise<Loaded> {
  // In this order: beside a running kernel the log may grow between any two reads.
  const snapshot = await store.getSnapshot(id);
  const head = await headOf(store, id);
  const tree = snapshot === undefined
    ? Tree.empty(id, context)
    : Tree.load(snapshot.state, snapshot.head, context);
  const start = snapshot?.seq ?? 0;
  if (tree.state.seq !== start || tree.state.tree !== id) {
    throw new SysError("EINTEGRITY", `Cannot load tree "${id}": its snapshot is of another place`);
  }
  const whole = check === "whole" && head.seq <= LIMITS.verifyAtOpenLinesMax;
  const reader = whole || snapshot === undefined
    ? new ChainReader(id, 0, GENESIS)
    : new ChainReader(id, start, snapshot.head);
  for await (const batch of store.read(id, whole ? 1 : start + 1)) {
    if (batch.seq > head.seq) break;
    if (batch.seq + batch.lines.length - 1 <= start) {
      reader.skim(batch);
    } else {
      for (const line of reader.read(batch)) {
        if (line.seq > start) replay(tree, line);
      }
    }
    if (reader.seq === start && snapshot !== undefined && reader.head !== snapshot.head) {
      throw new SysError("EINTEGRITY", `Cannot load tree "${id}": its snapshot is of another log`);
    }
  }
  reader.finish(head.seq, head.head);
  tree.rebase(reader.head);
  return { tree, head, snapshotSeq: start, snapshotBytes: snapshot?.state.length ?? 0 };
}

/** Applies a line that was read; one that makes no sense was changed, as the next would say. */
function replay(tree: Tree, line: Line): void {
  try {
    tree.replay(line);
  } catch (error) {
    const { tree: id, seq } = line;
    const what = error instanceof Error ? error.message : String(error);
    const sentence =
      `Cannot read tree "${id}" at line ${seq}: ${what}, expected a line that applies`;
    throw new SysError("EINTEGRITY", sentence, { tree: id, seq });
  }
}

/** Every line of a tree from `fromSeq` on, checked. */
export async function* readLines(
  store: StoreReads,
  id: TreeId,
  fromSeq = 1,
): AsyncGenerator<Line> {
  const head = await headOf(store, id);
  const reader = new ChainReader(id, 0, GENESIS);
  for await (const batch of store.read(id, 1)) {
    // Written since the head was read.
    if (batch.seq > head.seq) break;
    if (batch.seq + batch.lines.length - 1 < fromSeq) {
      reader.skim(batch);
      continue;
    }
    for (const line of reader.read(batch)) if (line.seq >= fromSeq) yield line;
  }
  reader.finish(head.seq, head.head);
}

/** What verifying a tree found. */
export interface Verified {
  /** The tree that was checked. */
  readonly tree: TreeId;
  /** How many lines the store says its log has. */
  readonly lines: number;
  /** SHA-256 of the last line, as the store says: note it elsewhere to prove a log later. */
  readonly head: string;
  /** Payloads that its lines name, and that were taken away as later lines say. */
  readonly erased: number;
  /** The first thing that is wrong, or null. */
  readonly broken: string | null;
}

const TRIES = 3;

/**
 * Checks a whole chain, and that state is what the log says: every snapshot, and what lists show of
 * the tree, agree with the fold. `pace` lets others have their turn after so many lines.
 */
export async function verifyTree(
  store: StoreReads,
  id: TreeId,
  context: TreeContext,
  pace?: Pace,
): Promise<Verified> {
  for (let tries = 1;; tries++) {
    const found = await verifyOnce(store, id, context, pace);
    if (found.broken === null || tries >= TRIES) return found;
    // Beside a running kernel what was taken away meanwhile is said by lines written since.
    if ((await headOf(store, id)).seq === found.lines) return found;
  }
}

async function verifyOnce(
  store: StoreReads,
  id: TreeId,
  context: TreeContext,
  pace?: Pace,
): Promise<Verified> {
  const head = await headOf(store, id);
  const snapshots = await snapshotsOf(store, id);
  const tree = Tree.empty(id, context);
  const reader = new ChainReader(id, 0, GENESIS);
  let broken: string | null = null;
  try {
    for await (const batch of store.read(id, 1)) {
      // Written since the head was read.
      if (batch.seq > head.seq) break;
      for (const line of reader.read(batch)) {
        const turn = pace?.();
        if (turn !== undefined) await turn;
        replay(tree, line);
        const snapshot = snapshots.get(line.seq);
        if (snapshot === undefined || snapshot === signOf(reader.head, tree.dump())) continue;
        broken = `Snapshot at line ${line.seq} differs from what the log says`;
        return { tree: id, lines: head.seq, head: head.head, erased: reader.erased, broken };
      }
    }
    reader.finish(head.seq, head.head);
    broken = mislisted(head, tree.state, reader.erased) ?? await unproved(store, tree.state);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    broken = error.message;
  }
  return { tree: id, lines: head.seq, head: head.head, erased: reader.erased, broken };
}

/** What each snapshot of a tree says, by its line: looking back starts from any of them. */
async function snapshotsOf(store: StoreReads, id: TreeId): Promise<ReadonlyMap<number, string>> {
  const signs = new Map<number, string>();
  for (let at = await store.getSnapshot(id); at !== undefined;) {
    signs.set(at.seq, signOf(at.head, at.state));
    at = await store.getSnapshot(id, at.seq - 1);
  }
  return signs;
}

function signOf(head: string, state: string): string {
  return `${head} ${sha256(state)}`;
}

/** What is listed of a tree, and is not what its log says: who finds trees by it would go wrong. */
function mislisted(head: TreeHead, state: State, erased: number): string | null {
  // It was made, and nothing was written yet.
  if (head.seq === 0) return null;
  const { dueMs, summary } = wants(state);
  const { live, ready, key, title, asking = 0 } = head.summary;
  const same = {
    live: live === summary.live,
    ready: ready === summary.ready,
    key: key === summary.key,
    // Of what was taken away the log has a hash, and the list a beginning.
    title: title === summary.title || erased > 0,
    // A store of before counts one where it did not count.
    asking: asking === (summary.asking ?? 0) || (asking === 1 && summary.asking === undefined),
    due: head.dueMs === dueMs,
  };
  const [wrong] = Object.entries(same).find(([, isSame]) => !isSame) ?? [];
  return wrong === undefined ? null : `The store lists another "${wrong}" than the log says`;
}

/** Fetches a value by hash, and keeps it in memory. `EINTEGRITY` when it is not there. */
export async function loadValue(store: StoreReads, tree: Tree, hash: string): Promise<Json> {
  const text = await store.getBlob(hash);
  if (text === undefined) {
    throw new SysError("EINTEGRITY", `Cannot read value "${hash}": missing from the store`);
  }
  const value = parseJson(text) as Json;
  tree.values.set(hash, value, text.length);
  return value;
}
