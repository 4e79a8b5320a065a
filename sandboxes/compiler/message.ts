/**
 * What the type checker says, as one sentence for whoever wrote the source.
 * @module
 */

import { PORT_CALLS } from "../../broker/port_surface.ts";
import { suggest } from "../../kernel/suggest.ts";
import { RESERVED } from "./syntax.ts";

const UNITS_MAX = 400;

// "Cannot find name", with advice to install types or to name more libraries.
const UNKNOWN_NAMES: ReadonlySet<number> = new Set([
  2304,
  2318,
  2503,
  2552,
  2580,
  2581,
  2582,
  2583,
  2584,
  2591,
  2592,
  2593,
  2867,
  2868,
]);
const NO_OVERLOAD = 2769;
// What a tool cannot change it is not advised to change.
const ADVICE = / (?:Do you need to|Try `npm|Consider (?:using|changing) the)[^\n]*/g;
const OWN = ["call", "log", "now", "random", "signal"];

/** `whole` is the text of diagnostic `code`, its details on lines of their own. */
export function sentenceOf(code: number, whole: string): string {
  const text = whole.replaceAll(`${RESERVED}.`, "").replace(ADVICE, "");
  const sentence = unknownName(code, text) ?? unknownCall(text) ??
    (code === NO_OVERLOAD ? alternatives(text) : joined(text));
  const cut = sentence.length <= UNITS_MAX ? sentence : `${sentence.slice(0, UNITS_MAX - 1)}…`;
  return `${cut} (TS${code})`;
}

function unknownName(code: number, text: string): string | undefined {
  if (!UNKNOWN_NAMES.has(code)) return undefined;
  const name = /^Cannot find (?:name|namespace|global type) '([^']{1,100})'/.exec(text)?.[1];
  if (name === undefined) return undefined;
  const near = /Did you mean '([^']{1,100})'/.exec(text)?.[1];
  const expected = near === undefined
    ? "a tool has ECMAScript, os and the globals of the guide"
    : `did you mean "${near}"`;
  return `Cannot find "${name}": ${expected}`;
}

/** A call or a part of its name that the port does not have. */
function unknownCall(text: string): string | undefined {
  const called = /^Argument of type '"([^'"]{1,100})"' is .* parameter of type 'keyof Calls'/.exec(
    text,
  )?.[1];
  if (called !== undefined) return unknown(`call "${called}"`, called, PORT_CALLS);
  const missing = /^Property '([^']{1,100})' does not exist on type '(\w{1,100})'/.exec(text);
  if (missing === null) return undefined;
  const [, name, type] = missing as unknown as [string, string, string];
  if (type === "Os") {
    const nouns = PORT_CALLS.map((call) => call.split(".")[0]!);
    return unknown(`"os.${name}"`, name, [...OWN, ...nouns]);
  }
  if (!type.endsWith("Calls")) return undefined;
  const noun = type.slice(0, -"Calls".length).toLowerCase();
  const verbs = PORT_CALLS.filter((call) => call.startsWith(`${noun}.`))
    .map((call) => call.slice(noun.length + 1));
  return verbs.length === 0 ? undefined : unknown(`"os.${noun}.${name}"`, name, verbs);
}

function unknown(what: string, name: string, known: readonly string[]): string {
  const near = suggest(name, known);
  const hint = near === undefined
    ? `expected one of ${[...new Set(known)].join(", ")}`
    : `did you mean "${near}"`;
  return `Cannot find ${what}: ${hint}`;
}

/** What each way to call it found wrong. */
function alternatives(text: string): string {
  const [, ...ways] = text.split(/\n\s*Overload \d+ of \d+[^\n]*/);
  return ways.length === 0 ? joined(text) : ways.map(joined).join("; or ");
}

function joined(text: string): string {
  return text.trim().replace(/\.?\s*\n\s*/g, "; ").replace(/\.$/, "");
}
