/**
 * The first page: how things are.
 * @module
 */

import type { JSX } from "preact";
import type { OverviewView } from "../../schema/evidence.ts";
import { useLately, useRead } from "../live.ts";
import { Age, Empty, Page, Pid, Problem } from "../parts.tsx";
import { Risk } from "../request_card.tsx";
import { whatOf } from "../request_text.ts";
import { useInbox } from "../requests.ts";
import { pathTo } from "../route.ts";
import { countOf, moneyOf, timeOf, visible } from "../words.ts";

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
          <Tile name="Open effects" value={countOf(data.inDoubt)} href="/view/effects">
            no outcome yet
          </Tile>
          <Tile name="Spent today" value={moneyOf(data.spentToday.usd)} href="/view/budgets">
            {countOf(data.spentToday.tokens)} tokens
          </Tile>
          <Tile name="Events a minute" value={countOf(data.eventsPerMinute)} href="/view/audit" />
          <Tile name="Isolation" value={data.tier ?? "none"} href="/view/tools" />
        </section>
      )}
      <div class="cols">
        <Waiting />
        <Lately />
      </div>
    </Page>
  );
}

const WAITING_MAX = 8;
const WHAT_MAX = 120;

/** What waits for a person, the most urgent first. */
function Waiting(): JSX.Element {
  const { waiting } = useInbox(() => {});
  const rest = (waiting?.length ?? 0) - WAITING_MAX;
  return (
    <section class="card" aria-labelledby="waiting">
      <h2 id="waiting">The most urgent requests</h2>
      {waiting?.length === 0 && (
        <Empty command="libos approvals">
          Nothing waits for a person.
        </Empty>
      )}
      <ul class="waits">
        {waiting?.slice(0, WAITING_MAX).map((view) => (
          <li key={view.id}>
            <a href={pathTo.request(view.id)} data-row="">
              <Risk risk={view.risk} />
              <span class="mono">{visible(whatOf(view).slice(0, WHAT_MAX))}</span>
              <span class="dim">
                <Age at={view.createdAt} />
              </span>
            </a>
          </li>
        ))}
      </ul>
      {rest > 0 && <a href="/approvals">{rest} more</a>}
    </section>
  );
}

/** What happened since the page was loaded. */
function Lately(): JSX.Element {
  const events = useLately();
  return (
    <section class="card" aria-labelledby="lately">
      <h2 id="lately">Lately</h2>
      {events.length === 0 && <Empty command="libos logs -f">What happens is shown here.</Empty>}
      <ul class="waits">
        {events.map(({ id, at, pid, kind, summary }) => (
          <li key={`${id} ${at}`} class="row">
            <time class="dim" dateTime={at}>{timeOf(at)}</time>
            {pid !== null && <Pid pid={pid} />}
            <span>{kind}</span>
            <span class="mono dim">{aboutOf(summary)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

const ABOUT_MAX = 60;

/** What an event is about, in a few words. */
function aboutOf(summary: Readonly<Record<string, unknown>>): string {
  const words = ["name", "resource", "state", "prompt", "outcome", "decision"]
    .map((key) => summary[key]).filter((word) => typeof word === "string");
  return visible(words.join(" ").slice(0, ABOUT_MAX));
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
