/**
 * Requests as somebody at a terminal reads them, and lines as what they stand for.
 *
 * Invariants:
 *   T1. What agents wrote is shown by `printable` and behind a bar; the only colours are ours.
 * @module
 */

import { matchResource } from "../kernel/grammar.ts";
import { canonical, type Json, plain } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import { checkAgainst } from "../kernel/schema.ts";
import type { PersonRequest, Scope } from "../kernel/world.ts";
import { oneLine, quoted } from "./printable.ts";

const SHOWN_LENGTH_MAX = 2_000;

/** A request as it is put before somebody, and all of it where `isWhole`. */
export function requestText(request: PersonRequest, isColoured: boolean): string {
  const { call } = request;
  const lineage = request.lineage.length === 0 ? "" : ` (${request.lineage.join(" > ")})`;
  const lines = [
    "",
    `── ${request.kind} ${oneLine(request.id)} ── risk: ${request.risk} ──`,
    `who   ${oneLine(request.pid + lineage)}`,
    ...(request.who === undefined ? [] : [`to    ${oneLine(request.who)}`]),
  ];
  if (call !== undefined) {
    lines.push(`what  ${oneLine(call.name)}: ${oneLine(call.right)} ${oneLine(call.resource)}`);
    lines.push(`args  ${oneLine(call.argsHash)}`);
    lines.push(quoted(canonical(call.args), SHOWN_LENGTH_MAX).text);
  }
  if (request.preview !== undefined) {
    lines.push("preview", previewText(request.preview, SHOWN_LENGTH_MAX, isColoured));
  }
  lines.push("why", quoted(request.prompt, LIMITS.requestPromptBytesMax).text);
  request.choices?.forEach((choice, i) => lines.push(`  ${i + 1}) ${oneLine(choice)}`));
  if (request.schema !== undefined) {
    lines.push("as", quoted(canonical(request.schema), SHOWN_LENGTH_MAX).text);
  }
  return `${lines.join("\n")}\n`;
}

/** All of what was cut. */
export function wholeText({ call, preview }: PersonRequest, isColoured: boolean): string {
  const args = JSON.stringify(call?.args ?? null, null, 2);
  const lines = ["args", quoted(args, Infinity).text];
  if (preview !== undefined) lines.push("preview", previewText(preview, Infinity, isColoured));
  return `${lines.join("\n")}\n`;
}

/** Whether something of a call was not shown. */
export function isCut({ call, preview }: PersonRequest): boolean {
  const isArgsCut = call !== undefined && canonical(call.args).length > SHOWN_LENGTH_MAX;
  return isArgsCut || (preview !== undefined && preview.length > SHOWN_LENGTH_MAX);
}

/** A preview behind its bar; lines that come are green and those that go are red (T1). */
function previewText(preview: string, lengthMax: number, isColoured: boolean): string {
  const { text } = quoted(preview, lengthMax);
  if (!isColoured) return text;
  return text.split("\n").map((line) => {
    const colour = line.startsWith("  │ +") ? 32 : line.startsWith("  │ -") ? 31 : undefined;
    return colour === undefined ? line : `\x1b[${colour}m${line}\x1b[0m`;
  }).join("\n");
}

/** What each key does. */
export const KEYS_TEXT = `  y   this call with these arguments, once
  p   calls like it of this process       t   of this process and all below it
  P   a rule of the policy                e   this call once, with other arguments
  v   all that was cut                    n   no, and why
  N   no, and stop the process            ?   this
  p, t and P ask which calls and for how long, and once more before they hold
`;

/** A rule that might be given. */
export interface Wished {
  readonly resource: string;
  readonly matched: number | null;
}

/** Rules to choose from, the narrowest first: the call's own resource always is. */
export function wishesOf({ call, suggestions }: PersonRequest): Wished[] {
  if (call === undefined) return [];
  const wider = suggestions.filter(({ scope }) => scope !== "once");
  const own = wider.find(({ resource }) => resource === call.resource);
  return [
    { resource: call.resource, matched: own?.matched ?? null },
    ...wider.filter(({ resource }) => resource !== call.resource),
  ];
}

/** The rule that a line names; undefined for one that does not cover the call. */
export function wishOf(line: string, request: PersonRequest): string | undefined {
  const wishes = wishesOf(request);
  const word = line.trim();
  if (word === "") return wishes[0]?.resource;
  if (/^\d+$/.test(word)) return wishes[Number(word) - 1]?.resource;
  const { right, resource } = request.call!;
  const named = word.startsWith(`${right}(`) && word.endsWith(")")
    ? word.slice(right.length + 1, -1)
    : word;
  try {
    return matchResource(named, resource) ? named : undefined;
  } catch {
    return undefined;
  }
}

const UNITS: { readonly [unit: string]: number } = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** How long a line says: `15m`; null for good, undefined where it says nothing of the kind. */
export function lengthOf(line: string, scope: Scope): number | null | undefined {
  const word = line.trim();
  if (word === "") return scope === "policy" ? null : LIMITS.grantExpiryMsDefault;
  if (word === "never") return scope === "policy" ? null : undefined;
  const [, count, unit] = /^([1-9]\d{0,5})([smhd])$/.exec(word) ?? [];
  const ms = count === undefined ? undefined : Number(count) * UNITS[unit!]!;
  return ms === undefined || ms > LIMITS.grantExpiryMsMax ? undefined : ms;
}

/** The value that a line stands for, or what was expected instead. */
export type Meaning = { readonly value: Json } | { readonly expected: string };

/** What an answer to a question means. */
export function meaningOf(line: string, { choices, schema }: PersonRequest): Meaning {
  if (choices !== undefined) {
    const value = choices.includes(line) ? line : choices[Number(line.trim() || NaN) - 1];
    if (value !== undefined && (schema === undefined || checkAgainst(schema, value) === null)) {
      return { value };
    }
    if (schema === undefined || schema["type"] === "string") {
      return { expected: `a number from 1 to ${choices.length}` };
    }
  }
  if (schema === undefined || schema["type"] === "string") {
    return line.trim() === "" ? { expected: "a line" } : { value: line };
  }
  const meant = jsonOf(line, "the answer");
  if (meant === undefined) return { expected: "JSON" };
  return checkAgainst(schema, meant) === null
    ? { value: meant }
    : { expected: "what is said above" };
}

/** JSON of a line; undefined where it is none. */
export function jsonOf(line: string, what: string): Json | undefined {
  try {
    const bounds = { depthMax: LIMITS.jsonDepthMax, bytesMax: LIMITS.callArgumentBytesMax };
    return plain(parseJson(line), bounds, what);
  } catch {
    return undefined;
  }
}
