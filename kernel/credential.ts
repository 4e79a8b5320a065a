/**
 * Credentials: secrets that the host keeps and sends in an agent's name, and never shows.
 *
 * Invariants:
 *   K1. A secret goes to the origins of its own credential, and nowhere else. Over plain HTTP it
 *       goes to this machine alone.
 *   K2. What comes back is searched for every secret that was ever sent, as it is and in the usual
 *       encodings, before anybody sees it.
 * @module
 */

import type { Json } from "./json.ts";
import { SysError } from "./errors.ts";
import { LIMITS } from "./limits.ts";

/** What may be told of a credential. */
export interface CredentialHead {
  /** What calls name it by: `github`. */
  readonly name: string;
  /** The origins that it is sent to: `https://api.github.com`. */
  readonly origins: readonly string[];
  /** The header that it is sent in, in small letters. */
  readonly header: string;
}

/** Credentials that the host holds. Providers use them; nothing in a process does. */
export interface Credentials {
  /** What there is, without the secrets. */
  list(): readonly CredentialHead[];
  /**
   * The header for a request to an origin. Throws `ENOENT` when there is no such credential,
   * `EACCES` when it is not for this origin, `EIO` when its secret cannot be read.
   */
  use(name: string, origin: string): Promise<{ readonly header: string; readonly value: string }>;
  /** A text without the secrets that were handed out. */
  redact(text: string): string;
  /** Bytes without the secrets that were handed out; the same ones when there were none. */
  redactBytes(bytes: Uint8Array): Uint8Array;
}

/** A value without the secrets that were handed out, in no text and no name of a field. */
export function redacted(credentials: Credentials | null, value: Json): Json {
  if (credentials === null) return value;
  if (typeof value === "string") return credentials.redact(value);
  if (Array.isArray(value)) return value.map((one) => redacted(credentials, one));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .map(([name, one]) => [credentials.redact(name), redacted(credentials, one as Json)] as const);
  return Object.fromEntries(entries);
}

const NAME = /^[a-z][a-z0-9_-]{0,63}$/;
const HEADER = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/;

/** Throws `EINVAL` for what is no name of a credential. */
export function checkCredentialName(name: string): void {
  if (NAME.test(name)) return;
  const expected = 'expected small letters, digits, "_" and "-"';
  throw new SysError("EINVAL", `Cannot use credential "${name}": an odd name, ${expected}`);
}

/** What may be told of a credential with this name, these hosts and this header, checked. */
export function credentialHead(
  name: string,
  hosts: readonly string[],
  header: string,
): CredentialHead {
  checkCredentialName(name);
  const said = header.toLowerCase();
  if (!HEADER.test(said) || NOT_SENT.has(said)) {
    refuse(name, `its header is "${header}"`, 'one such as "authorization" or "x-api-key"');
  }
  if (hosts.length === 0) refuse(name, "it has no hosts", "the names it may be sent to");
  return { name, origins: hosts.map((host) => originOf(name, host)), header: said };
}

const NOT_SENT = new Set([
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
]);

/** The origin of "api.github.com", "api.github.com:8443" or "http://127.0.0.1:8080" (K1). */
function originOf(name: string, host: string): string {
  const url = URL.parse(host.includes("://") ? host : `https://${host}`);
  const isWhole = url !== null && !host.includes("*") && url.username === "" &&
    url.password === "" && url.pathname === "/" && url.search === "" && url.hash === "";
  if (!isWhole) refuse(name, `its host is "${host}"`, 'a name such as "api.github.com"');
  if (url.protocol === "https:") return url.origin;
  if (url.protocol === "http:" && LOOPBACK.test(url.hostname)) return url.origin;
  refuse(name, `"${host}" is not encrypted`, "HTTPS, or HTTP to this machine");
}

function refuse(name: string, state: string, expected: string): never {
  throw new SysError("EINVAL", `Cannot use credential "${name}": ${state}, expected ${expected}`);
}

/** Throws `EINVAL` for a secret that could not be sent, or not be found again in what comes. */
export function checkSecret(name: string, value: string): void {
  if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)) {
    refuse(name, "its secret is no line of printable ASCII", "one, without space around it");
  }
  if (value.length > LIMITS.credentialBytesMax) {
    refuse(name, "its secret is too long", `${LIMITS.credentialBytesMax} characters at most`);
  }
  if (secretsIn(value).length === 0) {
    const least = `${LIMITS.credentialSecretCharsMin} characters or more`;
    refuse(name, "its secret is too short to be told from other text", least);
  }
}

