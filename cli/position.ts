/**
 * Positions of a log as a person names them, and the store as its only kernel.
 * @module
 */

import { byAge, findPosition } from "../kernel/checkpoint.ts";
import type { Checkpoint, State } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { linesAfter, type Past, treeAt } from "../runtime/history.ts";
import { readSince, rewind, type Since } from "../kernel/rewind.ts";
import { createRuntime } from "../runtime/create.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { operatorOf } from "./order.ts";
import { ownedElsewhere } from "./reach.ts";
import {
  findProcess,
  findTree,
  momentary,
  storeOf,
  TREE_CONTEXT,
  treeIn,
  workspaceOf,
} from "./store.ts";
import { encryptionFor } from "./store_key.ts";

/**
 * The line that a word names: a checkpoint's id, a prefix of one, its name, or a number. An id that
 * was given once is never taken for a prefix of another. Throws `ENOENT`.
 */
export function positionOf(state: State, word: string): number {
  const wanted = word.replace(/^#(?=\d+$)/, "");
  const known = byAge(state);
  const isKnown = known.some(({ id, name }) => id === wanted || name === wanted);
  const form = /^ck_\d+(?:\.(\d*))?$/.exec(wanted);
  if (isKnown || form === null) return findPosition(state, wanted);
  const isForgotten = form[1] !== undefined && form[1] !== "" && Number(form[1]) < state.next.ck;
  if (isForgotten) return findPosition(state, wanted);
  const begin = form[1] === undefined ? `${wanted}.` : wanted;
  const near = known.filter(({ id }) => id.startsWith(begin)).map(({ id }) => id);
  if (near.length < 2) return findPosition(state, near[0] ?? wanted);
  const some = `${near.slice(0, 5).join(", ")}${near.length > 5 ? ", …" : ""}`;
  const found = `${near.length} begin so, expected one of ${some}`;
  throw new UsageError(`Cannot tell which checkpoint "${word}" is: ${found}`);
}

/** The checkpoint that names a line; null when none does. */
export function checkpointAt(state: State, seq: number): Checkpoint | null {
  return byAge(state).find((one) => one.seq === seq) ?? null;
}

/** A line with the checkpoint that names it: `line 12, ck_1.1 "draft"`. */
export function positionText(
  seq: number,
  checkpoint: { readonly id: string; readonly name: string } | null,
): string {
  if (checkpoint === null) return `line ${seq}`;
  return `line ${seq}, ${checkpoint.id} ${JSON.stringify(checkpoint.name)}`;
}

/** The tree that a word names, itself or by one of its processes. */
export async function treeNamed(store: Store, word: string): Promise<Tree> {
  if (/^t_/.test(word)) return await treeIn(store, await findTree(store, word));
  return (await findProcess(store, word)).tree;
}

/** A tree at an earlier position, what came after, and what going back there would make of it. */
export interface Back {
  readonly past: Past;
  readonly since: Since;
  readonly state: State;
}

/** What going back to line `seq` would come to. Nothing is changed. */
export async function backTo(store: Store, now: State, seq: number): Promise<Back> {
  const past = await treeAt(store, now.tree, seq, TREE_CONTEXT);
  const since = await readSince(linesAfter(store, now.tree, { seq, head: past.head }));
  return { past, since, state: rewind(past.tree.state, now, since) };
}

/**
 * Does a job as the store's only kernel; no process takes a step. `what` is the job, as in
 * `Cannot ⟨what⟩`. Throws `EFENCED` while another kernel runs.
 */
export async function owning<T>(
  at: Context,
  what: string,
  job: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await ownRuntime(at, what);
  try {
    return await job(runtime);
  } finally {
    await runtime.close();
  }
}

async function ownRuntime(at: Context, what: string): Promise<Runtime> {
  try {
    return await createRuntime({
      store: storeOf(at),
      ...momentary(at),
      ...encryptionFor(at),
      workspace: workspaceOf(at),
      approvals: "queue",
      autorun: false,
      concurrency: 0,
      operator: operatorOf(at),
    });
  } catch (error) {
    throw await ownedElsewhere(at, what, error);
  }
}
