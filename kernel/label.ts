/**
 * Labels: how secret a value is, how far it can be trusted, and where it came from.
 *
 * Invariants:
 *   L1. Joining never makes a label less secret or more trusted than either side.
 *   L2. Joining is associative, commutative and idempotent, and `BOTTOM` changes nothing.
 *   L3. No origin is lost by joining: what is not named any more is stood for by `MORE`.
 * @module
 */

import type { Pattern } from "./grammar.ts";
import { LIMITS } from "./limits.ts";

/** How much harm it does when a value gets out, least first. */
export const SENSITIVITIES = ["public", "internal", "confidential", "secret"] as const;
/** How much harm it does when a value gets out. */
export type Sensitivity = "public" | "internal" | "confidential" | "secret";

/** Who vouches for a value, least trusted first. */
export const TRUSTS = ["untrusted", "user", "trusted"] as const;
/** Who vouches for a value. */
export type Trust = "untrusted" | "user" | "trusted";

/** What every value carries. */
export interface Label {
  /** How much harm it does when the value gets out. */
  readonly sensitivity: Sensitivity;
  /** Who vouches for the value. */
  readonly trust: Trust;
  /** Where it came from, such as `file:./hr`; sorted. Absent where nobody knows. */
  readonly origin?: readonly string[];
}

/** The label of what nobody has labelled: joining it with another gives that other. */
export const BOTTOM: Label = { sensitivity: "public", trust: "trusted" };

/** What a person says of whom nothing more is known. */
export const PERSON: Label = { origin: ["person"], sensitivity: "public", trust: "user" };

/** Among origins: and others, which are too many to name. */
export const MORE = "…";

/** The label of something made from both: as secret as the more secret, as trusted as the less. */
export function joinLabels(a: Label, b: Label): Label {
  const origin = joinOrigins(a.origin, b.origin);
  if (origin === a.origin && fits(b, a)) return a;
  if (origin === b.origin && fits(a, b)) return b;
  const sensitivity = rankOfSensitivity(a) >= rankOfSensitivity(b) ? a.sensitivity : b.sensitivity;
  const trust = rankOfTrust(a) <= rankOfTrust(b) ? a.trust : b.trust;
  // In the order of their names, as all that is kept many times: its text is made quicker.
  return origin === undefined ? { sensitivity, trust } : { origin, sensitivity, trust };
}

/** Position of the label's sensitivity, 0 for "public". */
export function rankOfSensitivity(label: Pick<Label, "sensitivity">): number {
  return SENSITIVITIES.indexOf(label.sensitivity);
}

/** Position of the label's trust, 0 for "untrusted". */
export function rankOfTrust(label: Pick<Label, "trust">): number {
  return TRUSTS.indexOf(label.trust);
}

/** Whether joining `low` into `high` makes it neither more secret nor less trusted. */
export function fits(low: Label, high: Label): boolean {
  return rankOfSensitivity(low) <= rankOfSensitivity(high) &&
    rankOfTrust(low) >= rankOfTrust(high);
}

/** A label as people read it: `secret, untrusted; from file:./hr`. */
export function formatLabel({ sensitivity, trust, origin = [] }: Label): string {
  const from = origin.length === 0 ? "" : `; from ${origin.join(", ")}`;
  return `${sensitivity}, ${trust}${from}`;
}

/** A label with an origin, where it names none yet. */
export function withOrigin(label: Label, origin: string | null): Label {
  return label.origin !== undefined || origin === null ? label : { origin: [origin], ...label };
}

/** Where what a call reads comes from that has these needs; null for what is inside. */
export function originAmong(needs: readonly Readonly<Pattern>[]): string | null {
  for (const { right, resource } of needs) {
    const origin = originOf(right, resource);
    if (origin !== null) return origin;
  }
  return null;
}

/**
 * Where what is read by a right comes from; null for what is inside: that carries its own label.
 * A folder stands for its files, and a server for all it has, so that there are few.
 */
export function originOf(right: string, resource: string): string | null {
  const end = right.indexOf(".");
  const noun = end < 0 ? right : right.slice(0, end);
  switch (noun) {
    case "file":
      if (right === "file.list") return tag("file", resource);
      return right === "file.read" ? tag("file", folderOf(resource)) : null;
    case "net":
      return tag("net", /^(?:[A-Z]+ )?[a-z+.-]+:\/\/([^/]*)/.exec(resource)?.[1] ?? resource);
    case "mcp":
      return tag("mcp", serverOf(right, resource));
    case "shell":
    case "program":
      return tag(noun, resource);
    case "human":
      return "person";
    default:
      return null;
  }
}

/** The server in a tool's right; for a call such as "mcp.read" it is in what is read. */
function serverOf(right: string, resource: string): string {
  const [, server = "", tool] = right.split(".");
  return tool === undefined ? resource.split("/", 1)[0]! : server;
}

function tag(kind: string, name: string): string {
  return `${kind}:${name}`.slice(0, LIMITS.labelOriginCharsMax).toWellFormed();
}

function folderOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end <= 0 ? "." : path.slice(0, end);
}

type Origins = readonly string[] | undefined;

/** L3: the first in order are kept, whichever way they were joined. */
function joinOrigins(a: Origins, b: Origins): Origins {
  if (a === b || b === undefined || holdsAll(a, b)) return a;
  if (a === undefined || holdsAll(b, a)) return b;
  const named = [...new Set([...a, ...b])].filter((one) => one !== MORE).sort();
  const isMore = named.length > LIMITS.labelOriginsMax || a.includes(MORE) || b.includes(MORE);
  return isMore ? [...named.slice(0, LIMITS.labelOriginsMax), MORE] : named;
}

function holdsAll(all: Origins, some: readonly string[]): boolean {
  return all !== undefined && some.every((one) => all.includes(one));
}
