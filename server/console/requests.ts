/**
 * Requests as the inbox holds them: live, in an order that does not jump, bound to what was shown.
 *
 * Invariants:
 *   Q1. What somebody reads is what they answer: a call that changes is shown beside the old one,
 *       and nothing is answered before somebody looked at it.
 *   Q2. What is decided elsewhere while it is open stays, and says who decided.
 * @module
 */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { StreamEvent } from "../schema/evidence.ts";
import type { RequestView } from "../schema/request.ts";
import type { ApiError } from "./api.ts";
import { useEvents, useRead } from "./live.ts";
import { byUrgency, whatOf } from "./request_text.ts";

const PAGE = 500;

interface Page {
  readonly items: readonly RequestView[];
  readonly next: string | null;
}

/** How a request ended. */
export interface Over {
  readonly outcome: string;
  readonly by: string | null;
}

/** What waits. */
export interface Inbox {
  /** The most urgent first; undefined before anything was read. */
  readonly waiting: readonly RequestView[] | undefined;
  /** Those that were decided while the page was open. */
  readonly over: ReadonlyMap<string, Over>;
  readonly isCut: boolean;
  readonly error: ApiError | undefined;
}

/** Whether an event may change what waits. */
function concerns({ kind, summary }: StreamEvent): boolean {
  if (kind.startsWith("approval.")) return true;
  return kind === "process.state" && /^(ended|canceling|restored)$/.test(String(summary["state"]));
}

/** The inbox, live. `heard` is told of what came in since the page was opened. */
export function useInbox(heard: (news: readonly RequestView[]) => void): Inbox {
  const { data, error } = useRead<Page>(`/v1/approvals?limit=${PAGE}`, concerns);
  const over = useOver();
  const seen = useRef<ReadonlySet<string> | null>(null);
  // What is urgent changes with time alone too, but nothing should move unless something happened.
  const waiting = useMemo(() => data && byUrgency(data.items, Date.now()), [data]);
  useEffect(() => {
    if (data === undefined) return;
    const before = seen.current;
    seen.current = new Set([...before ?? [], ...data.items.map(({ id }) => id)]);
    const news = before === null ? [] : data.items.filter(({ id }) => !before.has(id));
    if (news.length > 0) heard(news);
  }, [data]);
  return { waiting, over, isCut: data?.next != null, error };
}

/** Who decided what, since the page was opened. */
function useOver(): ReadonlyMap<string, Over> {
  const [over, set] = useState<ReadonlyMap<string, Over>>(new Map());
  useEvents((event) => {
    if (event?.kind !== "approval.decided") return;
    const { id, outcome, by } = event.summary;
    const how = { outcome: String(outcome), by: typeof by === "string" ? by : null };
    set((now) => new Map(now).set(String(id), how));
  });
  return over;
}

/** One request, as somebody reads it. */
export interface Reading {
  /** What is shown, and what an answer is bound to. */
  readonly view: RequestView | undefined;
  /** What stands there by now, when it is another call (Q1). */
  readonly changed: RequestView | undefined;
  readonly over: Over | undefined;
  readonly error: ApiError | undefined;
  /** Shows what stands there by now. */
  review(): void;
  again(): void;
}

/** Opens a request; `listed` is what the list says of it. */
export function useReading(inbox: Inbox, id: string | null): Reading {
  const path = id === null ? null : `/v1/approvals/${id}`;
  const read = useRead<RequestView>(path, (event) => {
    return event.kind.startsWith("approval.") && event.summary["id"] === id;
  });
  const listed = inbox.waiting?.find((one) => one.id === id);
  const pinned = useRef<RequestView | undefined>(undefined);
  const [, redraw] = useState(0);
  if (pinned.current?.id !== id) pinned.current = undefined;
  const now = read.data ?? listed;
  pinned.current ??= now;
  const shown = pinned.current;
  const isChanged = now !== undefined && shown !== undefined && keyOf(now) !== keyOf(shown);
  const view = shown === undefined || now === undefined || isChanged ? shown : now;
  const told = id === null ? undefined : inbox.over.get(id);
  return {
    view,
    changed: isChanged ? now : undefined,
    over: told ?? (view === undefined ? undefined : overOf(view, read.error)),
    error: view === undefined ? read.error : undefined,
    review: () => {
      pinned.current = now;
      redraw((n) => n + 1);
    },
    again: read.again,
  };
}

/** What an answer is bound to. */
function keyOf(view: RequestView): string {
  const { call, schema, choices, preview, askers } = view;
  const what = [call?.argsHash ?? null, whatOf(view), schema, choices, preview?.body ?? null];
  const bound = [...what, askers];
  // The same in another order of keys is the same.
  return JSON.stringify(bound, (_, value) => isFields(value) ? sorted(value) : value);
}

function overOf(view: RequestView, error: ApiError | undefined): Over | undefined {
  if (view.status !== "pending") return { outcome: view.status, by: view.by };
  // Its asker has heard, or was ended: nobody was told here which.
  return error?.status === 404 ? { outcome: "over", by: null } : undefined;
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sorted(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}
