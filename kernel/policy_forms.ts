/**
 * Rules that nothing can ever be about, and rules that forbid a right altogether.
 *
 * Invariants:
 *   W1. What is said to match nothing matches nothing: only what provably shares no resource with
 *       any right it names is found.
 * @module
 */

import { matchRight, overlaps, type Pattern } from "./grammar.ts";
import { isPathRight } from "./path.ts";
import type { PolicyRule } from "./policy.ts";

/**
 * What the resources of a right look like, as patterns by the right: none where no call needs it.
 * A right that is not there is on anything.
 */
export type Forms = Readonly<Record<string, readonly string[]>>;

/** Whether a rule forbids its right on everything and always, so that no tool of it is shown. */
export function isBareDeny({ effect, pattern, when, expiresMs }: PolicyRule): boolean {
  if (effect !== "deny" || when !== null || expiresMs !== null) return false;
  return pattern.resource === "**" ||
    (isPathRight(pattern.right) && pattern.resource === "./**");
}

/** Why no call is ever judged by a rule over this pattern; undefined where one may be. */
export function neverMatches(pattern: Pattern, given: {
  readonly rights: readonly string[];
  readonly forms: Forms;
}): string | undefined {
  const named = given.rights.filter((right) => matchRight(pattern.right, right));
  const forms = named.map((right) =>
    Object.hasOwn(given.forms, right) ? given.forms[right]! : ["**"]
  );
  // Tools of servers are not known here.
  if (named.length === 0 || forms.some((each) => each.some((form) => meets(pattern, form)))) {
    return undefined;
  }
  const { right, resource } = pattern;
  const [form] = forms.flat();
  if (form === undefined) {
    return `no call needs the right "${right}", expected what it needs instead, or a bare deny`;
  }
  return `nothing that "${right}" is on looks like "${resource}", expected "${form}"`;
}

function meets({ resource }: Pattern, form: string): boolean {
  return overlaps({ right: "*", resource }, { right: "*", resource: form });
}
