/**
 * A gate as words: `rpm=50`, `tpm=100000`, `concurrency=4`, `wait=10m`, or "off".
 * @module
 */

import { checkGate, type GateOptions } from "../kernel/gate_options.ts";
import type { RuntimeOptions } from "../runtime/runtime_options.ts";
import type { Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { durationOf, usage } from "./words.ts";

/** Each word, and what it sets. */
const WORDS = {
  rpm: "requestsPerMinute",
  tpm: "tokensPerMinute",
  concurrency: "concurrency",
  most: "concurrencyMax",
  tries: "tries",
  wait: "waitMs",
  slow: "slowMs",
  tokens: "tokensPerTree",
} as const satisfies Readonly<Record<string, keyof GateOptions>>;

/** The option of commands whose agents ask models. */
export const GATE_OPTION = { gate: { type: "string", multiple: true } } as const;

/** The runtime's option that it sets: on, unless it is off. */
export function gateFor({ flags }: Context): Pick<RuntimeOptions, "gate"> {
  const gate = gateOf(flags.texts("gate"));
  return gate === undefined ? {} : { gate };
}

/** A gate as it was asked for: without a word it heeds what endpoints say. Undefined for "off". */
export function gateOf(words: readonly string[]): GateOptions | undefined {
  if (words.includes("off")) {
    if (words.length === 1) return undefined;
    throw new UsageError('Cannot set a gate: it is "off" and set, expected one of both');
  }
  const set: { -readonly [name in (typeof WORDS)[keyof typeof WORDS]]?: number } = {};
  for (const word of words) {
    const [name, value = ""] = word.split("=", 2) as [string, string?];
    if (!Object.hasOwn(WORDS, name)) {
      const expected = `expected one of ${Object.keys(WORDS).join(", ")}, or "off"`;
      throw new UsageError(`Cannot set a gate: "${word}" is unknown, ${expected}`);
    }
    const key = WORDS[name as keyof typeof WORDS];
    const amount = key.endsWith("Ms") ? durationOf(value) : numberOf(value);
    if (amount === undefined) {
      throw new UsageError(`Cannot set a gate: "${word}" is no amount, expected ${name}=N`);
    }
    set[key] = amount;
  }
  usage(() => checkGate(set));
  return set;
}

function numberOf(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
