/**
 * A state in words and numbers: what is inspected, and what differs between two positions.
 * @module
 */

import type { Json } from "./json.ts";
import { canonical } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { type Collection, COLLECTIONS } from "./state.ts";
import { lifeState } from "./process.ts";
import type { State } from "./state.ts";

/** What a tree is at a position. */
export interface StateSummary {
  /** The line. */
  readonly seq: number;
  /** Its time, in milliseconds since 1970. */
  readonly atMs: number;
  /** Processes, ended ones included. */
  readonly processes: readonly {
    readonly pid: string;
    readonly state: string;
    readonly step: number;
    readonly goal: string;
    readonly spent: { readonly [kind: string]: number };
    /** Items of its conversation. */
    readonly context: number;
  }[];
  /** Objects that are not deleted. */
  readonly objects: readonly { readonly name: string; readonly version: number }[];
  /** What may be done, and by whom. */
  readonly capabilities: readonly { readonly subject: string; readonly rule: string }[];
  /** Requests to people that wait for an answer. */
  readonly requests: readonly {
    readonly id: string;
    readonly pid: string;
    readonly what: string;
  }[];
  /** Generated tools, and whose. */
  readonly tools: readonly { readonly pid: string; readonly name: string; readonly tool: string }[];
  /** How much was left out, by part; empty when nothing was. */
  readonly more: { readonly [part: string]: number };
}

const SHOWN = 500;

/** Sums a state up; each part shows the first entries and says how many more there are. */
export function summaryOf(state: State): StateSummary {
  const more: { [part: string]: number } = {};
  const some = <T>(part: string, all: readonly T[]): readonly T[] => {
    if (all.length > SHOWN) more[part] = all.length - SHOWN;
    return all.slice(0, SHOWN);
  };
  const processes = Object.values(state.processes);
  const objects = Object.values(state.objects).filter(({ deletedSeq }) => deletedSeq === null);
  const lengths = new Map(objects.map(({ name, items }) => [name, items.length]));
  return {
    seq: state.seq,
    atMs: state.atMs,
    processes: some("processes", processes).map(({ pid, life, step, goal, spent }) => ({
      pid,
      state: lifeState(life),
      step,
      goal,
      spent: { ...spent },
      context: lengths.get(`${pid}/context`) ?? 0,
    })),
    objects: some("objects", objects).map(({ name, version }) => ({ name, version })),
    capabilities: some("capabilities", Object.values(state.caps))
      .map(({ subject, right, resource }) => ({ subject, rule: `${right}(${resource})` })),
    requests: some("requests", Object.values(state.requests))
      .filter(({ status }) => status === "pending")
      .map(({ id, pid, prompt }) => ({ id, pid, what: prompt })),
    tools: some(
      "tools",
      processes.flatMap(({ pid, generated }) =>
        Object.entries(generated).map(([name, { hash }]) => ({ pid, name, tool: hash }))
      ),
    ),
    more,
  };
}

/** One thing that is different. */
export interface Change {
  /** Where it is. */
  readonly part: Collection;
  /** Its key there. */
  readonly id: string;
  /** What became of it. */
  readonly change: "added" | "removed" | "changed";
  /** The fields that differ, for what is in both. */
  readonly fields: readonly string[];
}

/** What differs between two states, part by part. */
export function changesBetween(before: State, after: State): readonly Change[] {
  const changes: Change[] = [];
  for (const part of COLLECTIONS) {
    const [old, now] = [before[part], after[part]] as unknown as { [id: string]: Json }[];
    for (const id of new Set([...Object.keys(old!), ...Object.keys(now!)])) {
      const one = Object.hasOwn(old!, id) ? old![id] : undefined;
      const other = Object.hasOwn(now!, id) ? now![id] : undefined;
      if (one === undefined) changes.push({ part, id, change: "added", fields: [] });
      else if (other === undefined) changes.push({ part, id, change: "removed", fields: [] });
      else {
        const fields = differing(one, other);
        if (fields.length > 0) changes.push({ part, id, change: "changed", fields });
      }
    }
  }
  return changes.slice(0, LIMITS.changesShownMax);
}

function differing(one: Json, other: Json): string[] {
  if (canonical(one) === canonical(other)) return [];
  const isMap = (value: Json): value is { [key: string]: Json } =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isMap(one) || !isMap(other)) return ["value"];
  return [...new Set([...Object.keys(one), ...Object.keys(other)])]
    .filter((key) => canonical(one[key] ?? null) !== canonical(other[key] ?? null));
}
