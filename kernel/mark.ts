/**
 * Marks: labels of files that processes of a tree wrote, where the policy's rules say less of them.
 *
 * Invariants:
 *   F1. What a file says is never less secret, nor more trusted, than whoever of the tree wrote it.
 *   F2. Files stand when a tree goes back or is branched off, and so do their marks.
 * @module
 */

import { fits, joinLabels, type Label } from "./label.ts";
import { LIMITS } from "./limits.ts";
import { fromProviderPath } from "./path.ts";
import { labelFor, type Policy } from "./policy.ts";
import type { Touched } from "./touch.ts";

/** What files carry when no rule says otherwise: nobody vouches for what is written in them. */
export const FILE_LABEL: Label = { sensitivity: "internal", trust: "untrusted" };

/** Labels by path, as providers have it; never changed in place. */
export interface Marks {
  /** What a path carries. */
  readonly [path: string]: Label;
}

/** Stands for every file: no path is like it. */
export const ALL_FILES = "/";

/** Marks with some more; where there are too many, one stands for every file. */
export function marked(marks: Marks = {}, paths: readonly string[], label: Label): Marks {
  // Not by assignment: a file may be called "__proto__".
  const made = new Map(Object.entries(marks));
  for (const path of paths) made.set(path, joinLabels(made.get(path) ?? label, label));
  return made.size <= LIMITS.filesMarkedPerTreeMax
    ? Object.fromEntries(made)
    : { [ALL_FILES]: [...made.values()].reduce(joinLabels) };
}

/** Marks without those of paths where an effect that went well left nothing. */
export function unmarked(marks: Marks, intent: { readonly touches?: readonly Touched[] }): Marks {
  const gone = (intent.touches ?? []).filter(({ after }) => after === null)
    .map(({ path }) => path);
  if (!gone.some((path) => Object.hasOwn(marks, path))) return marks;
  return Object.fromEntries(Object.entries(marks).filter(([path]) => !gone.includes(path)));
}

/** What a path is marked with; null for nothing. */
export function markOf(marks: Marks = {}, path: string): Label | null {
  const [own, all] = [path, ALL_FILES].map((key) =>
    Object.hasOwn(marks, key) ? marks[key]! : null
  ) as [Label | null, Label | null];
  return own === null || all === null ? own ?? all : joinLabels(own, all);
}

/** What is marked in a folder: whoever wrote a file chose its name. */
export function markUnder(marks: Marks = {}, folder: string): Label | null {
  const under = folder === "" ? "" : `${folder}/`;
  const found = Object.entries(marks)
    .filter(([path]) => path === ALL_FILES || path.startsWith(under)).map(([, label]) => label);
  return found.length === 0 ? null : found.reduce(joinLabels);
}

/** Whether a file that is written with a label would be read with less, if it were not marked. */
export function needsMark(policy: Policy, path: string, label: Label): boolean {
  if (path === ALL_FILES) {
    return [FILE_LABEL, ...policy.labels.map((rule) => rule.label)].some((one) =>
      !fits(label, one)
    );
  }
  return !fits(label, labelFor(policy, "file.read", fromProviderPath(path)) ?? FILE_LABEL);
}
