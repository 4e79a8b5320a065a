/**
 * Objects, checkpoints and generated tools as the API shows them.
 * @module
 */

import type { CallHead, CallResult, EventMap, Line } from "../../kernel/event.ts";
import type { Pid } from "../../kernel/ids.ts";
import type { Checkpoint, ObjectRecord, State, ToolRecord } from "../../kernel/state.ts";
import type { CheckpointView, ObjectView, ToolView } from "../schema/memory.ts";
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
    links: object.links.map((link) => ({ ...link })),
    at: timeText(object.atMs),
    deleted: object.deletedSeq !== null,
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

/** Runs of a version, and the calls that were made inside them. */
function runsOf(tool: ToolRecord, lines: readonly Line[]): Runs {
  const runs = new Map<string, ToolView["runs"][number] & { readonly atMs: number }>();
  const observed = new Map<string, { name: string; calls: number; denied: number }>();
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
    const called = (args as { readonly name?: unknown } | null)?.name;
    if (name === "tool.call" && called === tool.name && hold.has(pid)) {
      const run = {
        seq: line.seq,
        pid,
        at: timeText(line.atMs),
        atMs: line.atMs,
        ms: null as number | null,
        ok: null as boolean | null,
        code: null as string | null,
        calls: 0,
        denied: 0,
      };
      runs.set(placeOf(pid, step, key), run);
      if (head.result !== undefined) endRun(run, head.result, line.atMs);
      continue;
    }
    const around = key.includes(".")
      ? runs.get(placeOf(pid, step, key.slice(0, key.lastIndexOf("."))))
      : undefined;
    if (around === undefined) continue;
    const seen = observed.get(name) ?? { name, calls: 0, denied: 0 };
    for (const count of [seen, around]) {
      count.calls += 1;
      if (decision.effect === "deny") count.denied += 1;
    }
    observed.set(name, seen);
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
