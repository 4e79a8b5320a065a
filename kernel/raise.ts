/**
 * Raising: what a person gives to a process that has used up its budget.
 *
 * Invariants:
 *   R1. A process gets at most what was asked for, and its ancestors only as much more as it needs.
 * @module
 */

import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { BudgetLimits, SpentKind } from "./event.ts";
import type { Pid } from "./ids.ts";
import { processOf } from "./process.ts";
import type { Process, RequestRecord, State } from "./state.ts";
import type { PersonAnswer } from "./world.ts";

/** New limits of a process. */
export interface Raise {
  readonly pid: Pid;
  readonly limits: BudgetLimits;
}

type Kind = keyof BudgetLimits;

/** What has to be raised so that a process has the limits wanted: itself, and who is above it. */
export function raisesFor(state: State, process: Process, wanted: BudgetLimits): Raise[] {
  const raises: Raise[] = [];
  let at: Process | undefined = process;
  for (let above = 0; at !== undefined; above++) {
    const limits: { [K in Kind]?: number } = {};
    for (const [name, value] of Object.entries(wanted) as [Kind, number | undefined][]) {
      const now = at.limits[name];
      if (value === undefined || now === undefined) continue;
      const needed = neededAt(at, { process, above, name, value });
      if (needed > now) limits[name] = needed;
    }
    if (Object.keys(limits).length > 0) raises.push({ pid: at.pid, limits });
    at = at.parent === null ? undefined : state.processes[at.parent];
  }
  return raises;
}

/** The limit that a process or one above it needs for what is wanted below. */
function neededAt(at: Process, wanted: {
  readonly process: Process;
  readonly above: number;
  readonly name: Kind;
  readonly value: number;
}): number {
  const { process, above, name, value } = wanted;
  if (name === "depth") return value + above;
  if (name === "wallMs") return process.startedMs + value - at.startedMs;
  const kind: SpentKind = name;
  return at.spent[kind] + Math.max(0, value - process.spent[kind]);
}

/** Limits without those that are not said. */
export function said(limits: BudgetLimits): BudgetLimits {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

/** Refuses with `EINVAL` what would raise nothing. */
export function checkRaise(state: State, process: Process, wanted: BudgetLimits): void {
  for (const [name, value] of Object.entries(said(wanted))) {
    if (raisesFor(state, process, { [name]: value }).length > 0) continue;
    const sentence = `Cannot raise the budget of "${process.pid}": ${name} ${value} is no more`;
    throw new SysError("EINVAL", `${sentence} than it has, expected more`);
  }
}

/** What a person gives of what was asked for (R1); throws what refuses it. */
export function given(request: RequestRecord, answer: PersonAnswer): BudgetLimits {
  const { limits: asked } = request.call!.args as unknown as { readonly limits: BudgetLimits };
  if (answer.outcome !== "edit") return asked;
  const refused = `Cannot answer request "${request.id}"`;
  const limits = (answer.args as { readonly limits?: unknown } | null)?.limits;
  if (typeof limits !== "object" || limits === null || Object.keys(limits).length === 0) {
    throw new SysError("EINVAL", `${refused}: no limits, expected {"limits": {…}}`);
  }
  for (const [name, value] of Object.entries(limits)) {
    if (typeof value !== "number" || !(value >= 0)) {
      throw new SysError("EINVAL", `${refused}: ${name} is no amount, expected a number`);
    }
    const most = Object.hasOwn(asked, name) ? asked[name as Kind] : undefined;
    if (most !== undefined && value <= most) continue;
    const shown = most === undefined ? "it was not asked for" : `${value}, asked was ${most}`;
    throw new SysError("EPERM", `${refused}: ${name}: ${shown}, expected that or less`);
  }
  return limits as BudgetLimits;
}

/** Decides the new limits that an answer gives. */
export function raise(draft: Draft, request: RequestRecord, how: {
  readonly limits: BudgetLimits;
  readonly by: string;
}): void {
  const { state } = draft.tree;
  for (const each of raisesFor(state, processOf(state, request.pid), how.limits)) {
    draft.add("budget.limited", { ...each, by: how.by });
  }
}
