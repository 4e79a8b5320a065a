/**
 * Processes: their life as a table, and the verbs that move one through it.
 *
 * Invariants:
 *   P1. A process is in exactly one state, and moves only as `TRANSITIONS` says.
 *   P2. Nothing outlives its parent: when a process ends, its live descendants end in the same
 *       commit.
 *   P3. A parent that waits for a child is woken in the commit in which the child ends.
 * @module
 */

import { SysError } from "./errors.ts";
import type { EndOutcome, Wait } from "./event.ts";
import { isId, type Pid } from "./ids.ts";
import type { Life, Process, State } from "./state.ts";
import type { Draft } from "./draft.ts";

/** The life of a process: state → event → next state. What is not here is refused. */
export const TRANSITIONS = {
  ready: {
    wait: "waiting",
    pause: "paused",
    cancel: "canceling",
    exit: "ended",
    fail: "ended",
    kill: "ended",
  },
  waiting: { wake: "ready", pause: "paused", cancel: "canceling", fail: "ended", kill: "ended" },
  paused: { wake: "paused", resume: "ready", cancel: "canceling", fail: "ended", kill: "ended" },
  canceling: { drain: "ended", exit: "ended", fail: "ended", kill: "ended" },
  ended: {},
} as const satisfies Record<LifeState, Readonly<Record<string, LifeState>>>;

/** The states of a process, as people see them. */
export type LifeState = "ready" | "waiting" | "paused" | "canceling" | "ended";
/** What can happen to a process. */
export const LIFE_EVENTS = [
  "wait",
  "wake",
  "pause",
  "resume",
  "cancel",
  "drain",
  "exit",
  "fail",
  "kill",
] as const;
/** What can happen to a process. */
export type LifeEvent = (typeof LIFE_EVENTS)[number];

/** The signals a process can be sent. */
export const SIGNALS = ["pause", "resume", "cancel", "kill"] as const satisfies Signal[];
/** A signal. */
export type Signal = "pause" | "resume" | "cancel" | "kill";

/** The state of a life, with "paused" told apart from other waits. */
export function lifeState(life: Life): LifeState {
  return life.state === "waiting" && life.on.reason === "paused" ? "paused" : life.state;
}

/** Whether `event` may happen to a process in this life. */
export function allows(life: Life, event: LifeEvent): boolean {
  return Object.hasOwn(TRANSITIONS[lifeState(life)], event);
}

/** Refuses with `ESTATE` unless `event` may happen. */
export function check(process: Process, event: LifeEvent): void {
  if (allows(process.life, event)) return;
  const able = Object.entries(TRANSITIONS)
    .filter(([, events]) => Object.hasOwn(events, event))
    .map(([state]) => state);
  throw new SysError(
    "ESTATE",
    `Cannot ${event} process "${process.pid}": ${lifeState(process.life)}, expected ${
      able.join(" or ")
    }`,
  );
}

/** A process by its id; `ENOENT` when there is none. */
export function processOf(state: State, pid: Pid): Process {
  const process = Object.hasOwn(state.processes, pid) ? state.processes[pid] : undefined;
  if (process === undefined) {
    throw new SysError("ENOENT", `Cannot find process "${pid}": absent, expected a process`);
  }
  return process;
}

/** A process and its ancestors, itself first. */
export function lineageOf(state: State, pid: Pid): Pid[] {
  const line: Pid[] = [];
  for (let at: Pid | null = pid; at !== null;) {
    line.push(at);
    at = state.processes[at]?.parent ?? null;
  }
  return line;
}

/** A process and its live descendants, deepest last. */
export function subtreeOf(state: State, pid: Pid): Pid[] {
  const found: Pid[] = [pid];
  for (let i = 0; i < found.length; i++) {
    for (const child of state.processes[found[i]!]?.children ?? []) {
      if (state.processes[child]?.life.state !== "ended") found.push(child);
    }
  }
  return found;
}

/** Effects of a process whose outcome is not known. */
export function openIntents(process: Process): string[] {
  return Object.keys(process.journal).filter((key) => process.journal[key]?.state === "open");
}

/** Whether a process stands for a child whose tree has not ended. */
export function isAway({ mode, life }: Process): boolean {
  return mode === "detached" && life.state !== "ended";
}

/** The processes that are a tree's own: what stands for a child's tree is shown as that. */
export function residents(state: State): Process[] {
  return Object.values(state.processes).filter(({ mode }) => mode !== "detached");
}

/** Throws `ESTATE` for what a child that is a tree of its own was given at its start, and keeps. */
export function refuseAway(process: Process, verb: string): void {
  if (process.mode !== "detached") return;
  const expected = "expected what it was started with";
  throw new SysError(
    "ESTATE",
    `Cannot ${verb} process "${process.pid}": it is a tree of its own, ${expected}`,
  );
}

/** Whether something of a process is out: an effect, or the tree that it stands for. */
function isOut(process: Process): boolean {
  return isAway(process) || openIntents(process).length > 0;
}

/** Parks a process. */
export function wait(
  draft: Draft,
  process: Process,
  parked: { readonly on: Wait; readonly name: string; readonly argsHash: string },
): void {
  check(process, "wait");
  draft.add("process.waiting", { pid: process.pid, ...parked });
}

