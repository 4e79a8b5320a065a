/**
 * Policy as text: one rule a line.
 *
 * `allow|ask|deny right(resource) [when test] [expires 8h] [risk high] [people 2] [because reason]`
 * `allow right(resource) unasked [when test] [expires 8h] [because reason]`
 * `label right(resource) sensitivity=secret trust=untrusted`
 * `sink right(resource) [sensitivity<=internal] [trust>=user] [else deny] [risk high] [because …]`
 *
 * A test is `sensitivity>=secret` or `trust<=untrusted`, with `>=`, `<=` or `=`. White space
 * between words is free. `#` at the start of a line or after white space begins a comment, but not
 * within parentheses, and not in a reason, which takes the rest of its line as it is. Parentheses
 * within a resource come in pairs.
 *
 * Invariants:
 *   X1. All errors of a text are reported together, each with its line.
 *   X2. Reading what was formatted gives the same rules; formatting is stable.
 * @module
 */

import { SysError } from "./errors.ts";
import { formatPattern, matchRight, parsePattern, type Pattern, splitResource } from "./grammar.ts";
import { sha256 } from "./json.ts";
import { type Label, SENSITIVITIES, type Sensitivity, type Trust, TRUSTS } from "./label.ts";
import { LIMITS } from "./limits.ts";
import { spellPattern } from "./path.ts";
import { PatternIndex } from "./pattern_index.ts";
import { formatDuration, formatRule, UNITS } from "./policy_format.ts";
import { type Forms, isBareDeny, neverMatches } from "./policy_forms.ts";
import type { Comparison, LabelRule, LabelTest, Policy, PolicyRule, Risk } from "./policy.ts";
import { type SinkRule, sinkText } from "./sink.ts";
import { near } from "./suggest.ts";

/** What the text is read against. */
export interface PolicyContext {
  /** The names of all syscalls; tools of MCP servers need not be known. */
  readonly rights: readonly string[];
  /** What their resources look like; anything when absent. */
  readonly forms?: Forms;
}

/** One thing that is wrong with a text. */
export interface PolicyError {
  readonly line: number;
  readonly message: string;
}

interface Reading {
  readonly context: PolicyContext;
  readonly rules: PolicyRule[];
  readonly labels: LabelRule[];
  readonly sinks: SinkRule[];
  readonly errors: PolicyError[];
}

/** What is wrong with a line; never leaves this file. */
class Wrong extends Error {}

/**
 * Reads a policy that somebody gives: refused, too, is a rule that no call is ever judged by, as
 * what its right is on never looks like that. Throws `EINVAL`.
 */
export function checkPolicy(text: string, context: PolicyContext): Policy {
  return readPolicy(text, context);
}

/**
 * Reads a policy that was taken once, whatever could be known of its resources then. Throws
 * `EINVAL` with all errors, in the message and as `detail.errors`.
 */
export function parsePolicy(text: string, { rights }: PolicyContext): Policy {
  return readPolicy(text, { rights });
}

function readPolicy(text: string, context: PolicyContext): Policy {
  if (typeof text !== "string") {
    throw new SysError("EINVAL", `Cannot load policy "${text}": no text, expected a rule a line`);
  }
  if (text.length > LIMITS.policyBytesMax) {
    const found = `${text.length} characters, expected at most ${LIMITS.policyBytesMax}`;
    throw new SysError("EINVAL", `Cannot load policy: ${found}`, { limit: "policyBytesMax" });
  }
  const reading: Reading = { context, rules: [], labels: [], sinks: [], errors: [] };
  for (const [i, line] of text.split(/\r?\n/).entries()) readLine(reading, line, i + 1);
  const { rules, labels, sinks } = reading;
  const count = rules.length + labels.length + sinks.length;
  if (count > LIMITS.policyRulesMax) {
    const message = `${count} rules, expected at most ${LIMITS.policyRulesMax}`;
    reading.errors.unshift({ line: 1, message });
  } else {
    checkForms(reading);
    checkTogether(reading);
  }
  if (reading.errors.length > 0) throw allErrors(reading.errors);
  return { text, hash: sha256(text), rules, labels, sinks };
}

