/**
 * Rewinding: what a tree is when it goes back to an earlier position of its own log.
 *
 * The log only grows: going back is one more line. What was spent, revoked or answered in between
 * stays so; what was done outside stays done, and is listed.
 *
 * Invariants:
 *   W1. No capability is there afterwards that was revoked since, or whose uses were used up since.
 *   W2. A request that was answered since is not open again: who waited for it asks anew.
 *   W3. What was spent since stays spent, and ids are never given twice.
 *   W4. An effect whose outcome became known since is known to be what it was, with its label.
 *   W5. A detached child that has ended since stays so: its tree goes back with no other.
 * @module
 */

import type { CallResult, EventMap, Line, Message } from "./event.ts";
import { type CapId, type Pid, type RequestId, treeOf } from "./ids.ts";
import type { Json } from "./json.ts";
import { joinLabels } from "./label.ts";
import { loosened, owned, type Process, type State } from "./state.ts";
import type { Touched } from "./touch.ts";

/** An effect that was sent after a position. */
export interface LaterEffect {
  /** The line of its intent. */
  readonly seq: number;
  /** Who sent it. */
  readonly pid: Pid;
  /** `p_1#4.2`. */
  readonly call: string;
  /** Name of the call: `file.write`. */
  readonly name: string;
  /** What it was given. */
  readonly args: Json;
  /** The working directory that its paths are relative to. */
  readonly cwd: string;
  /** What the provider saw before. */
  readonly before: Json;
  /** What it did to files. */
  readonly touches: readonly Touched[];
  /** How it came out; null while nobody knows. */
  readonly result: CallResult | null;
}

/** What the lines after a position say of what cannot be taken back. */
export interface Since {
  readonly revoked: ReadonlySet<CapId>;
  /** Uses that were spent, less those given back. */
  readonly uses: ReadonlyMap<CapId, number>;
  readonly effects: readonly LaterEffect[];
  /** Messages that came from outside the tree: they are in the log, and not delivered again. */
  readonly messages: readonly Message[];
  /** Outcomes by call. */
  readonly outcomes: ReadonlyMap<string, Line>;
  /** What was done to files and is not known not to have been, oldest first. */
  readonly touches: readonly Touched[];
}

/** What the last position has after it. */
export const NOTHING_SINCE: Since = {
  revoked: new Set(),
  uses: new Map(),
  effects: [],
  messages: [],
  outcomes: new Map(),
  touches: [],
};

/** Reads the lines after a position. */
export async function readSince(
  lines: AsyncIterable<Line> | Iterable<Line>,
): Promise<Since> {
  const revoked = new Set<CapId>();
  const uses = new Map<CapId, number>();
  const effects: LaterEffect[] = [];
  // After going back, a place may be taken again: the latest effect there is meant.
  const latest = new Map<string, number>();
  const messages: Message[] = [];
  const outcomes = new Map<string, Line>();
  const undone: { readonly seq: number; readonly touches: readonly Touched[] }[] = [];
  const count = (ids: readonly CapId[] | undefined, by: number): void => {
    for (const id of ids ?? []) uses.set(id, (uses.get(id) ?? 0) + by);
  };
  for await (const line of lines) {
    const { type, data } = line as Line & { readonly data: never };
    switch (type) {
      case "cap.revoked":
        for (const id of (data as EventMap["cap.revoked"]).ids) revoked.add(id);
        break;
      case "call.done":
        count((data as EventMap["call.done"]).spends, 1);
        break;
      case "call.intent": {
        const intent = data as EventMap["call.intent"];
        count(intent.spends, 1);
        latest.set(placeOf(intent), effects.push(effectOf(line, intent)) - 1);
        break;
      }
      case "call.outcome": {
        const outcome = data as EventMap["call.outcome"];
        count(outcome.restores, -1);
        const place = placeOf(outcome);
        // The first: what was open at the position came home before its place was taken again.
        if (!outcomes.has(place)) outcomes.set(place, line);
        const i = latest.get(place);
        if (i !== undefined) effects[i] = { ...effects[i]!, result: outcome.result };
        break;
      }
      case "files.undone":
        undone.push({ seq: line.seq, ...data as EventMap["files.undone"] });
        break;
      case "message.sent": {
        const message = data as Message;
        if (!isInside(message.from, line)) messages.push(message);
        break;
      }
    }
  }
  return {
    revoked,
    uses,
    effects,
    messages,
    outcomes,
    touches: touchesOf(effects, undone),
  };
}

/** What went wrong for certain touched nothing; of what is in doubt, the file itself will tell. */
function touchesOf(
  effects: readonly LaterEffect[],
  undone: readonly { readonly seq: number; readonly touches: readonly Touched[] }[],
): Touched[] {
  const made = effects.filter(({ result }) =>
    result === null || result.ok || result.code === "EINDOUBT"
  );
  return [...made, ...undone].sort((one, other) => one.seq - other.seq)
    .flatMap(({ touches }) => touches);
}

function placeOf(at: { readonly pid: Pid; readonly step: number; readonly key: string }): string {
  return `${at.pid}#${at.step}.${at.key}`;
}

