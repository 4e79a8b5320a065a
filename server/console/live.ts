/**
 * Live data: what a page shows, read again when something happened that concerns it.
 * @module
 */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { StreamEvent } from "../schema/evidence.ts";
import { type ApiError, get, type LiveState, problemIn, type Who } from "./api.ts";
import { Pace, PAUSE_MS } from "./pace.ts";
import { share } from "./share.ts";

type Hearer = (event: StreamEvent | null) => void;
const hearers = new Set<Hearer>();

/** How the stream is doing, and since when. */
export interface Live {
  readonly state: LiveState;
  readonly since: string;
}

const watchers = new Set<(live: Live) => void>();
let live: Live = { state: "joining", since: new Date(Date.now()).toISOString() };

/** What the tabs of one session call it. */
export function sessionOf({ csrf, name }: Who): string {
  return `libos ${csrf ?? name}`;
}

/** Opens the stream, or hears of that of another tab of the same session; once. */
export function goLive(who: Who): void {
  const missed = (): void => hearers.forEach((hear) => hear(null));
  share(sessionOf(who), {
    heard: (event) => {
      keep(event);
      hearers.forEach((hear) => hear(event));
    },
    missed,
    state: (state) => {
      if (state === live.state) return;
      // What was asked for in the meantime was not answered.
      if (state === "live" && live.state === "lost") missed();
      live = { state, since: new Date(Date.now()).toISOString() };
      watchers.forEach((watch) => watch(live));
    },
  });
}

/** Whether the stream is open. */
export function useLive(): Live {
  const [now, set] = useState(live);
  useEffect(() => {
    set(live);
    watchers.add(set);
    return () => void watchers.delete(set);
  }, []);
  return now;
}

/** Calls `hear` with each event; null when events were missed. */
export function useEvents(hear: Hearer): void {
  const latest = useRef(hear);
  latest.current = hear;
  useEffect(() => {
    const each: Hearer = (event) => latest.current(event);
    hearers.add(each);
    return () => void hearers.delete(each);
  }, []);
}

const LATELY_MAX = 10;
let lately: readonly StreamEvent[] = [];

/** What happened last, the newest first; what models write is left out. */
export function useLately(): readonly StreamEvent[] {
  const [, redraw] = useState(0);
  const isDue = useRef(false);
  useEvents(() => {
    if (isDue.current) return;
    isDue.current = true;
    setTimeout(() => {
      isDue.current = false;
      redraw((n) => n + 1);
    }, PAUSE_MS);
  });
  return lately;
}

function keep(event: StreamEvent): void {
  if (event.kind !== "process.text") lately = [event, ...lately].slice(0, LATELY_MAX);
}

/** What was read, or why not. */
export interface Read<T> {
  readonly data: T | undefined;
  readonly error: ApiError | undefined;
  /** Reads again. */
  again(): void;
}

/**
 * Reads a path, and again when an event concerns it: at once after a silence, and at most every
 * 150 ms, or `leastMs`, while much happens; less often what takes long. null reads nothing.
 */
export function useRead<T>(
  path: string | null,
  concerns: (event: StreamEvent) => boolean = () => false,
  leastMs = PAUSE_MS,
): Read<T> {
  const [read, set] = useState<{ readonly path: string | null; data?: T; error?: ApiError }>({
    path: null,
  });
  const [count, setCount] = useState(0);
  const again = (): void => setCount((n) => n + 1);
  const pace = useMemo(() => new Pace(again, leastMs), []);
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    pace.begin();
    get<T>(path, stop.signal).then((data) => set({ path, data }), (error) => {
      if (stop.signal.aborted) return;
      const known = problemIn(error);
      set((now) => now.path === path ? { ...now, error: known } : { path, error: known });
    }).finally(() => stop.signal.aborted || pace.end());
    return () => stop.abort();
  }, [path, count]);
  useEffect(() => () => pace.stop(), []);
  useEvents((event) => {
    if (path !== null && (event === null || concerns(event))) pace.wish();
  });
  const mine = read.path === path ? read : undefined;
  return { data: mine?.data, error: mine?.error, again };
}
