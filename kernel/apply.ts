/**
 * Apply: what each event does to state. Pure, total, and the only writer of state (G4).
 *
 * A handler looks at nothing but the state and the line. It may not refuse, wait, or ask for the
 * time: whatever could go wrong was refused before the event was committed.
 * @module
 */

import { AUTHORITY, restoreUses, spendUses } from "./apply_authority.ts";
import { BRANCH } from "./apply_branch.ts";
import { type Handlers, MEMORY, releaseAll } from "./apply_memory.ts";
import { PEOPLE } from "./apply_people.ts";
import { TOOLS } from "./apply_tools.ts";
import { book, nothingSpent } from "./budget.ts";
import { byAge } from "./checkpoint.ts";
import { bury, revoke } from "./capability.ts";
import { assert } from "./errors.ts";
import type { Line, Wait } from "./event.ts";
import type { Pid, RequestId } from "./ids.ts";
import { joinLabels } from "./label.ts";
import { marked, unmarked } from "./mark.ts";
import { LIMITS } from "./limits.ts";
import { innerWait, openIntents } from "./process.ts";
import { descend, KIN, sendAway } from "./kin.ts";
import { noteLine, RETENTION } from "./retention.ts";
import { RETURNING } from "./returning.ts";
import { momentOf, type Process, type Recorded, type State } from "./state.ts";
import { keep } from "./trail.ts";
import type { Tree } from "./tree.ts";

/** Applies one line. */
export function apply(tree: Tree, line: Line): void {
  const { state } = tree;
  assert(line.seq === state.seq + 1, `Line ${line.seq} came after line ${state.seq}`);
  state.seq = line.seq;
  state.atMs = line.atMs;
  const handler = HANDLERS[line.type] as (tree: Tree, data: unknown, line: Line) => void;
  assert(handler !== undefined, `No handler for event "${line.type}"`);
  handler(tree, line.data, line);
  if (state.retention !== undefined) noteLine(state, state.retention, line);
}

/** A process that is about to be changed. */
function process(state: State, pid: Pid): Process {
  const found = Object.hasOwn(state.processes, pid) ? state.processes[pid] : undefined;
  assert(found !== undefined, `An event names process "${pid}", which is not there`);
  keep(state, "processes", pid);
  return found;
}

const TREE = {
  "tree.created": ({ state }, data) => {
    state.key = data.key;
    state.nonce = data.nonce;
    state.ceiling = data.ceiling;
    if (data.owner !== undefined) state.owner = data.owner;
    if (data.selector !== undefined) state.selector = data.selector;
    descend(state, data);
  },
  "tree.opened": ({ state }, data) => {
    state.epoch = data.epoch;
  },
  "checkpoint.taken": ({ state }, data, line) => {
    keep(state, "checkpoints", data.id);
    state.checkpoints[data.id] = { ...data, seq: line.seq, atMs: line.atMs };
    state.next.ck += 1;
    if (data.auto === null) return;
    const autos = byAge(state).filter(({ auto }) => auto !== null);
    for (const { id } of autos.slice(0, -LIMITS.checkpointsAutoKept)) {
      keep(state, "checkpoints", id);
      delete state.checkpoints[id];
    }
  },
  "tree.moved": (tree, { to, by }, line) => {
    const outcome = { kind: "killed", by, reason: `moved to ${to}` } as const;
    for (const { pid, life } of Object.values(tree.state.processes)) {
      if (life.state !== "ended") PROCESS["process.ended"](tree, { pid, outcome }, line);
    }
  },
  // What was done outside; the state knows nothing of it.
  "tree.arrived": () => {},
  "files.undoing": () => {},
  "files.undone": () => {},
  "policy.loaded": (tree, data, line) => {
    tree.state.policy = { text: data.text, sinceMs: line.atMs };
    tree.reloadPolicy();
  },
  "image.registered": ({ state }, data) => {
    keep(state, "images", data.hash);
    state.images[data.hash] = data;
  },
  "inbox.refused": () => {},
  "inbox.taken": () => {},
  "budget.limited": ({ state }, data) => {
    const at = process(state, data.pid);
    at.limits = { ...at.limits, ...data.limits };
  },
} satisfies Partial<Handlers>;

