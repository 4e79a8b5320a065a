/**
 * Looking at processes: `ps` and `describe`.
 * @module
 */

import { standing } from "../kernel/chain.ts";
import type { HeldCapability } from "../kernel/capability.ts";
import type { Line } from "../kernel/event.ts";
import type { Pid } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import { realClock } from "../providers/clock.ts";
import { readLines } from "../runtime/load.ts";
import { info, type ProcessInfo } from "../runtime/process.ts";
import type { Command, Context } from "./command.ts";
import { watching } from "./follow.ts";
import { lineText, outcomeText, pidOf, waitText } from "../runtime/line_text.ts";
import { aligned, type Column, list, show } from "./output.ts";
import { findProcess, headsOf, reading, treeIn } from "./store.ts";
import { dateOf, short, spanOf } from "./words.ts";

const EVENTS_SHOWN = 8;

/** A process as a table shows it. */
interface Row extends ProcessInfo {
  /** Lines to its ancestors, when shown as a tree. */
  readonly branch: string;
}

function columns(nowMs: number): Column<Row>[] {
  return [
    { head: "PID", of: ({ branch, pid }) => `${branch}${pid}` },
    { head: "IMAGE", of: ({ image }) => image },
    { head: "STATE", of: stateText },
    { head: "STEP", of: ({ step }) => String(step) },
    { head: "CALLS", of: ({ calls }) => callsText(calls) },
    { head: "TOKENS", of: ({ spent }) => String(spent.tokens) },
    { head: "COST", of: ({ spent }) => `$${spent.usd.toFixed(3)}` },
    { head: "BUDGET", of: budgetBar },
    { head: "AGE", of: ({ startedMs }) => spanOf(nowMs - startedMs) },
    { head: "CWD", wide: true, of: ({ cwd }) => cwd },
    { head: "LABELS", wide: true, of: ({ labels }) => labelsText(labels) },
    { head: "GOAL", of: ({ goal }) => short(goal, 60) },
  ];
}

/** `ps`. */
export const ps: Command = {
  name: "ps",
  group: "processes",
  usage: "[-a] [-t] [-w]",
  about: "List processes",
  examples: ["libos ps -t", "libos ps -a -o name"],
  options: {
    all: { type: "boolean", short: "a" },
    tree: { type: "boolean", short: "t" },
    watch: { type: "boolean", short: "w" },
  },
  words: [0, 0],
  async run(at) {
    if (at.flags.on("watch")) return await watching(at, (store) => once(at, store));
    return await reading(at, async (store) => {
      await once(at, store);
      return 0;
    });
  },
};

async function once(at: Context, store: Store): Promise<void> {
  const all = at.flags.on("all");
  const rows: Row[] = [];
  for (const { tree: id } of await headsOf(store, all)) {
    const { state } = await treeIn(store, id);
    const shown = Object.values(state.processes)
      .filter(({ life }) => all || life.state !== "ended")
      .map((process) => info(state, process));
    rows.push(...at.flags.on("tree") ? branches(shown) : shown.map(flat));
  }
  list(at, rows, {
    columns: columns(realClock.now()),
    name: ({ pid }) => pid,
    json: ({ branch: _, ...rest }) => rest,
    none: all ? "No processes yet" : "No live processes; libos ps -a shows those that ended",
  });
}

function flat(process: ProcessInfo): Row {
  return { ...process, branch: "" };
}

/** Processes below their parents. */
function branches(processes: readonly ProcessInfo[]): Row[] {
  const pids = new Set(processes.map(({ pid }) => pid));
  const rows: Row[] = [];
  const add = (process: ProcessInfo, indent: string, branch: string): void => {
    rows.push({ ...process, branch });
    const below = processes.filter(({ parent }) => parent === process.pid);
    below.forEach((child, i) => {
      const isLast = i === below.length - 1;
      add(child, indent + (isLast ? "  " : "│ "), indent + (isLast ? "└─" : "├─"));
    });
  };
  for (const process of processes) {
    if (process.parent === null || !pids.has(process.parent)) add(process, "", "");
  }
  return rows;
}

/** A state, with what is waited for. */
export function stateText({ state, waiting, outcome }: ProcessInfo): string {
  if (outcome !== null) {
    return outcome.kind === "exited" ? `exited ${outcome.code}` : outcome.kind;
  }
  if (state !== "waiting" || waiting === null) return state;
  const { reason } = waiting.on;
  return `waiting/${reason}${reason === "person" || reason === "call" ? " ●" : ""}`;
}

function callsText({ allowed, asked, denied }: ProcessInfo["calls"]): string {
  const parts = [String(allowed)];
  if (asked > 0) parts.push(`${asked} ask`);
  if (denied > 0) parts.push(`${denied} deny`);
  return parts.join("/");
}

