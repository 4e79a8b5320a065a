/**
 * What was done outside, as a tree's log has it.
 * @module
 */

import type { CallHead, CallResult, EventMap, Line } from "../kernel/event.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import type { Json } from "../kernel/json.ts";
import type { StoreReads } from "../kernel/store.ts";
import { callText } from "./line_text.ts";
import { readLines } from "./load.ts";
import type { Pace } from "./pace.ts";

/**
 * How an effect came out. "in doubt": nobody knows. "repeated": it was sent again after a restart.
 * "reconciled": what is outside told it after a restart. "compensated": nobody could tell, and it
 * was taken back.
 */
export type EffectState =
  | "committed"
  | "failed"
  | "in doubt"
  | "repeated"
  | "reconciled"
  | "compensated";

/** One effect of the log. */
export interface EffectRow {
  readonly tree: TreeId;
  /** The line of its intent. */
  readonly seq: number;
  readonly atMs: number;
  readonly pid: Pid;
  /** `p_1#4.2`. */
  readonly call: string;
  readonly name: string;
  readonly args: Json;
  /** What it was about, in words, and without a value. */
  readonly what: string;
  readonly state: EffectState;
  /** The line of its outcome; null when there is none. */
  readonly outcome: number | null;
  /** How the outcome came to be known; null when there is none. */
  readonly via: EventMap["call.outcome"]["via"] | null;
  /** A sentence; empty where there is nothing to say. */
  readonly why: string;
}

/**
 * Effects of a tree; with `top`, those of it and all that it started. `pace` lets others have their
 * turn after so many lines.
 */
export async function effectsOfTree(
  store: StoreReads,
  tree: TreeId,
  top: Pid | null,
  pace?: Pace,
): Promise<EffectRow[]> {
  const rows: EffectRow[] = [];
  // After going back, the same place of the same step may be taken again: the latest is meant.
  const latest = new Map<string, number>();
  const family = new Set<string>(top === null ? [] : [top]);
  const doubts = new Map<string, string>();
  for await (const line of readLines(store, tree)) {
    await pace?.();
    if (line.type === "process.spawned") {
      const { pid, parent } = line.data as EventMap["process.spawned"];
      if (parent !== null && family.has(parent)) family.add(pid);
    } else if (line.type === "call.intent") {
      const row = sent(line);
      if (top !== null && !family.has(row.pid)) continue;
      latest.set(row.call, rows.push(row) - 1);
    } else if (line.type === "call.outcome") {
      const { pid, step, key } = line.data as EventMap["call.outcome"];
      const i = latest.get(`${pid}#${step}.${key}`);
      if (i !== undefined) rows[i] = ended(rows[i]!, line);
    } else if (line.type === "human.asked") {
      const { id, kind, pid, key } = line.data as EventMap["human.asked"];
      if (kind === "doubt") doubts.set(`${pid} ${key}`, id);
    }
  }
  return rows.map((row) => row.outcome === null ? asked(row, doubts) : row);
}

function sent({ tree, seq, atMs, data }: Line): EffectRow {
  const head = data as CallHead;
  const { pid, step, key, name, args } = head;
  const place = { tree, seq, atMs, pid, call: `${pid}#${step}.${key}`, name, args };
  const why = "no outcome yet: under way, or lost with its kernel";
  const open = { state: "in doubt", outcome: null, via: null } as const;
  return { ...place, what: callText({ ...head, args: null }), ...open, why };
}

function ended(row: EffectRow, { seq, data }: Line): EffectRow {
  const { result, via } = data as EventMap["call.outcome"];
  const why = result.ok ? "" : `${result.message} [${result.code}]`;
  return { ...row, state: stateOf(result, via), outcome: seq, via, why: why || saidBy(via) };
}

function stateOf(result: CallResult, via: EventMap["call.outcome"]["via"]): EffectState {
  if (via === "compensated") return via;
  if (!result.ok) return result.code === "EINDOUBT" ? "in doubt" : "failed";
  return via === "repeated" || via === "reconciled" ? via : "committed";
}

function saidBy(via: EventMap["call.outcome"]["via"]): string {
  return via === "person" ? "a person says so" : "";
}

/** What is asked about, where somebody is. */
function asked(row: EffectRow, doubts: ReadonlyMap<string, string>): EffectRow {
  const key = row.call.slice(row.call.indexOf("#") + 1).replace(/^\d+\./, "");
  const request = doubts.get(`${row.pid} ${key}`);
  return request === undefined ? row : { ...row, why: `waits for an answer to ${request}` };
}