const PROCESS = {
  "process.spawned": (tree, data, line) => {
    const { state } = tree;
    forgetOldest(tree);
    keep(state, "processes", data.pid);
    keep(state, "namespaces", data.pid);
    state.processes[data.pid] = {
      pid: data.pid,
      parent: data.parent,
      startedMs: line.atMs,
      mode: data.mode,
      ephemeral: data.ephemeral,
      ...(data.apart === undefined ? {} : { apart: data.apart }),
      image: data.image,
      goal: data.goal,
      input: data.input,
      cwd: data.cwd,
      labels: data.labels,
      tools: data.tools,
      generated: {},
      approved: [],
      rules: data.rules,
      priority: data.priority,
      life: { state: "ready" },
      step: 1,
      calls: { allowed: 0, asked: 0, denied: 0 },
      label: data.label,
      limits: data.budget,
      spent: nothingSpent(),
      journal: {},
      parked: {},
      children: [],
    };
    state.next.p += 1;
    const base = data.view === null || data.parent === null
      ? null
      : { name: data.parent, seq: momentOf(state), only: data.view.only };
    state.namespaces[data.pid] = { owner: data.pid, base, hidden: {} };
    if (base !== null) tree.bases.add(base.name);
    if (data.parent === null) return;
    const parent = process(state, data.parent);
    parent.children.push(data.pid);
    book(state, parent, { children: 1 });
    if (data.away !== undefined) sendAway(state, data, line);
  },
  "process.executed": ({ state }, data) => {
    const at = process(state, data.pid);
    at.image = data.image;
    at.goal = data.goal;
    at.tools = data.tools;
    // What the new image brings follows in the same commit; the tools of the old one stay behind.
    at.generated = {};
    at.approved = [];
  },
  "process.stepped": ({ state }, data) => {
    const at = process(state, data.pid);
    at.step = data.step;
    at.journal = {};
    at.parked = {};
    if (at.upcoming === undefined) return;
    Object.assign(at, at.upcoming);
    delete at.upcoming;
  },
  "process.waiting": ({ state }, data, line) => {
    const at = process(state, data.pid);
    at.life = { state: "waiting", on: data.on, sinceMs: line.atMs };
    const on = innerWait(data.on);
    const { name, argsHash } = data;
    if (on === null) return;
    // What a person made of the call stands while other people are asked about it.
    const edited = at.parked[on.key]?.edited;
    at.parked[on.key] = { ...on, name, argsHash, ...(edited === undefined ? {} : { edited }) };
  },
  "process.woken": ({ state }, data, line) => {
    const at = process(state, data.pid);
    if (at.life.state !== "waiting") return;
    const on = innerWait(at.life.on);
    if (on !== null && data.interrupted) {
      const parked = at.parked[on.key];
      if (parked !== undefined) at.parked[on.key] = { ...parked, interrupted: true };
    }
    at.life = at.life.on.reason === "paused"
      ? { state: "waiting", on: { ...at.life.on, was: null }, sinceMs: line.atMs }
      : { state: "ready" };
  },
  "process.paused": ({ state }, data, line) => {
    const at = process(state, data.pid);
    const was = at.life.state === "waiting" ? at.life.on : null;
    const on: Wait = { reason: "paused", by: data.by, was };
    at.life = { state: "waiting", on, sinceMs: line.atMs };
  },
  "process.resumed": ({ state }, data, line) => {
    const at = process(state, data.pid);
    if (at.life.state !== "waiting" || at.life.on.reason !== "paused") return;
    const { was } = at.life.on;
    at.life = was === null ? { state: "ready" } : { state: "waiting", on: was, sinceMs: line.atMs };
  },
  "process.canceling": ({ state }, data) => {
    process(state, data.pid).life = { state: "canceling", by: data.by, reason: data.reason };
  },
  "process.ended": (tree, data, line) => {
    const { state } = tree;
    const at = process(state, data.pid);
    at.life = { state: "ended", outcome: data.outcome, atMs: line.atMs };
    for (const key of Object.keys(at.journal)) {
      if (at.journal[key]?.state === "done") delete at.journal[key];
    }
    at.parked = {};
    keep(state, "mail", data.pid);
    delete state.mail[data.pid];
    withdraw(state, data.pid);
    if (at.ephemeral) releaseAll(tree, data.pid);
    // A capability lives as long as its holder; what was derived from it goes with it.
    for (const cap of [...tree.caps.heldBy([data.pid])]) revoke(state, tree.caps, cap.id);
  },
  "process.moved": ({ state }, data) => {
    process(state, data.pid).cwd = data.cwd;
  },
  "process.labeled": ({ state }, data) => {
    const at = process(state, data.pid);
    at.label = joinLabels(at.label, data.label);
  },
} satisfies Partial<Handlers>;

