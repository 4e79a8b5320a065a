/**
 * Telling hooks again: of what they were told already, or of what was given up.
 * @module
 */

import { canonical } from "../kernel/json.ts";
import type { TreeId } from "../kernel/ids.ts";
import { parseJson } from "../kernel/parse.ts";
import type { Store } from "../kernel/store.ts";
import type { TreeContext } from "../kernel/tree.ts";
import type { Entry, HookBook } from "../providers/hook_book.ts";
import { nearLimits } from "./budget_watch.ts";
import { type Happening, happeningAt, happeningOf, type HookEvent } from "./hook_events.ts";
import { HOOKS_NOTE } from "./hooks.ts";
import { loadTree, readLines } from "./load.ts";

/** A hook of the last kernel, as its book names it. */
export interface KnownHook {
  readonly id: string;
  readonly on: readonly HookEvent[];
}

/** The hooks of the kernel that told last; none where there was none. */
export function knownHooks(book: HookBook): readonly KnownHook[] {
  return parseJson(book.note(HOOKS_NOTE) ?? "[]") as KnownHook[];
}

/** What a tree has to tell of, from its log: the same events, under the same ids. */
export async function happeningsOf(
  store: Store,
  tree: TreeId,
  context: TreeContext,
): Promise<Happening[]> {
  const { state } = (await loadTree(store, tree, context)).tree;
  const found: Happening[] = [];
  for await (const line of readLines(store, tree)) {
    if (line.seq > state.seq) break;
    const happening = happeningOf(line, state);
    if (happening !== undefined) found.push(happening);
  }
  const near = nearLimits(state, Object.values(state.processes));
  return [...found, ...near.map((one) => happeningAt(one, state))];
}

/** Entries for each hook that is told of such events. */
export function entriesFor(
  hooks: readonly KnownHook[],
  happenings: readonly Happening[],
): Entry[] {
  return happenings.flatMap(({ facts, ...rest }) =>
    hooks.filter(({ on }) => on.includes(rest.event))
      .map(({ id }) => ({ ...rest, hook: id, facts: canonical(facts), attempts: 0 }))
  );
}
