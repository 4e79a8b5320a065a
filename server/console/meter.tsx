/**
 * Meters: how much of a limit is used.
 * @module
 */

import type { JSX } from "preact";
import type { ProcessView } from "../schema/process.ts";
import { budgetUsed, type Kind, KINDS } from "./processes.ts";
import { countOf, moneyOf, spanOf } from "./words.ts";

const NAMES: Readonly<Record<Kind, string>> = {
  tokens: "tokens",
  usd: "cost",
  modelCalls: "model calls",
  toolCalls: "tool calls",
  wallMs: "time",
  bytes: "bytes",
};

function amountOf(kind: Kind, value: number): string {
  return kind === "usd" ? moneyOf(value) : kind === "wallMs" ? spanOf(value) : countOf(value);
}

/** A bar with its share in words. */
export function Meter({ name, share, children }: {
  readonly name: string;
  readonly share: number;
  readonly children?: string;
}): JSX.Element {
  const percent = Math.round(share * 100);
  const tone = share >= 0.9 ? "deny" : share >= 0.7 ? "ask" : "allow";
  return (
    <span
      class={`meter ${tone}`}
      role="meter"
      aria-label={name}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      title={`${name} ${children ?? ""} ${percent}%`}
    >
      <span class="bar" aria-hidden="true">
        <span style={{ width: `${percent}%` }} />
      </span>
      <span class="share">{percent}%</span>
    </span>
  );
}

/** The part of a process's budget that is nearest to its end. */
export function BudgetMeter({ process }: { readonly process: ProcessView }): JSX.Element | null {
  const used = budgetUsed(process);
  return used === null
    ? <span class="dim">–</span>
    : <Meter name={`budget: ${NAMES[used.kind]}`} share={used.share} />;
}

/** Every limit of a process, and what it has spent without one. */
export function Budgets({ process }: { readonly process: ProcessView }): JSX.Element {
  const { spent, budget } = process;
  return (
    <dl class="budgets">
      {KINDS.filter((kind) => budget[kind] !== undefined || (spent[kind] ?? 0) > 0).map((kind) => {
        const used = spent[kind] ?? 0;
        const limit = budget[kind];
        return (
          <div key={kind}>
            <dt>{NAMES[kind]}</dt>
            <dd>
              {amountOf(kind, used)}
              {limit !== undefined && (
                <>
                  <span class="dim">of {amountOf(kind, limit)}</span>
                  <Meter name={NAMES[kind]} share={limit === 0 ? 1 : Math.min(1, used / limit)} />
                </>
              )}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
