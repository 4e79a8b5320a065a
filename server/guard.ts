/**
 * The guard: what is looked at before anybody asks who it is.
 *
 * Invariants:
 *   U1. A request whose Host is not this server's is refused: a name that was bound to this
 *       machine's address by somebody else reaches nothing.
 *   U2. A page of another site reaches nothing, whatever its visitor's browser sends along.
 *   U3. No request holds more of a body than its limit, nor waits for one longer than its time;
 *       nobody's body is read before it is known who sends it.
 *   U4. No caller gets more than its share of requests, and failures cost more than successes.
 * @module
 */

import type { MiddlewareHandler } from "hono";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { hasName, parseJson } from "../kernel/parse.ts";
import type { Clock } from "../kernel/world.ts";
import { Refusal } from "./problem.ts";

/** Headers of every answer. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "media-src 'self'; " +
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " +
    "frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
};

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE"]);

/** U1, U2: `isOurs` knows the names that this server answers to. */
export function samePlace(isOurs: (host: string) => boolean): MiddlewareHandler {
  return async (c, next) => {
    if (!METHODS.has(c.req.method)) {
      const expected = `expected one of ${[...METHODS].join(", ")}`;
      throw new SysError("ENOSYS", `Cannot answer method "${c.req.method}": ${expected}`);
    }
    if (c.req.url.length > LIMITS.httpUrlBytesMax) {
      throw new Refusal("body_too_large", "Cannot answer: the address is too long");
    }
    const host = c.req.header("host") ?? new URL(c.req.url).host;
    // Who writes a whole address into the first line says a host there, of which links are made.
    const named = URL.parse(c.req.url)?.host ?? host;
    const isSame = named === URL.parse(`http://${host}`)?.host;
    const foreign = isOurs(host) ? (isSame || isOurs(named) ? null : named) : host;
    if (foreign !== null) {
      const expected = "expected this server's own; allow others with --host-name";
      throw new Refusal(
        "host_refused",
        `Cannot answer for host "${foreign.slice(0, 128)}": ${expected}`,
      );
    }
    const origin = c.req.header("origin");
    const isForeign = origin !== undefined && !isOriginOf(origin, isOurs);
    // A link in a mail may open the console, and nothing of the API. Another port of this machine
    // is the same site, whose requests carry the cookie.
    const isVisit = c.req.header("sec-fetch-mode") === "navigate" && c.req.method === "GET" &&
      !c.req.path.startsWith("/v1/");
    const site = c.req.header("sec-fetch-site");
    const isCross = (site === "cross-site" || site === "same-site") && !isVisit;
    if (isForeign || isCross) {
      throw new Refusal("origin_refused", "Cannot answer a page of another site");
    }
    await next();
  };
}

function isOriginOf(origin: string, isOurs: (host: string) => boolean): boolean {
  const parsed = URL.parse(origin);
  return parsed !== null && /^https?:$/.test(parsed.protocol) && isOurs(parsed.host);
}

/** Whether a request's body is read piece by piece, by the one route that takes such a body. */
export function isStreamed({ method, path }: { method: string; path: string }): boolean {
  return method === "POST" && path === "/v1/trees";
}

/** U3: reads the body whole, within its limits, before anything else looks at it. */
export function wholeBody(clock: Clock): MiddlewareHandler {
  return async (c, next) => {
    const { raw } = c.req;
    if (raw.body !== null && !isStreamed(c.req)) {
      const said = Number(c.req.header("content-length") ?? 0);
      if (said > LIMITS.httpBodyBytesMax) throw tooLarge(LIMITS.httpBodyBytesMax);
      const body = await bodyOf(raw.body, clock);
      if (body.length > 0 && !/^application\/json(;|$)/.test(c.req.header("content-type") ?? "")) {
        throw new SysError("EINVAL", "Cannot read the body: expected application/json");
      }
      const text = new TextDecoder().decode(body);
      refusePrototypes(text);
      // As the kernel reads it: names with an escape would get others' names.
      c.req.json = <T>() => Promise.resolve().then(() => parseJson(text) as T);
      c.req.raw = new Request(raw.url, {
        method: raw.method,
        headers: raw.headers,
        ...(body.length === 0 ? {} : { body }),
      });
    }
    await next();
  };
}

/** A key that objects of JavaScript lose on the way: a label that is asked for has to be there. */
function refusePrototypes(text: string): void {
  if (!/__proto__|\\u/.test(text)) return;
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return;
  }
  if (hasName(value, "__proto__")) {
    throw new SysError("EINVAL", 'Cannot read the body: a key is "__proto__"');
  }
}

