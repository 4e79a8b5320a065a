/**
 * Returning: a tree that goes back because one of its own processes wants it.
 *
 * The call that says so ends the step of its process. Then the tree stands still until it went
 * back, or was refused; either way a message tells what became of it, so that whoever wanted it
 * does not do all of it again unawares. The message and the count stand in the new present.
 *
 * Invariants:
 *   Y1. Nothing of a tree runs between the wish and what became of it, also after a crash.
 *   Y2. A tree goes back so `LIMITS.returnsPerTreeMax` times at most, wherever it went back to.
 * @module
 */

import type { Handlers } from "./apply_memory.ts";
import { Draft } from "./draft.ts";
import { type Errno, SysError } from "./errors.ts";
import type { Json } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { deliver } from "./message.ts";
import type { LaterEffect } from "./rewind.ts";
import type { Process, State } from "./state.ts";
import type { Tree } from "./tree.ts";

const EFFECTS_TOLD_MAX = 32;

/** Decides that the tree of a process is to go back. Throws `ELIMIT`, `EAGAIN`. */
export function askReturn(draft: Draft, { pid, label }: Process, wanted: {
  readonly to: number;
  readonly name: string;
  readonly reason: string;
}): void {
  const { state } = draft.tree;
  const refused = `Cannot take tree "${state.tree}" back`;
  if (state.going !== undefined) {
    throw new SysError("EAGAIN", `${refused}: it is going back already, expected one at a time`);
  }
  const { returns = 0 } = state;
  if (returns >= LIMITS.returnsPerTreeMax) {
    const sentence = `${refused}: its processes took it back ${returns} times, expected fewer`;
    throw new SysError("ELIMIT", sentence, { limit: "returnsPerTreeMax" });
  }
  draft.add("restore.asked", { pid, ...wanted, label });
}

/** Tells, right after a tree went back, what it went back from. */
export function tellReturn(tree: Tree, nowMs: number, told: {
  readonly going: NonNullable<State["going"]>;
  readonly from: number;
  readonly effects: readonly LaterEffect[];
}): void {
  const { going, from, effects } = told;
  const { to, name, reason } = going;
  const left = LIMITS.returnsPerTreeMax - (tree.state.returns ?? 0);
  // What was sent since stands: the files, for one, are as they were before it went back.
  const stands = effects.slice(0, EFFECTS_TOLD_MAX).map(({ call, name: what }) => ({ call, what }));
  tell(tree, nowMs, going, { to, from, checkpoint: name, reason, effects: stands, left });
}

/** Decides that a tree does not go back, and tells why. */
export function refuseReturn(tree: Tree, nowMs: number, refused: {
  readonly going: NonNullable<State["going"]>;
  readonly code: Errno;
  readonly message: string;
}): void {
  const { going, code, message } = refused;
  const draft = new Draft(tree, nowMs);
  draft.add("restore.refused", { code, message });
  tree.commit(draft);
  const { name, reason } = going;
  tell(tree, nowMs, going, { checkpoint: name, reason, refused: { code, message } });
}

/** Puts it into the mailbox of who wanted it; of the root where that one is not there. */
function tell(tree: Tree, nowMs: number, going: NonNullable<State["going"]>, data: Json): void {
  const lives = (pid: string): boolean => {
    const process = tree.state.processes[pid as Process["pid"]];
    return process !== undefined && process.life.state !== "ended";
  };
  const to = [going.pid, `p_${tree.state.tree.slice(2)}` as const].find(lives);
  const draft = new Draft(tree, nowMs);
  const { label } = going;
  const sent = { from: "kernel", type: "went.back", data, interrupt: false, replyTo: null, label };
  try {
    if (to !== undefined) deliver(draft, { to, ...sent });
  } catch (error) {
    // A full mailbox: the line says what the message would have said.
    if (!(error instanceof SysError)) throw error;
    return;
  }
  tree.commit(draft);
}

/** What the events of returning do. */
export const RETURNING = {
  "restore.asked": ({ state }, data) => {
    state.going = data;
  },
  "restore.refused": ({ state }) => {
    delete state.going;
  },
  "tree.restored": (tree, { patch, by }) => {
    const { state } = tree;
    tree.patch(patch);
    if (state.going?.pid === by) state.returns = (state.returns ?? 0) + 1;
    delete state.going;
  },
} satisfies Partial<Handlers>;
