/**
 * Lines of a log as the API shows them: told in words, whole where that was asked for, and as the
 * bars of a timeline.
 * @module
 */

import type { CallHead, CallResult, EventMap, Line } from "../../kernel/event.ts";
import type { Json } from "../../kernel/json.ts";
import { lineText, pidOf } from "../../runtime/line_text.ts";
import type { CheckedView, EventView, TimelineView } from "../schema/evidence.ts";
import { timeText } from "./process.ts";

/** A line, told. */
export function eventView(line: Line, isWhole: boolean): EventView {
  const { word, text } = lineText(line);
  const { decision } = line.data as Partial<CallHead>;
  return {
    tree: line.tree,
    seq: line.seq,
    at: timeText(line.atMs),
    pid: pidOf(line) as EventView["pid"],
    type: line.type,
    word,
    text,
    decision: decision?.effect ?? null,
    ...(isWhole ? { data: line.data as unknown as Json, prev: line.prev } : {}),
  };
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

type Lane = TimelineView["lanes"][number]["lane"];
type Bar = TimelineView["lanes"][number]["bars"][number];
const LANES: readonly Lane[] = ["model", "syscalls", "tools", "people", "children"];

/** The bars of a process, of the lines that are given; at most `max`, the latest. */
export function timelineOf(lines: Iterable<Line>, pid: string, max: number): TimelineView {
  const bars: { lane: Lane; bar: Bar }[] = [];
  const open = new Map<string, Bar>();
  let first: number | null = null;
  let last = 0;
  for (const line of lines) {
    const found = barOf(line, pid);
    const ended = endOf(line, pid);
    if (found === undefined && ended === undefined) continue;
    first ??= line.atMs;
    last = line.atMs;
    if (found !== undefined) {
      bars.push(found);
      open.set(found.key, found.bar);
    }
    const bar = ended === undefined ? undefined : open.get(ended.key);
    if (bar === undefined) continue;
    bar.to = timeText(line.atMs);
    bar.ok = ended!.ok;
    if (ended!.decision !== undefined) bar.decision = ended!.decision;
  }
  const shown = bars.slice(-max);
  return {
    pid,
    from: shown[0]?.bar.from ?? timeText(first ?? 0),
    to: timeText(last),
    lanes: LANES.map((lane) => ({
      lane,
      bars: shown.filter((one) => one.lane === lane).map(({ bar }) => bar),
    })),
    more: bars.length - shown.length,
  };
}

function barOf(line: Line, pid: string): { lane: Lane; key: string; bar: Bar } | undefined {
  const from = timeText(line.atMs);
  const bar = (name: string, resource: string, more: Partial<Bar> = {}): Bar => ({
    seq: line.seq,
    name,
    resource,
    from,
    to: null,
    decision: "allow",
    ok: null,
    ...more,
  });
  switch (line.type) {
    case "call.done":
    case "call.intent": {
      const head = line.data as CallHead & { readonly result?: CallResult };
      if (head.pid !== pid) return undefined;
      const { name, decision, result } = head;
      const resource = decision.needs[0]?.resource ?? "";
      const done = result === undefined ? {} : { to: from, ok: result.ok };
      return {
        lane: laneOf(name),
        key: `${head.step}.${head.key}`,
        bar: bar(name, resource, { decision: decision.effect, ...done }),
      };
    }
    case "human.asked": {
      const { id, kind, call, pid: asker } = line.data as EventMap["human.asked"];
      if (asker !== pid) return undefined;
      const what = call === null ? "" : `${call.right}(${call.resource})`;
      return { lane: "people", key: id, bar: bar(kind, what, { decision: "ask" }) };
    }
    case "process.spawned": {
      const { pid: child, parent, goal } = line.data as EventMap["process.spawned"];
      return parent === pid
        ? { lane: "children", key: child, bar: bar(child, goal.slice(0, 200)) }
        : undefined;
    }
    default:
      return undefined;
  }
}

function laneOf(name: string): Lane {
  if (name === "model.generate") return "model";
  return name === "tool.call" ? "tools" : "syscalls";
}

function endOf(
  line: Line,
  pid: string,
): { readonly key: string; readonly ok: boolean; readonly decision?: "deny" } | undefined {
  switch (line.type) {
    case "call.outcome": {
      const { pid: caller, step, key, result } = line.data as EventMap["call.outcome"];
      return caller === pid ? { key: `${step}.${key}`, ok: result.ok } : undefined;
    }
    case "human.answered": {
      const { id, answer } = line.data as EventMap["human.answered"];
      return answer.outcome === "deny"
        ? { key: id, ok: false, decision: "deny" }
        : { key: id, ok: true };
    }
    case "human.expired":
      return { key: (line.data as EventMap["human.expired"]).id, ok: false, decision: "deny" };
    case "process.ended": {
      const { pid: child, outcome } = line.data as EventMap["process.ended"];
      return { key: child, ok: outcome.kind === "exited" && outcome.code === 0 };
    }
    default:
      return undefined;
  }
}
