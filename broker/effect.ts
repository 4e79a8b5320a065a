/**
 * Effects: intent first, then the act, then the outcome (G5).
 *
 * Invariants:
 *   E1. The intent, with the finite uses it spends, is durable before anything is sent.
 *   E2. A provider's error other than `EINDOUBT` says that nothing happened: uses are given back.
 *   E3. After a crash an open intent is reconciled by the provider, or put before a person. Only an
 *       effect declared "safe" is sent again without asking, under the same idempotency key.
 * @module
 */

import { takeAutomatic } from "../kernel/checkpoint.ts";
import { Draft } from "../kernel/draft.ts";
import { type ErrorDetail, Panic, spoken, SysError } from "../kernel/errors.ts";
import type { CallResult, EventMap } from "../kernel/event.ts";
import { plain } from "../kernel/json.ts";
import { BOTTOM, joinLabels } from "../kernel/label.ts";
import { LIMITS } from "../kernel/limits.ts";
import { ALL_FILES, markOf, needsMark } from "../kernel/mark.ts";
import { drain, processOf } from "../kernel/process.ts";
import type { Touched } from "../kernel/touch.ts";
import type { OpenIntent } from "../kernel/state.ts";
import { riskOfCall } from "./ask.ts";
import type { Verdict } from "./authorize.ts";
import type { Broker } from "./broker.ts";
import { type Call, callId, editedOf, idempotencyKey, newNotes, replyOf } from "./call.ts";
import { answered, doubt } from "./doubt.ts";
import { holding } from "./holding.ts";
import { never, type Run } from "./run.ts";
import type { AnySyscall, Parked } from "./syscall.ts";

type Emitting = AnySyscall & { effect: "emit" };
type Via = EventMap["call.outcome"]["via"];
type Intent = EventMap["call.intent"];

interface Sent {
  readonly judged: Verdict & { is: "allowed" };
  readonly prepared: unknown;
}

/** Sends an effect for the first time. Runs to its outcome even when the caller is gone. */
export function sendEffect(broker: Broker, call: Call, given: Sent): Promise<CallResult> {
  return holding(call, given.prepared, () => send(broker, call, given));
}

async function send(broker: Broker, call: Call, given: Sent): Promise<CallResult> {
  const { tree, process, key, name, args } = call;
  const def = call.def as Emitting;
  const { decision, spends } = given.judged;
  const draft = new Draft(tree, broker.now(tree));
  if (riskOfCall(def, args) === "destructive") takeAutomatic(draft, process.pid, "destructive");
  const made = {
    args,
    before: def.before?.(given.prepared) ?? null,
    cwd: call.cwd,
    decision,
    idempotencyKey: idempotencyKey(tree, callId(call)),
    key,
    name,
    pid: process.pid,
    spends,
    step: process.step,
  };
  draft.add("call.intent", {
    ...made,
    ...editedOf(call),
    ...(def.cost === undefined ? {} : { spent: def.cost(args) }),
    ...touching(draft, def, given.prepared),
    ...(call.notes.label === null ? {} : { label: call.notes.label }),
    ...marking(call, def, given.prepared),
  });
  tree.commit(draft);
  await broker.host.durable(tree);
  return await act(broker, call, { prepared: given.prepared, spends, via: "call" });
}

const NOTHING = {};

/** What an effect does to files, with what it takes the place of kept by hash. */
function touching(draft: Draft, def: Emitting, prepared: unknown): {
  readonly touches?: readonly Touched[];
} {
  const touches = def.touches?.(prepared) ?? [];
  if (touches.length === 0) return NOTHING;
  return {
    touches: touches.map(({ content, ...rest }) => ({
      ...rest,
      // Base64 takes a third more than the largest file.
      content: content === null
        ? null
        : draft.value(content, 2 * LIMITS.fileBytesMax, "what is replaced"),
    })),
  };
}

/** Programs, and servers of tools, may leave anything anywhere. */
const LEAVES_ANYTHING = ["shell.run", "program.run", "mcp.call"];