/** Keeps the number of processes bounded: the oldest ended one without children is forgotten. */
function forgetOldest(tree: Tree): void {
  const { state } = tree;
  // There are no more than were ever born: counting them would make a tree's growth quadratic.
  if (state.next.p < LIMITS.processesPerTreeMax) return;
  const pids = Object.keys(state.processes) as Pid[];
  if (pids.length < LIMITS.processesPerTreeMax) return;
  // By number: a state that was read from a snapshot has its keys in another order.
  const gone = pids.sort(byNumber).find((pid) => {
    const at = state.processes[pid]!;
    const isOver = at.life.state === "ended" && openIntents(at).length === 0;
    return isOver && at.parent !== null && at.children.length === 0;
  });
  if (gone === undefined) return;
  const parent = state.processes[gone]?.parent;
  if (parent != null) {
    const at = process(state, parent);
    at.children = at.children.filter((pid) => pid !== gone);
  }
  keep(state, "processes", gone);
  delete state.processes[gone];
}

function byNumber(a: Pid, b: Pid): number {
  return a.length - b.length || (a < b ? -1 : 1);
}

/** Takes a process off the requests it waits for; a request that nobody waits for goes. */
function withdraw(state: State, pid: Pid): void {
  for (const id of Object.keys(state.requests) as RequestId[]) {
    const request = state.requests[id]!;
    if (!request.askers.some((asker) => asker.pid === pid)) continue;
    keep(state, "requests", id);
    request.askers = request.askers.filter((asker) => asker.pid !== pid);
    if (request.askers.length === 0) delete state.requests[id];
  }
}