function allErrors(errors: readonly PolicyError[]): SysError {
  const sorted = errors.toSorted((a, b) => a.line - b.line);
  const count = sorted.length === 1 ? "1 error" : `${sorted.length} errors`;
  const lines = sorted.map(({ line, message }) => `\nline ${line}: ${message}`);
  const message = `Cannot load policy: ${count}, expected none${lines.join("")}`;
  return new SysError("EINVAL", message, { errors: sorted });
}

function readLine(reading: Reading, line: string, number: number): void {
  const rest = line.trim();
  if (rest === "" || rest.startsWith("#")) return;
  try {
    if (line.length > LIMITS.ruleBytesMax) {
      throw new Wrong(`${line.length} characters, expected at most ${LIMITS.ruleBytesMax}`);
    }
    readRule(reading, rest, number);
  } catch (error) {
    if (!(error instanceof Wrong) && !(error instanceof SysError)) throw error;
    reading.errors.push({ line: number, message: error.message });
  }
}

function readRule(reading: Reading, text: string, line: number): void {
  const word = /^\S*/.exec(text)?.[0] ?? "";
  if (!isOneOf(VERBS, word)) {
    const known = '"allow", "ask", "deny", "label" or "sink"';
    throw new Wrong(`"${word}", expected ${known}${near(word, VERBS)}`);
  }
  const after = text.slice(word.length).trimStart();
  const end = endOfPattern(after);
  const pattern = readPattern(after.slice(0, end), reading.context);
  const rest = after.slice(end);
  if (word === "label") {
    reading.labels.push({ line, pattern, label: readLabel(rest) });
  } else if (word === "sink") {
    reading.sinks.push({ line, pattern, ...readSink(rest) });
  } else {
    reading.rules.push({ line, effect: word, pattern, ...readClauses(word, rest) });
  }
}

const VERBS = ["allow", "ask", "deny", "label", "sink"] as const;

