/**
 * Failures of AI SDK models in the codes of this system.
 *
 * Invariants:
 *   F1. What stopped the call comes first: once the signal is aborted, its reason is the failure.
 *   F2. A `SysError` anywhere in the chain of causes is the failure; a `Panic` goes on as it is.
 *   F3. Whatever is not known to be someone's fault is `EIO`: the outside failed.
 *   F4. What an endpoint wrote is one short line in the sentence, without control characters.
 * @module
 */

import { type Errno, Panic, SysError } from "../../kernel/errors.ts";
import type { ModelAsking } from "../../kernel/world.ts";

const CAUSES_MAX = 8;
const SENTENCE_CHARS_MAX = 300;

/** Names of the SDK's errors that have no HTTP status and are not the outside's fault. */
const CODES: Readonly<Record<string, Errno>> = {
  AI_LoadAPIKeyError: "EACCES",
  AI_LoadSettingError: "EINVAL",
  AI_InvalidArgumentError: "EINVAL",
  AI_InvalidPromptError: "EINVAL",
  AI_NoSuchModelError: "EINVAL",
  AI_UnsupportedFunctionalityError: "EINVAL",
  TimeoutError: "ETIMEDOUT",
};

const TIMEOUTS: readonly unknown[] = [
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
];

/**
 * What to throw for `thrown`, which a call of model `id` under `signal` has thrown. `hide` takes
 * out what must not be said, before anything is cut: the rest of a secret would not be found.
 */