const CALL = {
  "call.done": (tree, data, line) => {
    const { state } = tree;
    const at = process(state, data.pid);
    const { result } = data;
    const { atMs } = line;
    const seq = momentOf(state);
    at.journal[data.key] = { ...madeAs(data), state: "done", result, seq, atMs };
    noteInner(at, data.key);
    dropInner(at, data.key);
    settleParked(state, at, data.key);
    if (data.spends !== undefined) {
      spendUses(tree, data.spends);
      bury(state, tree.caps, data.spends);
    }
    if (data.spent !== undefined) book(state, at, data.spent);
    if (data.label !== undefined) at.label = joinLabels(at.label, data.label);
    const denied = !data.result.ok && data.decision.effect === "deny";
    if (denied) at.calls.denied += 1;
    else if (data.decision.effect === "allow") at.calls.allowed += 1;
    // The exit itself: nobody runs this step again.
    if (at.life.state === "ended") delete at.journal[data.key];
  },
  "call.intent": (tree, data, line) => {
    const at = process(tree.state, data.pid);
    const intent = { ...data, seq: momentOf(tree.state), atMs: line.atMs };
    at.journal[data.key] = { ...madeAs(data), state: "open", intent };
    noteInner(at, data.key);
    settleParked(tree.state, at, data.key);
    spendUses(tree, data.spends);
    if (data.spent !== undefined) book(tree.state, at, data.spent);
    if (data.label !== undefined) at.label = joinLabels(at.label, data.label);
    const { marks } = data;
    if (marks !== undefined) {
      tree.state.marks = marked(tree.state.marks, marks.paths, marks.label);
    }
    at.calls.allowed += 1;
  },
  "call.outcome": (tree, data, line) => {
    const at = process(tree.state, data.pid);
    const open = at.journal[data.key];
    restoreUses(tree, data.restores);
    // A step that did not wait for its effect is over: the place may be another call's by now.
    if (open?.state === "open" && open.intent.step === data.step) {
      bury(tree.state, tree.caps, open.intent.spends);
      const { atMs } = line;
      const { result } = data;
      const seq = momentOf(tree.state);
      at.journal[data.key] = { ...madeAs(open), state: "done", result, seq, atMs };
      const { marks } = tree.state;
      if (result.ok && marks !== undefined) tree.state.marks = unmarked(marks, open.intent);
    }
    settleParked(tree.state, at, data.key);
    if (data.spent !== undefined) book(tree.state, at, data.spent);
    if (data.label !== undefined) at.label = joinLabels(at.label, data.label);
    if (at.life.state === "ended") delete at.journal[data.key];
  },
} satisfies Partial<Handlers>;

/** A call as it was made: what was done, and what was asked for where that differs. */
function madeAs({ name, args, edited }: Made): Made {
  return edited === undefined ? { name, args } : { name, args, edited };
}

type Made = Pick<Recorded, "name" | "args" | "edited">;

/** Places inside other calls, by journal: derived, so that a step of many calls is not searched. */
const innerKeys = new WeakMap<Process["journal"], Set<string>>();

function innerOf({ journal }: Process): Set<string> {
  let inner = innerKeys.get(journal);
  if (inner === undefined) {
    inner = new Set(Object.keys(journal).filter((key) => key.includes(".")));
    innerKeys.set(journal, inner);
  }
  return inner;
}

function noteInner(at: Process, key: string): void {
  if (key.includes(".")) innerOf(at).add(key);
}

/** A finished call stands for all the calls inside it. */
function dropInner(at: Process, key: string): void {
  const inner = innerOf(at);
  for (const each of inner) {
    // An effect that is still out is kept until its outcome is known.
    if (!each.startsWith(`${key}.`) || at.journal[each]?.state === "open") continue;
    delete at.journal[each];
    inner.delete(each);
  }
}

/** A call that has its answer no longer waits, and its request is used up. */
function settleParked(state: State, at: Process, key: string): void {
  const on = at.parked[key];
  if (on === undefined) return;
  delete at.parked[key];
  if (on.reason !== "person" && on.reason !== "call") return;
  const request = state.requests[on.request];
  if (request === undefined) return;
  keep(state, "requests", on.request);
  request.askers = request.askers.filter((asker) => asker.pid !== at.pid || asker.key !== key);
  if (request.askers.length === 0) delete state.requests[on.request];
}

const MAIL = {
  "message.sent": ({ state }, data) => {
    keep(state, "mail", data.to);
    (state.mail[data.to] ??= []).push(data);
    state.next.msg += 1;
  },
  "message.received": ({ state }, data) => {
    keep(state, "mail", data.pid);
    const left = (state.mail[data.pid] ?? []).filter((each) => !data.ids.includes(each.id));
    if (left.length > 0) state.mail[data.pid] = left;
    else delete state.mail[data.pid];
  },
} satisfies Partial<Handlers>;

const HANDLERS: Handlers = {
  ...KIN,
  ...TREE,
  ...BRANCH,
  ...PROCESS,
  ...CALL,
  ...AUTHORITY,
  ...MEMORY,
  ...MAIL,
  ...PEOPLE,
  ...RETENTION,
  ...RETURNING,
  ...TOOLS,
};
