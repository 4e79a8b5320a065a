/**
 * Least-privilege grants as capabilities: what the data says of an argument, and what the words of
 * the user fix, become JSON Schema over the arguments of a call.
 * @module
 */

import { allow, type Json, type JsonObject, type Rule } from "../mod.ts";
import { type Bound, type Call, type Grant, isEffect, type UserTask } from "./security_data.ts";

/** Which parts of a grant are used; a part that is off is a defence that is off. */
export interface Granting {
  /** Off: every tool of the suite, as often as wanted. */
  readonly tools: boolean;
  /** Bounds on arguments, as the data has them. */
  readonly constraints: boolean;
  /** How often. */
  readonly uses: boolean;
  /** Besides, what the user's own words fix of an argument. */
  readonly words: boolean;
}

/** The rules a task's process is started with. */
export function rulesFor(
  task: UserTask,
  of: { readonly suite: string; readonly self: string | null; readonly granting: Granting },
): readonly Rule[] {
  const { suite, self, granting } = of;
  if (!granting.tools) return [allow(`mcp.${suite}.*`)];
  const left = [...task.calls];
  return task.grants.map((grant) => {
    const bounds: JsonObject[] = [];
    if (granting.constraints) {
      for (const [name, bound] of Object.entries(grant.args)) {
        bounds.push(boundOn(name, bound, self));
      }
    }
    const call = callFor(grant, left);
    if (granting.words && call !== undefined && isEffect(call)) {
      bounds.push(...wordsOn(call, task.prompt));
    }
    return allow(`mcp.${suite}.${grant.tool}`, "**", {
      ...(granting.uses && grant.uses !== null ? { uses: grant.uses } : {}),
      ...(bounds.length === 0 ? {} : { constraint: { allOf: bounds } as JsonObject }),
    });
  });
}

/** The call of the plan that a finite grant was made for: the grants stand in the plan's order. */
function callFor(grant: Grant, left: Call[]): Call | undefined {
  if (grant.uses !== 1) return undefined;
  const at = left.findIndex(({ tool }) => tool === grant.tool);
  return at < 0 ? undefined : left.splice(at, 1)[0];
}

function on(name: string, schema: JsonObject, required: boolean): JsonObject {
  return { properties: { [name]: schema }, ...(required ? { required: [name] } : {}) };
}

/** What the data says of an argument. */
function boundOn(name: string, bound: Bound, self: string | null): JsonObject {
  if (bound.absent === true) return on(name, { const: null }, false);
  if (bound.max !== undefined) return on(name, { type: "number", maximum: bound.max }, true);
  if (bound.url_equals !== undefined) return on(name, urlEquals(bound.url_equals), true);
  if (bound.subset_of !== undefined) {
    const own = bound.self_always_allowed === true && self !== null ? [self] : [];
    const each = [...bound.subset_of, ...own].map(anyOneOf);
    const items: Json = each.length === 0 ? false : { anyOf: each.flat() };
    return on(name, { items }, false);
  }
  return on(name, equals(bound.equals!), true);
}

/** A name, or the object that an attachment is. */
function anyOneOf(text: string): JsonObject[] {
  return [
    { type: "string", ...equals(text) },
    { type: "object", properties: { file_id: equals(text) }, required: ["file_id"] },
  ];
}

const PATTERN_CHARS_MAX = 256;
const SPACES_MAX = 2;

/** Text compares with its case folded and white space collapsed; what is too long, exactly. */
function equals(value: Json): JsonObject {
  if (typeof value !== "string") return { const: value };
  const pattern = `^${folded(value)}$`;
  return fits(pattern) ? { type: "string", pattern } : { const: value };
}

function fits(pattern: string): boolean {
  const spaces = pattern.split("\\s+").length - 1;
  return pattern.length <= PATTERN_CHARS_MAX && spaces <= SPACES_MAX;
}

function folded(text: string): string {
  return text.trim().replaceAll(/\s+|[^\s]/gu, (one) => {
    if (/^\s/.test(one)) return "\\s+";
    const [low, high] = [one.toLowerCase(), one.toUpperCase()];
    if (low !== high && low.length === 1 && high.length === 1) return `[${low}${high}]`;
    return /[\p{L}\p{N}]/u.test(one) ? one : one.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
  });
}

/** Without scheme, `www.` and the last `/`. */
function urlEquals(url: string): JsonObject {
  const bare = url.replace(/^https?:\/\//i, "").replace(/^www\./i, "").replace(/\/$/, "");
  const heads = ["", "http://", "https://"].flatMap((one) => [one, `${one}www.`]);
  const tails = ["", "/"];
  const forms = heads.flatMap((head) => tails.map((tail) => `${head}${bare}${tail}`));
  return { type: "string", anyOf: forms.map(equals) };
}

const WORDS_CHARS_MIN = 4;

/**
 * What the user's words fix of a call: a text that stands in them as it is, and a text made by a
 * form that they give, such as 'Dinner at {restaurant_name}'. Nothing here knows of any attack.
 */
function wordsOn({ args }: Call, prompt: string): JsonObject[] {
  const bounds: JsonObject[] = [];
  for (const [name, value] of Object.entries(args)) {
    if (typeof value !== "string" || value.trim().length < WORDS_CHARS_MIN) continue;
    if (plain(prompt).includes(plain(value))) {
      bounds.push(on(name, equals(value), true));
      continue;
    }
    const form = formsOf(prompt).find((pattern) => new RegExp(pattern, "u").test(value));
    if (form !== undefined) bounds.push(on(name, { type: "string", pattern: form }, true));
  }
  return bounds;
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/\s+/g, " ").trim();
}

/** Quoted texts with gaps in braces, as patterns. */
function formsOf(prompt: string): string[] {
  // An apostrophe within a word quotes nothing.
  const quotes = /(?<![\p{L}\p{N}])(['"])((?:(?!\1)[^\n])*\{(?:(?!\1)[^\n])*)\1(?![\p{L}\p{N}])/gu;
  const quoted = [...prompt.matchAll(quotes)].map((found) => found[2]!);
  return quoted.map((form) => `^${form.split(/\{[^}]*\}/).map(literal).join(".+")}$`)
    .filter((pattern) => pattern.length <= PATTERN_CHARS_MAX && pattern.split(".+").length <= 4);
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
