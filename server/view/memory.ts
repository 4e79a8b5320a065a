/**
 * Objects, checkpoints and generated tools as the API shows them.
 * @module
 */

import type { CallHead, CallResult, EventMap, Line } from "../../kernel/event.ts";
import type { Pid } from "../../kernel/ids.ts";
import {
  type Checkpoint,
  type Item,
  lineAt,
  type ObjectRecord,
  type State,
  type ToolRecord,
  type Version,
} from "../../kernel/state.ts";
import type { Tree } from "../../kernel/tree.ts";
import type { CheckpointView, ObjectView, ToolView, VersionView } from "../schema/memory.ts";
import { timeText } from "./process.ts";

/** An object, without its content. */
export function objectView(state: State, object: ObjectRecord): ObjectView {
  const last = object.versions.at(-1)?.value;
  return {
    id: object.id,
    tree: state.tree,
    name: object.name,
    owner: object.owner,
    type: object.type,
    mutable: object.mutable,
    list: object.list,
    version: object.version,
    items: object.items.length,
    bytes: last === undefined
      ? null
      : "value" in last
      ? JSON.stringify(last.value).length
      : last.bytes,
    label: { ...object.label },
    from: { ...object.from, sources: [...object.from.sources] },
    links: object.links.map(({ relation, to }) => ({ relation, to })),
    at: timeText(object.atMs),
    deleted: object.deletedSeq !== null,
  };
}

/**
 * Objects of a tree; of a process: those that it owns, and those that it sees under a name of its
 * own, such as what it had when it was forked.
 */
export function objectViews(tree: Tree, pid?: Pid): ObjectView[] {
  const all = Object.values(tree.state.objects);
  if (pid === undefined) return all.map((one) => objectView(tree.state, one));
  const seen = new Map(
    all.filter(({ owner }) => owner === pid).map((one) => [one.id, objectView(tree.state, one)]),
  );
  for (const { object, name } of tree.listNames(pid)) {
    if (object !== undefined) seen.set(object.id, { ...objectView(tree.state, object), name });
  }
  return [...seen.values()];
}

/** What was written into an object, oldest first, without content. */
export function versionViews(state: State, object: ObjectRecord): VersionView[] {
  return object.list
    ? object.items.map((item, i) => itemView(state, object, { item, n: i + 1 }))
    : object.versions.map((one) => versionView(state, object, one));
}

/** One version of an object, without content. */
export function versionView(state: State, object: ObjectRecord, one: Version): VersionView {
  return {
    id: object.id,
    version: one.version,
    seq: lineAt(state, one.seq),
    at: timeText(one.atMs),
    label: { ...one.label },
    from: { ...one.from, sources: [...one.from.sources] },
    revealed: false,
    erased: false,
  };
}

/** One item of a list, without content. */
export function itemView(state: State, object: ObjectRecord, { item, n }: {
  readonly item: Item;
  readonly n: number;
}): VersionView {
  return {
    id: object.id,
    version: n,
    seq: lineAt(state, item.seq),
    at: timeText(object.atMs),
    label: { ...object.label },
    from: { ...object.from, sources: [...object.from.sources] },
    revealed: false,
    erased: false,
  };
}

/** A named position. */
export function checkpointView(
  state: State,
  { id, name, by, auto, seq, atMs }: Checkpoint,
): CheckpointView {
  return { id, tree: state.tree, name, by, auto, seq, at: timeText(atMs) };
}

const RUNS_SHOWN = 20;
/** Lines that runs of a tool are looked for in, the latest. */
export const RUN_LINES_MAX = 20_000;

/** A version of a generated tool; `lines` are those of its tree that may be of its runs. */
export function toolView(
  state: State,
  tool: ToolRecord,
  lines: readonly Line[] = [],
): ToolView {
  const { runs, observed } = runsOf(tool, lines);
  const reviewed = lines.findLast(({ type, data }) =>
    type === "tool.registered" && (data as EventMap["tool.registered"]).hash === tool.hash &&
    (data as EventMap["tool.registered"]).reviewed
  );
  return {
    hash: tool.hash,
    tree: state.tree,
    name: tool.name,
    description: tool.description,
    inputSchema: tool.inputSchema,
    outputSchema: tool.outputSchema,
    by: tool.by,
    at: timeText(tool.atMs),
    declared: [...tool.rights],
    observed,
    tested: tool.tested === null ? null : { ...tool.tested },
    holders: Object.values(state.processes)
      .filter(({ generated }) => generated[tool.name]?.hash === tool.hash)
      .map(({ pid }) => pid),
    reviewedBy: reviewed === undefined ? null : reviewerOf(lines, reviewed.seq),
    revoked: tool.revoked === null ? null : { ...tool.revoked },
    runs,
    versions: Object.values(state.tools)
      .filter(({ name, hash }) => name === tool.name && hash !== tool.hash)
      .sort((a, b) => b.atMs - a.atMs)
      .map(({ hash }) => hash),
  };
}

