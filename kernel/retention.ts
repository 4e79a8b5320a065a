/**
 * Retention: which payloads a state still holds, and what takes the place of content that is gone.
 *
 * A payload that was taken away leaves its mark, `{"$payload": hash, "bytes": n}`, wherever its
 * value stood. No value of a caller looks so in a line: one that would is a payload itself.
 *
 * Invariants:
 *   E1. Striking a state that holds a value gives what reading its log without the value gives.
 *   E2. Whatever a live process may still be given is "in use", and is never struck.
 * @module
 */

import type { Handlers } from "./apply_memory.ts";
import { SysError } from "./errors.ts";
import type { Json } from "./json.ts";
import { sha256 } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { Line } from "./event.ts";
import { hasPayloads, MARK, payloadText } from "./log.ts";
import type { MessageId, Pid, RequestId } from "./ids.ts";
import type { Keeping, Process, State } from "./state.ts";
import type { Tree } from "./tree.ts";
import type { PersonAnswer } from "./world.ts";

/** A place of a state where the value of a payload stands. */
export interface Place {
  readonly value: Json;
  /** Who may still be given it; null when nobody will. */
  readonly user: string | null;
  /** Puts another value there. What it stood in is copied, since events may share it (T2). */
  readonly put: (value: Json) => void;
}

/** Whether a value is what is left of one that was taken away. */
export function isMark(value: Json | undefined): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.keys(value).length === 2 && MARK in value && "bytes" in value;
}

/** The hash under which a value stands beside its lines; null when it stands in them. */
export function payloadHash(value: Json): string | null {
  if (isMark(value)) return null;
  const text = payloadText(value);
  return text === null ? null : sha256(text);
}

/** Every place of a state where values of payloads stand. */
export function* places(state: State): Iterable<Place> {
  for (const process of Object.values(state.processes)) yield* processPlaces(process);
  for (const id of Object.keys(state.requests) as RequestId[]) yield* requestPlaces(state, id);
  for (const [pid, mail] of Object.entries(state.mail) as [Pid, State["mail"][Pid]][]) {
    for (const { id, data } of mail) {
      yield { value: data, user: pid, put: (value) => replaceMail(state, pid, { id, value }) };
    }
  }
}

function replaceMail(
  state: State,
  pid: Pid,
  { id, value }: { readonly id: MessageId; readonly value: Json },
): void {
  const mail = state.mail[pid] ?? [];
  state.mail[pid] = mail.map((one) => one.id === id ? { ...one, data: value } : one);
}

function* processPlaces(at: Process): Iterable<Place> {
  const user = at.life.state === "ended" ? null : at.pid;
  yield { value: at.input, user, put: (input) => void Object.assign(at, { input }) };
  if (at.life.state === "ended" && at.life.outcome.kind === "exited") {
    const { life } = at;
    const { outcome } = at.life;
    yield {
      value: outcome.result,
      user: null,
      put: (result) => void (at.life = { ...life, outcome: { ...outcome, result } }),
    };
  }
  for (const key of Object.keys(at.journal)) yield* callPlaces(at, key, user);
  for (const [key, { edited }] of Object.entries(at.parked)) {
    if (edited === undefined) continue;
    const put = (args: Json): void => {
      at.parked[key] = { ...at.parked[key]!, edited: { ...edited, args } };
    };
    yield { value: edited.args, user, put };
  }
}

function* callPlaces(at: Process, key: string, user: string | null): Iterable<Place> {
  const entry = (): Process["journal"][string] => at.journal[key]!;
  const put = (args: Json): void => void (at.journal[key] = { ...entry(), args });
  yield { value: entry().args, user, put };
  const now = entry();
  const { edited } = now;
  if (edited !== undefined) {
    const putAsked = (asked: Json): void => {
      at.journal[key] = { ...entry(), edited: { ...edited, asked } };
    };
    yield { value: edited.asked, user, put: putAsked };
  }
  if (now.state === "done") {
    const { result } = now;
    if (!result.ok) return;
    yield {
      value: result.reply,
      user,
      put: (reply) => {
        const done = entry() as typeof now;
        at.journal[key] = { ...done, result: { ...result, reply } };
      },
    };
    return;
  }
  yield* intentPlaces(now.intent, user, (intent) => {
    at.journal[key] = { ...entry() as typeof now, intent };
  });
}

type Intent = (Process["journal"][string] & { readonly state: "open" })["intent"];

function* intentPlaces(
  given: Intent,
  user: string | null,
  put: (intent: Intent) => void,
): Iterable<Place> {
  let intent = given;
  const change = (changes: Partial<Intent>): void => put(intent = { ...intent, ...changes });
  yield { value: intent.args, user, put: (args) => change({ args }) };
  yield { value: intent.before, user, put: (before) => change({ before }) };
  const { edited } = intent;
  if (edited === undefined) return;
  yield {
    value: edited.asked,
    user,
    put: (asked) => change({ edited: { ...edited, asked } }),
  };
}

