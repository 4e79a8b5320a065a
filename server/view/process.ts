/**
 * Processes and trees as the API shows them.
 * @module
 */

import { type Pid, treeNumber } from "../../kernel/ids.ts";
import { formatPattern } from "../../kernel/grammar.ts";
import { parentOf } from "../../kernel/kin.ts";
import { lifeState } from "../../kernel/process.ts";
import { SPENT_KINDS } from "../../kernel/budget.ts";
import type { Wait } from "../../kernel/event.ts";
import type { Process, State } from "../../kernel/state.ts";
import type { Tree } from "../../kernel/tree.ts";
import type { Glance } from "../glance.ts";
import type { BudgetRow, BudgetView } from "../schema/authority.ts";
import type { ProcessView, TreeView } from "../schema/process.ts";

/** A time on the wire. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

/** A process. */
export function processView(
  { tree, runs, isElsewhere }: Glance,
  process: Process,
): ProcessView {
  const { state } = tree;
  const { life, pid } = process;
  const image = state.images[process.image];
  return {
    pid,
    parent: parentOf(process, state),
    tree: state.tree,
    image: `${image?.name}@${image?.version}`,
    imageHash: process.image,
    state: stateOf(process, runs.has(pid)),
    waiting: life.state === "waiting"
      ? { reason: life.on.reason, on: waitsOn(life.on), since: timeText(life.sinceMs) }
      : null,
    outcome: outcomeOf(process),
    goal: process.goal,
    cwd: process.cwd,
    labels: { ...process.labels },
    label: { ...process.label },
    step: process.step,
    calls: { ...process.calls },
    spent: { ...process.spent },
    budget: limitsOf(process),
    tools: [...process.tools],
    generatedTools: Object.keys(process.generated),
    children: [...process.children],
    requests: Object.values(state.requests)
      .filter(({ status, askers }) =>
        status === "pending" && askers.some((asker) => asker.pid === pid)
      ).length,
    owner: ownerOf(state),
    startedAt: timeText(process.startedMs),
    endedAt: life.state === "ended" ? timeText(life.atMs) : null,
    seq: state.seq,
    ...(isElsewhere === true ? { elsewhere: true as const } : {}),
  };
}

/** Who started a tree. */
export function ownerOf(state: State): string {
  return state.owner ?? "operator";
}

function stateOf(process: Process, isRunning: boolean): ProcessView["state"] {
  const state = lifeState(process.life);
  return state === "ready" && isRunning ? "running" : state as ProcessView["state"];
}

function waitsOn(on: Wait): string | null {
  switch (on.reason) {
    case "person":
    case "call":
      return on.request;
    case "child":
      return on.pids.join(" ");
    case "away":
      return on.tree;
    case "timer":
      return timeText(on.untilMs);
    case "message":
      return on.filter.type ?? on.filter.from ?? null;
    case "paused":
      return on.by;
  }
}

function outcomeOf({ life }: Process): ProcessView["outcome"] {
  if (life.state !== "ended") return null;
  const { outcome } = life;
  switch (outcome.kind) {
    case "exited":
      return { kind: "exited", code: outcome.code, message: null, by: null };
    case "failed":
      return { kind: "failed", code: outcome.code, message: outcome.message, by: null };
    case "canceled":
    case "killed":
      return { kind: outcome.kind, code: null, message: outcome.reason, by: outcome.by };
  }
}

function limitsOf({ limits }: Process): ProcessView["budget"] {
  return Object.fromEntries(
    Object.entries(limits).filter(([, value]) => value !== undefined && value !== null),
  );
}

/** A tree. */
export function treeView({ state, head }: Pick<Tree, "state"> & { readonly head: string }, given: {
  readonly live: boolean;
  readonly broken: string | null;
}): TreeView {
  const root = `p_${treeNumber(state.tree)}` as const;
  return {
    tree: state.tree,
    root,
    title: state.processes[root]?.goal ?? "",
    owner: ownerOf(state),
    processes: Object.keys(state.processes).length,
    live: given.live,
    seq: state.seq,
    head,
    broken: given.broken,
    policy: state.policy.text,
    ceiling: state.ceiling.map(formatPattern),
  };
}

/** What a process may use and has used, and which limit of its lineage is met first. */
export function budgetView(tree: Tree, pid: Pid): BudgetView {
  const process = tree.state.processes[pid]!;
  const lineage = tree.lineage(pid).map((one) => tree.state.processes[one]!);
  const nearest: BudgetView["nearest"] = [];
  for (const kind of SPENT_KINDS) {
    const found = lineage.flatMap((one) => {
      const limit = one.limits[kind];
      if (limit === undefined || limit === null) return [];
      const spent = one.spent[kind];
      return [{ kind, pid: one.pid, limit, spent, left: Math.max(0, limit - spent) }];
    }).sort((a, b) => a.left - b.left);
    nearest.push(...found.slice(0, 1));
  }
  return { pid, spent: { ...process.spent }, limits: limitsOf(process), nearest };
}

/** The same, in a list. */
export function budgetRow(tree: Tree, pid: Pid): BudgetRow {
  const { parent, image, goal, life } = tree.state.processes[pid]!;
  const { name, version } = tree.state.images[image] ?? {};
  const ended = life.state === "ended";
  return { ...budgetView(tree, pid), parent, image: `${name}@${version}`, goal, ended };
}
