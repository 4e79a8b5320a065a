/**
 * The list of requests: who asks for what, how risky it is, how long there is to answer.
 * @module
 */

import type { JSX } from "preact";
import type { RequestView } from "../schema/request.ts";
import { Age } from "./parts.tsx";
import { Countdown, Risk } from "./request_card.tsx";
import { whatOf } from "./request_text.ts";
import type { Over } from "./requests.ts";
import { pathTo } from "./route.ts";
import { visible } from "./words.ts";

const KINDS = ["permission", "review", "budget", "question", "doubt", "notice"] as const;
const RISKS = ["destructive", "high", "medium", "low"] as const;
const WHAT_MAX = 160;

/** What is shown of all. */
export interface Filter {
  readonly kind: string;
  readonly risk: string;
}

/** Whether a request is one of those that are shown. */
export function isShown({ kind, risk }: RequestView, filter: Filter): boolean {
  return (filter.kind === "" || filter.kind === kind) &&
    (filter.risk === "" || filter.risk === risk);
}

/** Whether several may be answered together with others: there is a call, and nothing is lost. */
export function isAlikeable({ kind, risk, mayDecide }: RequestView): boolean {
  return kind === "permission" && risk !== "destructive" && mayDecide;
}

/** The filters. */
export function Filters({ filter, set }: {
  readonly filter: Filter;
  readonly set: (filter: Filter) => void;
}): JSX.Element {
  return (
    <p class="sift">
      <Select
        name="Kind"
        all={KINDS}
        value={filter.kind}
        set={(kind) => set({ ...filter, kind })}
      />
      <Select
        name="Risk"
        all={RISKS}
        value={filter.risk}
        set={(risk) => set({ ...filter, risk })}
      />
    </p>
  );
}

function Select({ name, all, value, set }: {
  readonly name: string;
  readonly all: readonly string[];
  readonly value: string;
  readonly set: (value: string) => void;
}): JSX.Element {
  return (
    <select
      aria-label={name}
      data-filter={name === "Kind" ? "" : undefined}
      value={value}
      onChange={(event) => set(event.currentTarget.value)}
    >
      <option value="">every {name.toLowerCase()}</option>
      {all.map((one) => <option key={one} value={one}>{one}</option>)}
    </select>
  );
}

/** The rows. */
export function RequestList({ rows, selected, over, checked, open, check }: {
  readonly rows: readonly RequestView[];
  readonly selected: string | null;
  readonly over: ReadonlyMap<string, Over>;
  readonly checked: ReadonlySet<string>;
  readonly open: (id: string) => void;
  readonly check: (id: string, isChecked: boolean) => void;
}): JSX.Element {
  return (
    <ul class="requests" aria-label="Requests, the most urgent first">
      {rows.map((view) => (
        <li key={view.id} class={view.id === selected ? "open" : undefined}>
          {isAlikeable(view) && !over.has(view.id)
            ? (
              <input
                type="checkbox"
                aria-label={`Select ${view.id} to answer it with others`}
                checked={checked.has(view.id)}
                onChange={(event) => check(view.id, event.currentTarget.checked)}
              />
            )
            : <span aria-hidden="true" />}
          <Row
            view={view}
            isSelected={view.id === selected}
            over={over.get(view.id)}
            open={open}
          />
        </li>
      ))}
    </ul>
  );
}

function Row({ view, isSelected, over, open }: {
  readonly view: RequestView;
  readonly isSelected: boolean;
  readonly over: Over | undefined;
  readonly open: (id: string) => void;
}): JSX.Element {
  const { id, kind, risk, lineage, people, escalatedAt, createdAt, expiresAt } = view;
  const what = whatOf(view);
  return (
    <a
      href={pathTo.request(id)}
      data-row
      data-request={id}
      aria-current={isSelected ? "true" : undefined}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        open(id);
      }}
    >
      <span class="top">
        <Risk risk={risk} />
        <span class="dim">{kind}</span>
        {escalatedAt !== null && <span class="badge deny">escalated</span>}
        {people.needed > 1 && (
          <span class="badge ask">{people.needed} people: {people.agreed.length} agreed</span>
        )}
        {over !== undefined && <span class="badge">decided by {visible(over.by ?? "time")}</span>}
      </span>
      <span class="what mono">
        {visible(what.slice(0, WHAT_MAX))}
        {what.length > WHAT_MAX && "…"}
      </span>
      <span class="dim under">
        <span class="id">{lineage.slice(-3).join(" › ")}</span>
        <span>
          <Age at={createdAt} /> old
        </span>
        <Countdown at={expiresAt} />
      </span>
    </a>
  );
}
