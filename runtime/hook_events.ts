/**
 * What hooks are told of, and what they are told.
 *
 * Invariants:
 *   V1. An event has the same id whenever it is made of the same line, in any process.
 *   V2. What is sent holds ids, kinds, codes, rights and resources; no prompt, argument or value.
 * @module
 */

import type { EventMap, Line } from "../kernel/event.ts";
import { type Json, type JsonObject, sha256 } from "../kernel/json.ts";
import type { RequestRecord, State } from "../kernel/state.ts";
import { oneLine } from "../providers/printable.ts";
import type { NearLimit } from "./budget_watch.ts";

/** What a hook can be told of. */
export const HOOK_EVENTS = [
  "request.created",
  "request.escalated",
  "process.failed",
  "budget.80",
] as const satisfies readonly HookEvent[];
/** What a hook can be told of. */
export type HookEvent =
  | "request.created"
  | "request.escalated"
  | "process.failed"
  | "budget.80";

/** Something that hooks are told of, as it is kept until they were. */
export interface Happening {
  readonly id: string;
  readonly event: HookEvent;
  readonly tree: string;
  readonly seq: number;
  readonly atMs: number;
  /** Ids, codes and numbers; what more is told is looked up when it is sent. */
  readonly facts: JsonObject;
}

const TEXT_CHARS_MAX = 512;

/** What hooks are told of a line; undefined for most. */
export function happeningOf(line: Line, state: State): Happening | undefined {
  // The words of newer kernels, too.
  switch (line.type as string) {
    case "human.asked": {
      const { id, pid, kind, risk } = line.data as EventMap["human.asked"];
      return made(line, state, "request.created", { process: pid, request: id, kind, risk });
    }
    case "human.escalated": {
      const { id } = line.data as unknown as { readonly id: RequestRecord["id"] };
      const { pid, kind, risk } = state.requests[id] ?? { pid: null, kind: null, risk: null };
      return made(line, state, "request.escalated", { process: pid, request: id, kind, risk });
    }
    case "process.ended": {
      const { pid, outcome } = line.data as EventMap["process.ended"];
      if (outcome.kind !== "failed") return undefined;
      return made(line, state, "process.failed", { process: pid, code: outcome.code });
    }
  }
  return undefined;
}

/** What hooks are told of a limit. Once for each limit, whichever line it was seen at. */
export function happeningAt(near: NearLimit, { nonce }: State): Happening {
  const { tree, seq, atMs, pid, limit, spent, max } = near;
  return {
    id: idOf([nonce, tree, "budget.80", pid, limit, String(max)]),
    event: "budget.80",
    tree,
    seq,
    atMs,
    facts: { process: pid, limit, spent, max },
  };
}

/** What is sent. `state` is of the tree as it is now, where it is known. */
export function bodyOf(
  { id, event, tree, seq, atMs, facts }: Happening,
  state: State | undefined,
  consoleUrl: string | null,
): string {
  const { process, request, kind, risk, code, limit, spent, max } = facts;
  const call = typeof request === "string"
    ? state?.requests[request as RequestRecord["id"]]?.call
    : undefined;
  const page = typeof request === "string" ? `approvals/${request}` : `p/${String(process)}`;
  const body: Record<string, Json> = {
    id,
    event,
    at: new Date(atMs).toISOString(),
    tree,
    line: seq,
    process: process ?? null,
  };
  if (request !== undefined) {
    body["request"] = {
      id: request,
      kind: kind ?? null,
      risk: risk ?? null,
      right: call == null ? null : shown(call.right),
      resource: call == null || isArguments(call) ? null : shown(call.resource),
    };
  }
  if (code !== undefined) body["failure"] = { code };
  if (limit !== undefined) body["budget"] = { limit, spent: spent ?? null, max: max ?? null };
  if (consoleUrl !== null) body["console"] = `${consoleUrl}/${page}`;
  return JSON.stringify(body);
}

/** Whether a resource is a call's arguments, as that of a server's tool without a binding (V2). */
function isArguments({ right, resource }: { readonly right: string; readonly resource: string }) {
  return right.startsWith("mcp.") && resource.startsWith("{");
}

/** Text of an agent's, so that it can be put on one line of any screen. */
function shown(text: string): string {
  const line = oneLine(text);
  return line.length > TEXT_CHARS_MAX ? `${line.slice(0, TEXT_CHARS_MAX)}…` : line;
}

function made(line: Line, { nonce }: State, event: HookEvent, facts: JsonObject): Happening {
  const { tree, seq, atMs } = line;
  return { id: idOf([nonce, tree, String(seq), event]), event, tree, seq, atMs, facts };
}

/** The tree's nonce tells the trees of several stores apart. */
function idOf(parts: readonly string[]): string {
  return `evt_${sha256(parts.join("\n")).slice(0, 32)}`;
}
