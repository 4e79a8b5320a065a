/**
 * Lines of a log as people read them.
 * @module
 */

import type { CallHead, CallResult, EndOutcome, EventMap, Line, Wait } from "../kernel/event.ts";
import { canonical } from "../kernel/json.ts";
import { formatLabel } from "../kernel/label.ts";
import type { PersonAnswer } from "../kernel/world.ts";
import { short, spanOf } from "./wording.ts";

/** What happened, in a word and a sentence. */
export interface LineText {
  readonly word: string;
  readonly text: string;
}

const TEXT_LENGTH_MAX = 160;

type Tellers = { readonly [T in keyof EventMap]: (data: EventMap[T]) => [string, string] };

const TELLERS: Tellers = {
  "tree.created": ({ root }) => ["tree", `created with root ${root}`],
  "kin.told": ({ to, say }) => ["kin", `tells ${to}: ${here(say)?.kind ?? "a value"}`],
  "kin.heard": ({ from, seq }) => ["kin", `heard line ${seq} of ${from}`],
  "kin.settled": ({ pid }) => ["kin", `${pid} has ended: what it did not spend is given back`],
  "tree.opened": ({ node, epoch }) => ["tree", `opened by ${node} at epoch ${epoch}`],
  "checkpoint.taken": ({ id, name, by }) => ["check", `${id} ${quote(name)} by ${by}`],
  "tree.restored": ({ to, by }) => ["restore", `back to line ${to} by ${by}`],
  "restore.asked": ({ pid, to, name, reason }) => [
    "restore",
    `${pid} wants to go back to line ${to}, ${quote(name)}${because(reason)}`,
  ],
  "restore.refused": ({ message }) => ["restore", message],
  "tree.forked": ({ from, seq, by }) => ["fork", `from ${from} at line ${seq} by ${by}`],
  "tree.grown": ({ patch, isWhole }) => [
    "fork",
    `${here(patch)?.set?.length ?? "some"} entries of what it was branched off as${
      isWhole ? ", which is all" : ""
    }`,
  ],
  "tree.moved": ({ to, by }) => ["move", `to ${to} by ${by}`],
  "tree.arrived": ({ seq, by }) => ["arrive", `with ${seq} lines by ${by}`],
  "content.erased": ({ hashes, by, reason }) => [
    "erase",
    `content of ${hashes.length} hashes by ${by}${because(reason)}`,
  ],
  "payloads.redacted": ({ to, by }) => ["redact", `payloads up to line ${to} by ${by}`],
  "values.collected": ({ hashes, bytes, by }) => [
    "collect",
    `${hashes.length} values of ${bytes} bytes that nothing refers to, by ${by}`,
  ],
  "retention.set": ({ days, by, isDefault }) => [
    "keep",
    `payloads ${daysText(days)} by ${by}${isDefault ? ", unless somebody says otherwise" : ""}`,
  ],
  "retention.passed": ({ to, stays }) => [
    "keep",
    `payloads up to line ${to} looked at, ${stays} still in use`,
  ],
  "files.undoing": ({ to, touches, by }) => [
    "undo",
    `${touches.length} paths back to line ${to} by ${by}`,
  ],
  "files.undone": ({ to, touches }) => ["undo", `${touches.length} paths are as at line ${to}`],
  "policy.loaded": ({ text, by }) => ["policy", `${countRules(text)} loaded by ${by}`],
  "image.registered": ({ name, version, hash }) => [
    "image",
    `${name}@${version} sha256:${hash.slice(0, 12)}`,
  ],
  "process.spawned": ({ parent, mode, goal }) => [
    mode,
    `${parent === null ? "" : `by ${parent} `}${quote(goal)}`,
  ],
  "process.executed": ({ goal }) => ["exec", quote(goal)],
  "process.stepped": ({ step }) => ["step", String(step)],
  "process.waiting": ({ on }) => ["wait", waitText(on)],
  "process.woken": ({ by, interrupted }) => [
    "wake",
    `by ${by}${interrupted ? ", interrupted" : ""}`,
  ],
  "process.paused": ({ by }) => ["pause", `by ${by}`],
  "process.resumed": ({ by }) => ["resume", `by ${by}`],
  "process.canceling": ({ by, reason }) => ["cancel", `by ${by}${because(reason)}`],
  "process.ended": ({ outcome }) => ["end", outcomeText(outcome)],
  "process.moved": ({ cwd }) => ["chdir", cwd],
  "process.labeled": ({ label }) => ["label", formatLabel(label)],
  "call.done": (data) => ["call", `${callText(data)}  ${doneText(data)}`],
  "call.intent": (data) => ["intent", `${callText(data)}  ${decisionText(data)}`],
  "call.outcome": ({ step, key, result, via }) => [
    "outcome",
    `of call ${step}.${key}: ${resultText(result)}${via === "call" ? "" : ` (${via})`}`,
  ],
  "cap.granted": ({ id, subject, right, resource, via, by }) => [
    "grant",
    `${id} allow ${right}(${resource}) to ${subject} (${via}, by ${by})`,
  ],
  "cap.revoked": ({ ids, by, reason }) => [
    "revoke",
    `${ids.join(", ")} by ${by}${because(reason)}`,
  ],
  "budget.limited": ({ limits, by }) => ["budget", `${canonical(limits)} by ${by}`],
  "namespace.created": ({ name, owner }) => ["space", `${name} of ${owner}`],
  "object.created": (
    { id, name, type, version },
  ) => ["object", `${id} ${name}@${version} (${type})`],
  "object.written": ({ id, version }) => ["object", `${id}@${version} written`],
  "object.appended": ({ id, version }) => ["object", `${id}@${version} appended`],
  "object.deleted": ({ id, by }) => ["object", `${id} deleted by ${by}`],
  "object.hidden": ({ name, by }) => ["object", `${name} hidden by ${by}`],
  "object.moved": ({ id, name }) => ["object", `${id} is ${name} now`],
  "label.declassified": ({ name, version, as, from, to, reason }) => [
    "label",
    `${name}@${version} (${formatLabel(from)}) as ${as}: ${to.sensitivity}, ${to.trust}` +
    because(reason),
  ],
  "object.linked": ({ id, relation, to }) => ["object", `${id} ${relation} ${to}`],
  "human.asked": ({ id, kind, who, tool, prompt, call }) => [
    "ask",
    `${call === null ? quote(prompt) : `${call.name} ${call.resource}`} → ${id} (${kind}` +
    `${who === undefined ? "" : ` to ${who}`}${tool === undefined ? "" : ` in ${tool.name}`})`,
  ],
  "human.joined": ({ id }) => ["ask", `joins ${id}`],
  "human.answered": ({ id, answer, by }) => ["answer", `${id} ${answerText(answer)} by ${by}`],
  "human.seconded": ({ id, answer, by }) => [
    "second",
    `${id} ${answerText(answer)} by ${by}, one more to agree`,
  ],
  "human.escalated": ({ id }) => ["escalate", `${id}: nobody has answered`],
  "policy.amended": ({ rule, by, request }) => ["policy", `${rule} added by ${by} for ${request}`],
  "human.expired": ({ id }) => ["expire", `${id}: nobody answered in time`],
  "inbox.refused": ({ code, message }) => ["refuse", `${message} [${code}]`],
  "inbox.taken": ({ what, by }) => ["order", `${what} by ${by}`],
  "tool.proposed": ({ name, hash, by }) => [
    "tool",
    `${name} ${hash.slice(0, 12)} proposed by ${by}`,
  ],
  "tool.tested": ({ hash, passed, failed }) => [
    "tool",
    `${hash.slice(0, 12)} tested: ${passed} passed, ${failed} failed`,
  ],
  "tool.registered": ({ name, hash, from, reviewed }) => [
    "tool",
    `${name} ${hash.slice(0, 12)} registered (${from}${reviewed ? ", reviewed" : ""})`,
  ],
  "tool.unregistered": ({ name, by, reason }) => [
    "tool",
    `${name} unregistered by ${by}${because(reason)}`,
  ],
  "tool.revoked": ({ hash, by, reason }) => [
    "tool",
    `${hash.slice(0, 12)} revoked by ${by}${because(reason)}`,
  ],
  "message.sent": ({ id, from, to, type, data }) => [
    "message",
    `${id} ${type} from ${from} to ${to}${data === null ? "" : `: ${canonical(data)}`}`,
  ],
  "message.received": ({ ids }) => ["receive", ids.join(", ")],
};

