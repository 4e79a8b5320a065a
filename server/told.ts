/**
 * Lines of a log as the stream tells them.
 *
 * Invariants:
 *   L1. A summary holds names, ids, decisions and sizes; no argument, reply, prompt or value.
 *   L2. No line, whatever it says, ends the telling of those after it.
 * @module
 */

import type { CallResult, EventMap, Line } from "../kernel/event.ts";
import type { Json } from "../kernel/json.ts";
import type { StreamEvent } from "./schema/evidence.ts";

/** What the stream says of a line, without its cursor. */
export type Told = Omit<StreamEvent, "id" | "kind"> & { readonly kind: StreamEvent["kind"] };

type Teller<T extends keyof EventMap> = (data: EventMap[T]) => {
  readonly kind: StreamEvent["kind"];
  readonly pid: string | null;
  readonly summary: Record<string, Json>;
};

const TEXT_CHARS_MAX = 200;

const TELLERS: { readonly [T in keyof EventMap]?: Teller<T> } = {
  "process.spawned": ({ pid, parent, goal }) => life(pid, "ready", { parent, goal: cut(goal) }),
  "process.executed": ({ pid, goal }) => life(pid, "ready", { goal: cut(goal) }),
  "process.waiting": ({ pid, on, name }) => life(pid, `waiting/${on.reason}`, { name }),
  "process.woken": ({ pid, by }) => life(pid, "ready", { by }),
  "process.paused": ({ pid, by }) => life(pid, "paused", { by }),
  "process.resumed": ({ pid, by }) => life(pid, "ready", { by }),
  "process.canceling": ({ pid, by }) => life(pid, "canceling", { by }),
  "process.ended": ({ pid, outcome }) =>
    life(pid, "ended", {
      outcome: outcome.kind,
      code: "code" in outcome ? outcome.code : null,
    }),
  "call.done": ({ pid, name, decision, result, step, key }) => ({
    kind: decision.effect === "deny"
      ? "syscall.decision"
      : name === "model.generate"
      ? "model.call"
      : "syscall.result",
    pid,
    summary: { ...call({ name, decision, step, key }), ...ended(result) },
  }),
  "call.intent": ({ pid, name, decision, step, key }) => ({
    kind: name === "model.generate" ? "model.call" : "syscall.request",
    pid,
    summary: call({ name, decision, step, key }),
  }),
  "call.outcome": ({ pid, step, key, result, via, spent }) => ({
    kind: "syscall.result",
    pid,
    summary: {
      call: `${pid}#${step}.${key}`,
      via,
      ...ended(result),
      ...(spent === undefined ? {} : { spent: { ...spent } as Json }),
    },
  }),
  "human.asked": ({ id, pid, kind, call, risk }) => ({
    kind: "approval.created",
    pid,
    summary: {
      id,
      request: kind,
      risk,
      right: call?.right ?? null,
      resource: call === null ? null : cut(call.resource),
    },
  }),
  "human.answered": ({ id, answer, by }) => ({
    kind: "approval.decided",
    pid: null,
    summary: { id, outcome: answer.outcome, by },
  }),
  "human.expired": ({ id }) => ({
    kind: "approval.decided",
    pid: null,
    summary: { id, outcome: "expired", by: null },
  }),
  "human.escalated": ({ id }) => ({
    kind: "approval.escalated",
    pid: null,
    summary: { id },
  }),
  "human.seconded": ({ id, by }) => ({
    kind: "approval.changed",
    pid: null,
    summary: { id, agreed: by },
  }),
  "human.joined": ({ id, pid }) => ({
    kind: "approval.changed",
    pid,
    summary: { id, joined: pid },
  }),
  "object.created": ({ id, owner, name, version }) =>
    object(owner, { id, name: cut(name), version }),
  "object.written": ({ id, version, from }) => object(from.pid, { id, version }),
  "object.appended": ({ id, version, from }) => object(from.pid, { id, version }),
  "checkpoint.taken": ({ id, name, by, auto }) => ({
    kind: "checkpoint.created",
    pid: null,
    summary: { id, name: cut(name), by, auto },
  }),
  "tool.registered": ({ pid, name, hash, from, reviewed }) => ({
    kind: "tool.registered",
    pid,
    summary: { name, hash, from, reviewed },
  }),
  "tree.restored": ({ to, by }) => ({
    kind: "process.state",
    pid: null,
    summary: { state: "restored", to, by },
  }),
};

/**
 * What the stream says of a line; undefined for what it leaves out, such as a line that no kernel
 * wrote: a tree that was brought may have one, and others are told of all the same (L2).
 */
export function told(line: Line): Told | undefined {
  const teller = TELLERS[line.type] as
    | ((data: Line["data"]) => ReturnType<Teller<never>>)
    | undefined;
  try {
    const said = teller?.(line.data);
    if (said === undefined) return undefined;
    const { kind, pid, summary } = said;
    const at = new Date(line.atMs).toISOString();
    return { kind, tree: line.tree, pid, seq: line.seq, at, summary };
  } catch (thrown) {
    if (thrown instanceof TypeError || thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

function life(pid: string, state: string, more: Record<string, Json>): ReturnType<Teller<never>> {
  return { kind: "process.state", pid, summary: { state, ...more } };
}

function object(pid: string, summary: Record<string, Json>): ReturnType<Teller<never>> {
  return { kind: "object.version", pid, summary };
}

function call(
  { name, decision, step, key }: Pick<
    EventMap["call.intent"],
    "name" | "decision" | "step" | "key"
  >,
): Record<string, Json> {
  const [need] = decision.needs;
  return {
    call: `#${step}.${key}`,
    name,
    right: need?.right ?? name,
    resource: need === undefined ? null : cut(need.resource),
    decision: decision.effect,
  };
}

function ended(result: CallResult): Record<string, Json> {
  return result.ok ? { ok: true } : { ok: false, code: result.code };
}

function cut(text: string): string {
  return text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}…` : text;
}
