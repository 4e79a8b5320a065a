/**
 * Kin: trees that a process of another tree started, and what they and their parents keep of each
 * other.
 *
 * In the tree of its parent a detached child is a process like any other, under the same pid, which
 * stands for it there: it holds what was derived for it, and waits until its tree has ended. What
 * becomes of that process is told to the child's tree in the commit in which it becomes so.
 *
 * Invariants:
 *   K1. What stands for a child never runs. It ends when the child's tree says so, or when the
 *       parent's tree ends it; then the child's tree is told to end.
 *   K2. Each thing told has its effect once: it is heard in the order of the teller's lines.
 *   K3. What the child may spend counts as spent by its parents until its tree has ended.
 * @module
 */

import type { Handlers } from "./apply_memory.ts";
import { book, nothingSpent, SPENT_KINDS } from "./budget.ts";
import type { EventMap, Line, Spending, Wait } from "./event.ts";
import { SysError } from "./errors.ts";
import { type CapId, type Pid, type TreeId, treeNumber } from "./ids.ts";
import type { Descent, Tiding } from "./kin_event.ts";
import { marked, type Marks } from "./mark.ts";
import { isLive } from "./schedule.ts";
import type { Process, State } from "./state.ts";
import type { InboxItem } from "./store.ts";
import { keep } from "./trail.ts";

/** What a child's tree was told last of how it is to live. */
interface Order {
  readonly signal: "pause" | "resume" | "cancel" | "kill";
  readonly by: string;
}

/** A child's tree, as its parent's keeps it until that has ended. */
export interface Away {
  readonly tree: TreeId;
  readonly parent: Pid;
  readonly held: Spending;
  readonly trees: number;
  told: Order;
  /** What its own capabilities stand for, but for those that it was told are gone. */
  caps: readonly CapId[];
  /** The last line of its tree that was heard. */
  heard: number;
}

/** The trees around a tree; absent in one that has none. */
export interface Kin {
  above?: Descent & {
    heard: number;
    /** Whether it was told that this tree has ended. */
    isTold: boolean;
  };
  away: { [pid: Pid]: Away };
}

/** The root process of a tree. */
export function rootOf(tree: TreeId): Pid {
  return `p_${treeNumber(tree)}`;
}

/** Who started a process; for the root of a detached child's tree, its parent in another tree. */
export function parentOf({ parent }: Process, { kin }: State): Pid | null {
  return parent ?? kin?.above?.pid ?? null;
}

/** What other trees of the family have to be told, as things stand. */
export function tidings(state: State): EventMap["kin.told"][] {
  const { above, away } = state.kin!;
  const told: EventMap["kin.told"][] = [];
  const root = state.processes[rootOf(state.tree)];
  if (above?.isTold === false && root?.life.state === "ended" && !isLive(state)) {
    const { spent, label, life: { outcome } } = root;
    const marks = state.marks ?? null;
    told.push({
      to: above.tree,
      say: { kind: "ended", outcome, spent: { ...spent }, label, marks },
    });
  }
  for (const [pid, { tree: to, ...one }] of Object.entries(away)) {
    const wanted = orderOf(state.processes[pid as Pid], one.told);
    if (wanted !== null) told.push({ to, say: wanted });
    const caps = one.caps.filter((id) => !Object.hasOwn(state.caps, id));
    if (caps.length > 0) told.push({ to, say: { kind: "revoked", caps } });
  }
  return told;
}

/** What a child is to be told of how it lives; null where it was told. */
function orderOf(process: Process | undefined, told: Order): Tiding & { kind: "signal" } | null {
  const signal = (one: Order["signal"], by: string, reason = ""): ReturnType<typeof orderOf> =>
    one === told.signal ? null : { kind: "signal", signal: one, by, reason };
  if (told.signal === "kill") return null;
  if (process === undefined) {
    return signal("kill", "kernel", "Its parent went back to before it was started");
  }
  const { life } = process;
  if (life.state === "ended") {
    const { outcome } = life;
    if (outcome.kind === "killed") return signal("kill", outcome.by, outcome.reason);
    if (outcome.kind === "canceled") return signal("cancel", outcome.by, outcome.reason);
    return null;
  }
  if (told.signal === "cancel") return null;
  if (life.state === "canceling") return signal("cancel", life.by, life.reason);
  if (life.state === "waiting" && life.on.reason === "paused") return signal("pause", life.on.by);
  return signal("resume", told.by);
}