/** A value that may not be there: lines are told without values, and some are taken away. */
function here<T>(value: T): Partial<T> | null {
  return value;
}

/** A line in a word and a sentence. */
export function lineText({ type, data }: Line): LineText {
  // The table has a teller for each type, which the compiler cannot follow through a union.
  const teller = TELLERS[type] as ((data: unknown) => [string, string]) | undefined;
  const [word, text] = teller?.(data) ?? [type, canonical(data)];
  return { word, text: short(text, TEXT_LENGTH_MAX) };
}

/** The process a line is about; null for lines about the tree. */
export function pidOf({ data }: Line): string | null {
  const { pid, subject, to, owner } = data as {
    [key in "pid" | "subject" | "to" | "owner"]?: string;
  };
  const found: unknown = pid ?? subject ?? owner ?? to;
  return typeof found === "string" && found.startsWith("p_") ? found : null;
}

/** A call's name and what it is about. */
export function callText(
  { name, args, decision }: Pick<CallHead, "name" | "args" | "decision">,
): string {
  const [need] = decision.needs;
  if (need === undefined) return args === null ? name : `${name} ${short(canonical(args), 60)}`;
  return `${need.right === name ? name : `${name} ${need.right}`} ${need.resource}`;
}

/** How a call was let through or refused. */
export function decisionText({ decision }: Pick<CallHead, "decision">): string {
  const caps = decision.by.flatMap(([first]) => first ?? []);
  const rule = decision.rule === undefined ? "" : ` (rule ${decision.rule})`;
  const word = decision.effect === "deny" ? "DENY" : decision.effect;
  return `${word}${caps.length === 0 ? "" : ` ${caps.join(", ")}`}${rule}`;
}

