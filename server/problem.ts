/**
 * Problems: failures as RFC 9457 says them.
 * @module
 */

import { type Errno, ERRORS, SysError } from "../kernel/errors.ts";
import type { ProblemView } from "./schema/shape.ts";

type Code = ProblemView["code"];
type OwnCode = Exclude<Code, Errno>;

/** What only the API refuses, with its status. */
const OWN: Readonly<Record<OwnCode, { readonly status: number; readonly means: string }>> = {
  unauthenticated: { status: 401, means: "No valid token or session" },
  role_too_low: { status: 403, means: "The role does not reach" },
  own_request: { status: 403, means: "Nobody decides what their own token asked for" },
  origin_refused: { status: 403, means: "Another site's page asked" },
  host_refused: { status: 421, means: "The Host is not this server" },
  csrf_refused: { status: 403, means: "The session's token is missing" },
  too_many_requests: { status: 429, means: "Too many requests" },
  too_many_streams: { status: 429, means: "Too many streams are open" },
  body_too_large: { status: 413, means: "The body is too large" },
  body_too_slow: { status: 408, means: "The body did not come in time" },
  key_reused: { status: 422, means: "The Idempotency-Key was used for another request" },
  precondition_failed: { status: 412, means: "It changed since it was read" },
};

/** Statuses of the kernel's codes. */
const STATUS: Readonly<Record<Errno, number>> = {
  ENOSYS: 404,
  EINVAL: 400,
  ELIMIT: 422,
  EREPLAY: 409,
  EPERM: 403,
  EACCES: 403,
  EEXPIRED: 410,
  EBUDGET: 402,
  ENOENT: 404,
  EEXIST: 409,
  ESTATE: 409,
  ESTALE: 409,
  EAGAIN: 503,
  EFENCED: 503,
  ECANCELED: 409,
  ETIMEDOUT: 504,
  EIO: 502,
  ENOSPC: 507,
  EINDOUBT: 502,
  EINTEGRITY: 500,
};

/** A refusal that only the API makes. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: OwnCode;
  readonly headers: Readonly<Record<string, string>>;

  /** `headers` go with the answer: `Retry-After`, `WWW-Authenticate`. */
  constructor(code: OwnCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

/** What came in a request is broken, and not what is here. */
export class BrokenBody extends SysError {
  /** Says the same. */
  constructor({ code, message, detail }: SysError) {
    super(code, message, detail);
  }
}

/** What was thrown, as a problem; undefined for a bug, of which nothing is told. */
export function problemOf(thrown: unknown): ProblemView | undefined {
  if (thrown instanceof Refusal) {
    const { status, means } = OWN[thrown.code];
    return { ...head(thrown.code, means), status, detail: thrown.message };
  }
  if (!(thrown instanceof SysError)) return undefined;
  const { code, message, detail } = thrown;
  const { blame, retry, means } = ERRORS[code];
  return {
    ...head(code, means),
    status: thrown instanceof BrokenBody ? 422 : STATUS[code],
    detail: message,
    blame,
    retry,
    ...(detail === undefined ? {} : { more: { ...detail } }),
  };
}

function head(code: Code, title: string): Pick<ProblemView, "type" | "title" | "code"> {
  return { type: `urn:agent-libos:error:${code}`, title, code };
}

/** A problem as an answer. */
export function problemResponse(
  problem: ProblemView,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}
