/**
 * What `top` shows and what its keys do, without a terminal.
 *
 * Invariants:
 *   V1. A frame is made of safe text: `oneLine` of whatever agents wrote, and our own colours.
 * @module
 */

import type { Signal } from "../kernel/process.ts";
import type { Key } from "../providers/screen.ts";
import { oneLine } from "../providers/printable.ts";
import type { ProcessView } from "../server/schema/process.ts";
import { aligned, padded } from "./output.ts";
import { amountText, branches, flat, processColumns, type Row } from "./process_text.ts";

/** Ways to sort, in the order in which `s` goes through them. */
export const SORTS = ["pid", "tokens", "cost", "age", "state"] as const;

/** What is on the screen. */
export interface TopState {
  readonly processes: readonly ProcessView[];
  readonly requests: number;
  readonly selected: string | null;
  readonly tagged: readonly string[];
  readonly sort: typeof SORTS[number];
  readonly isTree: boolean;
  readonly filter: string;
  /** What is being typed, and what for. */
  readonly typing:
    | { readonly what: "filter" | "budget" | "checkpoint" | "command"; readonly text: string }
    | null;
  /** A pane over the list: lines, and where it is scrolled to. */
  readonly pane: {
    readonly title: string;
    readonly lines: readonly string[];
    readonly from: number;
  } | null;
  /** Whether the next key is a signal. */
  readonly isSignaling: boolean;
  /** Said below the list. */
  readonly said: string;
}

/** Nothing yet. */
export const EMPTY: TopState = {
  processes: [],
  requests: 0,
  selected: null,
  tagged: [],
  sort: "pid",
  isTree: true,
  filter: "",
  typing: null,
  pane: null,
  isSignaling: false,
  said: "",
};

/** What a key asks for, besides what it changes on the screen. */
export type Wish =
  | { readonly do: "quit" }
  | { readonly do: "describe" | "logs" | "approvals" }
  | { readonly do: "signal"; readonly signal: Signal; readonly pids: readonly string[] }
  | { readonly do: "checkpoint"; readonly name: string }
  | { readonly do: "budget"; readonly limits: string }
  | { readonly do: "command"; readonly line: string };

