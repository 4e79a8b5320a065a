/**
 * The inbox: what waits for people, and what they say to it.
 * @module
 */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { RequestView } from "../../schema/request.ts";
import type { Who } from "../api.ts";
import { useInboxKeys } from "../approval_keys.ts";
import { Batch } from "../batch.tsx";
import { type DecidedView, Decision, type Wish } from "../decision.tsx";
import { NotifyButton } from "../notify.tsx";
import type { PageProps } from "../pages.ts";
import { Empty, Page, Problem } from "../parts.tsx";
import { Diff } from "../preview.tsx";
import { Changed, Countdown, Facts, overText, Risk } from "../request_card.tsx";
import { type Filter, Filters, isShown, RequestList } from "../request_list.tsx";
import { whatOf } from "../request_text.ts";
import { type Inbox, type Reading, useInbox, useReading } from "../requests.ts";
import { pathTo, type Place } from "../route.ts";
import { visible } from "../words.ts";

const SAID_MAX = 120;

/** The page. */
export function Approvals({ place, who }: PageProps): JSX.Element {
  const [said, say] = useState("");
  const inbox = useInbox((news) => say(newsText(news)));
  const [filter, setFilter] = useState<Filter>({ kind: "", risk: "" });
  const [checked, setChecked] = useState<ReadonlyMap<string, RequestView>>(new Map());
  const [done, setDone] = useState<DecidedView | null>(null);
  const [wish, setWish] = useState<Wish | null>(null);
  const at = useSelected(inbox, filter, place);
  const reading = useReading(inbox, at.id);
  const rows = useRows(at.rows, reading.view);
  useTitle(inbox.waiting?.length);
  useInboxKeys((key) => {
    if (key === "j" || key === "k") return walk(rows, at, key === "j" ? 1 : -1);
    if (key === "Escape") return backToList(at);
    if (!/^[aAde]$/.test(key) || reading.view === undefined || checked.size > 1) return false;
    at.open(reading.view.id);
    setWish((now) => ({ key: key as Wish["key"], count: (now?.count ?? 0) + 1 }));
    return true;
  });
  const sift = (next: Filter): void => {
    setFilter(next);
    at.leave(next);
  };
  const decided = (view: DecidedView): void => {
    setDone(view);
    say(doneText(view));
    at.goOn(view.request.id);
  };
  return (
    <Page title="Approvals" side={<Side said={said} />}>
      {inbox.error !== undefined && <Problem error={inbox.error} />}
      <div class={at.isOfList && checked.size < 2 ? "desk" : "desk has-one"}>
        <div class="left">
          <Filters filter={filter} set={sift} />
          <Rows
            inbox={inbox}
            rows={rows}
            selected={at.id}
            checked={checked}
            open={(id) => {
              at.open(id, true);
              requestAnimationFrame(() => document.getElementById("request")?.focus());
            }}
            check={(view, isChecked) => setChecked((now) => toggled(now, view, isChecked))}
          />
        </div>
        <div class="right">
          <a class="back" href="/approvals">‹ All requests</a>
          {done !== null && <Done done={done} close={() => setDone(null)} />}
          {checked.size > 1
            ? <Batch all={[...checked.values()]} clear={() => setChecked(new Map())} />
            : <Card reading={reading} who={who} wish={wish} decided={decided} />}
        </div>
      </div>
    </Page>
  );
}

function Side({ said }: { readonly said: string }): JSX.Element {
  return (
    <>
      <NotifyButton />
      <p class="told dim" role="status" title={said}>{said}</p>
    </>
  );
}

function toggled(
  now: ReadonlyMap<string, RequestView>,
  view: RequestView,
  isChecked: boolean,
): ReadonlyMap<string, RequestView> {
  const next = new Map(now);
  if (isChecked) next.set(view.id, view);
  else next.delete(view.id);
  return next;
}

/** The number of those that wait, in the window's title. */
function useTitle(count: number | undefined): void {
  useEffect(() => {
    if (count === undefined) return;
    document.title = `${count === 0 ? "" : `(${count}) `}Approvals · Agent libOS`;
  }, [count]);
}

/** Which request is open, and what else there is. */
interface Selected {
  readonly id: string | null;
  readonly rows: readonly RequestView[];
  /** Whether the address names none, and a narrow window shows the list. */
  readonly isOfList: boolean;
  /** Opens one; null for the list. `isStep` where going back should lead here again. */
  open(id: string | null, isStep?: boolean): void;
  goOn(from: string): void;
  /** Opens none that another filter leaves out. */
  leave(next: Filter): void;
}

/** That of the address is open, else the first; it stays open whatever comes in. */
function useSelected(inbox: Inbox, filter: Filter, place: Place): Selected {
  const rows = (inbox.waiting ?? []).filter((view) => isShown(view, filter));
  const [named, name] = useState(place.path[1] ?? null);
  const [picked, pick] = useState<string | null>(null);
  const id = named ?? picked ?? rows[0]?.id ?? null;
  useEffect(() => name(place.path[1] ?? null), [place]);
  useEffect(() => {
    if (id !== null) pick(id);
  }, [id]);
  const open = (next: string | null, isStep = false): void => {
    const path = next === null ? "/approvals" : pathTo.request(next);
    // Nobody arrives at another page: the focus is where the key or the click leads.
    if (isStep) globalThis.history.pushState(null, "", path);
    else globalThis.history.replaceState(null, "", path);
    name(next);
  };
  return {
    id,
    rows,
    isOfList: named === null,
    open,
    leave: (next) => {
      const shown = inbox.waiting?.find((one) => one.id === id);
      if (shown === undefined || isShown(shown, next)) return;
      pick(null);
      open(null);
    },
    goOn: (from) => {
      const index = rows.findIndex((one) => one.id === from);
      const others = rows.filter((one) => one.id !== from);
      pick(others[Math.min(Math.max(index, 0), others.length - 1)]?.id ?? null);
      open(null);
      document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    },
  };
}

