/**
 * Budgets: what a process and everything below it may use up.
 *
 * Invariants:
 *   B1. What a process spends, each of its ancestors spends too.
 *   B2. A call that would need more than is left is refused before it does anything.
 *   B3. Where the price of a model is known, what a turn may cost at most is held while it is under
 *       way, so that turns at once do not spend the same money.
 * @module
 */

import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { BudgetLimits, Spending, SpentKind } from "./event.ts";
import type { Pid } from "./ids.ts";
import type { Process, State } from "./state.ts";
import { near } from "./suggest.ts";
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

/** Refuses limits that nobody could mean with `EINVAL`; `wall` is what that in time is called. */
export function checkLimits(limits: BudgetLimits, wall = "wallMs"): void {
  if (typeof limits !== "object" || limits === null || Array.isArray(limits)) {
    throw new SysError("EINVAL", "Cannot set a budget: no object, expected limits by their names");
  }
  for (const [kind, amount] of Object.entries(limits)) {
    if (kind !== "wallMs" && kind !== "depth" && !(SPENT_KINDS as string[]).includes(kind)) {
      const known = [...SPENT_KINDS, "depth", wall];
      const expected = `expected one of ${known.join(", ")}${near(kind, known)}`;
      throw new SysError("EINVAL", `Cannot limit "${kind}": unknown, ${expected}`);
    }
    if (amount === undefined || (Number.isFinite(amount) && amount >= 0)) continue;
    throw new SysError("EINVAL", `Cannot limit ${kind} to "${amount}": expected a number from 0`);
  }
}

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

/** Money that is held for a call under way. */
export interface Held {
  readonly pid: Pid;
  readonly usd: number;
}

/** What is left to spend in US dollars beside what is held; undefined where there is no limit. */
export function leftOf(state: State, process: Process, held: readonly Held[]): number | undefined {
  let least: number | undefined;
  for (let at: Process | undefined = process; at !== undefined; at = parentOf(state, at)) {
    if (at.limits.usd === undefined) continue;
    const left = at.limits.usd - at.spent.usd - heldBelow(state, at, held);
    least = Math.min(least ?? Infinity, left);
  }
  return least === undefined ? undefined : Math.max(0, least);
}

/** Refuses with `EBUDGET` what is more than is left beside what is held for others. */
export function affordBeside(state: State, process: Process, wanted: {
  readonly usd: number;
  readonly held: readonly Held[];
}): void {
  for (let at: Process | undefined = process; at !== undefined; at = parentOf(state, at)) {
    const { limits, spent } = at;
    const beside = limits.usd === undefined ? 0 : heldBelow(state, at, wanted.held);
    if (limits.usd === undefined || spent.usd + beside + wanted.usd <= limits.usd) continue;
    const also = beside === 0 ? "" : `, ${dollars(beside)} held for calls under way`;
    const asked = `${dollars(wanted.usd)} asked for`;
    refuse(at, "usd", `${dollars(spent.usd)} of ${limits.usd} used${also}, ${asked}`);
  }
}

function dollars(usd: number): string {
  return String(Number(usd.toPrecision(4)));
}

function heldBelow(state: State, process: Process, held: readonly Held[]): number {
  let sum = 0;
  for (const { pid, usd } of held) {
    let at: Process | undefined = state.processes[pid];
    while (at !== undefined && at !== process) at = parentOf(state, at);
    if (at === process) sum += usd;
  }
  return sum;
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
