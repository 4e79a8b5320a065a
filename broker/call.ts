/**
 * One call on its way through the door: what it is, what it was given, what came of it.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type {
  AskingTool,
  CallResult,
  Decision,
  EditNote,
  EventMap,
  Spending,
} from "../kernel/event.ts";
import type { CapId } from "../kernel/ids.ts";
import { canonical, hashOf, type Json, plain, sha256 } from "../kernel/json.ts";
import type { Label } from "../kernel/label.ts";
import type { Pattern } from "../kernel/grammar.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Process, Recorded } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import { freeze } from "./freeze.ts";
import type { Frame } from "./port.ts";
import type { Run } from "./run.ts";
import type { AnySyscall } from "./syscall.ts";

/** What the broker needs from the node that hosts a tree. */
export interface Host {
  /** Resolves when everything committed to the tree so far is durable (D2, D3). */
  durable(tree: Tree): Promise<void>;
  /** Fetches a value which is not in memory. */
  load(tree: Tree, hash: string): Promise<Json>;
  /** Lines were committed: someone may have become ready. */
  changed(tree: Tree): void;
}

/** One call on its way through the door. */
export interface Call {
  readonly run: Run;
  readonly tree: Tree;
  readonly process: Process;
  readonly key: string;
  readonly name: string;
  readonly def: AnySyscall;
  readonly args: Json;
  /** What the caller gave, where a person had it changed to `args`. */
  readonly edited?: EditNote;
  /** The working directory when the call was made: a later chdir does not move it. */
  readonly cwd: string;
  /** The generated tool that makes it; undefined for trusted code. */
  readonly frame: Frame | undefined;
  /** What handlers noted on the way. */
  readonly notes: Notes;
}

/** What is noted of a call on its way. */
export interface Notes {
  /** What it has seen itself. */
  label: Label | null;
  spent: Spent;
  /** What it was judged to need: where what it reads comes from. */
  needs: readonly Pattern[];
  /** What it sends besides its arguments, once that is put together. */
  sends: (() => Json) | undefined;
  /** What its handler put together beforehand. */
  prepared?: unknown;
}

/** The notes of a call of which nothing is known yet. */
export function newNotes(needs: readonly Pattern[] = []): Notes {
  return { label: null, spent: {}, needs, sends: undefined };
}

/** What the door says of a name that no call has. */
export function noSuchCall(name: string): SysError {
  return new SysError("ENOSYS", `Cannot call "${name}": no such syscall`);
}

/** Copies, bounds and checks what a caller gave: `EINVAL` or `ELIMIT`. */
export function decode(def: AnySyscall, name: string, rawArgs: unknown): Json {
  const bounds = { depthMax: LIMITS.jsonDepthMax, bytesMax: LIMITS.callArgumentBytesMax };
  const copied = plain(rawArgs ?? {}, bounds, `arguments of "${name}"`);
  const parsed = def.args.safeParse(copied);
  if (parsed.success) return freeze(parsed.data as Json);
  const issues = parsed.error.issues.slice(0, 4).map((issue) => {
    const where = issue.path.length === 0 ? "" : ` at "${issue.path.join(".")}"`;
    return `${issue.message}${where}`;
  });
  throw new SysError("EINVAL", `Cannot call "${name}": ${issues.join("; ")}`);
}

/** What the log keeps of refused arguments: themselves, or nothing where they are no JSON. */
export function bounded(rawArgs: unknown): Json {
  try {
    return plain(rawArgs ?? {}, { depthMax: LIMITS.jsonDepthMax, bytesMax: 8_192 }, "arguments");
  } catch {
    return null;
  }
}

const NAME_CHARS_MAX = 128;

/** What the log keeps of a name that no call has. */
export function boundedName(name: string): string {
  return name.slice(0, NAME_CHARS_MAX).toWellFormed();
}

/** Refuses what is more than a step, or the tools in it, may do: `EAGAIN` or `ELIMIT`. */
export function bound(run: Run, key: string, name: string, inTool: boolean): void {
  if (run.inFlight > LIMITS.callsInFlightPerProcessMax + LIMITS.callNestingMax) {
    const sentence = `Cannot call "${name}": ${run.inFlight - 1} calls are in flight`;
    throw new SysError("EAGAIN", `${sentence}, expected fewer`, {
      limit: "callsInFlightPerProcessMax",
    });
  }
  // Tools have a count of their own: one that asks without end leaves its process calls to make.
  const made = inTool ? run.callsOfTools : run.calls;
  const over = made > LIMITS.callsPerStepMax
    ? "callsPerStepMax"
    : key.includes(".") && depthOf(key) > LIMITS.callNestingMax
    ? "callNestingMax"
    : undefined;
  if (over === undefined) return;
  const sentence = `Cannot call "${name}": more than ${LIMITS[over]} calls in a step or nest`;
  throw new SysError("ELIMIT", `${sentence}, expected fewer`, { limit: over });
}

function depthOf(key: string): number {
  return key.split(".", LIMITS.callNestingMax + 1).length;
}

