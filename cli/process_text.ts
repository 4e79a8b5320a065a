/**
 * Processes and capabilities as people read them, from the API's shapes.
 * @module
 */

import { ELSEWHERE } from "../kernel/capability.ts";
import type { CapabilityView } from "../server/schema/authority.ts";
import type { ProcessView } from "../server/schema/process.ts";
import { aligned, type Column } from "./output.ts";
import { short, spanOf } from "./words.ts";

/** A process as a table shows it. */
export interface Row extends ProcessView {
  /** Lines to its ancestors, when shown as a tree. */
  readonly branch: string;
}

/** The columns of `ps` and `top`. */
export function processColumns(nowMs: number): Column<Row>[] {
  return [
    { head: "PID", of: ({ branch, pid }) => `${branch}${pid}` },
    { head: "IMAGE", of: ({ image }) => image },
    { head: "STATE", of: stateText },
    { head: "STEP", of: ({ step }) => String(step) },
    { head: "CALLS", of: ({ calls }) => callsText(calls) },
    { head: "TOKENS", of: ({ spent }) => amountText(spent.tokens ?? 0) },
    { head: "COST", of: ({ spent }) => `$${(spent.usd ?? 0).toFixed(3)}` },
    { head: "BUDGET", of: budgetBar },
    { head: "AGE", of: (one) => spanOf(endMsOf(one, nowMs) - Date.parse(one.startedAt)) },
    { head: "CWD", wide: true, of: ({ cwd }) => cwd },
    { head: "LABELS", wide: true, of: ({ labels }) => labelsText(labels) },
    { head: "OWNER", wide: true, of: ({ owner }) => owner },
    { head: "GOAL", of: ({ goal }) => short(goal.replaceAll(/\s+/g, " "), 60) },
  ];
}

/** A row that is no branch. */
export function flat(process: ProcessView): Row {
  return { ...process, branch: "" };
}

/** Processes below their parents. */
export function branches(processes: readonly ProcessView[]): Row[] {
  const pids = new Set(processes.map(({ pid }) => pid));
  const below = Map.groupBy(processes, ({ parent }) => parent);
  const rows: Row[] = [];
  const add = (process: ProcessView, indent: string, branch: string): void => {
    rows.push({ ...process, branch });
    const children = below.get(process.pid) ?? [];
    children.forEach((child, i) => {
      const isLast = i === children.length - 1;
      add(child, indent + (isLast ? "  " : "│ "), indent + (isLast ? "└─" : "├─"));
    });
  };
  for (const process of processes) {
    if (process.parent === null || !pids.has(process.parent)) add(process, "", "");
  }
  return rows;
}

/** A state, with what is waited for: `waiting/person ●1`. */
export function stateText({ state, waiting, outcome, requests }: ProcessView): string {
  if (outcome !== null) {
    return outcome.kind === "exited" ? `exited ${outcome.code}` : outcome.kind;
  }
  const where = state === "waiting" && waiting !== null ? `waiting/${waiting.reason}` : state;
  return requests > 0 ? `${where} ●${requests}` : where;
}

/** How a process ended: `failed: no such file [ENOENT]`. */
export function endText({ kind, code, message, by }: NonNullable<ProcessView["outcome"]>): string {
  if (kind === "exited") return `exited ${code}`;
  if (kind === "failed") return `failed: ${message} [${code}]`;
  return `${kind} by ${by}${message ? `: ${message}` : ""}`;
}

function callsText({ allowed, asked, denied }: ProcessView["calls"]): string {
  const parts = [String(allowed)];
  if (asked > 0) parts.push(`${asked} ask`);
  if (denied > 0) parts.push(`${denied} deny`);
  return parts.join("/");
}

/** A count in three or four characters: `812`, `18.2k`, `1.3M`. */
export function amountText(count: number): string {
  if (count < 1_000) return String(count);
  if (count < 999_950) return `${(count / 1_000).toFixed(1)}k`;
  return `${(count / 1_000_000).toFixed(1)}M`;
}