function* requestPlaces(state: State, id: RequestId): Iterable<Place> {
  const request = state.requests[id]!;
  const user = request.askers[0]?.pid ?? request.pid;
  const put = (change: Partial<typeof request>): void => {
    state.requests[id] = { ...state.requests[id]!, ...change };
  };
  const { call, preview, answer, first } = request;
  if (call !== null) {
    yield { value: call.args, user, put: (args) => put({ call: { ...call, args } }) };
  }
  yield { value: preview, user, put: (value) => put({ preview: value as string }) };
  yield* answerPlaces(answer, user, (said) => put({ answer: said }));
  yield* answerPlaces(first?.answer, user, (said) => {
    put({ first: { ...first!, answer: said } });
  });
}

function* answerPlaces(
  said: PersonAnswer | null | undefined,
  user: string,
  put: (answer: PersonAnswer) => void,
): Iterable<Place> {
  if (said?.outcome === "answer") {
    yield { value: said.value, user, put: (value) => put({ ...said, value }) };
  }
  if (said?.outcome === "edit") {
    yield { value: said.args, user, put: (args) => put({ ...said, args }) };
  }
}

/** Puts marks in the places of values with these hashes (E1). */
export function strike(state: State, hashes: ReadonlySet<string>): void {
  for (const { value, put } of places(state)) {
    const hash = payloadHash(value);
    if (hash === null || !hashes.has(hash)) continue;
    put({ [MARK]: hash, bytes: payloadText(value)!.length });
  }
}

/** Who may still be given a value with one of these hashes, or one that is gone; else null. */
export function userOf(state: State, hashes: ReadonlySet<string> | "gone"): string | null {
  for (const { value, user } of places(state)) {
    if (user === null) continue;
    if (hashes === "gone") {
      if (isMark(value)) return user;
      continue;
    }
    const hash = payloadHash(value);
    if (hash !== null && hashes.has(hash)) return user;
  }
  return null;
}

/** Hashes of all payloads whose values a state holds. */
export function heldPayloads(state: State): Set<string> {
  const held = new Set<string>();
  for (const { value } of places(state)) {
    const hash = payloadHash(value);
    if (hash !== null) held.add(hash);
  }
  return held;
}

/** What the events of retention do. */
export const RETENTION = {
  "content.erased": (tree, { hashes }) => {
    tree.trail.forget();
    strike(tree.state, new Set(hashes));
    forgetValues(tree);
  },
  // What the state holds is never redacted.
  "payloads.redacted": ({ trail }) => trail.forget(),
  // Nor is what it refers to collected.
  "values.collected": () => {},
  "retention.set": ({ state }, { days, by, isDefault }) => {
    const { fromMs = bornMs(state), stays = 0 } = state.retention ?? {};
    state.retention = { days, by, isDefault, fromMs, passedMs: 0, stays };
  },
  "retention.passed": ({ state }, { nextMs, stays }, { atMs }) => {
    if (state.retention === undefined) return;
    state.retention = { ...state.retention, fromMs: nextMs, passedMs: atMs, stays };
  },
} satisfies Partial<Handlers>;

const DAY_MS = 86_400_000;

/** Since when a tree may have payloads. */
function bornMs({ processes, atMs }: State): number {
  return Math.min(atMs, ...Object.values(processes).map(({ startedMs }) => startedMs));
}

/** Notes that a line may have brought a payload, or let one go that stayed. */
export function noteLine(state: State, keeping: Keeping, { type, atMs }: Line): void {
  if (keeping.fromMs !== null || !hasPayloads(type)) return;
  state.retention = { ...keeping, fromMs: keeping.stays > 0 ? 0 : atMs };
}

/**
 * When payloads of a tree are next to be taken away; null for never. Not more often than after a
 * quarter of the time they are kept, or after a day: each time the whole log is read.
 */
export function redactMs({ retention }: State): number | null {
  if (retention === undefined) return null;
  const { days, fromMs, passedMs } = retention;
  if (days === null || fromMs === null) return null;
  return Math.max(fromMs + days * DAY_MS, passedMs + Math.min(1, days / 4) * DAY_MS);
}

/** Refuses to keep payloads for less than `daysMin`, or for no number of days. Throws `EINVAL`. */
export function refuseDays(tree: string, days: number | null, daysMin?: number): void {
  const min = daysMin ?? LIMITS.retentionDaysMin;
  if (days === null || (days >= min && days <= LIMITS.retentionDaysMax)) return;
  const sentence = `Cannot keep payloads of ${tree} for ${days} days`;
  throw new SysError("EINVAL", `${sentence}: expected ${min} or more`);
}

/** Empties a tree's cache of values: one of the largest size makes all others leave. */
function forgetValues({ values }: Tree): void {
  values.set("", null, LIMITS.valuesInMemoryBytesMax);
  values.set("", null, 0);
}

/**
 * Refuses to go to a state where a live process would be given what was taken away since: its step
 * could not be run again. Throws `ESTATE`.
 */
export function refuseGone(past: State): void {
  const user = userOf(past, "gone");
  if (user === null) return;
  const sentence = `Cannot go to line ${past.seq} of "${past.tree}": what "${user}" worked with`;
  throw new SysError("ESTATE", `${sentence} there was erased since, expected another position`);
}
