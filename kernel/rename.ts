/**
 * Ids of one tree as those of another: what a forked tree begins with.
 * @module
 */

import { type TreeId, treeNumber } from "./ids.ts";
import type { Json } from "./json.ts";
import type { State } from "./state.ts";

/**
 * A state whose ids, names and resources are those of tree `to`. Values that stand beside the state
 * by hash keep what they say.
 */
export function renamed(state: State, to: TreeId): State {
  const from = treeNumber(state.tree);
  const ids = new RegExp(`\\b(p|cap|obj|req|msg|ck)_${from}(?!\\d)`, "g");
  const swap = (text: string): string => text.replace(ids, `$1_${treeNumber(to)}`);
  const copy = walk(state as unknown as Json, swap) as unknown as State;
  return { ...copy, tree: to };
}

function walk(value: Json, swap: (text: string) => string): Json {
  if (typeof value === "string") return swap(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => walk(each, swap));
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [swap(key), walk(each as Json, swap)]),
  );
}