export function toFailure(
  thrown: unknown,
  id: string,
  signal: AbortSignal,
  hide: (text: string) => string = (text) => text,
): Error {
  if (thrown instanceof Panic) return thrown;
  if (signal.aborted) return stopped(signal.reason, id);
  const causes = causesOf(thrown);
  const known = causes.find((cause) => cause instanceof SysError || cause instanceof Panic);
  if (known !== undefined) return known as Error;
  const status = statusOf(causes);
  const code = status === undefined ? codeOf(causes) : codeOfStatus(status);
  const retryAfterMs = code === "EAGAIN" || code === "EIO" ? retryAfter(causes) : undefined;
  const detail = {
    ...(status === undefined ? {} : { status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
  const number = status === undefined ? "" : `status ${status}, `;
  const said = leadsTo(causes, status, hide) ?? withAdvice(wordsOf(causes, hide));
  const sentence = `Cannot generate with model "${id}": ${number}${said}`;
  return new SysError(code, sentence, Object.keys(detail).length === 0 ? undefined : detail);
}

/** Tells the headers that an answer came with, or the refusal that was made a failure. */
export function tellHead(from: unknown, onHead: ModelAsking["onHead"]): void {
  if (onHead === undefined) return;
  for (const cause of causesOf(from)) {
    const headers = field(cause, "responseHeaders") ?? field(cause, "headers");
    if (typeof headers !== "object" || headers === null) continue;
    const said = Object.entries(headers).filter(([, value]) => typeof value === "string");
    return onHead(Object.fromEntries(said.map(([name, value]) => [name.toLowerCase(), value])));
  }
}

function stopped(reason: unknown, id: string): Error {
  if (reason instanceof SysError || reason instanceof Panic) return reason;
  const late = reason instanceof Error && reason.name === "TimeoutError";
  const found = late ? "it took too long" : "the call was stopped";
  return new SysError(
    late ? "ETIMEDOUT" : "ECANCELED",
    `Cannot generate with model "${id}": ${found}`,
  );
}

/** What was thrown, its cause, the cause of that. */
function causesOf(thrown: unknown): readonly unknown[] {
  const causes: unknown[] = [];
  let next = thrown;
  while (next !== undefined && next !== null && causes.length < CAUSES_MAX) {
    causes.push(next);
    next = field(next, "cause");
  }
  return causes;
}

/** The HTTP status; of a failure that came in a stream, the one it names. */
function statusOf(causes: readonly unknown[]): number | undefined {
  for (const cause of causes) {
    const error = field(cause, "error") ?? cause;
    for (const name of ["statusCode", "status", "code"]) {
      const value = field(error, name);
      const status = typeof value === "string" ? Number(value) : value;
      if (isStatus(status)) return status;
    }
  }
  return undefined;
}

/** A status of 2xx is no failure by itself: then something else was wrong. */
function isStatus(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 300 && (value as number) <= 599;
}

function codeOfStatus(status: number): Errno {
  if (status >= 500) return "EIO";
  switch (status) {
    case 429:
      return "EAGAIN";
    case 408:
      return "ETIMEDOUT";
    case 401:
    case 403:
      return "EACCES";
    default:
      return "EINVAL";
  }
}

function codeOf(causes: readonly unknown[]): Errno {
  for (const cause of causes) {
    const named = CODES[String(field(cause, "name"))];
    if (named !== undefined) return named;
    if (TIMEOUTS.includes(field(cause, "code"))) return "ETIMEDOUT";
    const error = field(cause, "error") ?? cause;
    const kind = `${field(error, "type")} ${field(error, "code")}`;
    if (kind.includes("rate_limit")) return "EAGAIN";
  }
  return "EIO";
}

/** Milliseconds until an endpoint wants to be asked again, where its answer says. */
function retryAfter(causes: readonly unknown[]): number | undefined {
  for (const cause of causes) {
    const headers = field(cause, "responseHeaders");
    const ms = numberOf(field(headers, "retry-after-ms"));
    if (ms !== undefined) return Math.ceil(ms);
    const text = field(headers, "retry-after");
    const seconds = numberOf(text);
    if (seconds !== undefined) return Math.ceil(seconds * 1_000);
    const until = Date.parse(String(text));
    if (Number.isNaN(until)) continue;
    // The endpoint's own clock, where it is shown: ours may differ.
    const date = Date.parse(String(field(headers, "date")));
    return Math.max(0, until - (Number.isNaN(date) ? Date.now() : date));
  }
  return undefined;
}

function numberOf(value: unknown): number | undefined {
  if (typeof value !== "string" || !/^\s*\d+(\.\d+)?\s*$/.test(value)) return undefined;
  return Number(value);
}

function wordsOf(causes: readonly unknown[], hide: (text: string) => string): string {
  const words = causes.map(wordOf).filter((word) => word !== "");
  // The innermost says what happened, unless it only repeats what the others end with.
  const [outer = "no reason given", inner = ""] = [words[0], words.at(-1)];
  const line = hide(outer.includes(inner) ? outer : `${outer}: ${inner}`);
  return line.length <= SENTENCE_CHARS_MAX ? line : `${line.slice(0, SENTENCE_CHARS_MAX - 1)}…`;
}

/** Where a redirect leads; without what may be a secret in it. */
function leadsTo(
  causes: readonly unknown[],
  status: number | undefined,
  hide: (text: string) => string,
): string | undefined {
  if (status === undefined || status < 300 || status > 399) return undefined;
  const location = causes.map((cause) => field(field(cause, "responseHeaders"), "location"))
    .find((found) => typeof found === "string");
  const at = URL.parse(location ?? "");
  const shown = at === null ? "another address" : `"${at.origin}${at.pathname.slice(0, 200)}"`;
  const expected = "expected the address that it leads to, in its place";
  return hide(`it leads to ${shown}, and no redirect is followed, ${expected}`);
}

/** What to do about a connection that no TLS came of. */
function withAdvice(said: string): string {
  if (/invalid peer certificate|certificate/i.test(said) && /client error|tls|peer/i.test(said)) {
    const expected = "expected a certificate that is trusted here";
    return `${said}, ${expected}; DENO_CERT=FILE names an authority's`;
  }
  if (/InvalidContentType|received corrupt message/i.test(said)) {
    return `${said}, expected TLS there; an address of plain HTTP begins with "http:"`;
  }
  return said;
}

function wordOf(cause: unknown): string {
  const message = typeof cause === "string"
    ? cause
    : field(cause, "message") ?? field(field(cause, "error"), "message");
  if (typeof message !== "string") return "";
  return message.replaceAll(/[\p{Cc}\s]+/gu, " ").trim().replace(/\.$/, "").toWellFormed();
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