/** Throws `ESTATE` for a tree whose family would not know of what is done to it. */
export function refuseKin({ tree, kin }: State, verb: string): void {
  const { above, away = {} } = kin ?? {};
  if (above !== undefined) {
    const expected = `expected a tree of its own; its parent is ${above.pid}`;
    throw new SysError("ESTATE", `Cannot ${verb} tree "${tree}": it is a child's, ${expected}`);
  }
  const [pid] = Object.keys(away);
  if (pid === undefined) return;
  const sentence = `Cannot ${verb} tree "${tree}": its child "${pid}" is a tree of its own`;
  throw new SysError("ESTATE", `${sentence}, expected it to have ended`);
}

/** The item that brings another tree to a line which tells it something. */
export function kinItem(tree: TreeId, seq: number): InboxItem {
  return { id: `kin:${tree}:${seq}`, body: { kind: "kin", seq, tree } };
}

/** How a process waits that stands for another tree. */
function awayWait(tree: TreeId): Wait {
  return { reason: "away", key: "", tree };
}

/** A tree begins as another's child, and files are marked for it as they are for that one. */
export function descend(state: State, { above, marks }: EventMap["tree.created"]): void {
  if (above === undefined) return;
  state.kin = { above: { ...above, heard: above.seq, isTold: false }, away: {} };
  if (marks !== undefined) state.marks = marks;
}

/** What was just started stands for another tree from now on (K1, K3). */
export function sendAway(
  state: State,
  { pid, parent, away }: EventMap["process.spawned"],
  { atMs }: Line,
): void {
  const { tree, held, trees } = away!;
  const kin = state.kin ??= { away: {} };
  kin.away[pid] = {
    ...{ tree, held, trees, caps: [], heard: 0, parent: parent! },
    told: { signal: "resume", by: "" },
  };
  state.processes[pid]!.life = { state: "waiting", on: awayWait(tree), sinceMs: atMs };
  book(state, state.processes[parent!]!, held);
}

/** What the events between trees do. */
export const KIN = {
  "kin.told": ({ state }, { to, say }) => {
    const { above, away } = state.kin ?? { away: {} as Kin["away"] };
    if (say.kind === "ended" && above?.tree === to) above.isTold = true;
    const one = away[rootOf(to)];
    if (one === undefined) return;
    if (say.kind === "birth") {
      one.caps = say.caps.filter(({ subject }) => subject === rootOf(to)).map(({ id }) => id);
    }
    if (say.kind === "revoked") one.caps = one.caps.filter((id) => !say.caps.includes(id));
    if (say.kind === "signal") one.told = { signal: say.signal, by: say.by };
  },
  "kin.heard": ({ state }, { from, seq }) => {
    const { above, away } = state.kin ?? { away: {} as Kin["away"] };
    if (above?.tree === from) above.heard = seq;
    const one = away[rootOf(from)];
    if (one !== undefined) one.heard = seq;
  },
  "kin.settled": ({ state }, { pid, spent, marks }) => {
    const one = state.kin?.away[pid];
    if (one === undefined) return;
    delete state.kin!.away[pid];
    keep(state, "processes", pid);
    const at = state.processes[pid];
    if (at !== undefined) at.spent = { ...nothingSpent(), ...spent };
    const parent = state.processes[one.parent];
    if (parent !== undefined) book(state, parent, beyond(spent, one.held));
    if (marks !== undefined) state.marks = joined(state.marks, marks);
  },
} satisfies Partial<Handlers>;

/** What was spent beside what was held for it; less than nothing where some is left. */
function beyond(spent: Spending, held: Spending): Spending {
  return Object.fromEntries(
    SPENT_KINDS.map((kind) => [kind, (spent[kind] ?? 0) - (held[kind] ?? 0)]),
  );
}

function joined(marks: Marks | undefined, more: Marks): Marks {
  return Object.entries(more).reduce<Marks>(
    (made, [path, label]) => marked(made, [path], label),
    marks ?? {},
  );
}
