/**
 * Replay: what a tree was at a line, what that line changed, and why its call was let through.
 * Nothing is run: the state is folded from the log.
 * @module
 */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { StateSummary } from "../../kernel/describe.ts";
import type { EventView } from "../schema/evidence.ts";
import { Choice } from "./forms.tsx";
import { Badge, Table, TONE } from "./lists.tsx";
import { useRead } from "./live.ts";
import { Claimed, Pid, Problem } from "./parts.tsx";
import { countOf, visible } from "./words.ts";

/** How long the slider rests before what it points at is read. */
const REST_MS = 150;

/** What stays on the screen until the next of its kind is there. */
function useKept<T>(value: T | undefined): T | undefined {
  const kept = useRef<T | undefined>(undefined);
  if (value !== undefined) kept.current = value;
  return kept.current;
}

/** The part of the page. */
export function Replay({ tree, line, last, set, close }: {
  readonly tree: string;
  readonly line: number;
  readonly last: number;
  readonly set: (line: number) => void;
  readonly close: () => void;
}): JSX.Element {
  const path = `/v1/trees/${tree}`;
  const state = useRead<StateSummary>(`${path}/state?at=${line}`);
  const event = useRead<{ readonly items: readonly EventView[] }>(
    `${path}/events?from=${line}&limit=1`,
  );
  const shown = useKept(state.data);
  const told = useKept(event.data)?.items[0];
  return (
    <section class="card" aria-labelledby="replay">
      <div class="head">
        <h2 id="replay">State at line {line}</h2>
        <button type="button" onClick={close}>Close</button>
      </div>
      <Scrubber line={line} last={last} set={set} />
      {told !== undefined && (
        <p aria-live="polite">
          Line {told.seq}: <b>{told.word}</b> <Claimed text={told.text} max={400} />{" "}
          {told.decision !== null && <Badge tone={TONE[told.decision]}>{told.decision}</Badge>}
        </p>
      )}
      {told?.type.startsWith("call.") && told.seq === line && <Story tree={tree} line={line} />}
      {state.error !== undefined && <Problem error={state.error} />}
      {shown !== undefined && (
        <>
          <Differences key={tree} tree={tree} line={line} last={last} />
          <StateView state={shown} />
        </>
      )}
    </section>
  );
}

function Scrubber({ line, last, set }: {
  readonly line: number;
  readonly last: number;
  readonly set: (line: number) => void;
}): JSX.Element {
  const [at, setAt] = useState(line);
  const told = useRef(line);
  useEffect(() => {
    // What it told the page itself comes back late: it may point elsewhere by now.
    if (line !== told.current) setAt(line);
    told.current = line;
  }, [line]);
  useEffect(() => {
    if (at === line) return;
    const timer = setTimeout(() => {
      told.current = at;
      set(at);
    }, REST_MS);
    return () => clearTimeout(timer);
  }, [at]);
  const step = (by: number): void => setAt(Math.min(last, Math.max(1, at + by)));
  return (
    <div class="scrubber">
      <button type="button" disabled={at <= 1} onClick={() => step(-1)}>Line before</button>
      <input
        type="range"
        min={1}
        max={last}
        value={at}
        aria-label="Line"
        aria-valuetext={`line ${at} of ${last}`}
        onInput={(e) => setAt(Number(e.currentTarget.value))}
      />
      <button type="button" disabled={at >= last} onClick={() => step(1)}>Line after</button>
      <output>{at} of {last}</output>
    </div>
  );
}

/** Why a call was let through or refused. */
function Story({ tree, line }: { readonly tree: string; readonly line: number }): JSX.Element {
  const { data } = useRead<{ readonly story: readonly string[] }>(
    `/v1/calls/${tree}/${line}/story`,
  );
  return (
    <ul class="plain story">
      {data?.story.map((sentence, i) => (
        <li key={i}>
          <Claimed text={sentence} />
        </li>
      ))}
    </ul>
  );
}

