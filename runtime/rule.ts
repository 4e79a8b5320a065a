/**
 * Rules as an embedder writes them: `allow("file.read", "./src/**")`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { checkPattern, formatPattern, parsePattern, type Pattern } from "../kernel/grammar.ts";
import type { JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { spellPattern } from "../kernel/path.ts";
import { type Effect, EFFECTS } from "../kernel/policy.ts";
import { near } from "../kernel/suggest.ts";

/** A duration: `"15m"`, `"8h"`. */
export type Duration = `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Milliseconds of a duration. Throws `EINVAL`.
 *
 * @example
 * ```ts
 * import { milliseconds } from "@agent-libos/core";
 * console.assert(milliseconds("15m") === 900_000);
 * ```
 */
export function milliseconds(duration: Duration): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration);
  if (match !== null) return Math.round(Number(match[1]) * UNITS[match[2]!]!);
  const expected = 'expected a number with ms, s, m, h or d, such as "15m"';
  throw new SysError("EINVAL", `Cannot use duration "${duration}": ${expected}`);
}

/** A rule: what is allowed, asked about or denied. */
export interface Rule {
  /** What it does to a call that it covers. */
  readonly effect: Effect;
  /** Named like the call it opens. */
  readonly right: string;
  /** A pattern. */
  readonly resource: string;
  /** How many calls it opens; any number when absent. */
  readonly uses?: number;
  /** How long it holds from the spawn on; as long as its holder when absent. */
  readonly expiresIn?: Duration;
  /** Whether its holder may hand it on, narrowed or whole; true when absent. */
  readonly delegable?: boolean;
  /** How many times, one after another, it may be handed on; as the system lets when absent. */
  readonly depth?: number;
  /** Most bytes that one call may move: it opens no call that does not say how many. */
  readonly bytes?: number;
  /** A JSON Schema over the call's arguments. */
  readonly constraint?: JsonObject;
}

/** What narrows a rule. */
export type RuleOptions = Pick<
  Rule,
  "uses" | "expiresIn" | "delegable" | "depth" | "bytes" | "constraint"
>;

function rule(effect: Effect, right: string, rest: {
  readonly resource: string;
  readonly options?: RuleOptions;
}): Rule {
  const made = { effect, right, resource: rest.resource, ...rest.options };
  checkRule(made);
  return made;
}

/** Refuses a rule that nobody could mean, however it was written, with `EINVAL`. */
export function checkRule(given: Rule): void {
  const { effect, right, resource, uses, ...bounds } = Object(given) as Rule;
  const { expiresIn, delegable, depth, bytes } = bounds;
  const isText = typeof right === "string" && typeof resource === "string";
  if (!isText || !EFFECTS.includes(effect)) {
    const shown = typeof given === "object" ? `${effect} ${right}(${resource})` : given;
    const expected = "expected what allow(), ask() or deny() gives";
    throw new SysError("EINVAL", `Cannot use rule "${shown}": no rule, ${expected}`);
  }
  checkPattern({ right, resource });
  if (uses !== undefined && !(Number.isSafeInteger(uses) && uses > 0)) {
    const sentence = `Cannot give "${right}(${resource})" for ${uses} uses`;
    throw new SysError("EINVAL", `${sentence}: expected a whole number from 1`);
  }
  checkBound(given, { name: "depth", value: depth, max: LIMITS.capabilityDepthMax });
  checkBound(given, { name: "bytes", value: bytes, max: Number.MAX_SAFE_INTEGER });
  const refused = `Cannot use rule "${right}(${resource})"`;
  if (expiresIn !== undefined && milliseconds(expiresIn) === 0) {
    throw new SysError("EINVAL", `${refused} for ${expiresIn}: expected at least 1ms`);
  }
  if (delegable !== undefined && typeof delegable !== "boolean") {
    const expected = "expected true or false";
    throw new SysError("EINVAL", `${refused} with delegable "${delegable}": ${expected}`);
  }
  // What narrows nothing since its name is mistyped would give more than was meant.
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown === undefined) return;
  const expected = `expected one of ${NARROWS.join(", ")}${near(unknown, NARROWS)}`;
  throw new SysError("EINVAL", `${refused} with "${unknown}": unknown, ${expected}`);
}

function checkBound(
  { right, resource }: Rule,
  { name, value, max }: {
    readonly name: string;
    readonly value: number | undefined;
    readonly max: number;
  },
): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0 && value <= max)) return;
  const sentence = `Cannot give "${right}(${resource})" with ${name} ${value}`;
  throw new SysError("EINVAL", `${sentence}: expected a whole number from 0 to ${max}`);
}

const FIELDS: { readonly [K in keyof Required<Rule>]: boolean } = {
  effect: false,
  right: false,
  resource: false,
  uses: true,
  expiresIn: true,
  delegable: true,
  depth: true,
  bytes: true,
  constraint: true,
};
const NARROWS = Object.entries(FIELDS).flatMap(([name, narrows]) => narrows ? [name] : []);

/**
 * A right, given outright.
 *
 * @example
 * ```ts
 * import { allow } from "@agent-libos/core";
 * console.assert(allow("file.read", "./src/**").effect === "allow");
 * ```
 */
export function allow(right: string, resource = "**", options: RuleOptions = {}): Rule {
  return rule("allow", right, { resource, options });
}

/**
 * A right that a person is asked about each time it is used.
 *
 * @example
 * ```ts
 * import { ask } from "@agent-libos/core";
 * console.assert(ask("file.write", "./out/**").effect === "ask");
 * ```
 */
export function ask(right: string, resource = "**", options: RuleOptions = {}): Rule {
  return rule("ask", right, { resource, options });
}

/**
 * What is refused whatever else is given.
 *
 * @example
 * ```ts
 * import { deny } from "@agent-libos/core";
 * console.assert(deny("net.fetch").resource === "**");
 * ```
 */
export function deny(right: string, resource = "**"): Rule {
  return rule("deny", right, { resource });
}

/**
 * Reads `allow file.read(./src/**)`. Throws `EINVAL` with the column.
 *
 * @example
 * ```ts
 * import { parseRule } from "@agent-libos/core";
 * console.assert(parseRule("deny net.fetch").effect === "deny");
 * ```
 */
export function parseRule(text: string): Rule {
  const match = /^(allow|ask|deny)\s+(.*)$/s.exec(String(text).trim());
  if (match === null) {
    const expected = 'expected "allow", "ask" or "deny", and right(resource)';
    throw new SysError("EINVAL", `Cannot read rule "${text}": ${expected}`);
  }
  return { effect: match[1] as Effect, ...parsePattern(match[2]!) };
}

/** A rule's right and resource as text. */
export function formatPatternOf(one: Rule): string {
  return formatPattern(one);
}

/** A rule as policy text. */
export function formatRule(one: Rule): string {
  return `${one.effect} ${formatPattern(one)}`;
}

/** Policy text of what an embedder gave. */
export function policyText(policy: string | readonly Rule[] | undefined): string {
  if (policy === undefined || typeof policy === "string") return policy ?? "";
  return policy.map(formatRule).join("\n");
}

/** The ask and deny rules among grants, as policy text. */
export function rulesText(grants: readonly Rule[]): string {
  return grants.filter(({ effect }) => effect !== "allow").map(formatRule).join("\n");
}

/** A rule whose path pattern is relative to the workspace, not to a working directory. */
export function absolute(rule: Rule, cwd: string): Rule {
  return { ...rule, ...spellPattern(rule, cwd) };
}

/** A pattern as a rule that lets through. */
export function asAllowed(pattern: Pattern): Rule {
  return { effect: "allow", ...pattern };
}

/** Makes capabilities of rules, for a root process. */
export function capabilityOf(nowMs: number): (rule: Rule) => {
  readonly right: string;
  readonly resource: string;
  readonly usesMax?: number;
  readonly expiresMs?: number;
  readonly delegable?: boolean;
  readonly depthMax?: number;
  readonly bytesMax?: number;
  readonly constraint?: NonNullable<Rule["constraint"]>;
} {
  return ({ right, resource, uses, expiresIn, delegable, depth, bytes, constraint }) => ({
    right,
    resource,
    ...(uses === undefined ? {} : { usesMax: uses }),
    ...(expiresIn === undefined ? {} : { expiresMs: nowMs + milliseconds(expiresIn) }),
    ...(delegable === undefined ? {} : { delegable }),
    ...(depth === undefined ? {} : { depthMax: depth }),
    ...(bytes === undefined ? {} : { bytesMax: bytes }),
    ...(constraint === undefined ? {} : { constraint }),
  });
}