/** Where `right(resource)` ends: after its closing parenthesis, or at white space without one. */
function endOfPattern(text: string): number {
  const open = /[\s(]/.exec(text);
  if (open === null) return text.length;
  if (open[0] !== "(") return open.index;
  let depth = 0;
  for (let i = open.index; i < text.length; i++) {
    if (text[i] === "(") depth++;
    if (text[i] === ")" && --depth === 0) return i + 1;
  }
  throw new Wrong(`no ")" for "(" in "${text}", expected "right(resource)"`);
}

function readPattern(text: string, context: PolicyContext): Pattern {
  if (text === "") throw new Wrong('no right, expected "right(resource)"');
  const pattern = parsePattern(text);
  const unknown = unknownRight(pattern.right, context);
  if (unknown !== undefined) throw new Wrong(unknown);
  return spellPattern(pattern, ".");
}

/** Why a pattern of rights opens no call, and what may be meant; undefined where it opens some. */
export function unknownRight(right: string, { rights }: PolicyContext): string | undefined {
  if (rights.some((known) => matchRight(right, known))) return undefined;
  const [noun = "", server = "", tool] = right.split(".");
  if (noun === "mcp" && (tool !== undefined || server.includes("*"))) return undefined;
  const hint = noun === "mcp" ? `, did you mean "${right}.*"?` : near(right, rights);
  return `no syscall "${right}"${hint}`;
}

type Clauses = Pick<
  PolicyRule,
  "when" | "reason" | "risk" | "expiresMs" | "people" | "unasked"
>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const CLAUSES = ["when", "expires", "risk", "people", "unasked", "because"] as const;

function readClauses(effect: PolicyRule["effect"], text: string): Clauses {
  const clauses: Mutable<Clauses> = { when: null, reason: null, risk: null, expiresMs: null };
  const seen = new Set<string>();
  let rest = text;
  for (;;) {
    const [word, after] = nextWord(rest);
    if (word === "") return clauses;
    if (!isOneOf(CLAUSES, word)) {
      const known = '"when", "expires", "risk", "people", "unasked" or "because"';
      throw new Wrong(`"${word}" after the pattern, expected ${known}${near(word, CLAUSES)}`);
    }
    if (seen.has(word)) throw new Wrong(`"${word}" twice, expected once`);
    seen.add(word);
    if (word === "because") {
      clauses.reason = readReason(after);
      return clauses;
    }
    if (word === "unasked") {
      if (effect !== "allow") throw new Wrong(`"unasked" in a rule that says ${effect}`);
      clauses.unasked = true;
      rest = after;
      continue;
    }
    const [value, behind] = nextWord(after);
    if (word === "people") clauses.people = readPeople(effect, value);
    else if (word === "when") clauses.when = readTest(value);
    else if (word === "expires") clauses.expiresMs = readDuration(value);
    else clauses.risk = readRisk(value);
    rest = behind;
  }
}

/** The next word and what is behind it; nothing at a comment or the end. */
function nextWord(text: string): [string, string] {
  const match = /^\s+(\S+)/.exec(text);
  if (match === null) {
    if (text.trim() === "") return ["", ""];
    throw new Wrong(`"${text.trim()}" right after ")", expected white space`);
  }
  const word = match[1] ?? "";
  return word.startsWith("#") ? ["", ""] : [word, text.slice(match[0].length)];
}

// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

function readReason(text: string): string {
  const reason = text.trim();
  if (reason === "") throw new Wrong('nothing after "because", expected a reason');
  if (CONTROL.test(reason)) throw new Wrong("a control character in the reason, expected none");
  if (!reason.isWellFormed()) throw new Wrong("a lone surrogate, expected Unicode text");
  return reason;
}

function readTest(text: string): LabelTest {
  const match = /^(sensitivity|trust)(>=|<=|=)([a-z]+)$/.exec(text);
  if (match === null) {
    throw new Wrong(`"${text}" after "when", expected a test like "sensitivity>=secret"`);
  }
  const is = match[2] as Comparison;
  const value = match[3] ?? "";
  return match[1] === "sensitivity"
    ? { field: "sensitivity", is, value: readSensitivity(value) }
    : { field: "trust", is, value: readTrust(value) };
}

function readLabel(text: string): Label {
  let label: { sensitivity?: Sensitivity; trust?: Trust } = {};
  let rest = text;
  for (;;) {
    const [word, after] = nextWord(rest);
    if (word === "") break;
    const [field, value = ""] = word.split(/=(.*)/s);
    if (field === "sensitivity" && label.sensitivity === undefined) {
      label = { ...label, sensitivity: readSensitivity(value) };
    } else if (field === "trust" && label.trust === undefined) {
      label = { ...label, trust: readTrust(value) };
    } else {
      throw new Wrong(`"${word}", expected "sensitivity=…" and "trust=…" once each`);
    }
    rest = after;
  }
  const { sensitivity, trust } = label;
  if (sensitivity === undefined || trust === undefined) {
    throw new Wrong('half a label, expected "sensitivity=…" and "trust=…"');
  }
  return { sensitivity, trust };
}

const SINK_WORDS = ["sensitivity<=…", "trust>=…", "else", "risk", "because"] as const;

function readSink(text: string): Omit<SinkRule, "line" | "pattern"> {
  const sink: { -readonly [K in keyof SinkRule]?: SinkRule[K] } = {};
  const once = <K extends keyof SinkRule>(word: string, field: K, value: SinkRule[K]): void => {
    if (sink[field] !== undefined) throw new Wrong(`"${word}" again, expected once`);
    sink[field] = value;
  };
  for (let rest = text;;) {
    const [word, after] = nextWord(rest);
    if (word === "") break;
    if (word === "because") {
      sink.reason = readReason(after);
      break;
    }
    const value = word.replace(/^[^=]*=/, "");
    rest = after;
    if (word.startsWith("sensitivity<=")) {
      once(word, "sensitivityMax", readSensitivity(value));
    } else if (word.startsWith("trust>=")) {
      once(word, "trustMin", readTrust(value));
    } else {
      if (word !== "else" && word !== "risk") {
        const known = SINK_WORDS.map((each) => `"${each}"`).join(", ");
        const meant = near(word.replace(/=.*/s, "=…"), SINK_WORDS);
        throw new Wrong(`"${word}" in a sink, expected ${known}${meant}`);
      }
      const [what, behind] = nextWord(after);
      if (word === "risk") once(word, "risk", readRisk(what));
      else once(word, "otherwise", readOne(["ask", "deny"] as const, what, "else"));
      rest = behind;
    }
  }
  const { sensitivityMax = null, trustMin = null, otherwise = "ask" } = sink;
  if (sensitivityMax === null && trustMin === null) {
    throw new Wrong('a sink that takes everything, expected "sensitivity<=…" or "trust>=…"');
  }
  return {
    sensitivityMax,
    trustMin,
    otherwise,
    risk: sink.risk ?? null,
    reason: sink.reason ?? null,
  };
}

function readSensitivity(text: string): Sensitivity {
  return readOne(SENSITIVITIES, text, "sensitivity");
}

function readTrust(text: string): Trust {
  return readOne(TRUSTS, text, "trust");
}

function readPeople(effect: PolicyRule["effect"], text: string): number {
  if (effect !== "ask") throw new Wrong(`"people" in a rule that says ${effect}`);
  return Number(readOne(["1", "2"] as const, text, "people"));
}

function readRisk(text: string): Risk {
  return readOne(["low", "medium", "high", "destructive"] as const, text, "risk");
}

function readOne<T extends string>(all: readonly T[], text: string, what: string): T {
  if (isOneOf(all, text)) return text;
  throw new Wrong(`${what} "${text}", expected one of ${all.join(", ")}${near(text, all)}`);
}

function isOneOf<T extends string>(all: readonly T[], text: string): text is T {
  return (all as readonly string[]).includes(text);
}

function readDuration(text: string): number {
  const match = /^([1-9]\d{0,11})(ms|s|m|h|d)$/.exec(text);
  const ms = match === null ? 0 : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  if (ms > 0 && ms <= LIMITS.sleepMsMax) return ms;
  const most = formatDuration(LIMITS.sleepMsMax);
  throw new Wrong(`"${text}" after "expires", expected a time like "8h", at most ${most}`);
}

/** Rules over what no call is on. A bare deny also hides tools, whatever their calls need. */
function checkForms({ context: { rights, forms }, rules, sinks, errors }: Reading): void {
  if (forms === undefined) return;
  for (const rule of [...rules, ...sinks]) {
    if ("effect" in rule && isBareDeny(rule)) continue;
    const why = neverMatches(rule.pattern, { rights, forms });
    if (why === undefined) continue;
    const message = `"${formatPattern(rule.pattern)}" can never match, since ${why}`;
    errors.push({ line: rule.line, message });
  }
}

/** Rules that other rules make useless. */
function checkTogether({ rules, labels, sinks, errors }: Reading): void {
  const lines = new Map<string, number>();
  for (const rule of [...rules, ...labels, ...sinks]) {
    const key = "label" in rule
      ? `label ${formatPattern(rule.pattern)}`
      : "otherwise" in rule
      ? sinkText(rule)
      : formatRule({ ...rule, reason: null, risk: null, expiresMs: null });
    const first = lines.get(key);
    if (first === undefined) lines.set(key, rule.line);
    else errors.push({ line: rule.line, message: `"${key}" again, expected once (line ${first})` });
  }
  const denies = new PatternIndex<PolicyRule>();
  for (const rule of rules) {
    const always = rule.when === null && rule.expiresMs === null;
    if (rule.effect === "deny" && always) denies.add(rule.pattern, rule);
  }
  for (const rule of rules) {
    if (rule.effect === "deny") continue;
    const over = denies.find(rule.pattern.right, splitResource(rule.pattern.resource))[0];
    if (over === undefined) continue;
    const text = `"${rule.effect} ${formatPattern(rule.pattern)}" can never match`;
    const by = `line ${over.line} denies "${formatPattern(over.pattern)}"`;
    errors.push({ line: rule.line, message: `${text}, since ${by} and deny always wins` });
  }
}
