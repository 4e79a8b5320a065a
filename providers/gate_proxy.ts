/**
 * A gate as a proxy: agents that are not ours ask it in place of their endpoint.
 *
 * What comes under `/v1/` goes to the same path of the upstream, keys and all else as it was sent,
 * and what comes back is passed on as it comes. `POST`s wait their turn; all else goes through.
 *
 * Invariants:
 *   P1. A request goes to the upstream's own origin and below its path, and redirects are not
 *       followed: a key reaches nobody else.
 *   P2. Nothing of a request is written down. Whose turn it is goes by the name in `x-libos-agent`,
 *       or by a hash of the key.
 *   P3. Once a byte of an answer was passed on, it is not asked for again.
 *   P4. A page in a browser is not served, whatever name it found this machine by.
 *   P5. What a caller leaves, leaves the line, and ends at the upstream.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { AttemptEnd, Entering } from "../kernel/gate.ts";
import type { Head } from "../kernel/gate_head.ts";
import { sha256 } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { netTarget } from "../kernel/net.ts";
import type { Attempt, Gate } from "./gate.ts";
import { usageIn, watched } from "./gate_stream.ts";

/** Where a proxy sends what it is asked. */
export interface GateProxyOptions {
  /** Like `https://api.openai.com/v1`. */
  readonly upstream: string;
  /** Whose turn it is. */
  readonly gate: Gate;
  /** Instead of the global one. */
  readonly fetch?: typeof globalThis.fetch;
}

/** Makes what answers requests. Throws `EINVAL` for an upstream that is no HTTP address. */
export function gateProxy(options: GateProxyOptions): (request: Request) => Promise<Response> {
  const upstream = URL.parse(options.upstream);
  if (upstream === null || !/^https?:$/.test(upstream.protocol) || upstream.search !== "") {
    const sentence = `Cannot stand before "${options.upstream}": no HTTP address`;
    throw new SysError("EINVAL", `${sentence}, expected one like https://host/v1`);
  }
  return async (request) => {
    try {
      return await answer(request, { ...options, upstream });
    } catch (thrown) {
      await request.body?.cancel().catch(() => {});
      return refusal(thrown);
    }
  };
}

type Place = Omit<GateProxyOptions, "upstream"> & { readonly upstream: URL };

async function answer(request: Request, place: Place): Promise<Response> {
  const url = new URL(request.url);
  // A page that asks for a picture or a script says no origin; its browser says where it is.
  const isPage = request.headers.has("origin") || request.headers.has("sec-fetch-site");
  if (isPage || !isOwnName(url.hostname)) {
    throw new SysError("EACCES", "Cannot ask through a gate: a page asks, expected a program");
  }
  if (url.pathname === "/gate") return Response.json(place.gate.state());
  const to = targetOf(url, place.upstream);
  if (request.method !== "POST") {
    const { signal, method } = request;
    return passedOn(await send(place, { to, method, headers: sentOn(request.headers), signal }));
  }
  const body = await bodyOf(request);
  return await inTurn(request, { place, to, body });
}

/** Only this machine's own names: another may be a page's that was made to lead here. */
function isOwnName(hostname: string): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname);
}

/** P1: a path of the upstream, which no `..` leaves: a URL has none, encoded ones are refused. */
function targetOf(url: URL, upstream: URL): URL {
  if (!url.pathname.startsWith("/v1/")) {
    const sentence = `Cannot ask "${url.pathname}": no path of the gate, expected /v1/…`;
    throw new SysError("ENOENT", sentence);
  }
  const to = new URL(upstream);
  to.pathname = upstream.pathname.replace(/\/+$/, "") + url.pathname.slice("/v1".length);
  netTarget("GET", `${to.origin}${to.pathname}`);
  to.search = url.search;
  return to;
}

