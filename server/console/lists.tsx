/**
 * Lists: tables that scroll by themselves, facts, trees of processes to choose from.
 * @module
 */

import type { ComponentChildren, JSX } from "preact";
import type { TreeView } from "../schema/process.ts";
import { useRead } from "./live.ts";
import type { Paged } from "./paged.ts";
import { Problem } from "./parts.tsx";
import { Choice } from "./forms.tsx";

/** A table; narrow screens scroll it by itself, by keyboard too. */
export function Table({ label, heads, children }: {
  readonly label: string;
  readonly heads: readonly ComponentChildren[];
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>{heads.map((head, i) => <th key={i} scope="col">{head}</th>)}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** Names and what they are, one under another. */
export function Facts({ facts }: {
  /** What is false is left out. */
  readonly facts: Readonly<Record<string, ComponentChildren>>;
}): JSX.Element {
  return (
    <dl class="about">
      {Object.entries(facts).map(([name, what]) =>
        what === false ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{what}</dd>
          </div>
        )
      )}
    </dl>
  );
}

/** The end of a list: what went wrong, and a button for more. */
export function Rest<T>({ list }: { readonly list: Paged<T> }): JSX.Element {
  return (
    <>
      {list.error !== undefined && <Problem error={list.error} />}
      {list.items === undefined && list.error === undefined && <p class="dim">Loading…</p>}
      {list.hasMore && (
        <p>
          <button type="button" onClick={list.more}>Show more</button>
        </p>
      )}
    </>
  );
}

/** A field to choose a tree. */
export function TreeChoice({ value, set, all = true }: {
  readonly value: string;
  readonly set: (value: string) => void;
  /** Whether "all" is a choice. */
  readonly all?: boolean;
}): JSX.Element {
  const { data } = useRead<{ readonly items: readonly TreeView[] }>(
    "/v1/trees?all=true&limit=500",
    ({ kind, summary }) => kind === "process.state" && summary["parent"] === null,
  );
  const known = (data?.items ?? []).map(({ tree, live }) =>
    [tree, live ? tree : `${tree} (ended)`] as const
  );
  const isMissing = value !== "" && known.every(([tree]) => tree !== value);
  return (
    <Choice
      name="Tree"
      value={value}
      set={set}
      options={[
        ...(all ? [["", "all"] as const] : value === "" ? [["", "choose one"] as const] : []),
        ...(isMissing ? [[value, value] as const] : []),
        ...known,
      ]}
    />
  );
}

/** A badge with its word. */
export function Badge({ tone = "calm", children }: {
  readonly tone?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return <span class={`badge ${tone}`}>{children}</span>;
}

/** How a decision is coloured; the word is always there too. */
export const TONE = { allow: "allow", ask: "ask", deny: "deny", none: "calm" } as const;
