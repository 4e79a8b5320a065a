/**
 * The first page: how things are.
 * @module
 */

import type { JSX } from "preact";
import type { OverviewView } from "../../schema/evidence.ts";
import { useRead } from "../live.ts";
import { Age, Page, Problem } from "../parts.tsx";
import { countOf, moneyOf } from "../words.ts";

/** The page. */
export function Overview(): JSX.Element {
  const { data, error } = useRead<OverviewView>("/v1/overview", () => true);
  return (
    <Page title="Overview">
      {error !== undefined && <Problem error={error} />}
      {data !== undefined && (
        <section class="tiles" aria-label="How things are">
          <Tile name="Running" value={countOf(data.running)} href="/view/processes?state=running" />
          <Tile
            name="Waiting on you"
            value={countOf(data.requests)}
            href="/approvals"
            tone={data.requests > 0 ? "ask" : "calm"}
          >
            {data.oldestRequestAt !== null && (
              <>
                oldest <Age at={data.oldestRequestAt} />
              </>
            )}
          </Tile>
          <Tile
            name="Failed in a day"
            value={countOf(data.failed)}
            href="/view/processes?state=ended"
            tone={data.failed > 0 ? "deny" : "calm"}
          />
          <Tile name="Effects in doubt" value={countOf(data.inDoubt)} href="/view/effects" />
          <Tile name="Spent today" value={moneyOf(data.spentToday.usd)} href="/view/budgets">
            {countOf(data.spentToday.tokens)} tokens
          </Tile>
          <Tile name="Events a minute" value={countOf(data.eventsPerMinute)} href="/view/audit" />
          <Tile name="Isolation" value={data.tier ?? "none"} href="/view/tools" />
        </section>
      )}
    </Page>
  );
}

function Tile({ name, value, href, tone = "calm", children }: {
  readonly name: string;
  readonly value: string;
  readonly href: string;
  readonly tone?: "calm" | "ask" | "deny";
  readonly children?: JSX.Element | (JSX.Element | string | false)[] | false | string;
}): JSX.Element {
  return (
    <a class={`tile ${tone}`} href={href}>
      <span class="name">{name}</span>
      <strong>{value}</strong>
      <span class="dim">{children}</span>
    </a>
  );
}
