/**
 * All processes, as trees.
 *
 * Invariants:
 *   P1. Only the rows that can be seen are there: a thousand processes cost what fifty do.
 *   P2. A row is as high as any other, whatever happens to its process.
 * @module
 */

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ProcessView } from "../../schema/process.ts";
import { may } from "../api.ts";
import { Menu } from "../dialog.tsx";
import { BudgetMeter } from "../meter.tsx";
import type { PageProps } from "../pages.ts";
import { Age, Empty, Page, Pid, Problem, State } from "../parts.tsx";
import { type Branch, branchesOf, isSought, type Sought, useProcesses } from "../processes.ts";
import { restate } from "../route.ts";
import { type Steering, useSteering } from "../steer.tsx";
import { countOf, moneyOf, visible } from "../words.ts";

const STATES = [
  "running",
  "ready",
  "waiting",
  "waiting/person",
  "waiting/child",
  "waiting/message",
  "waiting/timer",
  "waiting/call",
  "paused",
  "canceling",
  "ended",
];

/** The page. */
export function ProcessList({ place, who }: PageProps): JSX.Element {
  const { query } = place;
  const [words, setWords] = useState("");
  const sought = {
    state: query.get("state") ?? "",
    image: query.get("image") ?? "",
    label: query.get("label") ?? "",
    words,
  };
  const isAll = query.get("all") === "true" || sought.state === "ended";
  const [isLarge, setLarge] = useState(false);
  const found = useProcesses(serverQuery(sought, { isAll, isLarge }));
  // Of very many, the server looks for them; of fewer, the page does, at once.
  useEffect(() => void (found.isCut && setLarge(true)), [found.isCut]);
  const steering = useSteering();
  const branches = useMemo(() => branchesOf(found.all), [found.all]);
  const shown = branches.filter(({ process }) => isSought(process, sought));
  const isFiltered = shown.length < branches.length;
  return (
    <Page
      title="Processes"
      side={
        <span class="dim" role="status">
          {isFiltered ? `${shown.length} of ${branches.length}` : branches.length}
          {found.isCut ? " and more" : ""}
        </span>
      }
    >
      {found.error !== undefined && <Problem error={found.error} />}
      <Filters {...{ sought, setWords, isAll, branches }} />
      {steering.shown}
      {!found.isNew && shown.length === 0
        ? <Nothing isFiltered={isFiltered} />
        : <Table {...{ shown, steering, maySteer: may(who, "operator") }} />}
    </Page>
  );
}

function Nothing({ isFiltered }: { readonly isFiltered: boolean }): JSX.Element {
  return isFiltered
    ? <Empty>None is like that.</Empty>
    : <Empty command="libos run image.ts --goal 'Say hello'">No process is here.</Empty>;
}

function serverQuery(
  { state, image, label }: Sought,
  { isAll, isLarge }: { readonly isAll: boolean; readonly isLarge: boolean },
): string {
  const query = new URLSearchParams();
  if (isAll) query.set("all", "true");
  if (isLarge && state !== "") query.set("state", state);
  if (isLarge && image !== "") query.set("image", image);
  if (isLarge && label.includes("=")) query.set("label", label);
  return query.toString();
}

/** Puts a filter into the address, so that it can be sent to somebody. */
function put(name: string, value: string): void {
  const url = new URL(location.href);
  if (value === "") url.searchParams.delete(name);
  else url.searchParams.set(name, value);
  restate(url.pathname + url.search);
}

function Filters({ sought, setWords, isAll, branches }: {
  readonly sought: Sought;
  readonly setWords: (words: string) => void;
  readonly isAll: boolean;
  readonly branches: readonly Branch[];
}): JSX.Element {
  const images = [...new Set(branches.map(({ process }) => process.image))].sort();
  return (
    <form class="row filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <label>
        Find
        <input
          data-filter
          type="search"
          placeholder="pid, goal, image"
          value={sought.words}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
      </label>
      <label>
        State
        <select
          value={sought.state}
          onChange={(event) => put("state", event.currentTarget.value)}
        >
          <option value="">any</option>
          {STATES.map((state) => <option key={state} value={state}>{state}</option>)}
        </select>
      </label>
      <label>
        Image
        <select value={sought.image} onChange={(event) => put("image", event.currentTarget.value)}>
          <option value="">any</option>
          {images.map((image) => <option key={image} value={image}>{visible(image)}</option>)}
        </select>
      </label>
      <label>
        Label
        <input
          size={10}
          placeholder="team=ops"
          value={sought.label}
          onInput={(event) => put("label", event.currentTarget.value)}
        />
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={isAll}
          onChange={(event) => put("all", event.currentTarget.checked ? "true" : "")}
        />
        ended too
      </label>
    </form>
  );
}

/** Height of a row, as the style sheet has it. */
const ROW_PX = 36;
/** Rows beyond what can be seen, to both sides. */
const SPARE = 4;

