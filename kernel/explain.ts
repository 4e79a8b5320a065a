/**
 * Explaining: why a call would be covered or not, and the least that would cover it.
 *
 * For questions by people and models. It looks at all that a process holds, so it is never on the
 * path of a call.
 * @module
 */

import { authorize } from "./authorize.ts";
import type { AuthorityQuery, Capability, Considered } from "./capability.ts";
import type { CapabilityIndex } from "./capability_index.ts";
import { byAge, walkChain, WHY } from "./chain.ts";
import { formatPattern, splitResource } from "./grammar.ts";
import type { CapId } from "./ids.ts";
import { canonical, type Json, type JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";

/** Why a call would be covered or not. */
export interface Explanation {
  readonly decision: "allow" | "none";
  /** The capability that would be used. */
  readonly cap?: CapId;
  /** From that capability up to its root grant. */
  readonly chain: readonly {
    readonly id: CapId;
    readonly via: Capability["via"];
    readonly by: string;
  }[];
  /** What was looked at, the nearest misses first. */
  readonly considered: readonly Considered[];
  /** The least grant that would do, when there is none. */
  readonly suggestion?: string;
}

/** The least that would cover one call. */
export interface LeastGrant {
  readonly right: string;
  readonly resource: string;
  /** Exactly these arguments; null where none were given or they are too long to say so. */
  readonly constraint: JsonObject | null;
  readonly usesMax: 1;
}

const CONSIDERED_MAX = 20;

/** Explains what `authorize` would say. */
export function explain(index: CapabilityIndex, query: AuthorityQuery): Explanation {
  const answer = authorize(index, query);
  const asked = { query, segments: splitResource(query.resource) };
  const looked: Considered[] = [];
  for (const cap of index.heldBy(query.lineage)) {
    const walk = walkChain(index, cap, asked);
    if (typeof walk === "string") looked.push({ id: cap.id, matched: false, why: walk });
    else if (query.needsGrant !== false && cap.grant === null) {
      looked.push({ id: cap.id, matched: false, why: WHY.notGranted });
    } else looked.push({ id: cap.id, matched: true, why: WHY.covers });
  }
  const considered = looked.sort(byNearness).slice(0, CONSIDERED_MAX);
  if (!answer.ok) {
    const { right, resource } = leastGrant(query.right, query.resource, query.args);
    const suggestion = `${formatPattern({ right, resource })} once`;
    return { decision: "none", chain: [], considered, suggestion };
  }
  const chain = answer.chain.flatMap((id) => {
    const cap = index.get(id);
    return cap === undefined ? [] : [{ id, via: cap.via, by: cap.by }];
  });
  return { decision: "allow", cap: answer.cap.id, chain, considered };
}

/** The least that would cover a call: this resource, these arguments if given, once. */
export function leastGrant(right: string, resource: string, args?: Json): LeastGrant {
  if (args === undefined) return { right, resource, constraint: null, usesMax: 1 };
  const constraint = { const: args };
  const fits = canonical(constraint).length <= LIMITS.constraintBytesMax;
  return { right, resource, constraint: fits ? constraint : null, usesMax: 1 };
}

// What differs in the right is furthest away, then in the resource; all else is a near miss.
function byNearness(a: Considered, b: Considered): number {
  return distance(a) - distance(b) || byAge(a.id, b.id);
}

function distance({ matched, why }: Considered): number {
  if (matched) return 0;
  if (why === WHY.right) return 3;
  return why === WHY.resource ? 2 : 1;
}
