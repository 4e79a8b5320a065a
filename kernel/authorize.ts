/**
 * Authorizing: which of the capabilities a process holds opens a call.
 * @module
 */

import type { AuthorityQuery, Authorization, Considered, HeldCapability } from "./capability.ts";
import type { CapabilityIndex } from "./capability_index.ts";
import { byPreference, isGrant, walkChain, WHY } from "./chain.ts";
import { splitResource } from "./grammar.ts";

const CONSIDERED_MAX = 20;

/** Finds the capability which covers the call, by itself and by its chain (C1, C5). */
export function authorize(index: CapabilityIndex, query: AuthorityQuery): Authorization {
  const segments = splitResource(query.resource);
  const found = index.candidates(query.lineage, query.right, query.resource, segments);
  if (found.length > 1) found.sort(byPreference);
  const considered: Considered[] = [];
  let best: Authorization & { ok: true } | null = null;
  for (const cap of found) {
    if (isShort(query.needsGrant, cap)) {
      consider(considered, cap, WHY.notGranted);
      continue;
    }
    // Sorted: after a finite one that does, nothing better comes once these two differ.
    if (best !== null && (cap.usesMax !== null || isGrant(cap) !== isGrant(best.cap))) break;
    const walk = walkChain(index, cap, { query, segments });
    if (typeof walk === "string") {
      consider(considered, cap, walk);
      continue;
    }
    const answer = { ok: true, cap, chain: walk.chain, bytesMax: walk.bytesMax } as const;
    if (!walk.finite) return answer;
    best ??= answer;
  }
  return best ?? { ok: false, considered };
}

/** Whether a person's word is needed that this is not, whatever it covers. */
function isShort(needs: AuthorityQuery["needsGrant"], cap: HeldCapability): boolean {
  if (needs === false) return false;
  if (cap.grant === null) return true;
  if (needs === "shown") return cap.parent === null;
  return needs === "released" && cap.grant.argsHash === null;
}

function consider(into: Considered[], cap: HeldCapability, why: string): void {
  if (into.length < CONSIDERED_MAX) into.push({ id: cap.id, matched: false, why });
}
