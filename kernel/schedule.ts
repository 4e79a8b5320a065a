/**
 * What a tree wants: whether it lives, whether it can run, and when it must be woken.
 * @module
 */

import type { Pid } from "./ids.ts";
import { asked } from "./needs.ts";
import { innerWait, isAway, openIntents } from "./process.ts";
import { redactMs } from "./retention.ts";
import type { State } from "./state.ts";
import type { Batch } from "./store.ts";

/** Whether any process has not ended, or left an effect whose outcome is not known (G5). */
export function isLive(state: State): boolean {
  if (state.branch !== undefined) return true;
  for (const pid in state.processes) {
    const process = state.processes[pid as Pid]!;
    if (process.life.state !== "ended" || openIntents(process).length > 0) return true;
  }
  return false;
}

/** Whether any process can run now. */
export function isReady(state: State): boolean {
  if (state.going !== undefined || state.branch !== undefined) return true;
  for (const pid in state.processes) {
    const process = state.processes[pid as Pid]!;
    const { state: life } = process.life;
    if (isAway(process)) continue;
    if (life === "ready" || life === "canceling") return true;
    if (life === "ended" && openIntents(process).length > 0) return true;
  }
  return false;
}

/** Processes that can run now. */
export function readyPids(state: State): Pid[] {
  if (state.going !== undefined || state.branch !== undefined) return [];
  return (Object.keys(state.processes) as Pid[])
    .filter((pid) => state.processes[pid]!.life.state === "ready");
}

/** When a timer, a wait with an end, or a request is due; null for never. */
export function due(state: State): number | null {
  let earliest: number | null = null;
  const consider = (atMs: number | null): void => {
    if (atMs !== null && (earliest === null || atMs < earliest)) earliest = atMs;
  };
  for (const pid in state.processes) {
    const { life } = state.processes[pid as Pid]!;
    if (life.state !== "waiting") continue;
    const on = innerWait(life.on);
    if (on !== null && "untilMs" in on) consider(on.untilMs);
  }
  for (const id in state.requests) {
    const request = state.requests[id as `req_${string}`]!;
    if (request.status !== "pending") continue;
    consider(request.expiresMs);
    if (request.escalatedMs === undefined) consider(request.escalatesMs ?? null);
  }
  return earliest;
}

/** How many requests of the tree wait for a person. */
export function countAsking(state: State): number {
  let count = 0;
  for (const id in state.requests) {
    if (state.requests[id as `req_${string}`]!.status === "pending") count += 1;
  }
  return count;
}

/** A short title for lists: the root's image and goal. */
export function summaryTitle(state: State): string {
  const { branch } = state;
  if (branch !== undefined) return `branched off ${branch.from} at line ${branch.seq}`;
  const root = state.processes[`p_${state.tree.slice(2)}`];
  if (root === undefined) return "";
  const name = state.images[root.image]?.name ?? "?";
  return `${name}: ${root.goal}`.slice(0, 120);
}

/** All of what a store is told that a tree wants. */
export function wants(state: State): Pick<Batch, "dueMs" | "summary" | "redactMs"> {
  const asking = countAsking(state);
  const selector = asked(state);
  return {
    dueMs: due(state),
    summary: {
      live: isLive(state),
      title: summaryTitle(state),
      key: state.key,
      ready: isReady(state),
      ...(asking === 0 ? {} : { asking }),
      ...(selector === undefined ? {} : { selector }),
    },
    ...(state.retention === undefined ? {} : { redactMs: redactMs(state) }),
  };
}