/** The rows, and the open one where it was, when it does not wait any more. */
function useRows(
  waiting: readonly RequestView[],
  open: RequestView | undefined,
): readonly RequestView[] {
  const last = useRef<readonly string[]>([]);
  let rows = waiting;
  if (open !== undefined && last.current.includes(open.id)) {
    const isGone = !waiting.some(({ id }) => id === open.id);
    if (isGone) rows = waiting.toSpliced(last.current.indexOf(open.id), 0, open);
  }
  useEffect(() => {
    last.current = rows.map(({ id }) => id);
  });
  return rows;
}

function walk(rows: readonly RequestView[], at: Selected, step: 1 | -1): boolean {
  const next = rows[rows.findIndex((one) => one.id === at.id) + step];
  if (next === undefined) return true;
  at.open(next.id);
  rowOf(next.id)?.focus();
  rowOf(next.id)?.scrollIntoView({ block: "nearest" });
  return true;
}

function rowOf(id: string): HTMLElement | null {
  return document.querySelector(`[data-request="${CSS.escape(id)}"]`);
}

/** Brings the focus back to the list. */
function backToList(at: Selected): boolean {
  if (at.id === null) return false;
  at.open(null);
  const { id } = at;
  // In a narrow window it is there only after this.
  requestAnimationFrame(() => rowOf(id)?.focus());
  return true;
}

function newsText(news: readonly RequestView[]): string {
  const [first] = news;
  const more = news.length > 1 ? ` and ${news.length - 1} more` : "";
  return `New: ${first!.risk} ${visible(whatOf(first!).slice(0, SAID_MAX))}${more}`;
}

function doneText({ request, grants }: DecidedView): string {
  const what = visible(whatOf(request).slice(0, SAID_MAX));
  const isHalf = request.status === "pending";
  const status = isHalf ? "agreed, and somebody else has to, too" : request.status;
  return `${what}: ${status}${grants.length === 0 ? "" : `, granted as ${grants.join(", ")}`}`;
}

function Rows({ inbox, rows, selected, checked, open, check }: {
  readonly inbox: Inbox;
  readonly rows: readonly RequestView[];
  readonly selected: string | null;
  readonly checked: ReadonlyMap<string, RequestView>;
  readonly open: (id: string) => void;
  readonly check: (view: RequestView, isChecked: boolean) => void;
}): JSX.Element {
  if (inbox.waiting === undefined) return <p class="dim">Loading…</p>;
  if (rows.length === 0) {
    return inbox.waiting.length === 0
      ? (
        <Empty command="libos run ./hello.ts 'write a report' --ask 'file.write(./out/**)'">
          Nothing waits for a person. Where a rule says ask, a process stops and its request is
          here.
        </Empty>
      )
      : <Empty>None of the {inbox.waiting.length} that wait is of this kind.</Empty>;
  }
  const ids = new Set(checked.keys());
  return (
    <>
      <RequestList
        rows={rows}
        selected={selected}
        over={inbox.over}
        checked={ids}
        open={open}
        check={(id, isChecked) => check(rows.find((one) => one.id === id)!, isChecked)}
      />
      {inbox.isCut && <p class="dim">These are the first; there are more.</p>}
    </>
  );
}

function Card({ reading, who, wish, decided }: {
  readonly reading: Reading;
  readonly who: Who;
  readonly wish: Wish | null;
  readonly decided: (view: DecidedView) => void;
}): JSX.Element | null {
  const { view, changed, over, error } = reading;
  if (view === undefined) return error === undefined ? null : <Problem error={error} />;
  return (
    <article class="card" aria-label={`Request ${view.id}`}>
      <header>
        <h2 id="request" tabIndex={-1} class="what">
          {view.call === null
            ? `A ${view.kind} of ${view.pid}`
            : <span class="mono">{visible(whatOf(view).slice(0, SAID_MAX))}</span>}
        </h2>
        <p class="top">
          <Risk risk={view.risk} /> <span class="badge">{view.kind}</span>
          {view.escalatedAt !== null && <span class="badge deny">escalated</span>}
          <span class="dim">
            {view.id} · <Countdown at={view.expiresAt} />
          </span>
        </p>
      </header>
      {changed !== undefined && <Changed before={view} now={changed} review={reading.review} />}
      <Facts view={view} />
      {over !== undefined
        ? <p class="verdict notice" role="status">{visible(overText(over))}</p>
        : changed === undefined && (
          <Decision
            key={`${view.id} ${view.call?.argsHash}`}
            view={view}
            who={who}
            wish={wish}
            decided={decided}
            again={reading.again}
          />
        )}
    </article>
  );
}

/** What the last decision did, where it did more than let one call through. */
function Done({ done, close }: {
  readonly done: DecidedView;
  readonly close: () => void;
}): JSX.Element | null {
  if (done.policyDiff === null) return null;
  return (
    <section class="notice" aria-label="What changed in the policy">
      <p>The policy is another one now:</p>
      <Diff lines={done.policyDiff.split("\n")} label="What changed in the policy" />
      <p>
        <button type="button" onClick={close}>Close</button>
      </p>
    </section>
  );
}