function doneText(data: EventMap["call.done"]): string {
  const decided = decisionText(data);
  return data.result.ok ? decided : `${decided}  ${resultText(data.result)}`;
}

/** How a call ended. */
export function resultText(result: CallResult): string {
  return result.ok ? "ok" : `${result.code}: ${result.message}`;
}

/** How a process ended. */
export function outcomeText(outcome: EndOutcome): string {
  switch (outcome.kind) {
    case "exited": {
      const result = outcome.result === null ? "" : `  ${short(textOf(outcome.result), 120)}`;
      return `exited ${outcome.code}${result}`;
    }
    case "failed":
      return `failed: ${outcome.message} [${outcome.code}]`;
    case "canceled":
    case "killed":
      return `${outcome.kind} by ${outcome.by}${because(outcome.reason)}`;
  }
}

/** A value as text: a text as it is, all else as JSON. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : canonical(value);
}

/** What a process waits for. */
export function waitText(on: Wait): string {
  switch (on.reason) {
    case "person":
    case "call":
      return `on ${on.request}`;
    case "child":
      return `for ${on.pids.join(", ")}`;
    case "message":
      return "for a message";
    case "away":
      return `for tree ${on.tree}`;
    case "timer":
      return `until ${new Date(on.untilMs).toISOString()}`;
    case "paused":
      return `paused by ${on.by}`;
  }
}

/** What a person said. */
export function answerText(answer: PersonAnswer): string {
  switch (answer.outcome) {
    case "approve": {
      const until = answer.forMs === undefined ? "" : ` for ${spanOf(answer.forMs)}`;
      return `approved (${answer.scope ?? "once"}${until})`;
    }
    case "edit":
      return `approved with other arguments ${valueText(answer.args)}`.trimEnd();
    case "deny": {
      const stop = answer.stop === true ? " and stopped" : "";
      return `denied${stop}${because(answer.reason ?? "")}`;
    }
    case "answer":
      return `answered ${valueText(answer.value)}`.trimEnd();
  }
}

/** A value in a sentence; nothing where it is not shown. */
function valueText(value: unknown): string {
  return value === null ? "" : short(textOf(value), 80);
}

/** How long payloads are kept. */
export function daysText(days: number | null): string {
  if (days === null) return "for as long as the log";
  return days === 1 ? "for 1 day" : `for ${days} days`;
}

function countRules(text: string): string {
  const count = text.split("\n").filter((line) => /^\s*[^#\s]/.test(line)).length;
  return count === 1 ? "1 rule" : `${count} rules`;
}

function quote(text: string): string {
  return `"${short(text.replaceAll(/\s+/g, " "), 80)}"`;
}

function because(reason: string): string {
  return reason === "" ? "" : `: ${reason}`;
}
