/**
 * Answers: what a person says to a request, and what comes of it.
 *
 * Invariants:
 *   A1. All that can refuse an answer is asked before it is written down; then it has all of its
 *       effect in one commit.
 *   A2. What takes two people is pending until a second one, who is not the first, says the same.
 *   A3. An edited call is judged as its asker's own: it opens nothing that the capability does not
 *       cover which the request was made under.
 *   A4. A no needs one person, and ends the matter.
 * @module
 */

import { amend } from "./amend.ts";
import type { Capability } from "./capability.ts";
import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { EventMap } from "./event.ts";
import { type Asker, born, checkScope, grantsFor, liveAskers } from "./grant.ts";
import { pendingRequest, wakeAskers } from "./human.ts";
import type { RequestId } from "./ids.ts";
import { canonical, type Json } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { processOf, signal } from "./process.ts";
import { given, raise } from "./raise.ts";
import { checkAgainst } from "./schema.ts";
import type { RequestRecord } from "./state.ts";
import type { PersonAnswer } from "./world.ts";

/** An answer, and who gives it. */
export interface Said {
  readonly answer: PersonAnswer;
  readonly by: string;
  readonly inbox: string | null;
  /** The hash the person saw, when the person's tool sends it. */
  readonly argsHash?: string | undefined;
  /** How many askers the person saw, when the person's tool sends it. */
  readonly askers?: number | undefined;
  /** Whether who started the tree may not answer for it. */
  readonly strict?: boolean | undefined;
}

/** What an edited call comes to for one asker. */
export interface Edited {
  /** The arguments as the call's schema has them. */
  readonly args: Json;
  /** What a person has to grant of it, once each. */
  readonly grants: readonly {
    readonly right: string;
    readonly resource: string;
    readonly argsHash: string;
  }[];
  /** How many people have to agree to it. */
  readonly people: number;
}

/** Judges a call with other arguments as its asker's own; throws what refuses it (A3). */
export type EditJudge = (draft: Draft, edit: {
  readonly request: RequestRecord;
  readonly asker: Asker;
  readonly args: Json;
}) => Edited;

/** All that an answer does, decided and not yet written down. */
interface Effects {
  readonly answer: PersonAnswer;
  readonly people: number;
  readonly grants: readonly Capability[];
  readonly amendment: EventMap["policy.amended"] | null;
}

/** Decides an answer and its grants, and wakes everyone who waits for it. */
export function answer(draft: Draft, id: RequestId, said: Said): void {
  const request = pendingRequest(draft, id);
  checkAnswer(request, said.answer);
  checkShown(request, said);
  checkWho(draft, request, said);
  const effects = effectsOf(draft, request, said);
  const { by, inbox } = said;
  if (isFirstOfTwo(request, effects)) {
    draft.add("human.seconded", { id, answer: effects.answer, by, inbox });
    return;
  }
  draft.add("human.answered", { id, answer: effects.answer, by, inbox });
  for (const grant of effects.grants) draft.add("cap.granted", { ...grant, by });
  if (effects.amendment !== null) draft.add("policy.amended", effects.amendment);
  const { outcome } = effects.answer;
  if (request.kind === "budget" && outcome !== "deny") {
    raise(draft, request, { limits: given(request, effects.answer), by });
  }
  const isStop = effects.answer.outcome === "deny" && effects.answer.stop === true;
  if (isStop) stopAskers(draft, request, effects.answer, by);
  else wakeAskers(draft, request);
}

const REFUSED = {
  permission: ["approve", "edit"],
  review: ["approve"],
  budget: ["approve", "edit"],
  notice: ["approve"],
  question: ["answer"],
  doubt: ["answer"],
} as const satisfies Record<RequestRecord["kind"], readonly PersonAnswer["outcome"][]>;

function checkAnswer(request: RequestRecord, said: PersonAnswer): void {
  const refused = `Cannot answer request "${request.id}"`;
  if (said.outcome === "deny") return;
  const may: readonly string[] = REFUSED[request.kind];
  if (!may.includes(said.outcome)) {
    const kind = request.kind === "doubt" ? "question" : request.kind;
    const expected = may[0] === "answer"
      ? 'an answer to it, by outcome "answer" or libos answer, or deny'
      : [...may, "deny"].join(" or ");
    throw new SysError("EINVAL", `${refused}: a ${kind}, expected ${expected}`);
  }
  if (said.outcome === "answer") checkValue(request, said.value);
  if (said.outcome === "edit" && request.kind === "permission" && request.call?.under == null) {
    throw new SysError("EINVAL", `${refused}: a right was asked for, and no call to edit`);
  }
  if (request.kind === "budget" && said.outcome === "approve" && isScoped(said)) {
    throw new SysError("EINVAL", `${refused}: a budget, expected no scope`);
  }
}

function isScoped(
  { scope, resource, uses, forMs }: PersonAnswer & { outcome: "approve" },
): boolean {
  const isWide = scope !== undefined && scope !== "once";
  return isWide || resource !== undefined || uses !== undefined || forMs !== undefined;
}