/** Wakes a process from what it waits for; none of it happens when it does not wait. */
export function wake(draft: Draft, process: Process, by: string, interrupted = false): void {
  if (!allows(process.life, "wake")) return;
  if (process.life.state === "waiting" && innerWait(process.life.on) === null) return;
  draft.add("process.woken", { pid: process.pid, by, interrupted });
}

/** The wait itself, whether or not the process is also paused. */
export function innerWait(on: Wait): Exclude<Wait, { reason: "paused" }> | null {
  if (on.reason !== "paused") return on;
  return on.was === null ? null : innerWait(on.was);
}

/** What a process waits for, whether or not it is also paused. */
export function waitOf(process: Process): Exclude<Wait, { reason: "paused" }> | null {
  return process.life.state === "waiting" ? innerWait(process.life.on) : null;
}

/** Ends a process and everything below it (P2), and wakes a parent that waits for it (P3). */
export function end(draft: Draft, process: Process, outcome: EndOutcome): void {
  const { state } = draft.tree;
  const below = subtreeOf(state, process.pid).slice(1).reverse();
  for (const pid of below) {
    draft.add("process.ended", { pid, outcome: inherited(outcome, process.pid) });
  }
  draft.add("process.ended", { pid: process.pid, outcome });
  const parent = process.parent === null ? undefined : state.processes[process.parent];
  if (parent === undefined) return;
  const on = waitOf(parent);
  if (on?.reason === "child" && on.pids.includes(process.pid)) wake(draft, parent, process.pid);
}

function inherited(outcome: EndOutcome, pid: Pid): EndOutcome {
  const reason = `Parent "${pid}" ended`;
  return outcome.kind === "killed"
    ? { kind: "killed", by: outcome.by, reason }
    : { kind: "canceled", by: pid, reason };
}

/** Decides a signal to a process and, where it cascades, to everything below it. */
export function signal(
  draft: Draft,
  process: Process,
  sent: { readonly signal: Signal; readonly by: string; readonly reason: string },
): void {
  check(process, sent.signal);
  if (sent.signal === "resume" && isId("p", sent.by) && !isId("p", pausedBy(process))) {
    const sentence = `Cannot resume process "${process.pid}": paused by ${pausedBy(process)}`;
    throw new SysError("EPERM", `${sentence}, expected the same to resume it`);
  }
  if (sent.signal === "kill") {
    return end(draft, process, { kind: "killed", by: sent.by, reason: sent.reason });
  }
  const { state } = draft.tree;
  const reached = subtreeOf(state, process.pid).map((pid) => processOf(state, pid));
  if (sent.signal === "cancel") return cancel(draft, reached, sent);
  const type = sent.signal === "pause" ? "process.paused" : "process.resumed";
  for (const each of reached) {
    if (allows(each.life, sent.signal)) draft.add(type, { pid: each.pid, by: sent.by });
  }
}

function pausedBy(process: Process): string {
  const { life } = process;
  return life.state === "waiting" && life.on.reason === "paused" ? life.on.by : "";
}

/** Canceling lets effects that were sent come home; with none out, the process ends at once. */
function cancel(
  draft: Draft,
  reached: readonly Process[],
  sent: { readonly by: string; readonly reason: string },
): void {
  const [top] = reached;
  if (!reached.some(isOut)) {
    return end(draft, top!, { kind: "canceled", by: sent.by, reason: sent.reason });
  }
  for (const each of reached) {
    if (allows(each.life, "cancel")) {
      draft.add("process.canceling", { pid: each.pid, by: sent.by, reason: sent.reason });
    }
  }
}

/** Ends a canceled process once nothing of it or below it is out any more. */
export function drain(draft: Draft, process: Process, settled: string): void {
  if (process.life.state !== "canceling") return;
  const { state } = draft.tree;
  let top = process;
  while (top.parent !== null && processOf(state, top.parent).life.state === "canceling") {
    top = processOf(state, top.parent);
  }
  for (const pid of subtreeOf(state, top.pid)) {
    const each = processOf(state, pid);
    if (isAway(each)) return;
    if (openIntents(each).some((key) => pid !== process.pid || key !== settled)) return;
  }
  if (top.life.state !== "canceling") return;
  const { by, reason } = top.life;
  end(draft, top, { kind: "canceled", by, reason });
}

/** Ends what stood for a child's tree, as that ended; and what was canceled and waited for it. */
export function comeHome(draft: Draft, standing: Process, outcome: EndOutcome): void {
  const { state } = draft.tree;
  const { life, pid } = standing;
  if (life.state === "ended") return;
  let top = standing;
  while (top.parent !== null && processOf(state, top.parent).life.state === "canceling") {
    top = processOf(state, top.parent);
  }
  if (top === standing || top.life.state !== "canceling") return end(draft, standing, outcome);
  const others = subtreeOf(state, top.pid).filter((one) => one !== pid);
  if (others.some((one) => isOut(processOf(state, one)))) {
    return draft.add("process.ended", { pid, outcome });
  }
  end(draft, top, { kind: "canceled", by: top.life.by, reason: top.life.reason });
}
