/**
 * What the events of a tree that was branched off do: it begins, and it grows until it is whole.
 * @module
 */

import type { Handlers } from "./apply_memory.ts";
import { assert } from "./errors.ts";

/** See `growth.ts`. */
export const BRANCH = {
  "tree.forked": (tree, { patch, nonce, owner, marks, selector, ...data }) => {
    const { from, seq, head, end = { seq, head }, edits = {}, before } = data;
    tree.state.nonce = nonce;
    if (marks !== undefined) tree.state.marks = marks;
    if (selector !== undefined) tree.state.selector = selector;
    if (owner !== undefined) tree.state.owner = owner;
    if (before !== undefined) tree.state.before = before;
    if (patch === undefined) tree.state.branch = { from, seq, head, end, edits };
    else tree.adopt(patch);
  },
  "tree.grown": (tree, { patch, isWhole }) => {
    assert(tree.state.branch !== undefined, "A tree grows that is whole");
    if (isWhole) delete tree.state.branch;
    tree.patch(patch, "shared");
  },
} satisfies Partial<Handlers>;