function checkValue(request: RequestRecord, value: Json): void {
  const refused = `Cannot answer request "${request.id}"`;
  const { choices, schema } = request;
  // What may be said of a doubt is all in its schema; its choices are the words in it.
  const isWord = request.kind !== "doubt" || schema === null;
  if (isWord && choices.length > 0 && !choices.includes(String(value))) {
    throw new SysError("EINVAL", `${refused}: expected one of ${choices.join(", ")}`);
  }
  const wrong = schema === null ? null : checkAgainst(schema, value);
  if (wrong === null) return;
  const more = request.kind === "doubt" ? `, expected what it asks for: ${request.prompt}` : "";
  throw new SysError("EINVAL", `${refused}: ${wrong}${more}`);
}

/** What was shown is what is answered. */
function checkShown(request: RequestRecord, said: Said): void {
  const refused = `Cannot answer request "${request.id}"`;
  if (said.argsHash !== undefined && said.argsHash !== request.call?.argsHash) {
    throw new SysError("ESTALE", `${refused}: the call is not the one shown, expected it reviewed`);
  }
  if (said.askers !== undefined && said.askers !== request.askers.length) {
    const joined = "others ask for the same now, expected the answer to all who were shown";
    throw new SysError("ESTALE", `${refused}: ${joined}`);
  }
}

/** Nobody approves what they asked for themselves, nor twice what takes two (A2). */
function checkWho(draft: Draft, request: RequestRecord, said: Said): void {
  const refused = `Cannot answer request "${request.id}"`;
  if (said.answer.outcome === "deny") return;
  // What an agent asks its starter is a question; what it asks to be let do is somebody else's.
  const isOpen = request.kind === "question" || request.kind === "notice";
  if (said.strict === true && !isOpen && draft.tree.state.owner === said.by) {
    const expected = "expected somebody else to answer";
    throw new SysError("EPERM", `${refused}: "${said.by}" started what asks, ${expected}`);
  }
  if (request.first?.by === said.by) {
    const expected = "expected somebody else to agree";
    throw new SysError("ESTATE", `${refused}: "${said.by}" agreed already, ${expected}`);
  }
}

function isFirstOfTwo(request: RequestRecord, { answer: said, people }: Effects): boolean {
  if (people < 2 || (said.outcome !== "approve" && said.outcome !== "edit")) return false;
  // Who says something else says it first.
  return request.first === undefined || meaning(request.first.answer) !== meaning(said);
}

/** An answer without what was only said beside it. */
function meaning(said: PersonAnswer): string {
  if (said.outcome === "approve") {
    const { note: _, ...rest } = said;
    return canonical({ ...rest, scope: said.scope ?? "once" });
  }
  return said.outcome === "edit" ? canonical({ outcome: "edit", args: said.args }) : "";
}

/** What an answer comes to; throws what refuses it (A1). */
function effectsOf(draft: Draft, request: RequestRecord, { answer: said, by }: Said): Effects {
  const none = { answer: said, people: request.people ?? 1, grants: [], amendment: null };
  if (request.kind === "budget") {
    if (said.outcome !== "deny") given(request, said);
    return none;
  }
  if (request.call === null) return none;
  if (said.outcome === "edit") return editedBy(draft, request, said);
  if (said.outcome !== "approve") return none;
  checkScope(draft, request, said);
  if (said.scope !== "policy") return { ...none, grants: grantsFor(draft, request, said) };
  const resource = said.resource ?? request.call.resource;
  return { ...none, amendment: amend(draft, request, { resource, forMs: said.forMs, by }) };
}

/** A call with other arguments, for each who asks: what cannot be done by one is done by none. */
function editedBy(
  draft: Draft,
  request: RequestRecord,
  said: PersonAnswer & { readonly outcome: "edit" },
): Effects {
  const { judgeEdit } = draft.tree.context;
  if (judgeEdit === undefined) {
    throw new SysError("EINVAL", `Cannot answer request "${request.id}": no calls are known here`);
  }
  const grants: Capability[] = [];
  let people = request.people ?? 1;
  let args: Json = said.args;
  for (const asker of liveAskers(draft, request)) {
    const edited = judgeEdit(draft, { request, asker, args: said.args });
    args = edited.args;
    people = Math.max(people, edited.people);
    for (const grant of edited.grants) {
      const expiresMs = draft.nowMs + LIMITS.grantExpiryMsDefault;
      const once = { usesMax: 1, expiresMs, scope: "process" } as const;
      grants.push(born(draft, request, { ...asker, ...grant, ...once }));
    }
  }
  return { answer: { ...said, args }, people, grants, amendment: null };
}

/** Cancels those who asked; one whose ancestor goes goes with it. */
function stopAskers(draft: Draft, request: RequestRecord, said: PersonAnswer, by: string): void {
  const { tree } = draft;
  const pids = [...new Set(request.askers.map(({ pid }) => pid))];
  const reason = said.outcome === "deny" ? said.reason ?? "" : "";
  for (const pid of pids) {
    const hasGone = tree.lineage(pid).slice(1).some((above) => pids.includes(above));
    const process = processOf(tree.state, pid);
    const { state } = process.life;
    if (hasGone || state === "ended" || state === "canceling") continue;
    signal(draft, process, { signal: "cancel", by, reason: reason.slice(0, 512) });
  }
}