async function bodyOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  clock: Clock,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  const over = new AbortController();
  const late = clock.sleep(LIMITS.httpBodyMsMax, over.signal).then(() => "late" as const);
  late.catch(() => {});
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const part = await Promise.race([reader.read().catch(cutOff), late]);
      if (part === "late") {
        throw tooSlow("all of it");
      }
      if (part.done) break;
      length += part.value.length;
      if (length > LIMITS.httpBodyBytesMax) throw tooLarge(LIMITS.httpBodyBytesMax);
      parts.push(part.value);
    }
  } catch (thrown) {
    void reader.cancel().catch(() => {});
    throw thrown;
  } finally {
    over.abort();
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** U3: the lines of a body as they come: so many bytes of it and of a line, and no long pause. */
export async function* bodyLines(
  stream: ReadableStream<Uint8Array>,
  clock: Clock,
): AsyncGenerator<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let held = "";
  let length = 0;
  try {
    for (;;) {
      const part = await inTime(reader.read().catch(cutOff), clock);
      if (part.done) break;
      length += part.value.length;
      if (length > LIMITS.httpImportBytesMax) throw tooLarge(LIMITS.httpImportBytesMax);
      const lines = `${held}${decoder.decode(part.value, { stream: true })}`.split("\n");
      held = lines.pop() ?? "";
      if (held.length > LIMITS.httpImportRecordBytesMax) {
        throw tooLarge(LIMITS.httpImportRecordBytesMax);
      }
      yield* lines;
    }
    held += decoder.decode();
    if (held !== "") yield held;
  } finally {
    void reader.cancel().catch(() => {});
  }
}

async function inTime<T>(read: Promise<T>, clock: Clock): Promise<T> {
  const over = new AbortController();
  const late = clock.sleep(LIMITS.httpBodyMsMax, over.signal).then(() => tooSlow("more of it"));
  late.catch(() => {});
  try {
    const found = await Promise.race([read, late]);
    if (found instanceof Refusal) throw found;
    return found;
  } finally {
    over.abort();
  }
}

/** Whoever sent it is gone, and hears nothing of this. */
function cutOff(): never {
  throw new SysError("EINVAL", "Cannot read the body: it was cut off, expected all of it");
}

function tooSlow(what: string): Refusal {
  const expected = `expected ${what} in ${LIMITS.httpBodyMsMax} ms`;
  return new Refusal("body_too_slow", `Cannot read the body: ${expected}`);
}

function tooLarge(bytesMax: number): Refusal {
  const expected = `expected ${bytesMax} bytes at most`;
  return new Refusal("body_too_large", `Cannot read the body: too large, ${expected}`);
}

interface Share {
  left: number;
  atMs: number;
}

/** U4: so many a second, with some saved up; the longest silent are forgotten first. */
export class Rate {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #shares = new Map<string, Share>();

  /** `perSecond` on the average, `burst` at once. */
  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** Takes one; throws when none is left. */
  take(caller: string): void {
    const share = this.#share(caller);
    if (share.left < 1) throw this.#refusal(share);
    share.left -= 1;
  }

  /** Throws when none is left, and takes none. */
  look(caller: string): void {
    const share = this.#share(caller);
    if (share.left < 1) throw this.#refusal(share);
  }

  #share(caller: string): Share {
    const nowMs = this.#clock.now();
    const share = this.#shares.get(caller) ?? { left: this.#burst, atMs: nowMs };
    this.#shares.delete(caller);
    this.#shares.set(caller, share);
    const gained = Math.max(0, nowMs - share.atMs) / 1_000 * this.#perSecond;
    share.left = Math.min(this.#burst, share.left + gained);
    share.atMs = nowMs;
    if (this.#shares.size > LIMITS.httpCallersKept) {
      this.#shares.delete(this.#shares.keys().next().value!);
    }
    return share;
  }

  #refusal({ left }: Share): Refusal {
    const seconds = Math.max(1, Math.ceil((1 - left) / this.#perSecond));
    const sentence = `Cannot answer: too many requests, expected fewer; try in ${seconds} s`;
    return new Refusal("too_many_requests", sentence, { "retry-after": String(seconds) });
  }
}

/** U4: so many requests of a caller that take their time, at once; or of all, under one name. */
export class Held {
  readonly #what: string;
  readonly #most: number;
  readonly #held = new Map<string, number>();

  /** `most` of `what` for each caller. */
  constructor(what: string, most: number) {
    this.#what = what;
    this.#most = most;
  }

  /** Runs one; throws when too many are under way. */
  async hold<T>(caller: string, run: () => Promise<T>): Promise<T> {
    const count = this.#held.get(caller) ?? 0;
    if (count >= this.#most) {
      const sentence = `Cannot answer: ${count} ${this.#what} at once, expected fewer`;
      throw new Refusal("too_many_requests", sentence, { "retry-after": "5" });
    }
    this.#held.set(caller, count + 1);
    try {
      return await run();
    } finally {
      const left = this.#held.get(caller)! - 1;
      if (left > 0) this.#held.set(caller, left);
      else this.#held.delete(caller);
    }
  }
}
