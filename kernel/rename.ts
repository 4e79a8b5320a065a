/**
 * Ids of one tree as those of another: what a forked tree begins with.
 * @module
 */

import { type TreeId, treeNumber } from "./ids.ts";
import { canonical, type Json, type JsonObject } from "./json.ts";
import { keptOutside, namesOutside, type Swap } from "./outside.ts";
import { parseJson } from "./parse.ts";
import { type Collection, COLLECTIONS, type State } from "./state.ts";

/**
 * A state whose ids, names and resources are those of tree `to`. Values that stand beside the state
 * by hash keep what they say, and what is outside the tree keeps its names.
 */
export function renamed(state: State, to: TreeId): State {
  const copy = { tree: to } as { [name: string]: Json };
  const swap = swapOf(state.tree, to);
  const { policy, ceiling, ...others } = state as unknown as { readonly [name: string]: Json };
  for (const [name, part] of Object.entries(others)) {
    if (name === "tree") continue;
    copy[name] = COLLECTIONS.includes(name as Collection)
      ? renamedEntries(name as Collection, part as JsonObject, swap)
      : walk(part, swap);
  }
  const fields = { policy: policy!, ceiling: ceiling! };
  const kept = keptOutside("fields", walk(fields, swap), { given: fields, swap });
  return { ...copy, ...kept as JsonObject } as unknown as State;
}

function renamedEntries(name: Collection, entries: JsonObject, swap: Swap): Json {
  const copy: { [key: string]: Json } = {};
  for (const [key, given] of Object.entries(entries)) {
    const renamed = keptOutside(name, walk(given, swap), { given, swap });
    own(copy, swap(key), renamed);
  }
  return copy;
}

/** An entry that names what is outside in a text like an id; null for any other. */
export function renamedApart(
  entry: readonly [Collection, string, Json] | readonly ["fields", null, Json],
  from: TreeId,
  to: TreeId,
): string | null {
  const [name, key, given] = entry;
  if (!namesOutside(name, given, `_${treeNumber(from)}`)) return null;
  const swap = swapOf(from, to);
  const renamed = keptOutside(name, walk(given, swap), { given, swap });
  return canonical(key === null ? renamed : [name, swap(key), renamed]);
}

/**
 * Canonical text of a list or of an object, with the ids of tree `to` for those of tree `from`. It
 * is searched as it is, all at once; only where an id is in the name of a field, whose place may
 * then be another, that element is read and written.
 */
export function renamedText(text: string, from: TreeId, to: TreeId): string {
  const isName = new RegExp(`_${treeNumber(from)}(?!\\d)(?:[^"\\\\]|\\\\.)*":`);
  if (!isName.test(text)) return inText(text, from, to);
  const value = parseJson(text) as Json;
  const swap = swapOf(from, to);
  if (!Array.isArray(value)) return canonical(walk(value, swap));
  const renamed = value.map((each) => {
    const one = canonical(each);
    return isName.test(one) ? canonical(walk(each, swap)) : inText(one, from, to);
  });
  return `[${renamed.join(",")}]`;
}

/** A name, such as an id, with the ids of tree `to` for those of tree `from`. */
export function renamedName(name: string, from: TreeId, to: TreeId): string {
  return swapOf(from, to)(name);
}

const IDS = "(?:p|cap|obj|req|msg|ck)";

function inText(text: string, from: TreeId, to: TreeId): string {
  const [old, now] = [`_${treeNumber(from)}`, `_${treeNumber(to)}`];
  // What is rare in it is looked for first: that is several times as quick.
  const marks = new RegExp(`${old}(?<=\\b${IDS}${old})(?!\\d)`, "g");
  if (!text.includes("\\")) return text.replace(marks, now);
  // The letter of an escape is no letter of a word: what follows it may be an id.
  const escape = "\\\\(?:u[0-9a-f]{4}|[^u])";
  const ids = new RegExp(`${escape}(?:${IDS}${old}(?!\\d))?|\\b${IDS}${old}(?!\\d)`, "g");
  return text.replace(ids, (found) => {
    return found.endsWith(old) ? `${found.slice(0, -old.length)}${now}` : found;
  });
}

function idsOf(tree: TreeId): RegExp {
  return new RegExp(`\\b(${IDS})_${treeNumber(tree)}(?!\\d)`, "g");
}

function swapOf(from: TreeId, to: TreeId): Swap {
  const ids = idsOf(from);
  const [mark, now] = [`_${treeNumber(from)}`, `$1_${treeNumber(to)}`];
  return (text) => text.includes(mark) ? text.replace(ids, now) : text;
}

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