function budgetBar({ budget, spent }: ProcessInfo): string {
  const parts = Object.entries(spent).flatMap(([kind, used]) => {
    const most = budget[kind as keyof typeof spent];
    return most === undefined || most === 0 ? [] : [used / most];
  });
  if (parts.length === 0) return "-";
  const part = Math.min(1, Math.max(...parts));
  const full = Math.round(part * 5);
  return `${"█".repeat(full)}${"░".repeat(5 - full)} ${Math.round(part * 100)}%`;
}

function labelsText(labels: ProcessInfo["labels"]): string {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(",") || "-";
}

/** `describe`. */
export const describe: Command = {
  name: "describe",
  group: "processes",
  usage: "PID",
  about: "Tell everything about one process",
  examples: ["libos describe p_1", "libos describe p_1.2 -o json"],
  options: {},
  words: [1, 1],
  async run(at) {
    return await reading(at, async (store) => {
      const { tree, process } = await findProcess(store, at.words[0]!);
      const found = info(tree.state, process);
      const caps = [...tree.caps.heldBy(tree.lineage(process.pid))];
      const events = await lastLines(store, tree, process.pid);
      show(at, { ...found, capabilities: caps, events }, {
        name: found.pid,
        lines: describeLines(tree, found, { caps, events }),
      });
      return 0;
    });
  },
};

async function lastLines(store: Store, tree: Tree, pid: Pid): Promise<Line[]> {
  const found: Line[] = [];
  for await (const line of readLines(store, tree.state.tree)) {
    if (pidOf(line) !== pid || line.type === "cap.granted") continue;
    found.push(line);
    if (found.length > EVENTS_SHOWN) found.shift();
  }
  return found.reverse();
}

function describeLines(tree: Tree, found: ProcessInfo, rest: {
  readonly caps: readonly HeldCapability[];
  readonly events: readonly Line[];
}): string[] {
  const nowMs = realClock.now();
  const image = tree.state.images[tree.state.processes[found.pid]!.image];
  const { waiting, outcome, calls } = found;
  const since = waiting === null
    ? outcome === null ? "" : `: ${outcomeText(outcome)}`
    : ` since ${spanOf(nowMs - waiting.sinceMs)} ${waitText(waiting.on)}`;
  return [
    `Name:       ${found.pid}  (${found.image} sha256:${image?.hash.slice(0, 12)})`,
    `Parent:     ${found.parent ?? "-"}`,
    `State:      ${stateText(found)}${since}`,
    `Goal:       ${found.goal}`,
    `Folder:     ${found.cwd}`,
    `Started:    ${dateOf(found.startedMs)}, step ${found.step}`,
    `Budget:     ${budgetText(found)}`,
    `Calls:      ${calls.allowed} allow, ${calls.asked} ask, ${calls.denied} deny`,
    "Capabilities:",
    ...capabilityRows(rest.caps, nowMs).map((line) => `  ${line}`),
    `Tools:      ${found.tools.length} ${short(found.tools.join(", "), 100)}`,
    "Events:",
    ...aligned(rest.events.map((line) => {
      const { word, text } = lineText(line);
      return [`  ${spanOf(nowMs - line.atMs)}`, `#${line.seq}`, word, text];
    })),
  ];
}

/** Spending beside limits. */
export function budgetText({ spent, budget, startedMs }: ProcessInfo): string {
  const kinds = Object.keys(spent) as (keyof typeof spent)[];
  const parts = kinds.flatMap((kind) => {
    const most = budget[kind];
    if (most === undefined && spent[kind] === 0) return [];
    return [`${kind} ${spent[kind]}${most === undefined ? "" : `/${most}`}`];
  });
  if (budget.wallMs !== undefined) {
    parts.push(`wall ${spanOf(realClock.now() - startedMs)}/${spanOf(budget.wallMs)}`);
  }
  return parts.join("   ") || "nothing spent, no limits";
}

/** Capabilities as rows of text, with their head. */
export function capabilityRows(caps: readonly HeldCapability[], nowMs: number): string[] {
  return aligned([
    ["ID", "EFFECT", "RULE", "FROM", "USES", "EXPIRES"],
    ...caps.map((cap) => [
      cap.id,
      standing(cap, nowMs) ?? "allow",
      `${cap.right}(${cap.resource})`,
      fromText(cap),
      usesText(cap),
      expiryText(cap.expiresMs, nowMs),
    ]),
  ]);
}

/** Where a capability came from. */
export function fromText({ via, by, parent, grant }: HeldCapability): string {
  const request = grant === null ? "" : ` of ${grant.request}`;
  return `${via}${request} by ${by}${parent === null ? "" : ` ⊂ ${parent}`}`;
}

/** How many uses are left. */
export function usesText({ usesMax, usesSpent }: HeldCapability): string {
  return usesMax === null ? "∞" : `${usesMax - usesSpent}/${usesMax}`;
}

/** When something expires. */
export function expiryText(expiresMs: number | null, nowMs: number): string {
  if (expiresMs === null) return "-";
  return expiresMs <= nowMs ? "expired" : `in ${spanOf(expiresMs - nowMs)}`;
}
