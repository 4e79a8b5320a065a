/**
 * People: requests to them, and what their answers do.
 *
 * Invariants:
 *   H1. A request is answered exactly once; a second answer is refused and changes nothing.
 *   H2. An approval "once" is bound to the hash of the exact arguments that were shown, and to one
 *       use.
 *   H3. No answer in time means no.
 *   H4. A grant is derived from the capability that covered the call, or stays under the ceiling.
 * @module
 */

import { type Capability, ceilingAllows } from "./capability.ts";
import { takeAutomatic } from "./checkpoint.ts";
import { checkAgainst } from "./schema.ts";
import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { EventMap } from "./event.ts";
import { matchResource } from "./grammar.ts";
import type { RequestId } from "./ids.ts";
import { LIMITS } from "./limits.ts";
import { processOf, waitOf, wake } from "./process.ts";
import type { Process, RequestRecord } from "./state.ts";
import type { PersonAnswer } from "./world.ts";

/** What a new request says. */
export type Asking = Omit<EventMap["human.asked"], "id" | "pid" | "key">;

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
  draft.add("human.asked", { id, pid: process.pid, key, ...asking });
  return id;
}

function isSame(request: RequestRecord, asking: Asking): boolean {
  return request.kind === "permission" && asking.kind === "permission" &&
    request.call !== null && asking.call !== null &&
    request.call.argsHash === asking.call.argsHash && request.call.name === asking.call.name &&
    request.call.right === asking.call.right && request.call.resource === asking.call.resource;
}

/** A request that can still be answered; otherwise says what became of it (H1). */
export function pendingRequest(draft: Draft, id: RequestId): RequestRecord {
  const { state } = draft.tree;
  const request = Object.hasOwn(state.requests, id) ? state.requests[id] : undefined;
  if (request?.status === "pending") return request;
  const number = Number(id.split(".")[1] ?? 0);
  if (request === undefined && number >= state.next.req) {
    throw new SysError("ENOENT", `Cannot answer request "${id}": absent, expected a request`);
  }
  const status = request?.status ?? "answered or withdrawn";
  throw new SysError("ESTATE", `Cannot answer request "${id}": ${status} already`);
}

/** Decides an answer and its grants, and wakes everyone who waits for it. */
export function answer(draft: Draft, id: RequestId, said: {
  readonly answer: PersonAnswer;
  readonly by: string;
  readonly inbox: string | null;
  /** The hash the person saw, when the person's tool sends it. */
  readonly argsHash?: string | undefined;
  /** How many askers the person saw, when the person's tool sends it. */
  readonly askers?: number | undefined;
}): void {
  const request = pendingRequest(draft, id);
  checkAnswer(request, said.answer);
  if (said.argsHash !== undefined && said.argsHash !== request.call?.argsHash) {
    throw new SysError("ESTALE", `Cannot answer request "${id}": the call is not the one shown`);
  }
  if (said.askers !== undefined && said.askers !== request.askers.length) {
    const joined = "others ask for the same now, expected the answer to all who were shown";
    throw new SysError("ESTALE", `Cannot answer request "${id}": ${joined}`);
  }
  const grants = said.answer.outcome === "approve" && request.call !== null
    ? grantsFor(draft, request, said.answer)
    : [];
  draft.add("human.answered", { id, answer: said.answer, by: said.by, inbox: said.inbox });
  for (const grant of grants) draft.add("cap.granted", { ...grant, by: said.by });
  wakeAskers(draft, request);
}

