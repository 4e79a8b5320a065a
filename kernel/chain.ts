/**
 * One capability and its parents, checked against one call.
 *
 * Invariants:
 *   H1. Every member of a chain is checked alike: nothing holds for a capability because it held
 *       for the one it was derived from.
 *   H2. The reason given is that of the first check that failed, in the order of `WHY`.
 * @module
 */

import type { AuthorityQuery, HeldCapability } from "./capability.ts";
import type { CapabilityIndex } from "./capability_index.ts";
import { satisfies } from "./constraint.ts";
import { compileResource, matchRight, matchSegments, splitResource } from "./grammar.ts";
import type { JsonObject } from "./json.ts";
import type { CapId } from "./ids.ts";
import { mustWriteOutHost, writesOutHost } from "./net.ts";

/** Reasons, in the order in which a capability is checked. */
export const WHY = {
  right: "the right differs",
  resource: "the resource differs",
  unnamed: "the host is private or may be, and its pattern does not write it out",
  notGranted: "a rule says ask, and this was not granted by a person",
  orphan: "what it was derived from is gone",
  expired: "expired",
  spent: "no use left",
  bound: "granted for other arguments",
  image: "granted to processes of another image",
  bytes: "more bytes than it allows",
  constraint: "its constraint does not allow these arguments",
  covers: "covers the call",
} as const;

/** Why a capability does nothing at this time whatever the call, or null. */
export function standing(cap: HeldCapability, nowMs: number): string | null {
  if (cap.expiresMs !== null && cap.expiresMs <= nowMs) return WHY.expired;
  if (cap.usesMax !== null && cap.usesSpent >= cap.usesMax) return WHY.spent;
  return null;
}

/** What a call is checked against along a chain. */
export interface ChainQuery {
  readonly query: AuthorityQuery;
  readonly segments: readonly string[];
}

/** Walks a chain for a call: what was found, or why it does not do. */
export function walkChain(
  index: CapabilityIndex,
  cap: HeldCapability,
  asked: ChainQuery,
): { chain: CapId[]; finite: boolean; bytesMax: number | null } | string {
  const chain: CapId[] = [];
  let finite = false;
  let bytesMax: number | null = null;
  let at = cap;
  for (;;) {
    const wrong = check(at, asked);
    if (wrong !== null) return at === cap ? wrong : `in parent ${at.id}: ${wrong}`;
    chain.push(at.id);
    if (at.usesMax !== null) finite = true;
    bytesMax = least(bytesMax, at.bytesMax);
    if (at.parent === null) return { chain, finite, bytesMax };
    const parent = index.get(at.parent);
    if (parent === undefined) return WHY.orphan;
    at = parent;
  }
}

/** Whether one capability, with its chain, covers a call: null, or why it does not. */
export function coveredBy(
  index: CapabilityIndex,
  id: CapId,
  query: AuthorityQuery,
): string | null {
  const cap = index.get(id);
  if (cap === undefined) return WHY.orphan;
  const walk = walkChain(index, cap, { query, segments: splitResource(query.resource) });
  return typeof walk === "string" ? walk : null;
}

function check(cap: HeldCapability, { query, segments }: ChainQuery): string | null {
  if (!matchRight(cap.right, query.right)) return WHY.right;
  if (!matchSegments(compileResource(cap.resource), segments)) return WHY.resource;
  const isOpen = !mustWriteOutHost(query.right, segments) ||
    writesOutHost(splitResource(cap.resource), segments);
  if (!isOpen) return WHY.unnamed;
  const stands = standing(cap, query.nowMs);
  if (stands !== null) return stands;
  const bound = cap.grant?.argsHash ?? null;
  if (bound !== null && bound !== query.argsHash()) return WHY.bound;
  if (cap.image !== undefined && cap.image !== query.image) return WHY.image;
  // What nobody counts may be any number.
  if (cap.bytesMax !== null && (query.bytes ?? Infinity) > cap.bytesMax) return WHY.bytes;
  if (cap.constraint !== null && !constrained(cap.constraint, query)) return WHY.constraint;
  return null;
}

/** A constraint is over the arguments of the call its right is named for, and no other. */
function constrained(constraint: JsonObject, query: AuthorityQuery): boolean {
  if (query.call !== undefined && query.call !== query.right) return false;
  return satisfies(constraint, query.args);
}

/** Whether its own pattern covers a right and the segments of a resource, or of a pattern. */
export function coversText(
  cap: HeldCapability,
  right: string,
  segments: readonly string[],
): boolean {
  return matchRight(cap.right, right) && matchSegments(compileResource(cap.resource), segments);
}

/** The order of `authorize`'s preference (C5). */
export function byPreference(a: HeldCapability, b: HeldCapability): number {
  return Number(isGrant(a)) - Number(isGrant(b)) ||
    Number(a.usesMax !== null) - Number(b.usesMax !== null) || byAge(a.id, b.id);
}

/** The older first: ids of one tree differ in their last number only. */
export function byAge(a: CapId, b: CapId): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** Whether it was born of an answer. */
export function isGrant(cap: HeldCapability): boolean {
  return cap.grant !== null;
}

/** The lesser of two bounds, where null is none. */
export function least(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}