function effectOf(line: Line, intent: EventMap["call.intent"]): LaterEffect {
  const { pid, name, args, cwd, before } = intent;
  const call = placeOf(intent);
  const touches = intent.touches ?? [];
  return { seq: line.seq, pid, call, name, args, cwd, before, touches, result: null };
}

function isInside(from: string, line: Line): boolean {
  return /^p_\d/.test(from) && treeOf(from) === line.tree;
}

/**
 * The state of a tree after it went back to `then`; `now` and `since` say what may not. It shares
 * with both what is the same there: it is to be read at once, and not to be kept.
 */
export function rewind(then: State, now: State, since: Since): State {
  const state = loosened(then);
  const { tree, seq, atMs, epoch, policy, ceiling, images, tools, checkpoints } = now;
  Object.assign(state, { tree, seq, atMs, epoch, policy, ceiling, images, tools, checkpoints });
  // Files are as they are, whatever the tree goes back to (F2).
  if (now.marks !== undefined) state.marks = now.marks;
  for (const kind of Object.keys(now.next) as (keyof State["next"])[]) {
    state.next[kind] = Math.max(now.next[kind], then.next[kind]);
  }
  keepAuthority(state, since);
  keepAnswers(state, now, then);
  keepEnds(state, now, then);
  for (const pid in state.processes) {
    const process = state.processes[pid as Pid]!;
    const own = (): Process => owned(state, then, process.pid);
    keepSpending(process, now.processes[process.pid], own);
    keepOutcomes(process, since, own);
    for (const name in process.generated) {
      const { hash } = process.generated[name]!;
      if (tools[hash]?.revoked !== null) delete own().generated[name];
    }
  }
  return state;
}

/** W1. */
function keepAuthority(state: State, since: Since): void {
  for (const [id, cap] of Object.entries(state.caps) as [CapId, State["caps"][CapId]][]) {
    const usesSpent = cap.usesSpent + Math.max(0, since.uses.get(id) ?? 0);
    const isUsedUp = cap.usesMax !== null && usesSpent >= cap.usesMax;
    if (since.revoked.has(id) || isUsedUp) delete state.caps[id];
    else if (usesSpent !== cap.usesSpent) state.caps[id] = { ...cap, usesSpent };
  }
  for (let gone = true; gone;) {
    gone = false;
    for (const [id, { parent }] of Object.entries(state.caps)) {
      if (parent === null || Object.hasOwn(state.caps, parent)) continue;
      delete state.caps[id as CapId];
      gone = true;
    }
  }
}

/** W2. */
function keepAnswers(state: State, now: State, then: State): void {
  for (const [id, request] of Object.entries(state.requests)) {
    if (request.status !== "pending" || now.requests[id as RequestId]?.status === "pending") {
      continue;
    }
    delete state.requests[id as RequestId];
    for (const { pid, key } of request.askers) {
      if (state.processes[pid] === undefined) continue;
      const process = owned(state, then, pid);
      delete process.parked[key];
      const { life } = process;
      const waits = life.state === "waiting" && "request" in life.on && life.on.request === id;
      if (waits) process.life = { state: "ready" };
    }
  }
}

/** W5: the child's tree has ended, or was told to, whatever its parent's goes back to. */
function keepEnds(state: State, now: State, then: State): void {
  const over = new Set<Pid>();
  for (const { pid, mode, life } of Object.values(state.processes)) {
    const known = now.processes[pid];
    if (mode !== "detached" || life.state === "ended" || known?.life.state !== "ended") continue;
    over.add(pid);
    const { life: ended, label, spent } = known;
    Object.assign(owned(state, then, pid), { life: ended, label, spent: { ...spent } });
  }
  if (over.size === 0) return;
  for (const { pid, life } of Object.values(state.processes)) {
    const waits = life.state === "waiting" && life.on.reason === "child" &&
      life.on.pids.some((one) => over.has(one));
    if (waits) owned(state, then, pid).life = { state: "ready" };
  }
}

/** W3. */
function keepSpending(process: Process, now: Process | undefined, own: () => Process): void {
  if (now === undefined || now === process) return;
  const { spent } = own();
  for (const kind of Object.keys(spent) as (keyof Process["spent"])[]) {
    spent[kind] = Math.max(spent[kind], now.spent[kind]);
  }
  own().limits = now.limits;
}

/** W4. */
function keepOutcomes({ pid, step, journal }: Process, since: Since, own: () => Process): void {
  for (const key in journal) {
    const recorded = journal[key]!;
    if (recorded.state !== "open") continue;
    const line = since.outcomes.get(placeOf({ pid, step, key }));
    if (line === undefined) continue;
    const process = own();
    const { result, label } = line.data as EventMap["call.outcome"];
    const { intent: _, ...made } = recorded;
    // Who is given what came back has seen it.
    if (label !== undefined) process.label = joinLabels(process.label, label);
    process.journal[key] = { ...made, state: "done", result, seq: line.seq, atMs: line.atMs };
  }
}
