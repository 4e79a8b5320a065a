/**
 * Capabilities: who may do what to which thing, and how that is handed on.
 *
 * Invariants:
 *   C1. A call is authorized by one capability and its whole chain of parents: each of them covers
 *       the call, is unexpired, has a use left, and takes the arguments. So deriving only narrows,
 *       whatever a derived capability says, and no proof about constraints is needed.
 *   C2. Removing a capability removes all derived from it in the same step.
 *   C3. A use of a derived capability spends one of each finite ancestor.
 *   C4. A capability bound to arguments, or derived from one, opens exactly that call.
 *   C5. The choice among several is the same on every machine: held outright before granted by a
 *       person, unlimited before finite, then the oldest.
 * @module
 */

import type { CapabilityIndex } from "./capability_index.ts";
import { byPreference, coversText, standing } from "./chain.ts";
import { assert } from "./errors.ts";
import { type Pattern, splitResource, within } from "./grammar.ts";
import type { CapId, Pid, RequestId } from "./ids.ts";
import type { Json, JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { keep } from "./trail.ts";

export { authorize } from "./authorize.ts";
export { CapabilityIndex } from "./capability_index.ts";
export { derive, type DeriveFacts, type DeriveRequest } from "./derive.ts";
export { explain, type Explanation, type LeastGrant, leastGrant } from "./explain.ts";

/** A permission, as the log says it was given. */
export interface Capability {
  /** Names it in logs and calls. Knowing it gives nothing. */
  readonly id: CapId;
  /** The process that holds it. */
  readonly subject: Pid;
  /** A right or pattern of rights: `file.read`, `file.*`. */
  readonly right: string;
  /** A pattern of resources: `./src/**`. */
  readonly resource: string;
  /** What it was derived from; null for a root grant. */
  readonly parent: CapId | null;
  /** 0 for a root grant. */
  readonly depth: number;
  /** A JSON Schema over the arguments of the call, besides those of its ancestors. */
  readonly constraint: JsonObject | null;
  /** Calls it opens in all; null: any number. */
  readonly usesMax: number | null;
  /** When it ends, in milliseconds since 1970; null: with its holder. */
  readonly expiresMs: number | null;
  /** Most bytes that one call may move; it opens none that does not say how many. Null: any. */
  readonly bytesMax: number | null;
  /** Whether others may be derived from it. */
  readonly delegable: boolean;
  /** How many more delegations may follow. */
  readonly depthMax: number;
  /** Whether only its subject may use it, or the subject's descendants too. */
  readonly scope: "process" | "subtree";
  /** Hash of the one image whose processes may use it; absent: any. */
  readonly image?: string;
  /** Set when it was born of a person's answer; `argsHash` binds it to one call. */
  readonly grant: CapabilityGrant | null;
  /** How it came to be. */
  readonly via: "boot" | "spawn" | "delegate" | "approval" | "operator";
  /** Who gave it: a pid, "boot", or the name of a person. */
  readonly by: string;
  /** When it was given, in milliseconds since 1970. */
  readonly atMs: number;
  /** Which one of the tree of its holder's parent it stands for; absent where it is of here. */
  readonly of?: CapId;
}

/** The person's answer which a capability was born of. */
export interface CapabilityGrant {
  /** The request that was answered. */
  readonly request: RequestId;
  /** Hash of the call's name and arguments, when only that call is open; else null. */
  readonly argsHash: string | null;
  /** Name of the call that was asked about. */
  readonly call: string;
}

/** A capability with what has been used of it. */
export interface HeldCapability extends Capability {
  usesSpent: number;
}

/** The part of a tree's state that says who may do what. Revoked ones are not in it. */
export interface Authority {
  readonly caps: { [id: CapId]: HeldCapability };
}

/** What is asked of the capabilities a process holds. */
export interface AuthorityQuery {
  /** The process and those above whose capabilities for subtrees it sees, itself first. */
  readonly lineage: readonly Pid[];
  readonly right: string;
  readonly resource: string;
  readonly args: Json;
  /** The call that is made, when it is not the one the right is named for. */
  readonly call?: string;
  /** Hash of the arguments, worked out only when a bound capability is met. */
  readonly argsHash: () => string;
  readonly nowMs: number;
  /**
   * Whether a rule said "ask": then only a person's answer will do. "shown": one that was given to
   * the call itself, whose matter the person saw, and not to a request for the right alone.
   * "released": one that was given for exactly this call with these arguments.
   */
  readonly needsGrant: boolean | "shown" | "released";
  /** How many bytes the call moves, where that is known beforehand; a bound takes no other. */
  readonly bytes?: number | undefined;
  /** Hash of the caller's image. */
  readonly image?: string;
}

/** One capability that was looked at, and why it did or did not do. */
export interface Considered {
  /** Its id. */
  readonly id: CapId;
  /** Whether it covers the call. */
  readonly matched: boolean;
  /** Why, or why not. */
  readonly why: string;
}

/** What the capabilities of a process say to a call. */
export type Authorization =
  | {
    readonly ok: true;
    readonly cap: HeldCapability;
    /** From the capability used up to its root grant. */
    readonly chain: CapId[];
    /** The least `bytesMax` along the chain. */
    readonly bytesMax: number | null;
  }
  | { readonly ok: false; readonly considered: readonly Considered[] };

/** Those of a chain that a use is spent of: the event of the call lists them. */
export function finiteOf(index: CapabilityIndex, chain: readonly CapId[]): CapId[] {
  return chain.filter((id) => (index.get(id)?.usesMax ?? null) !== null);
}

/** Applies a use of these capabilities. */
export function spend(index: CapabilityIndex, ids: readonly CapId[]): void {
  for (const id of ids) {
    const cap = index.get(id);
    assert(cap !== undefined, `A use of capability "${id}" was spent after its revocation`);
    cap.usesSpent++;
    index.refresh(id);
  }
}

/** Applies giving back a use of these capabilities; the revoked among them stay revoked. */
export function restore(index: CapabilityIndex, ids: readonly CapId[]): void {
  for (const id of ids) {
    const cap = index.get(id);
    if (cap === undefined) continue;
    assert(cap.usesSpent > 0, `A use of capability "${id}" was given back before it was spent`);
    cap.usesSpent--;
    index.refresh(id);
  }
}

/** Applies a new capability. */
export function hold(authority: Authority, index: CapabilityIndex, cap: Capability): void {
  const held = { ...cap, usesSpent: 0 };
  keep(authority, "caps", cap.id);
  authority.caps[cap.id] = held;
  index.add(held);
}

/** Applies a revocation, with all that is derived (C2); returns what went, the oldest first. */
export function revoke(authority: Authority, index: CapabilityIndex, id: CapId): CapId[] {
  const gone = [id, ...index.descendants(id)].filter((one) => index.get(one) !== undefined);
  for (const one of gone.toReversed()) {
    index.remove(one);
    keep(authority, "caps", one);
    delete authority.caps[one];
  }
  return gone;
}

/** Drops those of `ids` that can never do anything again; for when a call has its outcome. */
export function bury(authority: Authority, index: CapabilityIndex, ids: readonly CapId[]): CapId[] {
  const gone: CapId[] = [];
  for (const id of ids) {
    const cap = index.get(id);
    if (cap === undefined || cap.usesMax === null || cap.usesSpent < cap.usesMax) continue;
    if (index.hasChildren(id)) continue;
    index.remove(id);
    keep(authority, "caps", id);
    delete authority.caps[id];
    gone.push(id);
  }
  return gone;
}

/**
 * The capability of a process that provably covers a whole pattern and can be handed on, or
 * undefined. `lineage` is as in a query.
 */
export function coveringFor(
  index: CapabilityIndex,
  query: {
    readonly lineage: readonly Pid[];
    readonly pattern: Pattern;
    readonly nowMs: number;
    /** Whether it may be used in two trees: nothing is counted, and no person's answer is in it. */
    readonly isFree?: boolean;
  },
): HeldCapability | undefined {
  const { lineage, pattern, nowMs, isFree = false } = query;
  const segments = splitResource(pattern.resource);
  return index.candidates(lineage, pattern.right, pattern.resource)
    .filter((cap) => cap.delegable && cap.depthMax > 0 && cap.depth < LIMITS.capabilityDepthMax)
    .sort(byPreference)
    .find((cap) => {
      for (let at: HeldCapability | undefined = cap; at !== undefined;) {
        if (isFree && (at.usesMax !== null || at.grant !== null)) return false;
        if (standing(at, nowMs) !== null || !coversText(at, pattern.right, segments)) return false;
        if (at.parent === null) return true;
        at = index.get(at.parent);
      }
      return false;
    });
}

/** What is expected of what is over a tree's ceiling: nothing raises that. */
export const WITHIN = "expected what the tree was started with, or a new tree";
/** Where a grant would help that is over the tree's ceiling. */
export const ELSEWHERE = "in a new tree: it is over the ceiling of this one";

/** Whether the manifest a tree was started with covers a call, or a whole pattern. */
export function ceilingAllows(ceiling: readonly Pattern[], wanted: Pattern): boolean {
  return ceiling.some((pattern) => within(wanted, pattern));
}
