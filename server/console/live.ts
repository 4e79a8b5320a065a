/**
 * Live data: what a page shows, read again when something happened that concerns it.
 * @module
 */

import { useEffect, useRef, useState } from "preact/hooks";
import type { StreamEvent } from "../schema/evidence.ts";
import { ApiError, get, listen, type LiveState } from "./api.ts";

type Hearer = (event: StreamEvent | null) => void;
const hearers = new Set<Hearer>();
const watchers = new Set<(state: LiveState) => void>();
let state: LiveState = "lost";

/** Opens the stream; once. */
export function goLive(): void {
  listen({
    heard: (event) => hearers.forEach((hear) => hear(event)),
    missed: () => hearers.forEach((hear) => hear(null)),
    state: (now) => {
      state = now;
      watchers.forEach((watch) => watch(now));
    },
  });
}

/** Whether the stream is open. */
export function useLiveState(): LiveState {
  const [now, set] = useState(state);
  useEffect(() => {
    set(state);
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

/** What was read, or why not. */
export interface Read<T> {
  readonly data: T | undefined;
  readonly error: ApiError | undefined;
  /** Reads again. */
  again(): void;
}

/** Fewest milliseconds between two reads of the same thing. */
const PAUSE_MS = 150;

/**
 * Reads a path, and again when an event concerns it: at once after a silence, and at most every
 * 150 ms while much happens. null reads nothing.
 */
export function useRead<T>(
  path: string | null,
  concerns: (event: StreamEvent) => boolean = () => false,
): Read<T> {
  const [read, set] = useState<{ readonly path: string | null; data?: T; error?: ApiError }>({
    path: null,
  });
  const [count, setCount] = useState(0);
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const lastMs = useRef(0);
  const again = (): void => setCount((n) => n + 1);
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    lastMs.current = performance.now();
    get<T>(path, stop.signal).then(
      (data) => set({ path, data }),
      (error) => {
        if (stop.signal.aborted) return;
        const known = error instanceof ApiError
          ? error
          : new ApiError({ detail: "The server is not there", status: 0, code: "EIO" });
        set((now) => now.path === path ? { ...now, error: known } : { path, error: known });
      },
    );
    return () => stop.abort();
  }, [path, count]);
  useEffect(() => () => clearTimeout(due.current), []);
  useEvents((event) => {
    if (path === null || (event !== null && !concerns(event))) return;
    if (due.current !== undefined) return;
    const waitMs = Math.max(0, PAUSE_MS - (performance.now() - lastMs.current));
    due.current = setTimeout(() => {
      due.current = undefined;
      again();
    }, waitMs);
  });
  const mine = read.path === path ? read : undefined;
  return { data: mine?.data, error: mine?.error, again };
}