/** How much of the limit that is met first was used up: `███░░ 36%`. */
export function budgetBar({ budget, spent }: Pick<ProcessView, "budget" | "spent">): string {
  const parts = Object.entries(budget).flatMap(([kind, most]) => {
    const used = spent[kind as keyof typeof spent];
    return most === undefined || used === undefined || most === 0 ? [] : [used / most];
  });
  if (parts.length === 0) return "-";
  const part = Math.min(1, Math.max(...parts));
  const full = Math.round(part * 5);
  const percent = `${Math.round(part * 100)}%`.padStart(4);
  return `${"█".repeat(full)}${"░".repeat(5 - full)} ${percent}`;
}

/** Spending beside limits. */
export function budgetText(process: ProcessView, nowMs: number): string {
  const { spent, budget, startedAt } = process;
  const kinds = Object.keys(spent) as (keyof typeof spent)[];
  const parts = kinds.flatMap((kind) => {
    const most = budget[kind];
    if (kind === "wallMs" || (most === undefined && (spent[kind] ?? 0) === 0)) return [];
    return [`${kind} ${spent[kind]}${most === undefined ? "" : `/${most}`}`];
  });
  if (budget.wallMs !== undefined) {
    const span = spanOf(endMsOf(process, nowMs) - Date.parse(startedAt));
    parts.push(`wall ${span}/${spanOf(budget.wallMs)}`);
  }
  return parts.join("   ") || "nothing spent, no limits";
}

function endMsOf({ endedAt }: ProcessView, nowMs: number): number {
  return endedAt === null ? nowMs : Date.parse(endedAt);
}

function labelsText(labels: ProcessView["labels"]): string {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(",") || "-";
}

/** The columns of `caps ls`. */
export function capabilityColumns(nowMs: number): Column<CapabilityView>[] {
  return [
    { head: "ID", of: ({ id }) => id },
    { head: "STATE", of: (cap) => standText(cap, nowMs) },
    { head: "RULE", of: ruleText },
    { head: "FROM", of: fromText },
    { head: "USES", of: usesText },
    { head: "EXPIRES", of: ({ expiresAt }) => expiryText(msOf(expiresAt), nowMs) },
    { head: "SCOPE", wide: true, of: ({ scope }) => scope },
    { head: "DELEGABLE", wide: true, of: ({ delegable }) => delegable ? "yes" : "no" },
  ];
}

/** Capabilities as rows of text, with their head. */
export function capabilityRows(caps: readonly CapabilityView[], nowMs: number): string[] {
  const columns = capabilityColumns(nowMs).filter(({ wide }) => wide !== true);
  return aligned([
    columns.map(({ head }) => head),
    ...caps.map((cap) => columns.map(({ of }) => of(cap))),
  ]);
}

function standText({ expiresAt, usesMax, usesSpent }: CapabilityView, nowMs: number): string {
  if (expiresAt !== null && Date.parse(expiresAt) <= nowMs) return "expired";
  return usesMax !== null && usesSpent >= usesMax ? "used up" : "active";
}

function ruleText({ right, resource, constraint }: CapabilityView): string {
  return `${right}(${resource})${constraint === null ? "" : " with a constraint"}`;
}

function fromText({ via, by, parent, request }: CapabilityView): string {
  const of = request === null ? "" : ` of ${request}`;
  return `${via}${of} by ${by}${parent === null ? "" : ` ⊂ ${parent}`}`;
}

function usesText({ usesMax, usesSpent }: CapabilityView): string {
  return usesMax === null ? "∞" : `${usesMax - usesSpent}/${usesMax}`;
}

/** When something expires. */
export function expiryText(expiresMs: number | null, nowMs: number): string {
  if (expiresMs === null) return "-";
  return expiresMs <= nowMs ? "expired" : `in ${spanOf(expiresMs - nowMs)}`;
}

/** A time of the wire in milliseconds. */
export function msOf(time: string | null): number | null {
  return time === null ? null : Date.parse(time);
}

/** What would let a process do what no capability of it covers. */
export function wayTo(
  pid: string,
  { right, resource, suggestion }: {
    readonly right: string;
    readonly resource: string;
    readonly suggestion?: string | null;
  },
): string {
  const rule = `'${right}(${resource})'`;
  return suggestion?.endsWith(ELSEWHERE) === true
    ? `libos run … --grant ${rule}, ${ELSEWHERE}`
    : `libos caps grant ${pid} ${rule} --uses 1`;
}
