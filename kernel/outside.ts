/**
 * What names things outside a tree: files, servers, models, people, and what labels say. It may
 * look like an id of the tree, and stays as it is where the tree's ids become another's, or a rule
 * about `p_1.csv` would be one about `p_2.csv`.
 *
 * Invariants:
 *   O1. A right whose resources are not the tree's own is over the same things in a branch.
 *   O2. What is filed under its own hash is left whole.
 * @module
 */

import type { Pattern } from "./grammar.ts";
import { canonical, type Json, type JsonObject } from "./json.ts";
import type { Collection } from "./state.ts";

/** Puts other ids into a text. */
export type Swap = (text: string) => string;
type Fields = { readonly [name: string]: Json };

/** Rights over processes, objects and whatever else has a tree's ids in its name. */
const FAMILIES_WITHIN = [
  "budget",
  "capability",
  "checkpoint",
  "context",
  "message",
  "namespace",
  "object",
  "process",
];
const RULE = /^\s*(allow|ask|deny|label|sink)\s+([^\s(]+)\s*\(/;

/** Whether a right's resources are things of a tree; null for a pattern of such and of others. */
function isWithin(right: string): boolean | null {
  const [family] = right.split(".") as [string];
  return family.includes("*") ? null : FAMILIES_WITHIN.includes(family);
}

/** A pattern's text, `file.read(./src/**)`. */
function swappedPattern(text: string, swap: Swap): string {
  return isWithin(text.split("(")[0]!) === true ? swap(text) : text;
}

/** The text of a policy. What takes away, from both kinds, takes away from either (O1). */
function swappedRules(text: string, swap: Swap): string {
  const lines = text.split("\n");
  return lines.flatMap((line) => {
    const found = RULE.exec(line);
    if (found === null) return [line];
    const within = isWithin(found[2]!);
    if (within !== null) return [within ? swap(line) : line];
    const other = swap(line);
    const isMore = (found[1] === "ask" || found[1] === "deny") && !lines.includes(other);
    return isMore ? [line, other] : [line];
  }).join("\n");
}

/** An entry as far as it may name what is outside; null for nothing. */
function outsideIn(name: Collection | "fields", value: Fields): Json {
  switch (name) {
    case "caps":
      return isWithin(value["right"] as string) === true
        ? null
        : [value["resource"]!, value["constraint"]!];
    case "processes":
      return ["labels", "cwd", "rules", "approved", "generated"].map((name) => value[name]!);
    case "tools":
    case "images":
      return value;
    case "fields":
      return [value["policy"] ?? null, value["ceiling"] ?? null];
    default:
      return null;
  }
}

/** Whether an entry names something outside in a text that has `mark` in it. */
export function namesOutside(name: Collection | "fields", value: Json, mark: string): boolean {
  const found = outsideIn(name, value as Fields);
  return found !== null && canonical(found).includes(mark);
}

/** An entry, whose ids were all swapped, with what is outside as `given` names it. */
export function keptOutside(
  name: Collection | "fields",
  swapped: Json,
  { given, swap }: { readonly given: Json; readonly swap: Swap },
): Json {
  const [entry, old] = [swapped as JsonObject, given as Fields];
  switch (name) {
    case "caps": {
      if (isWithin(old["right"] as string) === true) return entry;
      return { ...entry, resource: old["resource"]!, constraint: old["constraint"]! };
    }
    case "processes":
      return { ...entry, ...keptOfProcess(old, swap) };
    case "tools":
      return { ...old, by: entry["by"]!, also: entry["also"]! };
    case "images":
      return old;
    case "fields":
      return { ...entry, ...keptOfFields(old, swap) };
    default:
      return entry;
  }
}

function keptOfProcess(old: Fields, swap: Swap): Fields {
  const patterns = (texts: Json): Json =>
    (texts as readonly string[]).map((text) => swappedPattern(text, swap));
  const held = Object.entries(old["generated"] as { readonly [name: string]: JsonObject });
  return {
    labels: old["labels"]!,
    cwd: old["cwd"]!,
    rules: swappedRules(old["rules"] as string, swap),
    approved: patterns(old["approved"]!),
    generated: Object.fromEntries(
      held.map(([name, tool]) => [name, { ...tool, rights: patterns(tool["rights"]!) }]),
    ),
  };
}

function keptOfFields({ policy, ceiling }: Fields, swap: Swap): Fields {
  const kept: { [name: string]: Json } = {};
  if (policy !== undefined) {
    const { text } = policy as { readonly text: string };
    kept["policy"] = { ...policy as JsonObject, text: swappedRules(text, swap) };
  }
  if (ceiling !== undefined) {
    kept["ceiling"] = (ceiling as unknown as readonly Pattern[]).map(({ right, resource }) => ({
      right,
      resource: isWithin(right) === true ? swap(resource) : resource,
    }));
  }
  return kept;
}
