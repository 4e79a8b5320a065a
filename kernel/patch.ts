/**
 * What differs between two states of a tree: entry by entry, as data that a line can carry.
 * @module
 */

import { copied, isSame } from "./copy.ts";
import { assert } from "./errors.ts";
import type { Json } from "./json.ts";
import { type Collection, COLLECTIONS, type State } from "./state.ts";
import { keep } from "./trail.ts";

/** The other parts that may change. Position, time and identity are never part of a patch. */
const FIELDS = ["policy", "ceiling", "next"] as const;

/** How one state becomes another. */
export interface StatePatch {
  /** Entries that are new or different. */
  readonly set: readonly (readonly [Collection, string, Json])[];
  /** Entries that are gone. */
  readonly drop: readonly (readonly [Collection, string])[];
  /** Other parts that are different. */
  readonly fields: { readonly [K in "policy" | "ceiling" | "next"]?: Json };
}

type Entries = { [key: string]: Json };

/** The patch that makes `after` of `before`. It shares its values with `after`. */
export function diffStates(before: State, after: State): StatePatch {
  const set: [Collection, string, Json][] = [];
  const drop: [Collection, string][] = [];
  for (const name of COLLECTIONS) {
    const [old, now] = [entriesOf(before, name), entriesOf(after, name)];
    if (old === now) continue;
    for (const key of Object.keys(old)) if (!Object.hasOwn(now, key)) drop.push([name, key]);
    for (const key of Object.keys(now)) {
      const value = now[key]!;
      if (!Object.hasOwn(old, key) || !isSame(old[key], value)) set.push([name, key, value]);
    }
  }
  const changed = FIELDS.filter((name) => !isSame(before[name], after[name]));
  const fields = Object.fromEntries(changed.map((name) => [name, after[name] as unknown as Json]));
  return { set, drop, fields };
}

function entriesOf(state: State, name: Collection): Entries {
  return state[name] as unknown as Entries;
}

/**
 * Applies a patch; what it brings is copied, since it belongs to a line, if not said otherwise.
 * Panics for one that reaches for what no patch changes: a line may be from elsewhere.
 */
export function applyPatch(
  state: State,
  patch: StatePatch,
  values: "copied" | "shared" = "copied",
): void {
  const own = values === "copied" ? copied : <T>(value: T): T => value;
  for (const [name] of [...patch.drop, ...patch.set]) {
    assert(COLLECTIONS.includes(name), `A patch changes "${name}", which is no collection`);
  }
  for (const name of Object.keys(patch.fields)) {
    assert((FIELDS as readonly string[]).includes(name), `A patch changes "${name}" of a tree`);
  }
  for (const [name, key] of patch.drop) {
    keep(state, name, key);
    delete entriesOf(state, name)[key];
  }
  for (const [name, key, value] of patch.set) {
    keep(state, name, key);
    entriesOf(state, name)[key] = own(value);
  }
  Object.assign(state, own(patch.fields));
}
