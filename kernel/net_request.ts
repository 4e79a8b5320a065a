/**
 * What a request carries and where an answer leads: headers that a caller may set, redirects, and
 * what a person is shown.
 * @module
 */

import { domainToUnicode } from "node:url";
import { SysError } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import { isSafeMethod, type NetMethod, type NetTarget, netTarget } from "./net.ts";

/** A header's name in small letters, and its value. */
export type NetHeader = readonly [name: string, value: string];

const TOKEN = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const VALUE = /^(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?$/;

/** Headers that say where a request goes, how it is cut, or in whose name it is made. */
const NOT_THE_CALLERS = new Set([
  "accept-encoding",
  "authorization",
  "connection",
  "content-length",
  "cookie",
  "cookie2",
  "expect",
  "forwarded",
  "host",
  "http2-settings",
  "idempotency-key",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
  // These say another method, path or host than those that were judged.
  "x-host",
  "x-http-host-override",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-rewrite-url",
  // These say whom it is from, which servers behind a proxy believe.
  "cf-connecting-ip",
  "true-client-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-real-ip",
]);

/** What begins so is as well a proxy's or a browser's to say. */
const NOT_THE_CALLERS_BEGIN = ["proxy-", "sec-", "x-forwarded", "x-original-"];

/** Whether a header is not the caller's to set. Servers that read "_" as "-" are not told more. */
function isTaken(name: string): boolean {
  const read = name.replaceAll("_", "-");
  return NOT_THE_CALLERS.has(read) || NOT_THE_CALLERS_BEGIN.some((head) => read.startsWith(head));
}

/** The headers of a caller, checked. Throws `EINVAL`, and `ELIMIT` for too many. */
export function netHeaders(given: { readonly [name: string]: string }): NetHeader[] {
  const headers: NetHeader[] = [];
  const seen = new Set<string>();
  let bytes = 0;
  for (const [key, value] of Object.entries(given)) {
    const name = key.toLowerCase();
    if (!TOKEN.test(name)) refuse(key, "an odd name", "letters, digits and dashes");
    if (isTaken(name)) {
      refuse(key, "it is not the caller's to set", "none; what proves who you are is a credential");
    }
    if (seen.has(name)) refuse(key, "it is there twice", "each once");
    if (!VALUE.test(value)) {
      refuse(key, "its value is no line of printable ASCII", "one, without space around it");
    }
    seen.add(name);
    bytes += name.length + value.length + 4;
    headers.push([name, value]);
  }
  if (headers.length > LIMITS.netHeadersMax) tooMany(headers.length, "netHeadersMax");
  if (bytes > LIMITS.netHeadersBytesMax) tooMany(bytes, "netHeadersBytesMax");
  return headers;
}

function tooMany(found: number, limit: "netHeadersMax" | "netHeadersBytesMax"): never {
  const unit = limit === "netHeadersMax" ? "headers" : "bytes of headers";
  const sentence = `Cannot send ${found} ${unit}: expected ${LIMITS[limit]} at most`;
  throw new SysError("ELIMIT", sentence, { limit });
}

function refuse(header: string, state: string, expected: string): never {
  const shown = JSON.stringify(header.slice(0, 100));
  throw new SysError("EINVAL", `Cannot send header ${shown}: ${state}, expected ${expected}`);
}

/** Where an answer sends its caller, and how to ask there. */
export interface NetRedirect {
  readonly url: string;
  readonly method: NetMethod;
  /** Whether what was sent is to be sent there, too. */
  readonly keepsBody: boolean;
  /** Whether it is the same origin, where credential and headers may be used again. */
  readonly isSameOrigin: boolean;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Where an answer leads by the rules of fetch; null where it leads nowhere that can be asked. */
export function redirectOf(
  from: NetTarget,
  status: number,
  location: string | undefined,
): NetRedirect | null {
  if (!REDIRECTS.has(status) || location === undefined) return null;
  const url = URL.parse(location, from.url);
  if (url === null) return null;
  url.hash = "";
  const isTurned = status === 303
    ? !isSafeMethod(from.method)
    : (status === 301 || status === 302) && from.method === "POST";
  const method = isTurned ? "GET" : from.method;
  try {
    const to = netTarget(method, url.href);
    return { url: to.url, method, keepsBody: !isTurned, isSameOrigin: to.origin === from.origin };
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  }
}

const PREVIEW_BODY_CHARS_MAX = 2_000;

/** What a person is shown who is asked about a request. */
export function netPreview(target: NetTarget, sent: {
  readonly headers: readonly NetHeader[];
  readonly body: string;
  readonly bytes: number;
  readonly credential: string | undefined;
}): string {
  const name = target.address === null ? domainToUnicode(target.host) : target.host;
  const host = name === target.host || name === "" ? target.host : `${target.host} (${name})`;
  const where = target.isPrivate ? ", on no public net" : "";
  const open = target.isSecure ? "" : ", not encrypted";
  const lines = [
    `${target.method} ${target.url}`,
    `host: ${host}, port ${target.port}${open}${where}`,
    ...(sent.credential === undefined ? [] : [`in the name of credential: ${sent.credential}`]),
    ...sent.headers.map(([header, value]) => `${header}: ${value}`),
  ];
  if (sent.bytes === 0) return lines.join("\n");
  const shown = sent.body.slice(0, PREVIEW_BODY_CHARS_MAX).toWellFormed();
  const more = sent.body.length > shown.length ? "\n…" : "";
  return [...lines, `body, ${sent.bytes} bytes:`, `${shown}${more}`].join("\n");
}
