/**
 * Budgets: what a process and everything below it may use up.
 *
 * Invariants:
 *   B1. What a process spends, each of its ancestors spends too.
 *   B2. A call that would need more than is left is refused before it does anything.
 * @module
 */

import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { BudgetLimits, Spending, SpentKind } from "./event.ts";
import type { Process, State } from "./state.ts";
import { keep } from "./trail.ts";

/** The kinds that are spent by doing. */
export const SPENT_KINDS: readonly SpentKind[] = [
  "modelCalls",
  "tokens",
  "usd",
  "toolCalls",
  "children",
  "bytes",
];

/** Nothing spent. */
export function nothingSpent(): { [K in SpentKind]: number } {
  return { modelCalls: 0, tokens: 0, usd: 0, toolCalls: 0, children: 0, bytes: 0 };
}

/** Refuses with `EBUDGET` when `wanted` is more than a process or an ancestor has left (B1, B2). */
export function spend(draft: Draft, process: Process, wanted: Spending): void {
  afford(draft.tree.state, process, wanted, draft.nowMs);
}

/** Refuses with `EBUDGET` when `wanted` is more than a process or an ancestor has left (B1, B2). */
export function afford(state: State, process: Process, wanted: Spending, nowMs: number): void {
  for (let at: Process | undefined = process; at !== undefined; at = parentOf(state, at)) {
    const { limits, spent } = at;
    for (const kind in wanted) {
      const limit = limits[kind as SpentKind];
      if (limit === undefined) continue;
      // An amount that is known only afterwards (tokens, money) is asked for as 0.
      const after = spent[kind as SpentKind] + wanted[kind as SpentKind]!;
      const over = wanted[kind as SpentKind] === 0 ? after >= limit : after > limit;
      if (over) refuse(at, kind, `${spent[kind as SpentKind]} of ${limit} used`);
    }
    if (limits.wallMs !== undefined && nowMs - at.startedMs > limits.wallMs) {
      refuse(at, "wallMs", `${nowMs - at.startedMs} of ${limits.wallMs} used`);
    }
  }
}

function refuse(process: Process, kind: string, state: string): never {
  const sentence = `Cannot spend ${kind} of process "${process.pid}": ${state}`;
  throw new SysError("EBUDGET", `${sentence}, expected a raise with budget.limit`, {
    pid: process.pid,
    kind,
  });
}

function parentOf(state: State, process: Process): Process | undefined {
  return process.parent === null ? undefined : state.processes[process.parent];
}

/** Books spending with a process and all its ancestors. */
export function book(state: State, process: Process, spent: Spending): void {
  for (let at: Process | undefined = process; at !== undefined; at = parentOf(state, at)) {
    keep(state, "processes", at.pid);
    for (const kind in spent) at.spent[kind as SpentKind] += spent[kind as SpentKind]!;
  }
}

/** Decides new limits; a child can never be given more than its parent has. */
export function limit(draft: Draft, process: Process, change: {
  readonly limits: BudgetLimits;
  readonly by: string;
}): void {
  draft.add("budget.limited", { pid: process.pid, limits: change.limits, by: change.by });
}
