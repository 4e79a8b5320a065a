/**
 * Reading URLs in a realm: the URL standard for addresses with a host, and opaque ones as they are.
 *
 * A host has to be ASCII: what maps other letters (IDNA) is too large a table to be brought in.
 * @module
 */

import { GuestTextEncoder } from "./text.ts";

/** The parts of a URL, written as the standard writes them. */
export interface UrlParts {
  /** Without the colon. */
  scheme: string;
  username: string;
  password: string;
  /** Null when there is none, as in `data:`. */
  host: string | null;
  port: string;
  /** Begins with "/", unless the path is opaque. */
  path: string;
  query: string | null;
  hash: string | null;
}

/** The port that goes without saying; undefined for a scheme that is not special. */
export function defaultPort(scheme: string): string | undefined {
  const ports: Record<string, string> = {
    http: "80",
    https: "443",
    ws: "80",
    wss: "443",
    ftp: "21",
    file: "",
  };
  return Object.hasOwn(ports, scheme) ? ports[scheme] : undefined;
}

/** Percent-encodes what is not printable ASCII, and the characters of `also`. */
export function percent(text: string, also: string): string {
  let out = "";
  for (const char of text.toWellFormed()) {
    if (char > " " && char < "\x7f" && !also.includes(char)) out += char;
    else {
      for (const byte of new GuestTextEncoder().encode(char)) {
        out += `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
      }
    }
  }
  return out;
}

/** Parts of a URL, or why it is none. */
export function parseUrl(given: string, base: UrlParts | null): UrlParts | string {
  const text = given.replace(/^[\0-\x20]+|[\0-\x20]+$/g, "").replace(/[\t\n\r]/g, "");
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text);
  const hashAt = text.indexOf("#");
  const hash = hashAt < 0 ? null : percent(text.slice(hashAt + 1), '"<>`');
  const body = hashAt < 0 ? text : text.slice(0, hashAt);
  if (match === null || (hashAt >= 0 && hashAt < match[0].length)) {
    if (base === null) return "it has no scheme, expected one or a base";
    return relativeUrl(body, hash, base);
  }
  const scheme = match[1]!.toLowerCase();
  const rest = body.slice(match[0].length);
  const port = defaultPort(scheme);
  if (port !== undefined && base?.scheme === scheme && !/^[/\\]{2}/.test(rest)) {
    return relativeUrl(rest, hash, base);
  }
  if (port === undefined && !rest.startsWith("/")) {
    const [path, query] = cutQuery(rest, scheme);
    return {
      ...noParts(scheme),
      path: percent(path.replace(/ +$/, ""), "").replace(/%20/g, " "),
      query,
      hash,
    };
  }
  if (port === undefined && !rest.startsWith("//")) {
    return withPath({ ...noParts(scheme), hash }, rest, []);
  }
  if (scheme === "file" && !/^[/\\]{2}/.test(rest)) {
    return withPath({ ...noParts(scheme), host: "", hash }, rest, []);
  }
  // However many slashes: special schemes take them all.
  const slashes = port === undefined || scheme === "file" ? /^[/\\]{2}/ : /^[/\\]*/;
  return withHost({ ...noParts(scheme), hash }, rest.replace(slashes, ""));
}

/** A URL with nothing but a scheme. */
export function noParts(scheme: string): UrlParts {
  return {
    scheme,
    username: "",
    password: "",
    host: null,
    port: "",
    path: "",
    query: null,
    hash: null,
  };
}

/** A reference without a scheme, against a base. */
export function relativeUrl(body: string, hash: string | null, base: UrlParts): UrlParts | string {
  const isSpecial = defaultPort(base.scheme) !== undefined;
  if (base.host === null && !base.path.startsWith("/")) {
    if (body !== "" || hash === null) return "its base has no path to go from";
    return { ...base, hash };
  }
  if (isSpecial ? /^[/\\]{2}/.test(body) : body.startsWith("//")) {
    return withHost({ ...noParts(base.scheme), hash }, body.slice(2));
  }
  const own = { ...base, query: null, hash };
  if (isSpecial ? /^[/\\]/.test(body) : body.startsWith("/")) return withPath(own, body, []);
  if (body === "") return { ...own, query: base.query };
  const held = base.path.split("/").slice(1);
  if (body.startsWith("?")) {
    return { ...own, path: base.path, query: cutQuery(body, base.scheme)[1] };
  }
  return withPath(own, body, held.slice(0, -1));
}

/** What follows the slashes: who, where, and the rest. */
export function withHost(parts: UrlParts, rest: string): UrlParts | string {
  const isSpecial = defaultPort(parts.scheme) !== undefined;
  const end = rest.search(isSpecial ? /[/\\?]/ : /[/?]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  const at = authority.lastIndexOf("@");
  if (at >= 0) {
    const colon = authority.slice(0, at).indexOf(":");
    const who = '"<>`#?{}/:;=@[\\]^|';
    parts.username = percent(authority.slice(0, colon < 0 ? at : colon), who);
    parts.password = colon < 0 ? "" : percent(authority.slice(colon + 1, at), who);
  }
  const where = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(authority.slice(at + 1));
  if (where === null) return "its host or port is not one";
  const host = hostOf(where[1]!, isSpecial);
  if (host === null) return `its host "${where[1]}" is not one`;
  if (host === "" && (parts.scheme !== "file" && (isSpecial || at >= 0 || where[2]))) {
    return "it has no host";
  }
  const port = where[2] === undefined || where[2] === "" ? "" : String(Number(where[2]));
  if (Number(port) > 65_535) return `its port ${port} is beyond 65535`;
  parts.host = parts.scheme === "file" && host === "localhost" ? "" : host;
  parts.port = port === defaultPort(parts.scheme) ? "" : port;
  return withPath(parts, end < 0 ? "" : rest.slice(end), []);
}

/** Path and query, with the dots resolved against the segments that hold already. */
export function withPath(parts: UrlParts, text: string, held: readonly string[]): UrlParts {
  const isSpecial = defaultPort(parts.scheme) !== undefined;
  const [whole, query] = cutQuery(text, parts.scheme);
  const path = isSpecial ? whole.replaceAll("\\", "/") : whole;
  const segments = [...held];
  if (path !== "" || isSpecial) {
    const given = (path.startsWith("/") ? path.slice(1) : path).split("/");
    for (const [i, segment] of given.entries()) {
      const plain = segment.replace(/%2e/gi, ".");
      const isLast = i === given.length - 1;
      if (plain === "..") segments.pop();
      if (plain === "." || plain === "..") {
        if (isLast) segments.push("");
      } else segments.push(percent(segment, '"<>`#?{}^'));
    }
  }
  const written = segments.length === 0 && !isSpecial ? "" : `/${segments.join("/")}`;
  return { ...parts, path: written, query };
}

/** A path, and the query behind it, encoded; null when there is none. */
export function cutQuery(text: string, scheme: string): [string, string | null] {
  const at = text.indexOf("?");
  if (at < 0) return [text, null];
  const also = defaultPort(scheme) === undefined ? '"<>#' : "\"<>#'";
  return [text.slice(0, at), percent(text.slice(at + 1), also)];
}

/** A host as the standard writes it, or null. */
export function hostOf(text: string, isSpecial: boolean): string | null {
  if (text.startsWith("[")) {
    const address = ipv6Of(text.slice(1, -1));
    return address === null ? null : `[${address}]`;
  }
  if (!isSpecial) return /[\0\t\n\r #/:<>?@[\\\]^|]/.test(text) ? null : percent(text, "");
  let host: string;
  try {
    host = decodeURIComponent(text).toLowerCase();
  } catch {
    return null;
  }
  if (/[\0-\x20"#%/:<>?@[\\\]^`{|}\x7f-\uffff]/.test(host)) return null;
  const labels = host.replace(/\.$/, "").split(".");
  const isNumber = /^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1)!);
  if (host.startsWith("xn--") && host.length === 4) return null;
  return isNumber ? ipv4Of(labels) : host;
}

/** An IPv4 address from one to four numbers of any base. */
export function ipv4Of(labels: readonly string[]): string | null {
  if (labels.length > 4) return null;
  let address = 0;
  for (const [i, label] of labels.entries()) {
    const digits = /^0x[0-9a-f]*$/.test(label) ? label.slice(2) : label;
    const base = digits !== label ? 16 : label.length > 1 && label.startsWith("0") ? 8 : 10;
    if (label === "" || !(base === 8 ? /^[0-7]+$/ : /^[0-9a-f]*$/).test(digits)) return null;
    if (base === 10 && !/^\d+$/.test(digits)) return null;
    const value = digits === "" ? 0 : parseInt(digits, base);
    const isLast = i === labels.length - 1;
    if (value >= (isLast ? 256 ** (5 - labels.length) : 256)) return null;
    address += isLast ? value : value * 256 ** (3 - i);
  }
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** An IPv6 address, shortened. */
export function ipv6Of(text: string): string | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const read = (half: string): number[] | null => {
    const words: number[] = [];
    const pieces = half === "" ? [] : half.split(":");
    for (const [i, piece] of pieces.entries()) {
      if (piece.includes(".") && i === pieces.length - 1) {
        const bytes = piece.split(".");
        if (bytes.length !== 4 || !bytes.every((one) => /^(0|[1-9]\d{0,2})$/.test(one))) {
          return null;
        }
        const [a, b, c, d] = bytes.map(Number) as [number, number, number, number];
        if (Math.max(a, b, c, d) > 255) return null;
        words.push(a * 256 + b, c * 256 + d);
      } else if (/^[0-9a-fA-F]{1,4}$/.test(piece)) words.push(parseInt(piece, 16));
      else return null;
    }
    return words;
  };
  const head = read(halves[0]!);
  const tail = halves.length === 2 ? read(halves[1]!) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const words = [...head, ...new Array<number>(missing).fill(0), ...tail];
  // The first of the longest runs of two zeros or more is left out.
  let best = { at: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && words[end] === 0) end++;
    if (end - i > best.length) best = { at: i, length: end - i };
  }
  const hex = (part: readonly number[]) => part.map((word) => word.toString(16)).join(":");
  if (best.at < 0) return hex(words);
  return `${hex(words.slice(0, best.at))}::${hex(words.slice(best.at + best.length))}`;
}
