/**
 * Capabilities and calls as the API shows them.
 * @module
 */

import type { CallHead, Line } from "../../kernel/event.ts";
import type { HeldCapability } from "../../kernel/capability.ts";
import type { CapId } from "../../kernel/ids.ts";
import type { Tree } from "../../kernel/tree.ts";
import type { Explained } from "../../runtime/call_story.ts";
import type { CapabilityView, ExplanationView } from "../schema/authority.ts";
import { timeText } from "./process.ts";

/** The capabilities of a tree, in order of age. */
export function capabilityViews(tree: Tree): CapabilityView[] {
  const all = Object.values(tree.state.caps);
  const below = fallWith(all);
  return all.map((cap) => capabilityView(tree, cap, below.get(cap.id)!));
}

/** Whether a process could do something, and why. */
export function explanationView(pid: string, found: Explained): ExplanationView {
  return {
    pid,
    decision: found.decision,
    right: found.right,
    resource: found.resource,
    cap: found.cap ?? null,
    chain: [...found.chain],
    considered: found.considered.map(({ id, matched, why }) => ({ id, matched, why })),
    rule: found.rule ?? null,
    seen: found.seen ?? null,
    suggestion: found.suggestion ?? null,
  };
}

interface Fall {
  readonly capabilities: Set<CapId>;
  readonly processes: Set<string>;
}

/** What falls with each, when it is revoked: all that was derived from it. */
function fallWith(all: readonly HeldCapability[]): Map<CapId, Fall> {
  const known = new Map(all.map((cap) => [cap.id, cap]));
  const falls = new Map<CapId, Fall>(
    all.map(({ id }) => [id, { capabilities: new Set(), processes: new Set() }]),
  );
  for (const cap of all) {
    for (let at: HeldCapability | undefined = cap; at !== undefined;) {
      const fall = falls.get(at.id)!;
      fall.capabilities.add(cap.id);
      fall.processes.add(cap.subject);
      at = at.parent === null ? undefined : known.get(at.parent);
    }
  }
  return falls;
}

function capabilityView(tree: Tree, cap: HeldCapability, fall: Fall): CapabilityView {
  return {
    id: cap.id,
    tree: tree.state.tree,
    subject: cap.subject,
    right: cap.right,
    resource: cap.resource,
    scope: cap.scope,
    parent: cap.parent,
    depth: cap.depth,
    constraint: cap.constraint === null ? null : { ...cap.constraint },
    usesMax: cap.usesMax,
    usesSpent: cap.usesSpent,
    expiresAt: cap.expiresMs === null ? null : timeText(cap.expiresMs),
    delegable: cap.delegable,
    via: cap.via,
    by: cap.by,
    request: cap.grant?.request ?? null,
    bound: cap.grant?.argsHash != null,
    givenAt: timeText(cap.atMs),
    below: { capabilities: fall.capabilities.size, processes: fall.processes.size },
    used: null,
  };
}

/** Capabilities with how often each let a call through, in the lines that are given. */
export function withUses(
  views: readonly CapabilityView[],
  lines: Iterable<Line>,
): CapabilityView[] {
  const uses = new Map<string, { calls: number; atMs: number }>();
  for (const { type, data, atMs } of lines) {
    if (type !== "call.done" && type !== "call.intent") continue;
    const { effect, by } = (data as CallHead).decision;
    if (effect === "deny") continue;
    for (const id of new Set(by.flat())) {
      uses.set(id, { calls: (uses.get(id)?.calls ?? 0) + 1, atMs });
    }
  }
  return views.map((view) => {
    const found = uses.get(view.id);
    const lastAt = found === undefined ? null : timeText(found.atMs);
    return { ...view, used: { calls: found?.calls ?? 0, lastAt } };
  });
}
