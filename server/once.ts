/**
 * Idempotency keys: the same request with the same key is answered once, and repeated.
 *
 * Invariants:
 *   K1. Two requests with one key of one principal run once, also when they come together.
 *   K2. Another request under a key that was used is refused.
 *   K3. An answer that failed for a while (429, 5xx) is not kept.
 *   K4. Nobody's keys push out another's.
 * @module
 */

import { createHash } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { LIMITS } from "../kernel/limits.ts";
import type { Shares } from "../kernel/shares.ts";
import type { Clock } from "../kernel/world.ts";
import type { Env } from "./api.ts";
import { answerShared } from "./once_shared.ts";
import { isStreamed } from "./guard.ts";
import { Refusal } from "./problem.ts";

interface Kept {
  readonly of: string;
  readonly untilMs: number;
  readonly answer: Promise<Response>;
}

const KEY = /^[\x21-\x7e]{1,128}$/;

/**
 * Answers a repeated request with what the first one was answered; with shares, on whichever node.
 */
export function answerOnce(clock: Clock, shares?: Shares): MiddlewareHandler<Env> {
  const books = new Map<string, Map<string, Kept>>();
  return async (c, next) => {
    const key = c.req.header("idempotency-key");
    const isPlain = key === undefined || /^(GET|HEAD)$/.test(c.req.method) || isStreamed(c.req);
    if (isPlain) return await next();
    if (!KEY.test(key)) {
      throw new Refusal("key_reused", "Cannot use the Idempotency-Key: malformed");
    }
    const body = await c.req.raw.clone().text();
    const asked = `${c.req.method} ${new URL(c.req.url).search} ${c.req.path}\n${body}`;
    const of = createHash("sha256").update(asked).digest("hex");
    if (shares !== undefined) return await answerShared(c, next, { shares, clock, key, of });
    const nowMs = clock.now();
    const kept = bookOf(books, c.get("who").token, nowMs);
    const found = kept.get(key);
    if (found !== undefined) {
      if (found.of !== of) {
        throw new Refusal("key_reused", "Cannot use the Idempotency-Key: it was another request's");
      }
      c.res = (await found.answer).clone();
      c.res.headers.set("idempotent-replay", "true");
      return;
    }
    const first = Promise.withResolvers<Response>();
    first.promise.catch(() => {});
    kept.set(key, { of, untilMs: nowMs + LIMITS.httpKeyMsMax, answer: first.promise });
    try {
      await next();
      if (c.error !== undefined || c.res.status === 429 || c.res.status >= 500) kept.delete(key);
      first.resolve(c.res.clone());
    } catch (thrown) {
      kept.delete(key);
      first.reject(thrown);
      throw thrown;
    }
  };
}

/** The keys of a token, with room for one more: its own oldest make room (K4). */
function bookOf(
  books: Map<string, Map<string, Kept>>,
  token: string,
  nowMs: number,
): Map<string, Kept> {
  for (const [old, kept] of books) {
    for (const [key, { untilMs }] of kept) {
      if (untilMs > nowMs && kept.size < LIMITS.httpKeysKept) break;
      kept.delete(key);
    }
    if (kept.size === 0) books.delete(old);
  }
  const kept = books.get(token) ?? new Map<string, Kept>();
  books.set(token, kept);
  return kept;
}