/** Refuses with `EREPLAY` a call that is not the one which was made in its place before. */
export function mustRepeat(call: Call, recorded: Recorded): void {
  const { name, args, process, key } = call;
  const given = recorded.edited?.asked ?? recorded.args;
  if (recorded.name === name && canonical(given) === canonical(args)) return;
  const sentence = `Cannot go on with step ${process.step} of process "${process.pid}": ` +
    `call ${key} was "${recorded.name}" before and is "${name}" now`;
  const differs = recorded.name === name ? " with other arguments" : "";
  throw new SysError("EREPLAY", `${sentence}${differs}, expected the same call`);
}

/** The generated tool that makes a call, to be shown to people; nothing for other code. */
export function toolOf({ frame }: Pick<Call, "frame">): { readonly tool?: AskingTool } {
  return frame === undefined ? {} : { tool: { name: frame.name, hash: frame.hash } };
}

/** What a waiting call is, so that only the same one is given its answer. */
export function askedBy(call: Call): { readonly name: string; readonly argsHash: string } {
  return { name: call.name, argsHash: hashOf(call.edited?.asked ?? call.args) };
}

/** The call as a person changed it, where one did: from here on it is that one. */
export function asEdited(call: Call): Call {
  const edited = call.process.parked[call.key]?.edited;
  if (edited === undefined) return call;
  const { args, ...said } = edited;
  return { ...call, args: freeze(args), edited: { asked: call.args, ...said } };
}

/** The call as the log has it, which may be another than its caller gave. */
export function asRecorded(call: Call, { args, edited }: Recorded): Call {
  return edited === undefined ? call : { ...call, args: freeze(args), edited };
}

/** What the log says of a call that a person changed. */
export function editedOf({ edited }: Pick<Call, "edited">): { readonly edited?: EditNote } {
  return edited === undefined ? {} : { edited };
}

/** What the log says of a call that was answered. */
export function doneAs(call: Call, result: CallResult, judged: {
  readonly decision: Decision;
  readonly spends: readonly CapId[];
}): EventMap["call.done"] {
  const { process: { pid, step }, key, name, args, notes } = call;
  const { decision, spends } = judged;
  const { label, spent } = notes;
  // In the order in which the log has the names of fields: it is then written as it stands.
  const done = label === null
    ? { args, decision, key, name, pid, result, step }
    : { args, decision, key, label, name, pid, result, step };
  if (call.edited === undefined && spends.length === 0 && isEmpty(spent)) return done;
  return {
    ...done,
    ...editedOf(call),
    ...(spends.length === 0 ? {} : { spends }),
    ...(isEmpty(spent) ? {} : { spent }),
  };
}

function isEmpty(fields: object): boolean {
  for (const _ in fields) return false;
  return true;
}

/** Refuses with `EREPLAY` a call which comes in the place of another that waited. */
export function mustAwaitTheSame(call: Call): void {
  const { process, key, name } = call;
  const on = process.parked[key];
  if (on === undefined || (on.name === name && on.argsHash === hashOf(call.args))) return;
  const sentence = `Cannot go on with step ${process.step} of process "${process.pid}": ` +
    `call ${key} waited as "${on.name}" with other arguments`;
  throw new SysError("EREPLAY", `${sentence}, expected the same call`);
}

/** Whether a call may still change anything: its code lives and its process was not stopped. */
export function stillMay({ run, process, frame }: Call): boolean {
  return run.alive && process.life.state !== "ended" && frame?.alive !== false;
}

/** A call's id: its process, step and place. */
export function callId(call: { process: Process; key: string }): string {
  return `${call.process.pid}#${call.process.step}.${call.key}`;
}

/** A key that is the same for every attempt at a call, and no other call anywhere has. */
export function idempotencyKey(tree: Tree, call: string): string {
  return sha256(`${tree.state.nonce}/${call}`).slice(0, 32);
}

/** What a caller gets of a result that the log has. */
export function settle(result: CallResult): Json {
  if (result.ok) return result.reply;
  throw new SysError(result.code, result.message, result.detail);
}

/** A reply as the log and the caller both see it: plain, frozen and bounded. */
export function replyOf(call: { name: string }, reply: unknown): Json {
  const bounds = {
    depthMax: LIMITS.jsonDepthMax + 8,
    bytesMax: LIMITS.callReplyBytesMax + LIMITS.callArgumentBytesMax,
  };
  return plain(reply ?? null, bounds, `reply of "${call.name}"`);
}

/** Spending as it is added up. */
export type Spent = { -readonly [K in keyof Spending]: number };

/** Adds spending up. */
export function addTo(spent: Spent, more: Spending): void {
  for (const [kind, amount] of Object.entries(more)) {
    const at = kind as keyof Spending;
    spent[at] = (spent[at] ?? 0) + amount;
  }
}

/** Whether a step made a call that ends it: then the kernel died before the step was ended. */
export function madeItsLastCall(
  table: ReadonlyMap<string, AnySyscall>,
  process: Process,
): boolean {
  return Object.values(process.journal).some(({ name, ...each }) =>
    each.state === "done" && each.result.ok && table.get(name)?.ends === true
  );
}
