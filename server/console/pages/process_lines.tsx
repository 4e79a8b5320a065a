/**
 * The lines of a process's log, a page at a time.
 * @module
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { EventView } from "../../schema/evidence.ts";
import { may } from "../api.ts";
import { useRead } from "../live.ts";
import { Block, Claimed, Empty, Problem } from "../parts.tsx";
import { timeOf } from "../words.ts";
import { type Given, type List, Rows } from "./process_tabs.tsx";

const TYPES = ["", "call", "process", "human", "cap", "object", "tool", "checkpoint", "tree"];
const PAGE = 100;

/** What is looked for. */
interface Sought {
  readonly type: string;
  readonly from: number;
  /** Of the whole tree, not of the process alone. */
  readonly isTree: boolean;
}

/** The lines of a process, or of its whole tree. */
export function Lines({ process: { pid, tree, seq }, who }: Given): JSX.Element {
  const [sought, seek] = useState<Sought>({ type: "", from: 1, isTree: false });
  const [afters, setAfters] = useState<readonly string[]>([]);
  const [open, setOpen] = useState<number | null>(null);
  const after = afters.at(-1);
  const { data, error } = useRead<List<EventView>>(
    `/v1/trees/${tree}/events?${queryOf(sought, { pid, after })}`,
    (event) => event.tree === tree && event.kind !== "process.text",
  );
  const begin = (more: Partial<Sought>): void => {
    setAfters([]);
    seek({ ...sought, ...more });
  };
  const toggle = (line: number): void => setOpen(open === line ? null : line);
  return (
    <>
      <Filters sought={sought} begin={begin} last={seq} />
      {error !== undefined && <Problem error={error} />}
      {data?.items.length === 0 && <Empty>No line is like that.</Empty>}
      {data !== undefined && data.items.length > 0 && (
        <Rows label="Lines" heads={["Line", "Time", "Kind", "What"]}>
          {data.items.map((line) => (
            <Line
              key={line.seq}
              line={line}
              isOpen={open === line.seq}
              toggle={may(who, "operator")
                ? () => toggle(line.seq)
                : undefined}
            />
          ))}
        </Rows>
      )}
      <div class="row">
        <button
          type="button"
          disabled={afters.length === 0}
          onClick={() => setAfters(afters.slice(0, -1))}
        >
          Before
        </button>
        <button
          type="button"
          disabled={data?.next === null}
          aria-disabled={data === undefined}
          onClick={() => data?.next != null && setAfters([...afters, data.next])}
        >
          Next
        </button>
      </div>
    </>
  );
}

function queryOf(
  { type, from, isTree }: Sought,
  { pid, after }: { readonly pid: string; readonly after: string | undefined },
): URLSearchParams {
  const query = new URLSearchParams({ limit: String(PAGE), from: String(from) });
  if (type !== "") query.set("type", type);
  if (!isTree) query.set("pid", pid);
  if (after !== undefined) query.set("after", after);
  return query;
}

function Filters({ sought, begin, last }: {
  readonly sought: Sought;
  readonly begin: (more: Partial<Sought>) => void;
  readonly last: number;
}): JSX.Element {
  return (
    <form class="row filters" onSubmit={(event) => event.preventDefault()}>
      <label>
        Kind
        <select
          data-filter
          value={sought.type}
          onChange={(event) => begin({ type: event.currentTarget.value })}
        >
          {TYPES.map((one) => <option key={one} value={one}>{one === "" ? "any" : one}</option>)}
        </select>
      </label>
      <label>
        From line
        <input
          type="number"
          min={1}
          value={sought.from}
          onInput={(event) => begin({ from: Math.max(1, Number(event.currentTarget.value) || 1) })}
        />
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={sought.isTree}
          onChange={(event) => begin({ isTree: event.currentTarget.checked })}
        />
        the whole tree
      </label>
      <button type="button" onClick={() => begin({ from: Math.max(1, last - PAGE + 1) })}>
        Latest
      </button>
    </form>
  );
}

function Line({ line, isOpen, toggle }: {
  readonly line: EventView;
  readonly isOpen: boolean;
  readonly toggle: (() => void) | undefined;
}): JSX.Element {
  const { seq, at, type, word, text, decision, tree } = line;
  return (
    <>
      <tr>
        <td>
          {toggle === undefined ? seq : (
            <button
              type="button"
              class="quiet"
              data-row=""
              aria-expanded={isOpen}
              onClick={toggle}
            >
              {seq}
            </button>
          )}
        </td>
        <td>
          <time dateTime={at} title={at}>{timeOf(at)}</time>
        </td>
        <td>
          <span class={`badge ${decision ?? "calm"}`} title={type}>{word}</span>
        </td>
        <td>
          <Claimed text={text} max={400} />
        </td>
      </tr>
      {isOpen && (
        <tr>
          <td colSpan={4}>
            <Whole tree={tree} seq={seq} />
          </td>
        </tr>
      )}
    </>
  );
}

function Whole({ tree, seq }: { readonly tree: string; readonly seq: number }): JSX.Element {
  const { data, error } = useRead<List<EventView>>(
    `/v1/trees/${tree}/events?from=${seq}&limit=1&reveal=true`,
  );
  if (error !== undefined) return <Problem error={error} />;
  const line = data?.items[0];
  return line === undefined
    ? <p class="dim">Reading…</p>
    : <Block label={`Line ${seq}`} text={JSON.stringify(line, null, 2)} />;
}
