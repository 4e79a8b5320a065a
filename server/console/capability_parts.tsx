/**
 * Capabilities as the console shows them: what one allows, how it was given, and what came of it.
 * @module
 */

import type { ComponentChildren, JSX } from "preact";
import type { CapabilityView } from "../schema/authority.ts";
import { Age, Pid } from "./parts.tsx";
import { spanOf, visible } from "./words.ts";

/** What a capability allows. */
export function Rule({ cap }: { readonly cap: CapabilityView }): JSX.Element {
  return (
    <div class="rule">
      <code>{visible(`${cap.right}(${cap.resource})`)}</code>
      {cap.bound && <span class="dim">this call only</span>}
      {cap.delegable && <span class="dim">may be handed on</span>}
      {cap.constraint !== null && (
        <details>
          <summary>only with these arguments</summary>
          <code>{visible(JSON.stringify(cap.constraint))}</code>
        </details>
      )}
    </div>
  );
}

/** How a capability came to be: a word, and a colour. */
export function Via({ via }: { readonly via: CapabilityView["via"] }): JSX.Element {
  return <span class={`badge via-${via}`}>{via}</span>;
}

/** How often it was used, and may be. */
export function Uses({ cap }: { readonly cap: CapabilityView }): JSX.Element {
  const { usesMax, usesSpent, used } = cap;
  return (
    <>
      {usesMax === null ? "not limited" : `${usesMax - usesSpent} of ${usesMax} left`}
      {used !== null && (
        <span class="dim">
          {" · "}
          {used.calls === 0
            ? "never used"
            : `${used.calls} ${used.calls === 1 ? "call" : "calls"}, last `}
          {used.lastAt !== null && <Age at={used.lastAt} />}
        </span>
      )}
    </>
  );
}

/** When it ends. */
export function expiryOf({ expiresAt }: CapabilityView): string {
  if (expiresAt === null) return "with its holder";
  const leftMs = Date.parse(expiresAt) - Date.now();
  return leftMs <= 0 ? "over" : `in ${spanOf(leftMs)}`;
}

/** Those that were derived from one, and from these, in order of age. */
export function fallWith(cap: CapabilityView, all: readonly CapabilityView[]): CapabilityView[] {
  const gone = new Set([cap.id]);
  for (const one of all) if (one.parent !== null && gone.has(one.parent)) gone.add(one.id);
  return all.filter(({ id }) => gone.has(id));
}

/** Capabilities by tree, each under the one it was derived from. */
export function CapabilityTree({ caps, act }: {
  readonly caps: readonly CapabilityView[];
  readonly act: (cap: CapabilityView) => ComponentChildren;
}): JSX.Element {
  const shown = new Set(caps.map(({ id }) => id));
  const trees = [...new Set(caps.map(({ tree }) => tree))];
  const below = (parent: string | null, tree: string): readonly CapabilityView[] =>
    caps.filter((cap) =>
      cap.tree === tree &&
      (parent === null ? cap.parent === null || !shown.has(cap.parent) : cap.parent === parent)
    );
  const branch = (items: readonly CapabilityView[]): JSX.Element => (
    <ul>
      {items.map((cap) => {
        const children = below(cap.id, cap.tree);
        return (
          <li key={cap.id}>
            <div class="leaf">
              <span>
                <Via via={cap.via} />
                <span class="id">{cap.id}</span>
                <Rule cap={cap} />
                <span>
                  held by <Pid pid={cap.subject} />
                </span>
                <span class="dim">
                  by {visible(cap.by)} · <Uses cap={cap} />
                </span>
              </span>
              {act(cap)}
            </div>
            {children.length > 0 && branch(children)}
          </li>
        );
      })}
    </ul>
  );
  return (
    <>
      {trees.map((tree) => (
        <section key={tree} class="captree" aria-label={`Capabilities of ${tree}`}>
          <h2>{tree}</h2>
          {branch(below(null, tree))}
        </section>
      ))}
    </>
  );
}
