/**
 * Who asks: a token in the Authorization header, or a browser's session.
 *
 * Invariants:
 *   A1. A session changes nothing without the CSRF value of its page in a header.
 *   A2. Whoever guesses is slowed down, and learns only that it was wrong; nobody else who asks
 *       from the same address waits for it.
 *   A3. Whose token was taken back hears no more of what it asked for before.
 * @module
 */

import type { Context, MiddlewareHandler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Env, House } from "./api.ts";
import { Rate } from "./guard.ts";
import { reaches, type Role } from "./principal.ts";
import { Refusal } from "./problem.ts";
import type { TokenBook } from "./tokens.ts";

/** The header that carries a session's CSRF value. */
export const CSRF_HEADER = "x-libos-csrf";

/** The session cookie's name: one a port, since cookies do not tell ports apart. */
export function cookieName(url: string): string {
  return `libos_${new URL(url).port || "0"}`;
}

/** Finds out who asks; refuses whoever is nobody. */
export function whoAsks(
  { tokens, clock, failed }: Pick<House, "tokens" | "clock" | "failed">,
): MiddlewareHandler<Env> {
  const failures = new Rate(clock, LIMITS.httpFailuresPerMinute / 60, LIMITS.httpFailuresPerMinute);
  const rate = new Rate(clock, LIMITS.httpRequestsPerSecond, LIMITS.httpRequestsBurst);
  return async (c, next) => {
    const from = c.get("from");
    const found = quietly(failed, () => bearer(c, tokens) ?? session(c, tokens));
    if (found === undefined) {
      failures.take(from);
      const expected = "expected Authorization: Bearer TOKEN; make one with libos token create";
      throw new Refusal("unauthenticated", `Cannot answer: nobody is signed in, ${expected}`, {
        "www-authenticate": "Bearer",
      });
    }
    rate.take(found.who.token);
    c.set("who", found.who);
    c.set("csrf", found.csrf);
    c.set("session", found.session);
    await next();
  };
}

/** What is wrong with the file of tokens is for the one who runs the server. */
function quietly<T>(failed: House["failed"], job: () => T): T {
  try {
    return job();
  } catch (thrown) {
    if (thrown instanceof Refusal) throw thrown;
    failed(thrown);
    throw new SysError("EAGAIN", "Cannot answer: tokens cannot be read; standard error says more");
  }
}

type Found = Pick<Env["Variables"], "who" | "csrf" | "session"> | undefined;

function bearer(c: Context<Env>, tokens: TokenBook): Found {
  const said = c.req.header("authorization");
  if (said === undefined) return undefined;
  const secret = /^Bearer ([\w-]{1,128})$/i.exec(said)?.[1];
  const who = secret === undefined ? undefined : tokens.check(secret);
  return who === undefined ? undefined : { who, csrf: null, session: null };
}

function session(c: Context<Env>, tokens: TokenBook): Found {
  // A token that is wrong is not made up for by a cookie.
  if (c.req.header("authorization") !== undefined) return undefined;
  const secret = getCookie(c, cookieName(c.req.url));
  const found = secret === undefined ? undefined : tokens.session(secret);
  if (found === undefined) return undefined;
  const isRead = c.req.method === "GET" || c.req.method === "HEAD";
  if (!isRead && c.req.header(CSRF_HEADER) !== found.csrf) {
    throw new Refusal("csrf_refused", `Cannot answer: no ${CSRF_HEADER} of this session's page`);
  }
  return found;
}

/**
 * Whether the one who asks spoke TLS: to this server, or to the proxy before it where one was
 * declared. Nobody else is believed about it.
 */
export function isSecure(c: Context<Env>, { isBehindTls }: Pick<House, "isBehindTls">): boolean {
  if (new URL(c.req.url).protocol === "https:") return true;
  return isBehindTls && c.req.header("x-forwarded-proto")?.trim().toLowerCase() === "https";
}

/** Signs a browser in by a one-time link; false when the link is nobody's. */
export function signIn(
  c: Context<Env>,
  house: Pick<House, "tokens" | "failed" | "isBehindTls">,
  link: string,
): boolean {
  const secret = quietly(house.failed, () => house.tokens.follow(link));
  if (secret === undefined) return false;
  setCookie(c, cookieName(c.req.url), secret, {
    httpOnly: true,
    sameSite: "Strict",
    secure: isSecure(c, house),
    path: "/",
    maxAge: LIMITS.sessionMsMax / 1_000,
  });
  return true;
}

/** Signs a browser out: its session is over, with its streams. */
export function signOut(
  c: Context<Env>,
  house: Pick<House, "tokens" | "failed" | "isBehindTls">,
): void {
  const name = cookieName(c.req.url);
  const secret = getCookie(c, name);
  if (secret !== undefined) quietly(house.failed, () => house.tokens.end(secret));
  deleteCookie(c, name, { path: "/", secure: isSecure(c, house) });
}

/** Whether who asks is let in still, which is looked at before what took its time is told. */
export function isStillIn(
  c: Context<Env>,
  { tokens, failed }: Pick<House, "tokens" | "failed">,
): boolean {
  const standing = { token: c.get("who").token, session: c.get("session") };
  return quietly(failed, () => tokens.goodUntil(standing)) !== undefined;
}

/** Refuses whoever's role does not reach `role`. */
export function need(role: Role): MiddlewareHandler<Env> {
  return async (c, next) => {
    const who = c.get("who");
    if (!reaches(who.role, role)) {
      const sentence = `Cannot do this as ${who.role}: expected role ${role} or higher`;
      throw new Refusal("role_too_low", sentence);
    }
    await next();
  };
}