/** The parts of a header's value that are secret: all, what follows the scheme, the password. */
export function secretsIn(value: string): string[] {
  const [scheme = "", ...rest] = value.split(" ");
  const token = rest.join(" ");
  const found = [value, token];
  if (scheme.toLowerCase() === "basic") {
    try {
      const pair = new TextDecoder().decode(Uint8Array.fromBase64(token));
      found.push(pair, pair.slice(pair.indexOf(":") + 1));
    } catch {
      // No base64: then it is a token as any other.
    }
  }
  // The scheme is no secret: "Bearer abc" has none that could be told from other text.
  const least = token === "" ? value : token;
  if (least.length < LIMITS.credentialSecretCharsMin) return [];
  return [...new Set(found)].filter((one) => one.length >= LIMITS.credentialSecretCharsMin);
}

/** Finds secrets in what comes back, and puts `[credential NAME]` in their place (K2). */
export class Redactor {
  readonly #known = new Map<string, { readonly name: string; readonly pattern: RegExp }>();

  /** From now on this header's value is looked for. */
  add(name: string, value: string): void {
    for (const secret of secretsIn(value)) {
      if (!this.#known.has(secret)) {
        this.#known.set(secret, { name, pattern: patternOf(secret) });
      }
    }
  }

  /** The text without them. */
  text(text: string): string {
    if (this.#known.size === 0) return text;
    const bytes = toLatin1(encode(text));
    const clean = this.#latin1(bytes);
    return clean === bytes ? text.toWellFormed() : fromLatin1(clean);
  }

  /** The bytes without them. */
  bytes(bytes: Uint8Array): Uint8Array {
    if (this.#known.size === 0) return bytes;
    const text = toLatin1(bytes);
    const clean = this.#latin1(text);
    return clean === text ? bytes : bytesOf(clean);
  }

  #latin1(text: string): string {
    let clean = text;
    for (const { name, pattern } of this.#known.values()) {
      clean = clean.replace(pattern, `[credential ${name}]`);
    }
    return clean;
  }
}

/** A secret as it is and as it may come back: each character, or each of its encodings. */
function patternOf(secret: string): RegExp {
  const bytes = encode(secret);
  const base64 = [0, 1, 2].flatMap((before) => base64Of(bytes, before));
  const hex = [...bytes.toHex()].map((digit) => either(digit, digit.toUpperCase())).join("");
  const folded = base64.map((text) => [...text].map(loose).join("(?:\\\\r)?(?:\\\\n)?\\s{0,16}"));
  const spelled = [...secret].map(loose).join(BETWEEN);
  // Names of headers come in small letters.
  return new RegExp([spelled, ...folded, hex].join("|"), "gi");
}

/** What may stand between two characters: the other half of one in UTF-16, a soft end of a line. */
const BETWEEN = "\\0?(?:=\\r?\\n)?";

/** What of the base64 of a longer text is made of these bytes alone, `before` others before it. */
function base64Of(bytes: Uint8Array, before: number): string[] {
  const padded = new Uint8Array(before + bytes.length);
  padded.set(bytes, before);
  // Digits that hold bits of a neighbour are not known.
  const text = padded.toBase64().replace(/=+$/, "");
  const from = Math.ceil(before * 8 / 6);
  const to = Math.floor((before + bytes.length) * 8 / 6);
  const known = text.slice(from, to);
  return [...new Set([known, known.replaceAll("+", "-").replaceAll("/", "_")])];
}

/**
 * A character, or a way to write it in a URL, in JSON, in HTML, in mail. What repeats is bounded,
 * and a secret begins with the last slash before it: else some texts would cost their square.
 */
function loose(char: string, at: number): string {
  const slashes = at === 0 ? "\\\\" : "\\\\{1,15}";
  const code = char.charCodeAt(0);
  const hex = [...code.toString(16).padStart(2, "0")]
    .map((digit) => either(digit, digit.toUpperCase())).join("");
  const named = NAMED[char];
  return `(?:${
    [
      literal(char),
      `%(?:25){0,8}${hex}`,
      `=${hex}`,
      `${slashes}u00${hex}`,
      `${slashes}u\\{0{0,8}${hex}\\}`,
      `${slashes}x${hex}`,
      `&#0{0,8}${code};?`,
      `&#[xX]0{0,8}${hex};?`,
      ...(named === undefined ? [] : named.map(literal)),
      ...(/[\\"'/]/.test(char) ? [`${slashes}${literal(char)}`] : []),
      ...(char === " " ? ["\\+"] : []),
    ].join("|")
  })`;
}

const NAMED: { readonly [char: string]: readonly string[] } = {
  "&": ["&amp;"],
  "<": ["&lt;"],
  ">": ["&gt;"],
  '"': ["&quot;"],
  "'": ["&apos;"],
};

function either(a: string, b: string): string {
  return a === b ? a : `[${a}${b}]`;
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Each byte as one character, so that a pattern sees bytes. */
function toLatin1(bytes: Uint8Array): string {
  let text = "";
  const step = 8_192;
  for (let at = 0; at < bytes.length; at += step) {
    text += String.fromCharCode(...bytes.subarray(at, at + step));
  }
  return text;
}

function fromLatin1(text: string): string {
  return new TextDecoder().decode(bytesOf(text));
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
