/**
 * What an endpoint says of its rate limits in the headers of an answer.
 *
 * Three families: `anthropic-ratelimit-requests-remaining`, `x-ratelimit-remaining-requests`
 * (OpenAI and most others), and `x-ratelimit-remaining` or `ratelimit-remaining`, which count
 * requests. Times become lengths of time, so that nobody compares two clocks later.
 *
 * Invariants:
 *   H1. Whatever a header holds, nothing is thrown, and what cannot be read counts as not said.
 *   H2. A number is finite and at least 0; a time is at most `gateHoldMsMax`.
 * @module
 */

import { LIMITS } from "./limits.ts";

/** Headers, their names in lower case. */
export type Head = Readonly<Record<string, string>>;

/** What was said of one rate. */
export interface Told {
  /** How much there is in a whole window. */
  readonly limit?: number;
  /** How much of it is left. */
  readonly left: number;
  /** In how many milliseconds all of it is there again. */
  readonly resetInMs?: number;
}

/** What was said of all. */
export interface Rates {
  /** Of requests. */
  readonly requests?: Told;
  /** Of tokens. */
  readonly tokens?: Told;
  /** In how many milliseconds to come again. */
  readonly retryAfterMs?: number;
}

// A date leaves out parts of seconds, and an answer takes some to come: clocks that differ by no
// more than this are taken for one, which is kept by whoever keeps clocks.
const SAME_CLOCK_MS = 10_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Reads rates; `nowMs` is the wall clock's, for what is said as a date. */
export function ratesOf(head: Head, nowMs: number): Rates {
  const hereMs = clockOf(head, nowMs);
  const requests = told(head, hereMs, [
    ["anthropic-ratelimit-requests-", ""],
    ["x-ratelimit-", "-requests"],
    ["x-ratelimit-", ""],
    ["ratelimit-", ""],
  ]);
  const tokens = told(head, hereMs, [
    ["anthropic-ratelimit-tokens-", ""],
    ["anthropic-ratelimit-input-tokens-", ""],
    ["x-ratelimit-", "-tokens"],
  ]);
  const retryAfterMs = retryAfterOf(head, hereMs);
  return {
    ...(requests === undefined ? {} : { requests }),
    ...(tokens === undefined ? {} : { tokens }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** The endpoint's own clock where it is shown and is another than ours. */
function clockOf(head: Head, nowMs: number): number {
  const shown = Date.parse(head["date"] ?? "");
  return Number.isNaN(shown) || Math.abs(shown - nowMs) <= SAME_CLOCK_MS ? nowMs : shown;
}

type Naming = readonly (readonly [before: string, after: string])[];

function told(head: Head, hereMs: number, naming: Naming): Told | undefined {
  for (const [before, after] of naming) {
    const left = countOf(head[`${before}remaining${after}`]);
    if (left === undefined) continue;
    const limit = countOf(head[`${before}limit${after}`]);
    const resetInMs = timeOf(head[`${before}reset${after}`], hereMs);
    return {
      left,
      ...(limit === undefined ? {} : { limit }),
      ...(resetInMs === undefined ? {} : { resetInMs }),
    };
  }
  return undefined;
}

function retryAfterOf(head: Head, hereMs: number): number | undefined {
  const ms = countOf(head["retry-after-ms"]);
  return ms === undefined ? timeOf(head["retry-after"], hereMs) : bounded(ms);
}

function countOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\s*\d{1,15}(\.\d{1,9})?\s*$/.test(text)) return undefined;
  return Number(text);
}

/** Seconds, a time since 1970 in seconds or milliseconds, `1m30.5s`, or a date. */
function timeOf(text: string | undefined, hereMs: number): number | undefined {
  if (text === undefined) return undefined;
  const count = countOf(text);
  if (count !== undefined) {
    if (count > 1e12) return bounded(count - hereMs);
    return bounded(count > 1e9 ? count * 1_000 - hereMs : count * 1_000);
  }
  const spans = [...text.matchAll(/(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)/g)];
  if (spans.length > 0 && spans.map(([whole]) => whole).join("") === text.trim()) {
    return bounded(spans.reduce((sum, [, n, unit]) => sum + Number(n) * UNITS[unit!]!, 0));
  }
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : bounded(date - hereMs);
}

function bounded(ms: number): number {
  return Math.min(Math.max(0, Math.ceil(ms)), LIMITS.gateHoldMsMax);
}