/** Who said yes last before a tool was registered after a review. */
function reviewerOf(lines: readonly Line[], before: number): string | null {
  const answer = lines.findLast(({ type, seq, data }) =>
    type === "human.answered" && seq < before &&
    (data as EventMap["human.answered"]).answer.outcome === "approve"
  );
  return answer === undefined ? null : (answer.data as EventMap["human.answered"]).by;
}

interface Runs {
  readonly runs: ToolView["runs"];
  readonly observed: ToolView["observed"];
}

/** A call that was made inside another. */
interface Inner {
  readonly name: string;
  readonly isDenied: boolean;
  readonly atMs: number;
}

type Run = ToolView["runs"][number] & { atMs: number };

/** Runs of a version, and the calls that were made inside them and take a right. */
function runsOf(tool: ToolRecord, lines: readonly Line[]): Runs {
  const runs = new Map<string, Run>();
  // The line of a run may come after those of its calls.
  const inside = new Map<string, Inner[]>();
  const hold = new Set<string>();
  for (const line of lines) {
    if (line.type === "tool.registered" || line.type === "tool.unregistered") {
      const { pid, name, hash } = line.data as EventMap["tool.registered"];
      if (name !== tool.name) continue;
      if (line.type === "tool.registered" && hash === tool.hash) hold.add(pid);
      else hold.delete(pid);
    }
    if (line.type === "call.outcome") {
      const { pid, step, key, result } = line.data as EventMap["call.outcome"];
      endRun(runs.get(placeOf(pid, step, key)), result, line.atMs);
    }
    if (line.type !== "call.done" && line.type !== "call.intent") continue;
    const head = line.data as CallHead & { readonly result?: CallResult };
    const { pid, step, key, name, args, decision } = head;
    if (key.includes(".")) {
      const place = placeOf(pid, step, key.slice(0, key.lastIndexOf(".")));
      const isDenied = decision.effect === "deny";
      const inner = { name: decision.needs.length === 0 ? "" : name, isDenied, atMs: line.atMs };
      inside.set(place, [...inside.get(place) ?? [], inner]);
    }
    const called = (args as { readonly name?: unknown } | null)?.name;
    if (name !== "tool.call" || called !== tool.name || !hold.has(pid)) continue;
    const place = placeOf(pid, step, key);
    const run = runAt(line, pid, inside.get(place)?.[0]?.atMs ?? line.atMs);
    runs.set(place, run);
    if (head.result !== undefined) endRun(run, head.result, line.atMs);
  }
  return told(runs, inside);
}

function runAt(line: Line, pid: Pid, atMs: number): Run {
  const at = timeText(atMs);
  return { seq: line.seq, pid, at, atMs, ms: null, ok: null, code: null, calls: 0, denied: 0 };
}

/** Runs with the calls that were made inside them. */
function told(
  runs: ReadonlyMap<string, Run>,
  inside: ReadonlyMap<string, readonly Inner[]>,
): Runs {
  const observed = new Map<string, { name: string; calls: number; denied: number }>();
  for (const [place, run] of runs) {
    for (const { name, isDenied } of inside.get(place) ?? []) {
      if (name === "") continue;
      const seen = observed.get(name) ?? { name, calls: 0, denied: 0 };
      observed.set(name, seen);
      for (const count of [seen, run]) {
        count.calls += 1;
        if (isDenied) count.denied += 1;
      }
    }
  }
  return {
    runs: [...runs.values()].slice(-RUNS_SHOWN).map(({ atMs: _, ...run }) => run),
    observed: [...observed.values()],
  };
}

function placeOf(pid: Pid, step: number, key: string): string {
  return `${pid}#${step}.${key}`;
}

function endRun(
  run: { ms: number | null; ok: boolean | null; code: string | null; atMs: number } | undefined,
  result: CallResult,
  atMs: number,
): void {
  if (run === undefined) return;
  run.ms = atMs - run.atMs;
  run.ok = result.ok;
  run.code = result.ok ? null : result.code;
}
