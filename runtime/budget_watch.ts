/**
 * Budgets that run out: which limits of which processes are used up to four fifths.
 *
 * Invariants:
 *   B1. A limit is told of once while the watch stands, when the lines that say so are durable.
 * @module
 */

import { SPENT_KINDS } from "../kernel/budget.ts";
import type { Line } from "../kernel/event.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import type { Process, State } from "../kernel/state.ts";
import type { Node } from "./node.ts";

/** A limit that is nearly used up. */
export interface NearLimit {
  readonly tree: TreeId;
  readonly pid: Pid;
  /** The last line that it was seen at. */
  readonly seq: number;
  readonly atMs: number;
  /** Name of the limit: "tokens", "usd", "wallMs". */
  readonly limit: string;
  readonly spent: number;
  readonly max: number;
}

const SHARE = 0.8;
const TREES_KEPT_MAX = 10_000;

/** Calls `tell` for each limit that is nearly used up; returns how to stop. */
export function watchBudgets(node: Node, tell: (near: NearLimit) => void): () => void {
  const known = new Map<TreeId, Set<string>>();
  const waiting = new Map<TreeId, NearLimit[]>();
  return node.listen((id, lines) => {
    const last = lines.at(-1);
    const state = last === undefined ? undefined : node.peek(id)?.state;
    if (last === undefined || state === undefined) return;
    const found = [...new Set(lines.map(spenderOf))].flatMap((pid) => {
      return pid === undefined ? [] : nearLimits(state, lineage(state, pid));
    });
    const told = known.get(id) ?? new Set();
    for (const near of found) {
      const key = `${near.pid} ${near.limit} ${near.max}`;
      if (told.has(key)) continue;
      known.set(id, told.add(key));
      waiting.set(id, [...waiting.get(id) ?? [], near]);
    }
    if (known.size > TREES_KEPT_MAX) known.delete(known.keys().next().value!);
    // Memory runs ahead of the disk: what is not durable yet may never have happened.
    const ready = waiting.get(id)?.filter(({ seq }) => seq <= last.seq) ?? [];
    if (ready.length === 0) return;
    const rest = waiting.get(id)!.filter(({ seq }) => seq > last.seq);
    if (rest.length === 0) waiting.delete(id);
    else waiting.set(id, rest);
    for (const near of ready) tell(near);
  });
}

/** Limits of these processes that are nearly used up. */
export function nearLimits(state: State, processes: readonly Process[]): NearLimit[] {
  const { tree, seq, atMs } = state;
  return processes.flatMap(({ pid, limits, spent, startedMs, life }) => {
    const used: readonly (readonly [string, number, number | undefined])[] = [
      ...SPENT_KINDS.map((kind) => [kind, spent[kind], limits[kind]] as const),
      ["wallMs", life.state === "ended" ? 0 : atMs - startedMs, limits.wallMs],
    ];
    return used.flatMap(([limit, spent, max]) =>
      max !== undefined && max > 0 && spent >= max * SHARE
        ? [{ tree, pid, seq, atMs, limit, spent, max }]
        : []
    );
  });
}

/** Whose spending a line may change. */
function spenderOf({ type, data }: Line): Pid | undefined {
  if (type.startsWith("call.")) return (data as { readonly pid: Pid }).pid;
  if (type === "process.spawned") {
    return (data as { readonly parent: Pid | null }).parent ?? undefined;
  }
  if (type === "budget.limited") return (data as { readonly pid: Pid }).pid;
  return undefined;
}

function lineage(state: State, pid: Pid): Process[] {
  const found: Process[] = [];
  for (let at = state.processes[pid]; at !== undefined;) {
    found.push(at);
    at = at.parent === null ? undefined : state.processes[at.parent];
  }
  return found;
}