/** Which rows of a list can be seen. */
function useWindow(count: number): {
  readonly scroller: { readonly current: HTMLDivElement | null };
  readonly onScroll: () => void;
  readonly first: number;
  readonly last: number;
} {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const first = Math.max(0, Math.min(count, Math.floor(top / ROW_PX)) - SPARE);
  const seen = Math.ceil((globalThis.innerHeight || 800) / ROW_PX);
  // By whole steps, so that scrolling a little draws nothing anew.
  const onScroll = (): void => {
    const step = ROW_PX * (SPARE / 2);
    setTop(Math.floor((scroller.current?.scrollTop ?? 0) / step) * step);
  };
  return { scroller, onScroll, first, last: Math.min(count, first + seen + 3 * SPARE) };
}

function Table({ shown, steering, maySteer }: {
  readonly shown: readonly Branch[];
  readonly steering: Steering;
  readonly maySteer: boolean;
}): JSX.Element {
  const { scroller, onScroll, first, last } = useWindow(shown.length);
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  const picked = shown.filter(({ process }) => chosen.has(process.pid));
  const toggle = (pid: string): void => {
    const next = new Set(chosen);
    if (!next.delete(pid)) next.add(pid);
    choose(next);
  };
  return (
    <>
      {picked.length > 0 && (
        <Chosen all={picked.map(({ process }) => process)} {...{ steering, choose }} />
      )}
      <div
        class="scroll tall"
        ref={scroller}
        onScroll={onScroll}
        tabIndex={0}
        role="region"
        aria-label="Processes"
      >
        <table class="ps" aria-rowcount={shown.length + 1}>
          <thead>
            <tr aria-rowindex={1}>
              {maySteer && (
                <th class="pick">
                  <input
                    type="checkbox"
                    aria-label="Choose all"
                    checked={picked.length > 0 && picked.length === shown.length}
                    onChange={(event) =>
                      choose(
                        new Set(
                          event.currentTarget.checked
                            ? shown.map(({ process }) => process.pid)
                            : [],
                        ),
                      )}
                  />
                </th>
              )}
              {HEADS.map(([name, kind]) => <th key={name} class={kind}>{name}</th>)}
              {maySteer && (
                <th class="more">
                  <span class="unseen">Do</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            <Gap rows={first} />
            {shown.slice(first, last).map(({ process, depth }, i) => (
              <tr key={process.pid} aria-rowindex={first + i + 2}>
                {maySteer && (
                  <td class="pick">
                    <input
                      type="checkbox"
                      aria-label={`Choose ${process.pid}`}
                      checked={chosen.has(process.pid)}
                      onChange={() => toggle(process.pid)}
                    />
                  </td>
                )}
                <Cells process={process} depth={depth} />
                {maySteer && (
                  <td class="more">
                    <Menu label={`Do with ${process.pid}`} items={steering.items(process)} />
                  </td>
                )}
              </tr>
            ))}
            <Gap rows={shown.length - last} />
          </tbody>
        </table>
      </div>
    </>
  );
}

const HEADS = [
  ["PID", "pid"],
  ["Image", "image"],
  ["State", "state"],
  ["Step", "number step"],
  ["Tokens", "number tokens"],
  ["Cost", "number cost"],
  ["Budget", "budget"],
  ["Age", "number age"],
  ["Goal", "goal"],
] as const;

/** Room for rows that are not there. */
function Gap({ rows }: { readonly rows: number }): JSX.Element | null {
  if (rows <= 0) return null;
  return (
    <tr aria-hidden="true" style={{ height: `${rows * ROW_PX}px` }}>
      <td colSpan={HEADS.length + 2} />
    </tr>
  );
}

function Cells({ process, depth }: Branch): JSX.Element {
  const { pid, image, spent, step, startedAt, goal, parent } = process;
  const indent = Math.min(depth, 8);
  return (
    <>
      <td class="pid" style={{ paddingInlineStart: `${0.6 + indent * 0.9}rem` }}>
        {depth > 0 && <span class="dim" aria-hidden="true">└</span>}
        <Pid pid={pid} isRow />
        {depth > 0 && <span class="unseen">below {parent}</span>}
      </td>
      <td class="image">{visible(image)}</td>
      <td class="state">
        <State process={process} />
        {process.requests > 0 && (
          <span class="count" title="requests that wait for a person">{process.requests}</span>
        )}
      </td>
      <td class="number step">{step}</td>
      <td class="number tokens">{countOf(spent.tokens ?? 0)}</td>
      <td class="number cost">{spent.usd ? moneyOf(spent.usd) : "–"}</td>
      <td class="budget">
        <BudgetMeter process={process} />
      </td>
      <td class="number age">
        <Age at={startedAt} />
      </td>
      <td class="goal" title={visible(goal.slice(0, 300))}>{visible(goal.slice(0, 300))}</td>
    </>
  );
}

function Chosen({ all, steering, choose }: {
  readonly all: readonly ProcessView[];
  readonly steering: Steering;
  readonly choose: (pids: ReadonlySet<string>) => void;
}): JSX.Element {
  return (
    <div class="row chosen" role="group" aria-label="Do with those that are chosen">
      <strong>{all.length} chosen</strong>
      <button type="button" onClick={() => steering.each(all, "pause")}>Pause</button>
      <button type="button" onClick={() => steering.each(all, "resume")}>Resume</button>
      <button type="button" class="no" onClick={() => steering.each(all, "kill")}>Kill…</button>
      <button type="button" class="quiet" onClick={() => choose(new Set())}>Choose none</button>
    </div>
  );
}
