/**
 * Seeds: the whole state of a tree as text, from which another tree grows with ids of its own.
 *
 * Texts are made, renamed and read by what the platform has for it, and once: the same text is what
 * the new tree's line holds.
 * @module
 */

import type { TreeId } from "./ids.ts";
import { canonical } from "./json.ts";
import { textIs } from "./log.ts";
import { parseJson } from "./parse.ts";
import { diffStates, type StatePatch } from "./patch.ts";
import { renamedText } from "./rename.ts";
import { emptyState, type State } from "./state.ts";

/** Canonical texts: of all entries of a state as a patch sets them, and of what is no entry. */
export interface Seed {
  readonly entries: string;
  readonly fields: string;
}

/** The seed of a state; it shares nothing with it. */
export function seedOf(state: State): Seed {
  const { set, fields } = diffStates(emptyState(state.tree), state);
  return { entries: canonical(set), fields: canonical(fields) };
}

/** The patch that makes such a state of nothing, with the ids of tree `to` for those of `from`. */
export function sown({ entries, fields }: Seed, from: TreeId, to: TreeId): StatePatch {
  const set = renamedText(entries, from, to);
  const text = `{"drop":[],"fields":${renamedText(fields, from, to)},"set":${set}}`;
  const patch = parseJson(text) as StatePatch;
  textIs(patch, text);
  return patch;
}