function checkAnswer(request: RequestRecord, said: PersonAnswer): void {
  const refused = `Cannot answer request "${request.id}"`;
  if (said.outcome === "deny") return;
  if (request.kind === "permission" || request.kind === "notice") {
    if (said.outcome === "approve") return;
    throw new SysError("EINVAL", `${refused}: a ${request.kind}, expected approve or deny`);
  }
  if (said.outcome !== "answer") {
    throw new SysError("EINVAL", `${refused}: a question, expected an answer`);
  }
  const { choices, schema } = request;
  // What may be said of a doubt is all in its schema; its choices are the words in it.
  const isWord = request.kind !== "doubt" || schema === null;
  if (isWord && choices.length > 0 && !choices.includes(String(said.value))) {
    throw new SysError("EINVAL", `${refused}: expected one of ${choices.join(", ")}`);
  }
  const wrong = schema === null ? null : checkAgainst(schema, said.value);
  if (wrong === null) return;
  const more = request.kind === "doubt" ? `, expected what it asks for: ${request.prompt}` : "";
  throw new SysError("EINVAL", `${refused}: ${wrong}${more}`);
}

function grantsFor(
  draft: Draft,
  request: RequestRecord,
  said: PersonAnswer & { outcome: "approve" },
): Capability[] {
  const { caps } = draft.tree.state;
  const call = request.call!;
  const scope = said.scope ?? "once";
  const resource = scope === "once" ? call.resource : said.resource ?? call.resource;
  checkScope(draft, request, { resource, scope, said });
  const root = lastOf(draft.tree.lineage(request.pid));
  const forMs = said.forMs ?? LIMITS.grantExpiryMsDefault;
  // Each grant hangs under the asker's own capability; one that was revoked meanwhile gives none.
  const live = request.askers.filter(({ under }) => under === null || Object.hasOwn(caps, under));
  if (live.length === 0) {
    const revoked = "what would cover it was revoked, expected it to be granted anew";
    throw new SysError("ESTALE", `Cannot approve request "${request.id}": ${revoked}`);
  }
  const wide = scope === "tree" ? [{ ...live[0]!, pid: root }] : live;
  const askers = [...new Map(wide.map((asker) => [asker.pid, asker])).values()];
  return askers.map(({ pid: subject, under }) => ({
    id: draft.id("cap"),
    subject,
    right: call.right,
    resource,
    parent: under,
    depth: under === null ? 0 : caps[under]!.depth + 1,
    constraint: null,
    usesMax: scope === "once" ? 1 : said.uses ?? null,
    expiresMs: draft.nowMs + forMs,
    bytesMax: null,
    delegable: false,
    depthMax: 0,
    scope: scope === "subtree" || scope === "tree" ? "subtree" : "process",
    grant: {
      request: request.id,
      // A right that was asked for before any call has no arguments it could be bound to.
      argsHash: scope === "once" && call.under !== null ? call.argsHash : null,
      call: call.name,
    },
    via: "approval",
    by: "",
    atMs: draft.nowMs,
  }));
}

function checkScope(draft: Draft, request: RequestRecord, wanted: {
  readonly resource: string;
  readonly scope: string;
  readonly said: PersonAnswer & { outcome: "approve" };
}): void {
  const call = request.call!;
  const refused = `Cannot approve request "${request.id}"`;
  if (!matchResource(wanted.resource, call.resource)) {
    const sentence = `${refused} for "${wanted.resource}": it does not match "${call.resource}"`;
    throw new SysError("EINVAL", sentence);
  }
  if (!ceilingAllows(draft.tree.state.ceiling, { right: call.right, resource: wanted.resource })) {
    const sentence = `${refused} for "${call.right}(${wanted.resource})": over the tree's ceiling`;
    throw new SysError("EPERM", sentence);
  }
  if (request.risk === "destructive" && wanted.scope !== "once") {
    throw new SysError("EACCES", `${refused}: destructive, expected scope "once"`);
  }
  const { forMs, uses } = wanted.said;
  if (forMs !== undefined && !(forMs > 0 && forMs <= LIMITS.grantExpiryMsMax)) {
    const expected = `expected 1 to ${LIMITS.grantExpiryMsMax} ms`;
    throw new SysError("EINVAL", `${refused} for ${forMs} ms: ${expected}`);
  }
  if (uses !== undefined && !(Number.isSafeInteger(uses) && uses > 0)) {
    throw new SysError("EINVAL", `${refused} for ${uses} uses: expected a whole number from 1`);
  }
}

function lastOf<T>(items: readonly T[]): T {
  return items[items.length - 1]!;
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
