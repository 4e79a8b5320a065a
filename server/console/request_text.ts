/**
 * Requests as text: exact arguments, addresses taken apart, rules in words, what is urgent.
 *
 * Invariants:
 *   T1. No character of an argument is hidden, joined or left out.
 * @module
 */

import type { RequestView } from "../schema/request.ts";
import { hostText, scriptsOf } from "./host.ts";
import { spanOf } from "./words.ts";

const UNSEEN = new RegExp(
  "[\\p{Cf}\\p{Co}\\p{Cs}\\p{Zl}\\p{Zp}\\p{M}\\p{Default_Ignorable_Code_Point}" +
    "\\u0080-\\u00a0\\u2000-\\u200a\\u202f\\u205f\\u3000\\u2800\\u007f]",
  "gu",
);

/** JSON with each character that could not be seen, or joins another, as its escape (T1). */
export function exactJson(value: unknown): string {
  return (JSON.stringify(value, null, 2) ?? "null").replace(
    UNSEEN,
    (char) =>
      [...Array(char.length).keys()]
        .map((i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  );
}

/** A right on a resource: `file.write(./out/a.md)`; or what is asked, where there is no call. */
export function whatOf({ call, prompt }: RequestView): string {
  return call === null ? prompt : `${call.right}(${call.resource})`;
}

const WEIGHTS = { low: 1, medium: 2, high: 4, destructive: 8 } as const;
const MINUTE_MS = 60_000;

/** How soon somebody should look: risk times age, twice that when it was escalated. */
function urgencyOf({ risk, createdAt, escalatedAt }: RequestView, nowMs: number): number {
  const age = Math.max(0, nowMs - Date.parse(createdAt)) + MINUTE_MS;
  return WEIGHTS[risk] * age * (escalatedAt === null ? 1 : 2);
}

/** The most urgent first. */
export function byUrgency(all: readonly RequestView[], nowMs: number): RequestView[] {
  return all.toSorted((a, b) =>
    urgencyOf(b, nowMs) - urgencyOf(a, nowMs) || a.id.localeCompare(b.id, "en", { numeric: true })
  );
}

/** How far an approval reaches. */
export type Scope = RequestView["scopes"][number];

/** Whom a scope reaches, in words. */
export function reachOf(scope: Scope, { pid, tree, image }: RequestView): string {
  switch (scope) {
    case "once":
      return "this call, once";
    case "process":
      return `${pid}, while it lasts`;
    case "subtree":
      return `${pid} and all that it starts`;
    case "tree":
      return `every process of ${tree}`;
    case "image":
      return `every process of ${image} in ${tree}`;
    case "policy":
      return `the policy of ${tree}: everybody whom the rule asks about`;
  }
}

/** An address, taken apart. */
export interface Address {
  readonly scheme: string;
  /** Who would be told a name before the host: `user@`. */
  readonly user: string;
  readonly host: string;
  readonly port: string;
  readonly path: string;
  /** What is odd about it, each a sentence. */
  readonly warnings: readonly string[];
}

const METHOD_MAX = 20;
const ADDRESS = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#]*)@)?(\[[^\]]*\]|[^/?#:]*)(:\d*)?(.*)$/isu;

/** Takes an address apart; null for what is none. */
export function addressOf(text: string): Address | null {
  const parts = ADDRESS.exec(text.trim());
  if (parts === null) return null;
  const [, scheme = "", user = "", host = "", port = "", path = ""] = parts;
  const read = hostText(host);
  const scripts = scriptsOf(read);
  const warnings = [
    ...(user === "" ? [] : ["There is a name before the host: the host is what follows the @."]),
    ...(read === host ? [] : [`The host is written in punycode. It reads as ${read}.`]),
    ...(scripts.length > 1 ? [`The host mixes scripts: ${scripts.join(", ")}.`] : []),
    ...(read === host && scripts.some((one) => one !== "Latin")
      ? [`The host is written in ${scripts.join(", ")}.`]
      : []),
    ...(/^(\d+\.){3}\d+$|^\[/.test(host) ? ["The host is a number, not a name."] : []),
    ...(scheme.toLowerCase() === "http" ? ["It is not encrypted."] : []),
  ];
  return { scheme, user, host, port, path, warnings };
}

/** The address that a request is about, if it is about one. */
export function addressIn({ call }: RequestView): string | null {
  if (call === null) return null;
  const { url } = (call.args ?? {}) as { readonly url?: unknown };
  if (typeof url === "string" && addressOf(url) !== null) return url;
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(call.resource) ? call.resource : null;
}

/** What is done at the address, if the call says it. */
export function methodIn({ call }: RequestView): string | null {
  const { method } = (call?.args ?? {}) as { readonly method?: unknown };
  return typeof method === "string" ? method.slice(0, METHOD_MAX) : null;
}

/** Texts of more than a line among the arguments, as lines. */
export function textsIn({ call }: RequestView): (readonly [string, string])[] {
  if (call === null || call.args === null || typeof call.args !== "object") return [];
  return Object.entries(call.args).filter((entry): entry is [string, string] =>
    typeof entry[1] === "string" && /\n./s.test(entry[1])
  );
}

/** How long until something is over: `in 58m`; null where it never is. */
export function untilText(at: string | null, nowMs: number): string | null {
  if (at === null) return null;
  const left = Date.parse(at) - nowMs;
  return left <= 0 ? "over" : `in ${spanOf(left)}`;
}

/** The narrowest pattern over several resources that are written as paths. */
export function patternOver(resources: readonly string[]): string {
  const [first = "", ...others] = [...new Set(resources)];
  if (others.length === 0) return first;
  const all = [first, ...others].map((one) => one.split("/"));
  const shortest = Math.min(...all.map((one) => one.length));
  let same = 0;
  while (same < shortest - 1 && all.every((one) => one[same] === all[0]![same])) same += 1;
  const head = all[0]!.slice(0, same);
  if (all.some((one) => one.length !== same + 1)) return [...head, "**"].join("/");
  const endings = new Set(all.map((one) => /[^.](\.\w+)$/.exec(one.at(-1)!)?.[1] ?? ""));
  return [...head, `*${endings.size === 1 ? [...endings][0] : ""}`].join("/");
}
