/**
 * Ids of one tree as those of another: what a forked tree begins with.
 * @module
 */

import { type TreeId, treeNumber } from "./ids.ts";
import type { Json, JsonObject } from "./json.ts";
import type { State } from "./state.ts";

/**
 * A state whose ids, names and resources are those of tree `to`. Values that stand beside the state
 * by hash keep what they say.
 */
export function renamed(state: State, to: TreeId): State {
  const from = treeNumber(state.tree);
  const ids = new RegExp(`\\b(p|cap|obj|req|msg|ck)_${from}(?!\\d)`, "g");
  const mark = `_${from}`;
  const swap = (text: string): string =>
    text.includes(mark) ? text.replace(ids, `$1_${treeNumber(to)}`) : text;
  const copy = walk(state as unknown as Json, swap) as unknown as State;
  return { ...copy, tree: to };
}

type Swap = (text: string) => string;

function walk(value: Json, swap: Swap): Json {
  if (typeof value === "string") return swap(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => walk(each, swap));
  // Most objects are records, whose fields have no ids in their names: those keep their shape.
  const copy: { [key: string]: Json } = { ...value as JsonObject };
  for (const key in copy) {
    if (swap(key) !== key) return rekeyed(value as JsonObject, swap);
    copy[key] = walk(copy[key]!, swap);
  }
  return copy;
}

function rekeyed(value: JsonObject, swap: Swap): Json {
  const copy: { [key: string]: Json } = {};
  for (const key of Object.keys(value)) {
    const name = swap(key);
    const each = walk(value[key]!, swap);
    // Not by assignment: a key of a value may be called "__proto__".
    if (name === "__proto__") own(copy, name, each);
    else copy[name] = each;
  }
  return copy;
}

function own(into: { [key: string]: Json }, name: string, value: Json): void {
  const open = { enumerable: true, configurable: true, writable: true };
  Object.defineProperty(into, name, { value, ...open });
}
