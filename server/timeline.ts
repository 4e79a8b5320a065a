/**
 * Timelines: what a process did, page by page, the latest first.
 *
 * Invariants:
 *   T1. A page costs what its lines cost, wherever in the log it is, and reads so many lines at
 *       most: one that came to nothing in them says where to go on.
 *   T2. Each bar is on one page, and pages that are read again show what ended meanwhile.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { CallHead, CallResult, EventMap, Line } from "../kernel/event.ts";
import type { Pid, RequestId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { State } from "../kernel/state.ts";
import type { StoreReads } from "../kernel/store.ts";
import { linesFrom } from "./lines.ts";
import { cursorOf, toCursor } from "./page.ts";
import type { BarView } from "./schema/evidence.ts";
import { timeText } from "./view/process.ts";

/** Lines that are read at once. */
const WINDOW_LINES = 1_000;

/** What is asked for. */
export interface TimelineQuery {
  readonly pid: Pid;
  readonly after?: string | undefined;
  readonly limit: number;
}

/** A page of bars. */
export interface TimelinePage {
  readonly items: BarView[];
  readonly next: string | null;
}

interface Begun {
  readonly key: string;
  readonly bar: BarView;
}

interface Ended {
  readonly key: string;
  readonly atMs: number;
  readonly ok: boolean;
  readonly decision?: "deny";
}

/** A page of a process's bars, the latest first. */
export async function timelinePage(
  store: StoreReads,
  state: State,
  { pid, after, limit }: TimelineQuery,
): Promise<TimelinePage> {
  const last = after === undefined ? state.seq : lineOf(after) - 1;
  const begun: Begun[] = [];
  // Walked backwards, an end comes before what it is the end of.
  const ends = new Map<string, Ended>();
  let low = last + 1;
  while (begun.length < limit && low > 1 && last - low < LIMITS.timelineLinesMax) {
    const from = Math.max(1, low - WINDOW_LINES);
    const lines = await Array.fromAsync(linesFrom(store, state.tree, from, low - 1));
    low = from;
    for (const line of lines.reverse()) {
      const end = endOf(line, pid);
      if (end !== undefined) ends.set(end.key, end);
      const found = barOf(line, pid);
      if (found === undefined) continue;
      begun.push(found);
      close(found, ends);
    }
  }
  const shown = begun.slice(0, limit);
  await closeLater(store, state, { pid, shown, after: last });
  if (begun.length > limit) low = shown.at(-1)!.bar.seq;
  return {
    items: shown.map(({ bar }) => bar),
    next: low > 1 ? toCursor(String(low)) : null,
  };
}

/** The line in a cursor. Throws `EINVAL`. */
function lineOf(after: string): number {
  const text = cursorOf(after);
  if (/^[1-9]\d{0,15}$/.test(text)) return Number(text);
  throw new SysError("EINVAL", `Cannot go on after "${after}": expected "next" of a page`);
}

/** Ends a bar, when its end is known. */
function close({ key, bar }: Begun, ends: Map<string, Ended>): void {
  const end = ends.get(key);
  if (end === undefined || bar.to !== null) return;
  ends.delete(key);
  bar.to = timeText(end.atMs);
  bar.ok = end.ok;
  if (end.decision !== undefined) bar.decision = end.decision;
}

/** Ends what ended after the lines of the page (T2), as far as is read on. */
async function closeLater(store: StoreReads, state: State, given: {
  readonly pid: Pid;
  readonly shown: readonly Begun[];
  readonly after: number;
}): Promise<void> {
  const { pid, shown, after } = given;
  const open = new Map(
    shown.filter(({ key, bar }) => bar.to === null && !isOpen(state, pid, { key, bar }))
      .map((one) => [one.key, one]),
  );
  if (open.size === 0 || after >= state.seq) return;
  const to = after + LIMITS.timelineLinesMax;
  for await (const line of linesFrom(store, state.tree, after + 1, to)) {
    const end = endOf(line, pid);
    const found = end === undefined ? undefined : open.get(end.key);
    if (found === undefined) continue;
    close(found, new Map([[end!.key, end!]]));
    open.delete(end!.key);
    if (open.size === 0) return;
  }
}

/** Whether something is not over, as the tree is now. */
function isOpen(state: State, pid: Pid, { key, bar }: Begun): boolean {
  switch (bar.lane) {
    case "people":
      return state.requests[key as RequestId]?.status === "pending";
    case "children":
      return state.processes[key as Pid]?.life.state !== "ended";
    default: {
      const made = state.processes[pid]?.journal[key.slice(key.indexOf(".") + 1)];
      return made?.state === "open" && made.intent.seq === bar.seq;
    }
  }
}

function barOf(line: Line, pid: string): Begun | undefined {
  const bar = (name: string, resource: string, more: Partial<BarView>): BarView => ({
    lane: "syscalls",
    seq: line.seq,
    name,
    resource,
    from: timeText(line.atMs),
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
      const done = result === undefined ? {} : { to: timeText(line.atMs), ok: result.ok };
      const more = { lane: laneOf(name), decision: decision.effect, ...done };
      const resource = decision.needs[0]?.resource ?? "";
      return { key: `${head.step}.${head.key}`, bar: bar(name, resource, more) };
    }
    case "human.asked": {
      const { id, kind, call, pid: asker } = line.data as EventMap["human.asked"];
      if (asker !== pid) return undefined;
      const what = call === null ? "" : `${call.right}(${call.resource})`;
      return { key: id, bar: bar(kind, what, { lane: "people", decision: "ask" }) };
    }
    case "process.spawned": {
      const { pid: child, parent, goal } = line.data as EventMap["process.spawned"];
      if (parent !== pid) return undefined;
      return { key: child, bar: bar(child, goal.slice(0, 200), { lane: "children" }) };
    }
    default:
      return undefined;
  }
}

function laneOf(name: string): BarView["lane"] {
  if (name === "model.generate") return "model";
  return name === "tool.call" ? "tools" : "syscalls";
}

function endOf({ type, data, atMs }: Line, pid: string): Ended | undefined {
  switch (type) {
    case "call.outcome": {
      const { pid: caller, step, key, result } = data as EventMap["call.outcome"];
      return caller === pid ? { key: `${step}.${key}`, atMs, ok: result.ok } : undefined;
    }
    case "human.answered": {
      const { id, answer } = data as EventMap["human.answered"];
      const ok = answer.outcome !== "deny";
      return { key: id, atMs, ok, ...(ok ? {} : { decision: "deny" }) };
    }
    case "human.expired": {
      const { id } = data as EventMap["human.expired"];
      return { key: id, atMs, ok: false, decision: "deny" };
    }
    case "process.ended": {
      const { pid: child, outcome } = data as EventMap["process.ended"];
      return { key: child, atMs, ok: outcome.kind === "exited" && outcome.code === 0 };
    }
    default:
      return undefined;
  }
}
