/**
 * Apply, the part of authority: what its events, and uses of capabilities, do to state.
 * @module
 */

import type { Handlers } from "./apply_memory.ts";
import { hold, restore, revoke, spend } from "./capability.ts";
import type { CapId } from "./ids.ts";
import { keep } from "./trail.ts";
import type { Tree } from "./tree.ts";

/** What the events of authority do. */
export const AUTHORITY = {
  "cap.granted": (tree, data) => {
    hold(tree.state, tree.caps, data);
    tree.state.next.cap += 1;
  },
  "cap.revoked": (tree, data) => {
    for (const id of data.ids) revoke(tree.state, tree.caps, id);
  },
} satisfies Partial<Handlers>;

/** Spends a use of each. */
export function spendUses({ state, caps }: Tree, ids: readonly CapId[]): void {
  for (const id of ids) keep(state, "caps", id);
  spend(caps, ids);
}

/** Gives a use of each back. */
export function restoreUses({ state, caps }: Tree, ids: readonly CapId[]): void {
  for (const id of ids) keep(state, "caps", id);
  restore(caps, ids);
}
