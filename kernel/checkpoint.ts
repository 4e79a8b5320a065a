/**
 * Checkpoints: named positions of a log. Taking one is one line, whatever the tree holds.
 *
 * Invariants:
 *   K1. A checkpoint names the state right after its own line.
 *   K2. Named ones are bounded by a refusal, automatic ones by forgetting the oldest.
 * @module
 */

import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { CheckpointId } from "./ids.ts";
import type { Label } from "./label.ts";
import { LIMITS } from "./limits.ts";
import type { Checkpoint, State } from "./state.ts";

/** Why a checkpoint was taken by itself: before a question to a person, or a destructive call. */
export type Automatic = "ask" | "destructive";

/** Decides a named checkpoint. */
export function takeCheckpoint(draft: Draft, given: {
  readonly name: string;
  readonly by: string;
  /** What its maker had seen: whoever reads the name has seen it, too. */
  readonly label?: Label;
}): CheckpointId {
  checkName(given.name);
  const named = Object.values(draft.tree.state.checkpoints).filter(({ auto }) => auto === null);
  if (named.length >= LIMITS.checkpointsPerTreeMax) {
    const sentence = `Cannot take checkpoint "${given.name}": the tree has ${named.length}`;
    throw new SysError("ELIMIT", `${sentence}, expected fewer`, { limit: "checkpointsPerTreeMax" });
  }
  const id = draft.id("ck");
  draft.add("checkpoint.taken", { id, ...given, auto: null });
  return id;
}

const NAME_CHARS_MAX = 256;

/** Names of other positions: digits alone are a line, and no name stands for an id. */
const TAKEN = /^(?:\d*|ck_\d+(?:\.\d*)?)$/;

/** Refuses what no position could be found by, or another one than the checkpoint that has it. */
function checkName(name: unknown): void {
  if (typeof name === "string" && !TAKEN.test(name) && name.length <= NAME_CHARS_MAX) return;
  const shown = typeof name === "string" ? JSON.stringify(name.slice(0, 64)) : `"${name}"`;
  const expected =
    `expected a text of at most ${NAME_CHARS_MAX} characters, not digits alone or an id`;
  throw new SysError("EINVAL", `Cannot name a checkpoint ${shown}: ${expected}`);
}

/** Decides a checkpoint that nobody asked for. */
export function takeAutomatic(draft: Draft, by: string, auto: Automatic): void {
  draft.add("checkpoint.taken", { id: draft.id("ck"), name: `before ${auto}`, by, auto });
}

/** A checkpoint by its id or name (of a name the latest), or a position by its number. */
export function findPosition(state: State, wanted: string | number): number {
  if (typeof wanted === "number" || /^\d+$/.test(wanted)) {
    const seq = Number(wanted);
    if (Number.isSafeInteger(seq) && seq >= 1 && seq <= state.seq) return seq;
    const sentence =
      `Cannot go to line ${wanted} of "${state.tree}": it has lines 1 to ${state.seq}`;
    throw new SysError("ENOENT", sentence);
  }
  const found = checkpointCalled(state, wanted);
  if (found !== undefined) return found.seq;
  const sentence = `Cannot find checkpoint "${wanted}" of "${state.tree}": absent`;
  throw new SysError("ENOENT", `${sentence}, expected one of checkpoint.list, or a line's number`);
}

/** The checkpoint of an id, which no name stands for, or else the latest of a name. */
export function checkpointCalled(state: State, wanted: string): Checkpoint | undefined {
  const known = byAge(state);
  return known.find(({ id }) => id === wanted) ?? known.findLast(({ name }) => name === wanted);
}

/** Checkpoints, oldest first. */
export function byAge(state: State): Checkpoint[] {
  return Object.values(state.checkpoints).sort((one, other) => one.seq - other.seq);
}