interface Changes {
  readonly from: number;
  readonly to: number;
  readonly items: readonly {
    readonly part: string;
    readonly id: string;
    readonly change: "added" | "removed" | "changed";
    readonly fields: readonly string[];
  }[];
}

function Differences({ tree, line, last }: {
  readonly tree: string;
  readonly line: number;
  readonly last: number;
}): JSX.Element {
  const [what, setWhat] = useState("before");
  const query = what === "before" ? `from=${line - 1}&to=${line}` : `from=${line}&to=${last}`;
  const isNone = what === "before" ? line < 2 : line >= last;
  const { data, error } = useRead<Changes>(isNone ? null : `/v1/trees/${tree}/diff?${query}`);
  const shown = useKept(data);
  return (
    <>
      <Choice
        name="What differs"
        value={what}
        set={setWhat}
        options={[["before", "to the line before"], ["now", "from here to now"]]}
      />
      {error !== undefined && <Problem error={error} />}
      {isNone
        ? <p>There is no line to compare with.</p>
        : shown !== undefined && <ChangeList changes={shown} />}
    </>
  );
}

const MARK = { added: "come", removed: "gone", changed: "same" } as const;

/** What differs between two positions. */
export function ChangeList({ changes }: { readonly changes: Changes }): JSX.Element {
  if (changes.items.length === 0) return <p>Nothing differs.</p>;
  return (
    <ul class="plain changes" aria-label={`From line ${changes.from} to ${changes.to}`}>
      {changes.items.map(({ part, id, change, fields }) => (
        <li key={`${part} ${id}`} class={MARK[change]}>
          {change} <b>{visible(part)}</b> <span class="id">{visible(id)}</span>
          {fields.length > 0 && <span class="dim">: {visible(fields.join(", "))}</span>}
        </li>
      ))}
    </ul>
  );
}

/** A state, part by part. */
function StateView({ state }: { readonly state: StateSummary }): JSX.Element {
  const { processes, objects, capabilities, requests, tools } = state;
  return (
    <>
      <Part name="Processes" count={processes.length} isOpen>
        <Table label="Processes then" heads={["Process", "State", "Step", "Tokens", "Goal"]}>
          {processes.map(({ pid, state, step, goal, spent }) => (
            <tr key={pid}>
              <td>
                <Pid pid={pid} />
              </td>
              <td>{state}</td>
              <td>{step}</td>
              <td>{countOf(spent["tokens"] ?? 0)}</td>
              <td>
                <Claimed text={goal} max={200} />
              </td>
            </tr>
          ))}
        </Table>
      </Part>
      <Part name="Objects" count={objects.length}>
        <Items
          of={objects.map(({ name, version }) => `${name} at version ${version}`)}
        />
      </Part>
      <Part name="Capabilities" count={capabilities.length}>
        <Items of={capabilities.map(({ subject, rule }) => `${subject}: ${rule}`)} />
      </Part>
      <Part name="Requests to people" count={requests.length}>
        <Items of={requests.map(({ id, pid, what }) => `${id} of ${pid}: ${what}`)} />
      </Part>
      <Part name="Generated tools" count={tools.length}>
        <Items of={tools.map(({ pid, name, tool }) => `${pid}: ${name} ${tool.slice(0, 12)}`)} />
      </Part>
      {Object.entries(state.more).map(([part, count]) => (
        <p key={part} class="dim">{count} more {part} are not shown.</p>
      ))}
    </>
  );
}

function Part({ name, count, isOpen = false, children }: {
  readonly name: string;
  readonly count: number;
  readonly isOpen?: boolean;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <details open={isOpen}>
      <summary>{name}: {count}</summary>
      {count > 0 && children}
    </details>
  );
}

function Items({ of }: { readonly of: readonly string[] }): JSX.Element {
  return (
    <ul class="plain">
      {of.map((text, i) => (
        <li key={i}>
          <Claimed text={text} max={300} />
        </li>
      ))}
    </ul>
  );
}