/** What is said of the files that it leaves, where rules say less (F1). */
function marking(call: Call, def: Emitting, prepared: unknown): Pick<Intent, "marks"> {
  const { tree, process, notes } = call;
  if (def.touches === undefined && !LEAVES_ANYTHING.includes(call.name)) return NOTHING;
  const touches = def.touches?.(prepared) ?? [];
  const paths = touches.filter(({ after }) => after !== null).map(({ path }) => path);
  if (LEAVES_ANYTHING.includes(call.name)) paths.push(ALL_FILES);
  if (paths.length === 0) return {};
  let label = notes.label === null ? process.label : joinLabels(process.label, notes.label);
  // What was moved takes its mark along.
  for (const { path } of touches.filter(({ after }) => after === null)) {
    label = joinLabels(label, markOf(tree.state.marks, path) ?? BOTTOM);
  }
  const left = paths.filter((path) => needsMark(tree.policy, path, label));
  return left.length === 0 ? {} : { marks: { label, paths: left } };
}

interface Attempt {
  readonly prepared: unknown;
  readonly spends: OpenIntent["spends"];
  readonly via: Via;
}

async function act(broker: Broker, call: Call, attempt: Attempt): Promise<CallResult> {
  const def = call.def as Emitting;
  // What it asked before it was lost, it asks anew.
  if (attempt.via !== "call") call.run.passOver(call.key, placesIn(call));
  let result: CallResult;
  try {
    const reply = await def.run(broker.context(call), call.args, attempt.prepared);
    result = { ok: true, reply: replyOf(call, reply) };
  } catch (error) {
    if (error instanceof Panic) throw error;
    result = failed(call, error);
  }
  if (broker.sending.isLeft) return await never();
  return await conclude(broker, call, { result, spends: attempt.spends, via: attempt.via });
}

/** How many places calls inside this one have taken. */
function placesIn({ process, key }: Call): number {
  const inside = Object.keys(process.journal).filter((each) => each.startsWith(`${key}.`));
  return Math.max(0, ...inside.map((each) => Number(each.slice(key.length + 1).split(".")[0])));
}

/** A refusal as the log keeps it. */
export function failure(error: SysError): CallResult & { ok: false } {
  const { code, message } = error;
  const detail = plainDetail(error.detail);
  return { ok: false, code, message, ...(detail === undefined ? {} : { detail }) };
}

/** Details are for programs; what the log cannot hold is left out. */
function plainDetail(detail: ErrorDetail | undefined): ErrorDetail | undefined {
  if (detail === undefined) return undefined;
  try {
    return plain(detail, { depthMax: 8, bytesMax: 8_192 }, "details") as ErrorDetail;
  } catch {
    return undefined;
  }
}

/** A provider that throws anything but a `SysError` leaves it open whether something happened. */
function failed(call: Call, error: unknown): CallResult {
  if (error instanceof SysError) return failure(error);
  const sentence = `Cannot tell whether "${call.name}" happened: ${spoken(error)}`;
  return failure(new SysError("EINDOUBT", sentence));
}

async function conclude(broker: Broker, call: Call, known: {
  readonly result: CallResult;
  readonly spends: OpenIntent["spends"];
  readonly via: Via;
}): Promise<CallResult> {
  const { tree, process, key, notes } = call;
  const { result } = known;
  const certain = !result.ok && result.code !== "EINDOUBT";
  const draft = new Draft(tree, broker.now(tree));
  draft.add("call.outcome", {
    key,
    pid: process.pid,
    restores: certain ? known.spends : [],
    result,
    step: call.run.step,
    via: known.via,
    ...(Object.keys(notes.spent).length === 0 ? {} : { spent: notes.spent }),
    ...(notes.label === null ? {} : { label: notes.label }),
  });
  drain(draft, process, key);
  tree.commit(draft);
  broker.host.changed(tree);
  await broker.host.durable(tree);
  return result;
}

