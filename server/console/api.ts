/**
 * The console's way to the server: requests with the session's CSRF value, and the live stream.
 *
 * Invariants:
 *   A1. Nothing that a server sent becomes markup here: it is data until a page renders it as text.
 * @module
 */

import type { ProblemView } from "../schema/shape.ts";
import type { StreamEvent } from "../schema/evidence.ts";

/** What a request was refused with. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;

  constructor(problem: Pick<ProblemView, "detail" | "status" | "code">) {
    super(problem.detail);
    this.status = problem.status;
    this.code = problem.code;
  }
}

/** What went wrong, of anything that was thrown. */
export function problemIn(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  return new ApiError({ detail: "The server is not there", status: 0, code: "EIO" });
}

/** Who is signed in. */
export interface Who {
  readonly name: string;
  readonly role: typeof ROLES[number];
  readonly labels: Readonly<Record<string, string>>;
  readonly csrf: string | null;
}

const ROLES = ["viewer", "approver", "operator", "admin"] as const;

/** Whether somebody may do what a role may. */
export function may(who: Who, role: Who["role"]): boolean {
  return ROLES.indexOf(who.role) >= ROLES.indexOf(role);
}

let csrf: string | null = null;

/** Finds out who is signed in. */
export async function signedIn(): Promise<Who> {
  const who = await get<Who>("/v1/whoami");
  csrf = who.csrf;
  return who;
}

/** Reads. Throws {@linkcode ApiError}. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return await send<T>("GET", path, undefined, signal);
}

/** Changes something. Throws {@linkcode ApiError}. */
export async function send<T>(
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const answer = await fetch(path, {
    method,
    credentials: "same-origin",
    headers: {
      accept: "application/json",
      ...(csrf === null ? {} : { "x-libos-csrf": csrf }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (!answer.ok) throw new ApiError(await problemOf(answer));
  return answer.status === 204 ? undefined as T : await answer.json() as T;
}

async function problemOf(answer: Response): Promise<ProblemView> {
  try {
    return await answer.json() as ProblemView;
  } catch {
    const detail = `The server answered ${answer.status}`;
    return { type: "about:blank", title: detail, status: answer.status, detail, code: "EIO" };
  }
}

/** How the live stream is doing; "out" when nobody is signed in any more. */
export type LiveState = "joining" | "live" | "lost" | "out";

/** Milliseconds after which a stream that was refused is asked for again. */
const RETRY_MS = 2_000;

/** Somebody who hears of what happens. */
export interface Hearer {
  heard(event: StreamEvent): void;
  /** Everything has to be read again; what comes is after `cursor`, where that is known. */
  missed(cursor: string | null): void;
  state(state: LiveState): void;
}

/**
 * Hears of everything that happens after a cursor, or from now on; reconnects by itself, and says
 * when events were missed. Returns how to stop.
 */
export function listen(since: string | null, given: Hearer): () => void {
  let last = since;
  let isOver = false;
  let source: EventSource;
  const open = (): void => {
    if (isOver) return;
    source = new EventSource(last === null ? "/v1/events" : `/v1/events?since=${last}`);
    source.onopen = () => given.state("live");
    source.onerror = () => {
      given.state("lost");
      // The browser tries again by itself, but not when the server answered that it will not.
      if (source.readyState === EventSource.CLOSED) setTimeout(again, RETRY_MS);
    };
    source.addEventListener("reset", ({ data }: MessageEvent<string>) => {
      const { cursor } = JSON.parse(data) as { readonly cursor: string | null };
      last = cursor ?? last;
      given.missed(cursor);
    });
    for (const kind of KINDS) source.addEventListener(kind, hear);
  };
  const hear = ({ data }: MessageEvent<string>): void => {
    const event = JSON.parse(data) as StreamEvent;
    last = event.id;
    given.heard(event);
  };
  const again = (): Promise<void> =>
    get("/v1/whoami").then(open, (thrown) => {
      if (thrown instanceof ApiError && thrown.status === 401) given.state("out");
      else setTimeout(again, RETRY_MS);
    });
  open();
  return () => {
    isOver = true;
    source.close();
  };
}

const KINDS = [
  "process.state",
  "process.text",
  "model.call",
  "syscall.request",
  "syscall.decision",
  "syscall.result",
  "approval.created",
  "approval.changed",
  "approval.decided",
  "approval.escalated",
  "object.version",
  "checkpoint.created",
  "tool.registered",
  "budget.warning",
  "node.state",
  "audit.head",
];
