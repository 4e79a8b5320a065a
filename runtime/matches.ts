/**
 * Matches: what a rule would have covered in a tree's history.
 *
 * Only the latest `LIMITS.linesMatchedMax` lines are read, and a result says whether those are all.
 * @module
 */

import type { CallHead, EventMap, Line } from "../kernel/event.ts";
import { matchResource, type Pattern } from "../kernel/grammar.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { decodeLine } from "../kernel/log.ts";
import type { StoreReads } from "../kernel/store.ts";
import { headOf } from "./load.ts";

/** What a rule would have covered, of the calls that are over. */
export interface Matches {
  /** Calls it would have covered. */
  readonly matched: number;
  /** All calls of its right. */
  readonly of: number;
  /** Of those matched: how many a person was asked about, whatever the answer was. */
  readonly asked: number;
  /** Of those matched: how many were let through without asking. */
  readonly allowed: number;
  /** Of those matched: how many were refused without asking. */
  readonly denied: number;
  /** How many processes made them. */
  readonly processes: number;
  /** The latest of them, at most five. */
  readonly examples: readonly {
    readonly seq: number;
    readonly pid: Pid;
    readonly resource: string;
  }[];
  /** Whether all of the log was read, and not only its latest 10,000 lines. */
  readonly isWhole: boolean;
  /** Why the rule would not answer the request; null where it would, or no request was named. */
  readonly problem: string | null;
}

/** The latest lines of a tree, oldest first; what was taken away from them stays away. */
export async function* latest(store: StoreReads, id: TreeId): AsyncGenerator<Line> {
  const { seq } = await headOf(store, id);
  const from = Math.max(1, seq - LIMITS.linesMatchedMax + 1);
  for await (const batch of store.read(id, from)) {
    for (const text of batch.lines) {
      const line = decodeLine(text, batch.payloads, new Set());
      if (line.seq >= from) yield line;
    }
  }
}

/** Counts what a right on a pattern of resources would have covered. */
export async function matchesIn(
  store: StoreReads,
  id: TreeId,
  wanted: Pattern,
): Promise<Omit<Matches, "problem">> {
  const waiting = new Set<string>();
  const pids = new Set<Pid>();
  const counts = { matched: 0, of: 0, asked: 0, allowed: 0, denied: 0 };
  let examples: Matches["examples"][number][] = [];
  let isWhole = false;
  for await (const line of latest(store, id)) {
    isWhole ||= line.seq === 1;
    const { type, data } = line;
    if (type === "human.asked" || type === "human.joined") {
      const { pid, key } = data as EventMap["human.joined"];
      waiting.add(`${pid}#${key}`);
    } else if (type === "call.done" || type === "call.intent") {
      const { pid, key, decision } = data as CallHead;
      const wasAsked = waiting.delete(`${pid}#${key}`);
      const needs = decision.needs.filter(({ right }) => right === wanted.right);
      if (needs.length === 0) continue;
      counts.of += 1;
      const need = needs.find(({ resource }) => matchResource(wanted.resource, resource));
      if (need === undefined) continue;
      counts.matched += 1;
      counts[wasAsked ? "asked" : decision.effect === "deny" ? "denied" : "allowed"] += 1;
      pids.add(pid);
      const example = { seq: line.seq, pid, resource: need.resource };
      examples = [...examples, example].slice(-LIMITS.examplesShownMax);
    }
  }
  return { ...counts, processes: pids.size, examples: examples.toReversed(), isWhole };
}
