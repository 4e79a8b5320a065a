/**
 * Suggestions: the narrowest rules that would answer a request and those like it.
 *
 * Invariants:
 *   S1. Nothing is suggested that is wider than what every asker's own capability covers, over the
 *       ceiling, or denied.
 *   S2. Nothing but the call itself is suggested for what destroys, and no pattern for what is
 *       dangerous or for a tool.
 * @module
 */

import { ceilingAllows } from "../kernel/capability.ts";
import { coversText } from "../kernel/chain.ts";
import { matchResource, type Pattern, splitResource, within } from "../kernel/grammar.ts";
import type { CapId } from "../kernel/ids.ts";
import { isPathRight } from "../kernel/path.ts";
import type { RequestRecord } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import { type Scope, SCOPES, type Suggestion } from "../kernel/world.ts";

/** How far a request may be approved; empty where there is nothing that could reach further. */
export function scopesOf(request: RequestRecord): Scope[] {
  if (request.call === null || request.kind === "budget") return [];
  if (request.risk === "destructive" || request.rule?.sink === true) return ["once"];
  const isReview = request.kind === "review";
  const isRuled = request.rule?.source === "policy";
  return SCOPES.filter((scope) =>
    scope === "image" ? !isReview : scope !== "policy" || (isRuled && !isReview)
  );
}

/** Rules that would answer a request, the narrowest first (S1, S2). */
export function suggestionsFor(tree: Tree, request: RequestRecord): Suggestion[] {
  const { call } = request;
  const scopes = scopesOf(request);
  if (call === null || scopes.length === 0) return [];
  const { right, resource } = call;
  const found: Suggestion[] = [{ right, resource, scope: "once", matched: 0 }];
  if (!scopes.includes("process") || request.kind === "review") return found;
  const exact = { right, resource };
  found.push({ ...exact, scope: "process", matched: tree.recent.count(exact) });
  const alike = request.risk === "high" ? undefined : siblingsOf(right, resource);
  if (alike === undefined || problemOf(tree, request, { right, resource: alike }) !== null) {
    return found;
  }
  const matched = tree.recent.count({ right, resource: alike });
  return [...found, { right, resource: alike, scope: "process", matched }];
}

/** The narrowest of those that would have covered the most; undefined where there is none. */
export function bestOf(suggestions: readonly Suggestion[]): Suggestion | undefined {
  const most = Math.max(...suggestions.map(({ matched }) => matched));
  return suggestions.find(({ matched }) => matched === most);
}

/** What lies beside a resource and is of its kind; undefined where nothing is known to be. */
function siblingsOf(right: string, resource: string): string | undefined {
  const segments = resource.split("/");
  const last = segments.pop() ?? "";
  // Neither a host, nor all there is, nor what is hidden.
  const isTop = segments.length === 0 || (resource.includes("://") && segments.length < 3);
  if (isTop || last === "" || last.startsWith(".")) return undefined;
  const dot = isPathRight(right) ? last.lastIndexOf(".") : -1;
  const pattern = [...segments, dot > 0 ? `*${last.slice(dot)}` : "*"].join("/");
  return pattern !== resource && matchResource(pattern, resource) ? pattern : undefined;
}

/** Why a rule would not answer a request, as a sentence; null where it would (S1). */
export function problemOf(tree: Tree, request: RequestRecord, wanted: Pattern): string | null {
  const { call } = request;
  const shown = `${wanted.right}(${wanted.resource})`;
  if (call === null || call.right !== wanted.right) return `${shown} is another right`;
  if (!matchResource(wanted.resource, call.resource)) {
    return `${shown} does not cover ${call.resource}`;
  }
  if (!ceilingAllows(tree.state.ceiling, wanted)) return `${shown} is over the tree's ceiling`;
  const denied = denyOver(tree, request, wanted);
  if (denied !== null) return `${shown} stands against rule "${denied}", and deny always wins`;
  const narrow = request.askers.find(({ under }) =>
    under !== null && !coversAll(tree, under, wanted)
  );
  return narrow === undefined ? null : `${shown} is wider than what ${narrow.pid} may do itself`;
}

/** A deny that covers all of a pattern and stands always. */
function denyOver(tree: Tree, request: RequestRecord, wanted: Pattern): string | null {
  const own = tree.lineage(request.pid).map((pid) => tree.rulesOf(tree.state.processes[pid]!));
  const over = [tree.policy, ...own].flatMap(({ rules }) => rules).find((rule) =>
    rule.effect === "deny" && rule.when === null && rule.expiresMs === null &&
    within(wanted, rule.pattern)
  );
  return over === undefined ? null : `deny ${over.pattern.right}(${over.pattern.resource})`;
}

function coversAll(tree: Tree, under: CapId, wanted: Pattern): boolean {
  const segments = splitResource(wanted.resource);
  for (let id: CapId | null = under; id !== null;) {
    const cap = tree.cap(id);
    if (cap === undefined || !coversText(cap, wanted.right, segments)) return false;
    id = cap.parent;
  }
  return true;
}
