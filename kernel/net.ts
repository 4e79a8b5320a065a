/**
 * Requests over the net: what is asked of whom, said in one way before anything is matched.
 *
 * A request needs `net.fetch(METHOD scheme://host:port/path)`. A port that is the scheme's own is
 * left out; what follows "?" is sent, and is no part of the resource.
 *
 * Invariants:
 *   F1. What is matched is what is sent: one spelling of method, host, port and path, and a text
 *       which a server could read as another path is refused.
 *   F2. A host that is private by its own text is covered only by patterns that write it out, and
 *       so are all that they were derived from.
 *   F3. A redirect is a request of its own: it follows nobody's authority, and no credential.
 *   F4. The same holds of what a program connects to; there a name counts as a private host, since
 *       who covers all names does not know where each leads.
 * @module
 */

import type { Credentials } from "./credential.ts";
import { SysError } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import { addressKind, canonicalAddress, isV6 } from "./net_address.ts";
import type { NetHeader } from "./net_request.ts";

/** Methods that requests may have. */
export const NET_METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] as const;
/** A method that a request may have. */
export type NetMethod = "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Where a request goes, in the one spelling of it. */
export interface NetTarget {
  /** What is asked for. */
  readonly method: NetMethod;
  /** What is asked for, whole: `https://x.test/a?b`. */
  readonly url: string;
  /** `https://x.test`. */
  readonly origin: string;
  /** Whether it goes by HTTPS. */
  readonly isSecure: boolean;
  /** The name or address, without brackets. */
  readonly host: string;
  /** The port, also where it is the scheme's own. */
  readonly port: number;
  /** What stands in the request's first line: `/a?b`. */
  readonly path: string;
  /** What a capability has to cover: `GET https://x.test/a`. */
  readonly resource: string;
  /** The host where it is an address; null for a name. */
  readonly address: string | null;
  /** Whether its text says that it is on no public net (F2). */
  readonly isPrivate: boolean;
}