/** An effect that was under way when the kernel died (E3). */
export async function settleLost(
  broker: Broker,
  call: Call,
  intent: OpenIntent,
): Promise<CallResult | Parked> {
  const def = call.def as Emitting;
  const { spends } = intent;
  call.notes.needs = intent.decision.needs;
  if (def.lost === "safe") return await repeat(broker, call, { spends, via: "repeated" });
  const said = answered(call);
  if (said === "retry") return await resend(broker, call, intent);
  if (typeof said === "object") {
    return await conclude(broker, call, { result: said.result, spends, via: "person" });
  }
  if (said === "did not happen") {
    const message = `Cannot finish "${call.name}": a person says it did not happen`;
    return await conclude(broker, call, {
      result: { ok: false, code: "EIO", message },
      spends,
      via: "person",
    });
  }
  if (said === "unanswered") {
    const message = `Cannot tell whether "${call.name}" happened: the kernel died meanwhile`;
    return await conclude(broker, call, {
      result: { ok: false, code: "EINDOUBT", message },
      spends,
      via: "abandoned",
    });
  }
  const found = await def.lost(broker.context(call), call.args, intent.before);
  if (found.state === "done") {
    const result: CallResult = { ok: true, reply: replyOf(call, found.reply) };
    return await conclude(broker, call, { result, spends, via: "reconciled" });
  }
  if (found.state === "not-done") return await repeat(broker, call, { spends, via: "reconciled" });
  return await takenBack(broker, call, intent) ?? doubt(broker, call);
}

/** Takes back what may have happened, where its provider can; undefined where nobody can. */
async function takenBack(
  broker: Broker,
  call: Call,
  intent: OpenIntent,
): Promise<CallResult | undefined> {
  const def = call.def as Emitting;
  if (def.compensate === undefined) return undefined;
  try {
    await def.compensate(broker.context(call), call.args, intent.before);
  } catch (error) {
    if (error instanceof Panic) throw error;
    return undefined;
  }
  const message =
    `Cannot finish "${call.name}": nobody could tell whether it happened, and it was ` +
    "taken back";
  return await conclude(broker, call, {
    result: { ok: false, code: "ECANCELED", message },
    spends: intent.spends,
    via: "compensated",
  });
}

/** An effect of a process that was stopped: its provider may know; it is not sent again. */
async function settleStopped(
  broker: Broker,
  call: Call,
  intent: OpenIntent,
): Promise<void> {
  const def = call.def as Emitting;
  const found = def.lost === "safe"
    ? { state: "unknown" } as const
    : await def.lost(broker.context(call), call.args, intent.before);
  if (found.state === "unknown" && await takenBack(broker, call, intent) !== undefined) return;
  const message = `Cannot finish "${call.name}": its process was stopped`;
  const result: CallResult = found.state === "done"
    ? { ok: true, reply: replyOf(call, found.reply) }
    : { ok: false, code: found.state === "unknown" ? "EINDOUBT" : "ECANCELED", message };
  const via = found.state === "unknown" ? "abandoned" : "reconciled";
  await conclude(broker, call, { result, spends: intent.spends, via });
}

/** Sends an effect again which certainly did not happen, or may happen twice. */
async function repeat(
  broker: Broker,
  call: Call,
  attempt: Omit<Attempt, "prepared">,
): Promise<CallResult> {
  const prepared = await call.def.prepare?.(broker.context(call), call.args);
  return await holding(call, prepared, () => act(broker, call, { ...attempt, prepared }));
}

/** Sends again what a person said to retry: under a new intent, so that a crash asks once more. */
async function resend(broker: Broker, call: Call, intent: OpenIntent): Promise<CallResult> {
  const { tree } = call;
  const def = call.def as Emitting;
  const prepared = await def.prepare?.(broker.context(call), call.args);
  const { seq: _, atMs: __, ...old } = intent;
  const draft = new Draft(tree, broker.now(tree));
  // Its uses were spent with the first intent.
  draft.add("call.intent", {
    ...old,
    spends: [],
    before: def.before?.(prepared) ?? null,
    ...touching(draft, def, prepared),
  });
  tree.commit(draft);
  await broker.host.durable(tree);
  return await act(broker, call, { prepared, spends: intent.spends, via: "person" });
}

/** Settles what a stopped process left open when the kernel died: asks, and never sends again. */
export async function recoverStopped(broker: Broker, run: Run): Promise<void> {
  const process = processOf(run.tree.state, run.pid);
  for (const [key, recorded] of Object.entries(process.journal)) {
    if (recorded.state !== "open") continue;
    const { name, args } = recorded;
    const notes = newNotes(recorded.intent.decision.needs);
    const def = broker.lookUp(name);
    const { cwd } = recorded.intent;
    const { tree } = run;
    const made = { run, tree, process, key, name, def, args, cwd, notes, frame: undefined };
    const call: Call = { ...made, ...editedOf(recorded) };
    await settleStopped(broker, call, recorded.intent);
  }
}
