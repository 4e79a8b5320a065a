/**
 * Lines of a log as the API shows them: told in words, whole where that was asked for.
 * @module
 */

import type { CallHead, Line } from "../../kernel/event.ts";
import type { Json } from "../../kernel/json.ts";
import { withoutPayloads } from "../../kernel/log.ts";
import type { EffectRow } from "../../runtime/effects.ts";
import { lineText, pidOf } from "../../runtime/line_text.ts";
import type { CheckedView, EventView, SentView } from "../schema/evidence.ts";
import { timeText } from "./process.ts";

/** A line, told; whole, with the values in it, or without any. */
export function eventView(line: Line, isWhole: boolean): EventView {
  // Some sentences have a value in them.
  const { word, text } = lineText(isWhole ? line : withoutPayloads(line));
  const { decision, pid, step, key } = line.data as Partial<CallHead>;
  return {
    tree: line.tree,
    seq: line.seq,
    at: timeText(line.atMs),
    pid: pidOf(line) as EventView["pid"],
    type: line.type,
    word,
    text,
    decision: decision?.effect ?? null,
    call: step === undefined || key === undefined ? null : `${pid}#${step}.${key}`,
    ...(isWhole ? { data: line.data as unknown as Json, prev: line.prev } : {}),
  };
}

/** What was sent outside; the arguments are not shown. */
export function sentView({ args: _, atMs, via, ...row }: EffectRow): SentView {
  return { ...row, at: timeText(atMs), via: via ?? null };
}

/** What checking came to of one tree. */
export function checkedView(
  { tree, lines, head, erased, broken }: Omit<CheckedView, "ok" | "line">,
): CheckedView {
  const line = /line (\d+)/.exec(broken ?? "")?.[1];
  return {
    tree,
    ok: broken === null,
    lines,
    head,
    erased,
    broken,
    line: line === undefined ? null : Number(line),
  };
}