interface Asking {
  readonly place: Place;
  readonly to: URL;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Waits for a turn, which ends with the answer's body; the answer is given with its headers. */
async function inTurn(request: Request, { place, to, body }: Asking): Promise<Response> {
  const answered = Promise.withResolvers<Response>();
  const { signal } = request;
  const caller = callerOf(request);
  const headers = sentOn(request.headers);
  // A body is about four bytes a token; what it asks for besides is counted when it has come.
  const tokens = Math.ceil(body.length / 4);
  let last: Response | undefined;
  const attempt = async (onHead: (head: Head) => void): Promise<Attempt<void>> => {
    await last?.body?.cancel();
    const response = await reached(place, { to, method: "POST", headers, body, signal });
    if ("error" in response) return { how: "failed", head: {}, error: response.error };
    const head = headOf(response);
    const how = howOf(response.status);
    if (how !== "passed" && how !== "refused") {
      last = response;
      return { how, head, error: new Refused(response) };
    }
    onHead(head);
    const stream = watched(response, signal);
    answered.resolve(passedOn(response, stream.body));
    const isWhole = await stream.ended;
    const took = how === "refused" ? {} : { tokens: usageIn(stream.tail()) ?? tokens };
    return { how: isWhole ? how : "failed", head, ...took, value: undefined };
  };
  place.gate.pass({ ...caller, tokens }, { signal, attempt }).catch((thrown) => {
    // A refusal is passed on as the upstream said it.
    if (thrown instanceof Refused) answered.resolve(passedOn(thrown.response));
    else answered.reject(thrown);
  });
  return await answered.promise;
}

/** What the upstream refused at last. */
class Refused extends Error {
  readonly response: Response;
  constructor(response: Response) {
    super("Refused");
    this.response = response;
  }
}

/** P2: a name is believed; where there is none the key stands for it, as a hash. */
function callerOf({ headers }: Request): Omit<Entering, "tokens"> {
  const name = headers.get("x-libos-agent");
  if (name !== null && !/^[\w.@:/-]{1,64}$/.test(name)) {
    const expected = `expected 1 to ${LIMITS.gateNameBytesMax} letters, digits and ._@:/-`;
    throw new SysError("EINVAL", `Cannot use the name in x-libos-agent: an odd one, ${expected}`);
  }
  const key = KEYS.map((header) => headers.get(header)).find((value) => value !== null);
  const tree = name ?? (key === undefined ? "-" : `key-${sha256(key ?? "").slice(0, 16)}`);
  const priority = Number(headers.get("x-libos-priority") ?? 10);
  if (!Number.isInteger(priority) || priority < 1 || priority > 100) {
    const expected = "expected a whole number from 1 to 100";
    throw new SysError("EINVAL", `Cannot use x-libos-priority: no priority, ${expected}`);
  }
  return { tree, pid: tree, priority };
}

const KEYS = ["authorization", "x-api-key", "api-key"];

async function bodyOf(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body ?? []) {
    bytes += part.length;
    if (bytes > LIMITS.gateBodyBytesMax) {
      const sentence = `Cannot pass on a request: more than ${LIMITS.gateBodyBytesMax} bytes`;
      throw new SysError("ELIMIT", `${sentence}, expected fewer`, { limit: "gateBodyBytesMax" });
    }
    parts.push(part);
  }
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

/** Headers that are of one connection, or of this proxy. */
const OWN = new Set([
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"],
  ...["transfer-encoding", "upgrade", "host", "content-length", "accept-encoding", "expect"],
  ...["x-libos-agent", "x-libos-priority"],
]);

function sentOn(headers: Headers): Headers {
  const named = (headers.get("connection") ?? "").toLowerCase().split(",").map((one) => one.trim());
  return new Headers([...headers].filter(([name]) => !OWN.has(name) && !named.includes(name)));
}

interface Sending {
  readonly to: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body?: Uint8Array<ArrayBuffer>;
  readonly signal: AbortSignal;
}

/** Its headers come in time, or it is given up. */
async function send({ fetch = globalThis.fetch }: Place, sending: Sending): Promise<Response> {
  const { to, method, headers, body, signal } = sending;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), LIMITS.modelTimeoutMsDefault);
  const either = AbortSignal.any([signal, late.signal]);
  const asked = {
    method,
    headers,
    body: body ?? null,
    redirect: "manual",
    signal: either,
  } as const;
  try {
    return await fetch(to, asked);
  } finally {
    clearTimeout(timer);
  }
}

async function reached(place: Place, sending: Sending): Promise<Response | { error: SysError }> {
  try {
    return await send(place, sending);
  } catch {
    // What the platform says of it may hold what was sent.
    const sentence = "Cannot reach the endpoint: no answer, expected one";
    return { error: new SysError("EIO", sentence) };
  }
}

function headOf({ headers }: Response): Head {
  return Object.fromEntries(headers);
}

function howOf(status: number): AttemptEnd["how"] {
  if (status === 429) return "limited";
  if (status === 503 || status === 529) return "overloaded";
  if (status >= 500 || status === 408) return "failed";
  return status >= 200 && status < 300 ? "passed" : "refused";
}

/** An answer as the upstream gave it, less what is of its connection, and without a way on (P1). */
function passedOn(response: Response, body = response.body): Response {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  for (const name of [...OWN, "content-encoding", "location"]) headers.delete(name);
  const has = ![204, 205, 304].includes(status);
  return new Response(has ? body : null, { status, statusText, headers });
}

const STATUS: Readonly<Record<string, number>> = {
  EINVAL: 400,
  EACCES: 403,
  EBUDGET: 403,
  ENOENT: 404,
  ELIMIT: 413,
  EAGAIN: 429,
  ECANCELED: 499,
  EIO: 502,
  ETIMEDOUT: 504,
};

/** What the gate itself refuses, in the form that clients of such endpoints read. */
function refusal(thrown: unknown): Response {
  const known = thrown instanceof SysError ? thrown : new SysError("EIO", "Cannot pass it on");
  const { code, message } = known;
  const status = STATUS[code] ?? 500;
  const headers = code === "EAGAIN" ? { "retry-after": "5" } : {};
  const error = { message, type: "libos_gate", code, param: null };
  return Response.json({ error }, { status, headers: headers as Record<string, string> });
}
