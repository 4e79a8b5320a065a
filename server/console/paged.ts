/**
 * Lists that come page by page, live, and what a page of the console keeps in its address.
 * @module
 */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { StreamEvent } from "../schema/evidence.ts";
import { ApiError, get } from "./api.ts";
import { useEvents } from "./live.ts";
import { Pace } from "./pace.ts";
import type { Place } from "./route.ts";

const LIMIT = 100;
/** Fewest milliseconds between two reads of the same list. */
const PAUSE_MS = 500;

/** A list as far as it was read. */
export interface Paged<T, More = unknown> {
  /** undefined before the first answer. What was there stays until the next answer is. */
  readonly items: readonly T[] | undefined;
  readonly hasMore: boolean;
  readonly error: ApiError | undefined;
  /** What else the latest page says. */
  readonly last: More | undefined;
  /** Reads one page more; while one is read already, that is the one. */
  more(): void;
  /** Reads all pages again, when what is read now is there. */
  again(): void;
}

interface Got<T> {
  readonly items?: readonly T[];
  readonly last?: unknown;
  readonly hasMore: boolean;
  readonly error?: ApiError;
}

/** Reads a list, and again when an event concerns it. */
export function usePages<T, More = unknown>(
  path: string | null,
  concerns: (event: StreamEvent) => boolean = () => false,
  limit = LIMIT,
): Paged<T, More> {
  const [got, set] = useState<Got<T>>({ hasMore: false });
  const [wish, setWish] = useState({ path, count: 1, round: 0 });
  const count = wish.path === path ? wish.count : 1;
  const pace = useMemo(
    () => new Pace(() => setWish((now) => ({ ...now, round: now.round + 1 })), PAUSE_MS),
    [],
  );
  const last = useRef<Last<T> | undefined>(undefined);
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    pace.begin();
    const { round } = wish;
    // One page more is read alone; what was read before it stays.
    const before = last.current?.path === path && last.current.round === round
      ? last.current
      : null;
    load<T>(path, { before, count, limit }, stop.signal).then((read) => {
      if (stop.signal.aborted) return;
      last.current = { path, round, ...read };
      set({ items: read.items, hasMore: read.after !== null, last: read.last });
    }, (thrown) => {
      if (!stop.signal.aborted) set((now) => ({ ...now, error: known(thrown) }));
    }).finally(() => {
      if (!stop.signal.aborted) pace.end();
    });
    return () => stop.abort();
  }, [path, count, wish.round]);
  useEffect(() => () => pace.stop(), []);
  useEvents((event) => {
    if (path !== null && (event === null || concerns(event))) pace.wish();
  });
  // One page beyond those that are there, however often and whenever it is wished.
  const more = (): void => {
    const there = last.current?.path === path ? last.current.pages : 1;
    setWish(({ round }) => ({ path, count: Math.max(count, there + 1), round }));
  };
  const { items, hasMore, error } = got;
  return {
    items,
    hasMore,
    error,
    last: got.last as More | undefined,
    more,
    again: () => pace.wish(),
  };
}

/** What was read last: where it goes on, and how much of it is there. */
interface Last<T> {
  readonly path: string;
  readonly round: number;
  readonly pages: number;
  readonly items: readonly T[];
  readonly after: string | null;
  readonly last: unknown;
}

async function load<T>(
  path: string,
  given: { readonly before: Last<T> | null; readonly count: number; readonly limit: number },
  signal: AbortSignal,
): Promise<Omit<Last<T>, "path" | "round">> {
  const { before, count, limit } = given;
  const items = [...before?.items ?? []];
  let after = before?.after ?? null;
  let pages = before?.pages ?? 0;
  let last = before?.last;
  while (pages < count && (pages === 0 || after !== null)) {
    const query: string = after === null ? "" : `&after=${after}`;
    const page: { items: T[]; next?: string | null } = await get(
      `${path}${path.includes("?") ? "&" : "?"}limit=${limit}${query}`,
      signal,
    );
    items.push(...page.items);
    after = page.next ?? null;
    last = page;
    pages++;
  }
  return { items, after, pages, last };
}

/** What went wrong, as the console tells it. */
export function known(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  // What the page itself found wrong: JSON that is none, a number that is none.
  if (thrown instanceof Error && !(thrown instanceof TypeError)) {
    return new ApiError({ detail: thrown.message, status: 0, code: "EINVAL" });
  }
  return new ApiError({ detail: "The server is not there", status: 0, code: "EIO" });
}

/** A path with those of the values that say something. */
export function withQuery(
  path: string,
  values: Readonly<Record<string, string | number | undefined>>,
): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== "") query.set(key, String(value));
  }
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** What a page's address says, and a way to change it that keeps the place and the focus. */
export function useFilters(
  place: Place,
): readonly [of: (name: string) => string, set: (name: string, value: string) => void] {
  const said = place.query.toString();
  const [query, setQuery] = useState(said);
  useEffect(() => setQuery(said), [said]);
  const of = (name: string): string => new URLSearchParams(query).get(name) ?? "";
  const set = (name: string, value: string): void =>
    setQuery((now) => {
      const next = new URLSearchParams(now);
      if (value === "") next.delete(name);
      else next.set(name, value);
      const text = next.toString();
      const path = `/${place.path.map(encodeURIComponent).join("/")}`;
      globalThis.history.replaceState(null, "", text === "" ? path : `${path}?${text}`);
      return text;
    });
  return [of, set];
}
