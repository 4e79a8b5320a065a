/**
 * Words of the command line which stand for values: durations, budgets, rules, times.
 * @module
 */

import { RIGHTS } from "../broker/table.ts";
import { SysError } from "../kernel/errors.ts";
import type { BudgetLimits } from "../kernel/event.ts";
import { parsePattern, type Pattern } from "../kernel/grammar.ts";
import type { Json } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import { suggest, unknownRight } from "../kernel/policy.ts";
import { type Duration, milliseconds, type Rule } from "../runtime/rule.ts";
import { UsageError } from "./exit.ts";

/** Milliseconds of a word like `15m`; undefined for none. */
export function durationOf(word: string | undefined): number | undefined {
  return word === undefined ? undefined : usage(() => milliseconds(word as Duration));
}

/** A whole number from 1; undefined for none. */
export function countOf(word: string | undefined, what: string): number | undefined {
  if (word === undefined) return undefined;
  const count = Number(word);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new UsageError(`Cannot use ${what} "${word}": expected a whole number from 1`);
}

/** A port of this machine; 0 for any that is free. */
export function portOf(word: string): number {
  const port = Number(word);
  if (/^\d{1,5}$/.test(word) && port <= 65_535) return port;
  throw new UsageError(`Cannot listen on port "${word}": expected 0 to 65535`);
}

/** A pattern like `file.read(./src/**)`. */
export function patternOf(word: string): Pattern {
  const pattern = usage(() => parsePattern(word.replace(/^allow\s+/, "")));
  const unknown = unknownRight(pattern.right, { rights: RIGHTS });
  if (unknown === undefined) return pattern;
  throw new UsageError(`Cannot use pattern "${word}": ${unknown}`);
}

/** Rules of the repeatable options `--grant`, `--ask` and `--deny`. */
export function rulesOf(words: readonly string[], effect: Rule["effect"]): Rule[] {
  return words.map((word) => ({ effect, ...patternOf(word) }));
}

const KINDS: { readonly [word: string]: keyof BudgetLimits } = {
  tokens: "tokens",
  usd: "usd",
  modelCalls: "modelCalls",
  toolCalls: "toolCalls",
  children: "children",
  depth: "depth",
  bytes: "bytes",
  wall: "wallMs",
};

/** Limits of words like `tokens=50000,usd=0.2,wall=10m`. */
export function budgetOf(words: readonly string[]): BudgetLimits {
  const limits: { -readonly [K in keyof BudgetLimits]: number } = {};
  for (const word of words.flatMap((each) => each.split(","))) {
    const [name = "", value = ""] = word.split("=");
    const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
    if (kind === undefined) {
      const near = suggest(name, Object.keys(KINDS));
      const hint = near === undefined ? "" : `, did you mean "${near}"?`;
      const expected = `expected ${Object.keys(KINDS).join(", ")}${hint}`;
      throw new UsageError(`Cannot limit "${name}": unknown, ${expected}`);
    }
    limits[kind] = kind === "wallMs" ? durationOf(value)! : amountOf(name, value);
  }
  return limits;
}

function amountOf(name: string, word: string): number {
  const amount = Number(word);
  if (word !== "" && Number.isFinite(amount) && amount >= 0) return amount;
  throw new UsageError(`Cannot limit ${name} to "${word}": expected a number`);
}

/** Labels of words like `team=ops`. */
export function labelsOf(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.map((text) => {
    const match = /^([^=]+)=(.*)$/s.exec(text);
    if (match === null) throw new UsageError(`Cannot use label "${text}": expected K=V`);
    return [match[1]!, match[2]!];
  }));
}

/** A value: JSON where it is some, else the text. */
export function valueOf(word: string): Json {
  try {
    return parseJson(word) as Json;
  } catch {
    return word;
  }
}

/** Runs a reader of words: what it refuses was called wrongly. */
export function usage<T>(job: () => T): T {
  try {
    return job();
  } catch (thrown) {
    if (thrown instanceof SysError && thrown.code === "EINVAL") {
      throw new UsageError(thrown.message);
    }
    throw thrown;
  }
}

/** A time of day, UTC. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}

/** A time with its day, UTC. */
export function dateOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

export { plural, short, spanOf } from "../runtime/wording.ts";
