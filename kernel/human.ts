/**
 * People: requests to them, and what becomes of those that nobody answers.
 *
 * Invariants:
 *   H1. A request is answered exactly once; a second answer is refused and changes nothing.
 *   H3. No answer in time means no.
 *   H5. A request that nobody answers for long is said to be so once, whatever restarts between.
 * @module
 */

import { takeAutomatic } from "./checkpoint.ts";
import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { EventMap } from "./event.ts";
import type { RequestId } from "./ids.ts";
import { LIMITS } from "./limits.ts";
import { processOf, waitOf, wake } from "./process.ts";
import type { Process, RequestRecord } from "./state.ts";

/** What a new request says. */
export type Asking = Omit<EventMap["human.asked"], "id" | "pid" | "key" | "escalatesMs">;

/** Decides a request, or joins the same one that is pending already. */
export function ask(draft: Draft, process: Process, key: string, asking: Asking): RequestId {
  const { state } = draft.tree;
  const pending = Object.values(state.requests).filter((each) => each.status === "pending");
  const same = pending.find((each) => isSame(each, asking));
  if (same !== undefined) {
    const under = asking.call?.under ?? null;
    draft.add("human.joined", { id: same.id, pid: process.pid, key, under });
    return same.id;
  }
  if (pending.length >= LIMITS.requestsPendingPerTreeMax) {
    const sentence = `Cannot ask a person: ${pending.length} requests are pending, expected fewer`;
    throw new SysError("EAGAIN", sentence, { limit: "requestsPendingPerTreeMax" });
  }
  if (asking.prompt.length > LIMITS.requestPromptBytesMax) {
    const sentence = `Cannot ask a person: the prompt has ${asking.prompt.length} characters`;
    throw new SysError("ELIMIT", `${sentence}, expected ${LIMITS.requestPromptBytesMax} at most`);
  }
  // A person may want to see what is asked about as it was, or to go back to before it.
  if (asking.kind !== "notice") takeAutomatic(draft, process.pid, "ask");
  const id = draft.id("req");
  draft.add("human.asked", {
    id,
    pid: process.pid,
    key,
    ...asking,
    ...peopleFor(draft, asking),
    ...escalation(draft, asking),
  });
  return id;
}

/** A destructive call may take two; a rule may ask for more, not for less. */
function peopleFor(draft: Draft, { people = 1, risk, call }: Asking): { people?: number } {
  const { destructiveApprovers = 1 } = draft.tree.context;
  const needed = risk === "destructive" && call !== null
    ? Math.max(people, destructiveApprovers)
    : people;
  return needed > 1 ? { people: needed } : {};
}

function escalation(draft: Draft, { kind, expiresMs }: Asking): { escalatesMs?: number } {
  if (kind === "notice") return {};
  const { escalateMs = LIMITS.escalateMsDefault } = draft.tree.context;
  const escalatesMs = draft.nowMs + escalateMs;
  return expiresMs !== null && expiresMs <= escalatesMs ? {} : { escalatesMs };
}

function isSame(request: RequestRecord, asking: Asking): boolean {
  const wantsWord = asking.kind === "permission" || asking.kind === "review";
  return request.kind === asking.kind && wantsWord &&
    request.call !== null && asking.call !== null &&
    // Whoever may say yes to a call was not told what else its sender has seen.
    request.rule?.sink === asking.rule?.sink &&
    // Who is asked is told which tool asks: another one asks another thing.
    request.tool?.name === asking.tool?.name && request.tool?.hash === asking.tool?.hash &&
    request.call.argsHash === asking.call.argsHash && request.call.name === asking.call.name &&
    request.call.right === asking.call.right && request.call.resource === asking.call.resource;
}

/** A request that can still be answered; otherwise says what became of it (H1). */
export function pendingRequest(draft: Draft, id: RequestId): RequestRecord {
  const { state } = draft.tree;
  const request = Object.hasOwn(state.requests, id) ? state.requests[id] : undefined;
  const isLate = (request?.expiresMs ?? Infinity) <= draft.nowMs;
  if (request?.status === "pending" && !isLate) return request;
  const number = Number(id.split(".")[1] ?? 0);
  if (request === undefined && number >= state.next.req) {
    throw new SysError("ENOENT", `Cannot answer request "${id}": absent, expected a request`);
  }
  // Nobody answers what has ended, though the timer that says so has not run.
  const status = request?.status === "pending" ? "expired" : request?.status ??
    "answered or withdrawn";
  const code = status === "expired" ? "EEXPIRED" : "ESTATE";
  throw new SysError(code, `Cannot answer request "${id}": ${status} already`);
}

/** Wakes every process that waits for a request. */
export function wakeAskers(draft: Draft, request: RequestRecord): void {
  for (const asker of request.askers) {
    const process = processOf(draft.tree.state, asker.pid);
    const on = waitOf(process);
    const waits = on?.reason === "person" || on?.reason === "call";
    if (waits && on.request === request.id) wake(draft, process, request.id);
  }
}

/** Decides that requests nobody answered in time are refused (H3). */
export function expire(draft: Draft): void {
  for (const request of Object.values(draft.tree.state.requests)) {
    if (request.status !== "pending" || request.expiresMs === null) continue;
    if (request.expiresMs > draft.nowMs) continue;
    draft.add("human.expired", { id: request.id });
    wakeAskers(draft, request);
  }
}

/** Decides that requests nobody answered for long are said to be so (H5). */
export function escalate(draft: Draft): void {
  for (const { id, ...request } of Object.values(draft.tree.state.requests)) {
    const { status, escalatesMs = Infinity, escalatedMs } = request;
    if (status !== "pending" || escalatedMs !== undefined || escalatesMs > draft.nowMs) continue;
    const isOver = request.expiresMs !== null && request.expiresMs <= draft.nowMs;
    if (!isOver) draft.add("human.escalated", { id });
  }
}