/** A request as the provider is asked to make it: judged, and with addresses that were checked. */
export interface NetAsked {
  /** Where it goes. */
  readonly target: NetTarget;
  /** Where it may connect to, and nowhere else. */
  readonly addresses: readonly string[];
  /** Headers of the caller, checked. */
  readonly headers: readonly NetHeader[];
  /** The body; empty for none. */
  readonly body: Uint8Array;
  /** The credential that it is made in the name of. */
  readonly credential?: string;
  /** From the first connection to the last byte. */
  readonly timeoutMs: number;
  /** Most bytes of an answer's body, unpacked. */
  readonly bytesMax: number;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** What was answered, without secrets. */
export interface NetAnswer {
  /** The status. */
  readonly status: number;
  /** Its headers, in small letters, in the order they came. */
  readonly headers: readonly NetHeader[];
  /** Its body, unpacked. */
  readonly body: Uint8Array;
  /** Why its body is not here, where it was answered and the body could not be read; or null. */
  readonly cut: string | null;
}

/**
 * The net. Errors: `EIO ETIMEDOUT ECANCELED ELIMIT`, and `ENOENT EACCES` of credentials, when
 * nothing was done; `EINDOUBT` once a request that may change something was sent.
 */
export interface Net {
  /** What may be sent in an agent's name. */
  readonly credentials: Credentials;
  /** The addresses of a request's host, in their one spelling; empty when there are none. */
  resolve(target: NetTarget, signal: AbortSignal): Promise<readonly string[]>;
  /** Makes one request, to one of the addresses given. Follows nothing. */
  send(asked: NetAsked): Promise<NetAnswer>;
}

/** Segment of a resource in which its host is. */
const HOST_SEGMENT = 3;

/** The right of programs to connect and listen, by `host:port`. */
export const CONNECT = "net.connect";

/** Whether nothing but a pattern that writes the host out may cover a resource (F2). */
export function mustWriteOutHost(right: string, segments: readonly string[]): boolean {
  if (right === CONNECT) return mustWriteOutPlace(segments);
  const host = segments[HOST_SEGMENT];
  if (!isNetRight(right) || host === undefined || segments[2] !== "") return false;
  const name = host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  const address = canonicalAddress(name);
  return address === undefined ? isLocalName(name) : addressKind(address) !== null;
}

/** Whether a pattern, by its segments, has the host of a resource in it, letter by letter. */
export function writesOutHost(pattern: readonly string[], segments: readonly string[]): boolean {
  const at = segments.length === 1 ? 0 : HOST_SEGMENT;
  return pattern[at] === segments[at] && !pattern.slice(0, at).includes("**");
}

/** Of a place to connect to; a name, too, since it may lead anywhere (F4). */
function mustWriteOutPlace(segments: readonly string[]): boolean {
  const [place = ""] = segments;
  if (place === "**") return false;
  const address = canonicalAddress(place.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
  return address === undefined || addressKind(address) !== null;
}

/** One spelling of `host:port`, as a program says it; null for what is none. */
export function connectPlace(text: string): string | null {
  const [, host = "", digits = ""] = /^(\[[0-9A-Fa-f:.]+\]|[^\s:/*[\]]+):(\d{1,5})$/.exec(text) ??
    [];
  if (host === "" || Number(digits) > 65_535) return null;
  const port = Number(digits);
  const address = canonicalAddress(host.startsWith("[") ? host.slice(1, -1) : host);
  if (address !== undefined) return `${isV6(address) ? `[${address}]` : address}:${port}`;
  const name = host.toLowerCase().replace(/\.$/, "");
  return isHostName(name) ? `${name}:${port}` : null;
}

/** Whether a method asks for no change, so that asking twice does no harm. */
export function isSafeMethod(method: NetMethod): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}

/** Reads a URL. Throws `EINVAL` for what is none, or could be read in two ways (F1). */
export function netTarget(method: NetMethod, text: string): NetTarget {
  if (text.length > LIMITS.netUrlBytesMax) {
    refuse(text, `${text.length} characters`, `${LIMITS.netUrlBytesMax} at most`);
  }
  // What a URL's reader would drop or turn: then what is shown is not what is sent.
  // deno-lint-ignore no-control-regex
  if (/[\u0000-\u0020\u007f-\u00a0\\]/.test(text) || !text.isWellFormed()) {
    refuse(text, "white space, a control character or a backslash", "none");
  }
  const url = URL.parse(text);
  if (url === null) refuse(text, "no URL", 'one such as "https://example.com/a"');
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    refuse(text, `its scheme is "${url.protocol}"`, '"https:" or "http:"');
  }
  if (url.username !== "" || url.password !== "") {
    refuse(url.origin, "a name or password is in it", "a credential by its name");
  }
  const isSecure = url.protocol === "https:";
  const { host, address } = hostOf(text, url.hostname);
  const shown = address !== null && isV6(address) ? `[${address}]` : host;
  const port = url.port === "" ? (isSecure ? 443 : 80) : Number(url.port);
  if (port === 0) refuse(text, "its port is 0", "one from 1 to 65535");
  const origin = `${url.protocol}//${shown}${url.port === "" ? "" : `:${url.port}`}`;
  const pathname = pathOf(text, url.pathname);
  const path = `${pathname}${url.search}`;
  const resource = `${method} ${origin}${pathname}`;
  const isPrivate = address === null ? isLocalName(host) : addressKind(address) !== null;
  const whole = `${origin}${path}`;
  return { method, url: whole, origin, isSecure, host, port, path, resource, address, isPrivate };
}

/** The resource of the same request at an address, for those who may use that address. */
export function resourceAt(target: NetTarget, address: string): string {
  const url = new URL(target.url);
  url.hostname = isV6(address) ? `[${address}]` : address;
  return netTarget(target.method, url.href).resource;
}

function hostOf(text: string, hostname: string): { host: string; address: string | null } {
  if (hostname.startsWith("[")) {
    const address = canonicalAddress(hostname)!;
    return { host: address, address };
  }
  // The dot of the root: the same name.
  const host = hostname.replace(/\.$/, "");
  if (!isHostName(host)) {
    refuse(text, `its host is "${hostname.slice(0, 300)}"`, "a name or an address");
  }
  return { host, address: canonicalAddress(host) ?? null };
}

function isHostName(host: string): boolean {
  return host.length <= 253 &&
    host.split(".").every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
}

const LOCAL_ENDS = new Set([
  "localhost",
  "local",
  "localdomain",
  "internal",
  "intranet",
  "private",
  "corp",
  "home",
  "lan",
]);

/** Whether nobody but the own network says where a name leads. */
export function isLocalName(host: string): boolean {
  const labels = host.split(".");
  const last = labels.at(-1)!;
  return labels.length === 1 || LOCAL_ENDS.has(last) || host.endsWith(".home.arpa");
}

/** Whether a name is this machine's, whatever a name server says. */
export function isLocalhost(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost");
}

const UNRESERVED = /[A-Za-z0-9._~-]/;

/** One spelling of a path. Throws `EINVAL` for one that could be decoded to another place (F1). */
function pathOf(text: string, pathname: string): string {
  let decoded = pathname;
  for (let i = 0; i < 4; i++) {
    decoded = decoded.replace(/%(2e|2f|5c|25)/gi, (code) => decodeURIComponent(code));
  }
  if (decoded.split(/[/\\]/).some((segment) => /^\.\.?(;|$)/.test(segment))) {
    refuse(text, 'an encoded "." or ".." in its path', "the path that is meant");
  }
  const one = pathname.replace(/%([0-9a-f]{2})/gi, (code, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(char) ? char : code.toUpperCase();
  }).replaceAll("*", "%2A");
  const segments = one.split("/").length;
  if (segments > LIMITS.netPathSegmentsMax) {
    refuse(text, `${segments} segments`, `${LIMITS.netPathSegmentsMax} at most`);
  }
  return one;
}

/** A pattern of resources in the spelling of resources: hosts in small letters, no own ports. */
export function netPattern(resource: string): string {
  const match = /^((?:[A-Za-z*]+ )?)([A-Za-z*][\w+.*-]*:)\/\/([^/]*)(.*)$/s.exec(resource);
  if (match === null) return connectPlace(resource) ?? resource;
  const [, method = "", scheme = "", host = "", rest = ""] = match;
  const small = scheme.toLowerCase();
  const own = small === "https:" ? ":443" : small === "http:" ? ":80" : undefined;
  let name = host.toLowerCase().normalize("NFC");
  if (own !== undefined && name.endsWith(own)) name = name.slice(0, -own.length);
  // With a star in it, or a form that no request has, it stays as it is.
  if (!name.includes("*")) name = spelled(name) ?? name;
  return `${method.toUpperCase()}${small}//${name}${rest}`;
}

function spelled(name: string): string | undefined {
  const url = URL.parse(`ws://${name}/`);
  if (url === null || url.username !== "" || url.pathname !== "/" || url.search !== "") {
    return undefined;
  }
  const port = url.port === "" ? (name.endsWith(":80") ? ":80" : "") : `:${url.port}`;
  if (!url.hostname.startsWith("[")) return `${url.hostname.replace(/\.$/, "")}${port}`;
  const address = canonicalAddress(url.hostname)!;
  return `${isV6(address) ? `[${address}]` : address}${port}`;
}

/** Whether resources of this right are of requests over the net. */
export function isNetRight(right: string): boolean {
  return right.startsWith("net.");
}

function refuse(text: string, state: string, expected: string): never {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  throw new SysError(
    "EINVAL",
    `Cannot fetch ${JSON.stringify(shown)}: ${state}, expected ${expected}`,
  );
}
