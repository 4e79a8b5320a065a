/**
 * The processes that a page shows, kept as they are: read whole once, then by name as events tell
 * of them.
 *
 * Invariants:
 *   P1. What is shown is what the server said last; an event only tells what to ask for again.
 *   P2. However much happens, reading takes a fifth of the time at most.
 * @module
 */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ProcessView } from "../schema/process.ts";
import { type ApiError, get, problemIn } from "./api.ts";
import { useEvents } from "./live.ts";
import { Pace } from "./pace.ts";

/** Processes that one page holds at most; of more, it holds the first. */
const ROWS_MAX = 2_000;
const PAGE = 500;
/** Processes that are read by name; when more of them changed, all are read. */
const NAMED_MAX = 400;
/** As many as the server takes at once. */
const NAMED_PAGE = 100;

/** Processes, by the server's order. */
export interface Processes {
  readonly all: readonly ProcessView[];
  /** Whether there are more than these. */
  readonly isCut: boolean;
  /** Whether nothing was read yet. */
  readonly isNew: boolean;
  readonly error: ApiError | undefined;
}

type Held = ReadonlyMap<string, ProcessView>;

/** Processes of a query (`all=true&state=paused`), live. */
export function useProcesses(query: string): Processes {
  const [held, setHeld] = useState<Held | undefined>();
  const [isCut, setCut] = useState(false);
  const [error, setError] = useState<ApiError | undefined>();
  const changed = useRef<Set<string> | "all">("all");
  const latest = useRef<Held>(new Map());

  const show = (next: Held): void => {
    latest.current = next;
    setHeld(next);
    setError(undefined);
  };
  const read = async (signal: AbortSignal): Promise<void> => {
    const what = changed.current;
    changed.current = new Set();
    pace.begin();
    try {
      if (what === "all" || what.size > NAMED_MAX) {
        const found = await readAll(query, signal);
        if (signal.aborted) return;
        setCut(found.isCut);
        show(found.held);
      } else {
        const held = await readSome(latest.current, what, { query, signal });
        if (signal.aborted) return;
        show(held);
      }
    } catch (thrown) {
      if (signal.aborted) return;
      // Nobody knows any more which of them are as they are shown.
      changed.current = "all";
      setError(problemIn(thrown));
    }
    pace.end();
  };
  const latestRead = useRef(read);
  latestRead.current = read;
  const signal = useRef(new AbortController().signal);
  const pace = useMemo(() => new Pace(() => void latestRead.current(signal.current)), []);
  useEffect(() => {
    const stop = new AbortController();
    signal.current = stop.signal;
    changed.current = "all";
    void read(stop.signal);
    return () => {
      stop.abort();
      pace.stop();
    };
  }, [query]);
  useEvents((event) => {
    if (event === null || event.summary.state === "restored") changed.current = "all";
    else if (event.pid === null || event.kind === "process.text") return;
    else if (changed.current !== "all") changed.current.add(event.pid);
    pace.wish();
  });
  return { all: [...held?.values() ?? []], isCut, isNew: held === undefined, error };
}

async function readAll(
  query: string,
  signal: AbortSignal,
): Promise<{ held: Held; isCut: boolean }> {
  const held = new Map<string, ProcessView>();
  let after = "";
  do {
    const { items, next } = await get<{ items: ProcessView[]; next: string | null }>(
      `/v1/processes?limit=${PAGE}&${query}${after}`,
      signal,
    );
    for (const one of items) held.set(one.pid, one);
    if (next === null) return { held, isCut: false };
    after = `&after=${next}`;
  } while (held.size < ROWS_MAX);
  return { held, isCut: true };
}

async function readSome(
  held: Held,
  pids: ReadonlySet<string>,
  given: { readonly query: string; readonly signal: AbortSignal },
): Promise<Held> {
  const next = new Map(held);
  const isAll = given.query.includes("all=true");
  const wanted = [...pids];
  for (let i = 0; i < wanted.length; i += NAMED_PAGE) {
    const some = wanted.slice(i, i + NAMED_PAGE);
    const { items } = await get<{ items: ProcessView[] }>(
      `/v1/processes?${some.map((pid) => `pid=${pid}`).join("&")}`,
      given.signal,
    );
    const found = new Map(items.map((one) => [one.pid, one]));
    for (const pid of some) {
      const one = found.get(pid);
      if (one === undefined || (one.state === "ended" && !isAll)) next.delete(pid);
      else next.set(pid, one);
    }
  }
  return next;
}

/** A process in its tree. */
export interface Branch {
  readonly process: ProcessView;
  readonly depth: number;
}

/** Processes as trees: each one after its parent, in order of number. */
export function branchesOf(all: readonly ProcessView[]): readonly Branch[] {
  const known = new Set(all.map(({ pid }) => pid));
  const below = new Map<string | null, ProcessView[]>();
  for (const one of all) {
    const parent = one.parent !== null && known.has(one.parent) ? one.parent : null;
    const list = below.get(parent);
    if (list === undefined) below.set(parent, [one]);
    else list.push(one);
  }
  const found: Branch[] = [];
  const add = (parent: string | null, depth: number): void => {
    const list = (below.get(parent) ?? []).sort((a, b) => order(a.pid, b.pid));
    for (const process of list) {
      found.push({ process, depth });
      add(process.pid, depth + 1);
    }
  };
  add(null, 0);
  return found;
}

function order(a: string, b: string): number {
  const [tree, number = 0] = a.slice(2).split(".").map(Number);
  const [otherTree, otherNumber = 0] = b.slice(2).split(".").map(Number);
  return tree! - otherTree! || number - otherNumber;
}

/** What a person looks for. */
export interface Sought {
  readonly state: string;
  readonly image: string;
  readonly label: string;
  readonly words: string;
}

/** Whether a process is one of those. */
export function isSought(process: ProcessView, { state, image, label, words }: Sought): boolean {
  const [wanted, reason] = state.split("/");
  if (state !== "" && process.state !== wanted) return false;
  if (reason !== undefined && process.waiting?.reason !== reason) return false;
  if (image !== "" && process.image !== image) return false;
  if (label !== "") {
    const at = label.indexOf("=");
    const key = at < 0 ? label : label.slice(0, at);
    const value = process.labels[key];
    if (value === undefined || (at >= 0 && value !== label.slice(at + 1))) return false;
  }
  if (words === "") return true;
  const text = `${process.pid} ${process.image} ${process.goal} ${process.owner}`.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** The part of a process's budget that is nearest to its end; null without a limit. */
export function budgetUsed({ spent, budget }: ProcessView): { kind: Kind; share: number } | null {
  let most: { kind: Kind; share: number } | null = null;
  for (const kind of KINDS) {
    const limit = budget[kind];
    if (limit === undefined) continue;
    const share = limit === 0 ? 1 : Math.min(1, (spent[kind] ?? 0) / limit);
    if (most === null || share > most.share) most = { kind, share };
  }
  return most;
}

/** What a budget limits. */
export type Kind = typeof KINDS[number];
/** What is shown as a bar, and in this order. */
export const KINDS = ["tokens", "usd", "modelCalls", "toolCalls", "wallMs", "bytes"] as const;