/** The processes as they are listed: filtered, sorted, as a tree where that was asked for. */
export function rowsOf(state: TopState): Row[] {
  const word = state.filter.toLowerCase();
  const shown = state.processes.filter(({ pid, image, goal, labels, state }) =>
    [pid, image, goal, state, ...Object.entries(labels).map(([key, value]) => `${key}=${value}`)]
      .some((text) => text.toLowerCase().includes(word))
  );
  if (state.sort === "pid") return state.isTree ? branches(shown) : shown.map(flat);
  const by: { readonly [sort: string]: (one: ProcessView) => number | string } = {
    tokens: ({ spent }) => -(spent.tokens ?? 0),
    cost: ({ spent }) => -(spent.usd ?? 0),
    age: ({ startedAt }) => Date.parse(startedAt),
    state: ({ state }) => state,
  };
  const key = by[state.sort]!;
  const sorted = shown.toSorted((a, b) => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
  return state.isTree ? branches(sorted) : sorted.map(flat);
}

/** The next state, with new data. */
export function withData(
  state: TopState,
  processes: readonly ProcessView[],
  requests: number,
): TopState {
  const next = { ...state, processes, requests };
  const pids = new Set(processes.map(({ pid }) => pid));
  const rows = rowsOf(next);
  const selected = rows.some(({ pid }) => pid === state.selected)
    ? state.selected
    : rows[0]?.pid ?? null;
  return { ...next, selected, tagged: state.tagged.filter((pid) => pids.has(pid)) };
}

/** What a key does. */
export function pressed(
  state: TopState,
  key: Key,
): { readonly state: TopState; readonly wish?: Wish } {
  if (key === "ctrl-c") return { state, wish: { do: "quit" } };
  if (state.typing !== null) return typed(state, state.typing, key);
  if (state.pane !== null) return { state: inPane(state, state.pane, key) };
  if (state.isSignaling) return signaled({ ...state, isSignaling: false }, key);
  return inList({ ...state, said: "" }, key);
}

type Pressed = ReturnType<typeof pressed>;

const SIGNAL_KEYS: { readonly [key: string]: Signal } = {
  p: "pause",
  r: "resume",
  c: "cancel",
  k: "kill",
};

function inList(state: TopState, key: Key): Pressed {
  switch (key) {
    case "q":
      return { state, wish: { do: "quit" } };
    case "up":
      return { state: moved(state, -1) };
    case "down":
    case "j":
      return { state: moved(state, 1) };
    case "pageup":
      return { state: moved(state, -10) };
    case "pagedown":
      return { state: moved(state, 10) };
    case "enter":
      return { state, wish: { do: "describe" } };
    case "l":
      return { state, wish: { do: "logs" } };
    case "a":
      return { state, wish: { do: "approvals" } };
    case "t":
    case "f5":
      return { state: { ...state, isTree: !state.isTree } };
    case "s":
      return { state: { ...state, sort: SORTS[(SORTS.indexOf(state.sort) + 1) % SORTS.length]! } };
    case "/":
      return { state: { ...state, typing: { what: "filter", text: state.filter } } };
    case " ":
      return { state: moved(tag(state), 1) };
    case "p":
      return signaled(state, pausesOf(state) ? "p" : "r");
    case "k":
    case "f9":
      return { state: { ...state, isSignaling: true } };
    case "c":
      return { state: { ...state, typing: { what: "checkpoint", text: "" } } };
    case "b":
      return { state: { ...state, typing: { what: "budget", text: "" } } };
    case ":":
      return { state: { ...state, typing: { what: "command", text: "" } } };
    case "?":
      return { state: { ...state, pane: { title: "Keys", lines: KEYS_HELP, from: 0 } } };
    case "esc":
      return { state: { ...state, filter: "", tagged: [] } };
    default:
      return { state };
  }
}

/** Those that were tagged, else the one that is selected. */
export function aimed({ tagged, selected }: TopState): string[] {
  if (tagged.length > 0) return [...tagged];
  return selected === null ? [] : [selected];
}

/** Whether `p` pauses: unless all it is aimed at are paused. */
function pausesOf(state: TopState): boolean {
  const pids = new Set(aimed(state));
  return state.processes.some(({ pid, state }) => pids.has(pid) && state !== "paused");
}

function signaled(state: TopState, key: Key): Pressed {
  const signal = Object.hasOwn(SIGNAL_KEYS, key) ? SIGNAL_KEYS[key] : undefined;
  const pids = aimed(state);
  if (signal === undefined || pids.length === 0) return { state };
  return { state: { ...state, tagged: [] }, wish: { do: "signal", signal, pids } };
}

function tag(state: TopState): TopState {
  const { selected, tagged } = state;
  if (selected === null) return state;
  const without = tagged.filter((pid) => pid !== selected);
  return { ...state, tagged: without.length < tagged.length ? without : [...tagged, selected] };
}

function moved(state: TopState, by: number): TopState {
  const rows = rowsOf(state);
  const at = rows.findIndex(({ pid }) => pid === state.selected);
  const to = Math.min(rows.length - 1, Math.max(0, at + by));
  return { ...state, selected: rows[to]?.pid ?? null };
}

function inPane(state: TopState, pane: NonNullable<TopState["pane"]>, key: Key): TopState {
  const steps: { readonly [key: string]: number } = {
    up: -1,
    k: -1,
    down: 1,
    j: 1,
    pageup: -10,
    pagedown: 10,
  };
  const step = Object.hasOwn(steps, key) ? steps[key] : undefined;
  if (step === undefined) {
    return key === "q" || key === "esc" || key === "enter" ? { ...state, pane: null } : state;
  }
  const from = Math.max(0, Math.min(pane.lines.length - 1, pane.from + step));
  return { ...state, pane: { ...pane, from } };
}

function typed(
  state: TopState,
  typing: NonNullable<TopState["typing"]>,
  key: Key,
): Pressed {
  const { what } = typing;
  const to = (text: string): TopState => ({
    ...state,
    typing: { what, text },
    ...(what === "filter" ? { filter: text } : {}),
  });
  if (key === "esc") {
    return { state: { ...state, typing: null, ...(what === "filter" ? { filter: "" } : {}) } };
  }
  if (key === "backspace") return { state: to([...typing.text].slice(0, -1).join("")) };
  if (key === "ctrl-u") return { state: to("") };
  if (key !== "enter") return { state: [...key].length === 1 ? to(typing.text + key) : state };
  const text = typing.text.trim();
  const done = { ...state, typing: null };
  if (what === "filter" || text === "") return { state: moved(done, 0) };
  const wishes: { readonly [W in typeof what]: Wish } = {
    budget: { do: "budget", limits: text },
    checkpoint: { do: "checkpoint", name: text },
    command: { do: "command", line: text },
  };
  return { state: done, wish: wishes[what] };
}

const KEYS_HELP: readonly string[] = [
  "↑ ↓ j        select               Enter        describe",
  "l            logs                 a            requests that wait",
  "t F5         tree or list         s            sort by the next column",
  "/            filter, Esc ends it  Space        tag, for signals to several",
  "p            pause, or resume     k F9         signal: p r c k",
  "c            checkpoint           b            budget: tokens=50000 usd=1",
  ":            a command: caps ls %  ?            this; q or Esc closes it",
  "q            quit",
];

/** A frame: exactly as many rows as the screen has, none wider than it (V1). */
export function frameOf(state: TopState, given: {
  readonly columns: number;
  readonly rows: number;
  readonly nowMs: number;
  readonly isColoured: boolean;
}): string[] {
  const { columns, rows, nowMs, isColoured } = given;
  const paint = (text: string, code: number): string =>
    isColoured ? `\x1b[${code}m${text}\x1b[0m` : text;
  const fit = (text: string): string => padded([...oneLine(text)].slice(0, columns).join(""), 0);
  const head = fit(headText(state));
  const foot = fit(footText(state));
  const body = state.pane === null
    ? listRows(state, { height: rows - 2, nowMs }).map(({ text, isHere }, i) => {
      const line = fit(text);
      if (isHere) return paint(padded(line, isColoured ? columns : 0), 7);
      return i === 0 ? paint(line, 1) : line;
    })
    : [
      paint(fit(`── ${state.pane.title} `), 1),
      ...state.pane.lines.slice(state.pane.from, state.pane.from + rows - 3).map(fit),
    ];
  const filled = [...body, ...Array.from({ length: rows }, () => "")].slice(0, rows - 2);
  return [paint(head, 1), ...filled, foot];
}

function headText({ processes, requests, sort, filter }: TopState): string {
  const count = (state: string): number => processes.filter((one) => one.state === state).length;
  const roots = processes.filter(({ parent }) => parent === null);
  const usd = roots.reduce((sum, { spent }) => sum + (spent.usd ?? 0), 0);
  const tokens = roots.reduce((sum, { spent }) => sum + (spent.tokens ?? 0), 0);
  const runs = count("running") + count("ready");
  const waits = requests === 0 ? "" : ` · ●${requests} wait for you`;
  const only = filter === "" ? "" : ` · only "${filter}"`;
  return `libos top · ${processes.length} processes, ${runs} running, ${count("waiting")} waiting` +
    `${waits} · $${usd.toFixed(3)}, ${amountText(tokens)} tokens · by ${sort}${only}`;
}

function footText({ typing, isSignaling, said, tagged }: TopState): string {
  if (typing !== null) {
    const asks = {
      filter: "filter",
      budget: "budget, like tokens=50000",
      checkpoint: "name",
      command: "libos, % is the selected process,",
    };
    return `${asks[typing.what]} > ${typing.text}█`;
  }
  if (isSignaling) return "signal: [p] pause  [r] resume  [c] cancel  [k] kill  [Esc] none";
  if (said !== "") return said;
  const many = tagged.length === 0 ? "" : `${tagged.length} tagged · `;
  return `${many}↑↓ select  Enter describe  l logs  a approvals  p pause  k signal  ? help  q quit`;
}

interface Listed {
  readonly text: string;
  readonly isHere: boolean;
}

function listRows(
  state: TopState,
  { height, nowMs }: { readonly height: number; readonly nowMs: number },
): Listed[] {
  const rows = rowsOf(state);
  const columns = processColumns(nowMs).filter(({ wide, head }) =>
    wide !== true && head !== "CALLS"
  );
  const lines = aligned([
    ["", ...columns.map(({ head }) => head)],
    ...rows.map((row) => [
      state.tagged.includes(row.pid) ? "*" : "",
      ...columns.map(({ of }) => oneLine(of(row))),
    ]),
  ]);
  const at = rows.findIndex(({ pid }) => pid === state.selected);
  const shown = Math.max(1, height - 1);
  const from = Math.max(0, Math.min(at - Math.floor(shown / 2), rows.length - shown));
  return [
    { text: lines[0]!, isHere: false },
    ...lines.slice(1).map((text, i) => ({ text, isHere: i === at })).slice(from, from + shown),
  ];
}
