/**
 * `URL` and `URLSearchParams` of a realm.
 * @module
 */

import { defaultPort, hostOf, parseUrl, percent, type UrlParts, withPath } from "./url_parse.ts";
import { utf8Text } from "./text.ts";

/** A `URLSearchParams`. */
export class GuestSearchParams {
  #pairs: [string, string][] = [];
  #changed: ((query: string) => void) | null = null;

  /** The parameters of a URL, which is told of each change. */
  static of(query: string, changed: (query: string) => void): GuestSearchParams {
    const params = new GuestSearchParams(query);
    params.#changed = changed;
    return params;
  }

  constructor(init: unknown = "") {
    if (typeof init === "object" && init !== null) {
      const many = init as Iterable<readonly [unknown, unknown]>;
      const pairs = typeof many[Symbol.iterator] === "function" ? many : Object.entries(init);
      for (const pair of pairs) {
        const [name, value, ...more] = pair as unknown[];
        if (value === undefined || more.length > 0) {
          throw new TypeError("Cannot read the parameters: expected pairs of a name and a value");
        }
        this.#pairs.push([String(name).toWellFormed(), String(value).toWellFormed()]);
      }
    } else this.read(String(init).replace(/^\?/, ""));
  }

  /** Replaces all by what a query says; the URL is not told. */
  read(query: string): void {
    this.#pairs = query.split("&").filter((part) => part !== "").map((part) => {
      const at = part.indexOf("=");
      const name = at < 0 ? part : part.slice(0, at);
      return [unquote(name), at < 0 ? "" : unquote(part.slice(at + 1))];
    });
  }

  get size(): number {
    return this.#pairs.length;
  }

  append(name: unknown, value: unknown): void {
    this.#pairs.push([String(name).toWellFormed(), String(value).toWellFormed()]);
    this.#tell();
  }

  delete(name: unknown, value?: unknown): void {
    const [key, item] = [String(name), value === undefined ? undefined : String(value)];
    this.#pairs = this.#pairs.filter(([k, v]) => k !== key || (item !== undefined && v !== item));
    this.#tell();
  }

  get(name: unknown): string | null {
    return this.#pairs.find(([key]) => key === String(name))?.[1] ?? null;
  }

  getAll(name: unknown): string[] {
    return this.#pairs.filter(([key]) => key === String(name)).map(([, value]) => value);
  }

  has(name: unknown, value?: unknown): boolean {
    return this.#pairs.some(([key, item]) =>
      key === String(name) && (value === undefined || item === String(value))
    );
  }

  set(name: unknown, value: unknown): void {
    const key = String(name).toWellFormed();
    const at = this.#pairs.findIndex(([held]) => held === key);
    if (at < 0) return this.append(key, value);
    this.#pairs[at]![1] = String(value).toWellFormed();
    this.#pairs = this.#pairs.filter(([held], i) => held !== key || i === at);
    this.#tell();
  }

  sort(): void {
    this.#pairs.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
    this.#tell();
  }

  forEach(job: (value: string, name: string, all: GuestSearchParams) => void): void {
    for (const [name, value] of this.#pairs) job(value, name, this);
  }

  *entries(): IterableIterator<[string, string]> {
    for (let i = 0; i < this.#pairs.length; i++) yield [this.#pairs[i]![0], this.#pairs[i]![1]];
  }

  *keys(): IterableIterator<string> {
    for (let i = 0; i < this.#pairs.length; i++) yield this.#pairs[i]![0];
  }

  *values(): IterableIterator<string> {
    for (let i = 0; i < this.#pairs.length; i++) yield this.#pairs[i]![1];
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  toString(): string {
    return this.#pairs.map(([name, value]) => `${quoteForm(name)}=${quoteForm(value)}`).join("&");
  }

  #tell(): void {
    this.#changed?.(this.toString());
  }
}

/** Text as a form writes it. */
export function quoteForm(text: string): string {
  return percent(text, "\"!#$%&'()+,/:;<=>?@[\\]^`{|}~").replaceAll("%20", "+");
}

/** What a form has written. */
export function unquote(text: string): string {
  return unpercent(text.replaceAll("+", " "));
}

/** Percent-decodes, as UTF-8. */
export function unpercent(text: string): string {
  return text.toWellFormed().replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => {
    const bytes = new Uint8Array(run.length / 3);
    for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(run.slice(i * 3 + 1, i * 3 + 3), 16);
    return utf8Text(bytes, false);
  });
}

/** A `URL`. */
export class GuestUrl {
  #parts: UrlParts;
  #params: GuestSearchParams | null = null;

  constructor(url: unknown, base?: unknown) {
    const from = base === undefined ? null : parseUrl(String(base), null);
    const parts = typeof from === "string" ? from : parseUrl(String(url), from);
    if (typeof parts === "string") {
      throw new TypeError(`Cannot read URL "${String(url).slice(0, 256)}": ${parts}`);
    }
    this.#parts = parts;
  }

  static canParse(url: unknown, base?: unknown): boolean {
    return GuestUrl.parse(url, base) !== null;
  }

  static parse(url: unknown, base?: unknown): GuestUrl | null {
    try {
      return new GuestUrl(url, base);
    } catch {
      return null;
    }
  }

  get href(): string {
    const { scheme, username, password, path, query, hash } = this.#parts;
    const who = username + (password === "" ? "" : `:${password}`);
    const where = this.#parts.host === null
      ? (path.startsWith("//") ? "/." : "")
      : `//${who === "" ? "" : `${who}@`}${this.host}`;
    const tail = (query === null ? "" : `?${query}`) + (hash === null ? "" : `#${hash}`);
    return `${scheme}:${where}${path}${tail}`;
  }

  set href(text: string) {
    this.#become(new GuestUrl(text).#parts);
  }

  get origin(): string {
    const { scheme } = this.#parts;
    const has = defaultPort(scheme) !== undefined && scheme !== "file";
    return has ? `${scheme}://${this.host}` : "null";
  }

  get protocol(): string {
    return `${this.#parts.scheme}:`;
  }

  set protocol(text: string) {
    const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*)(:|$)/.exec(text)?.[1]?.toLowerCase();
    if (scheme === undefined) return;
    const [old, next] = [defaultPort(this.#parts.scheme), defaultPort(scheme)];
    if ((old === undefined) !== (next === undefined)) return;
    const port = this.#parts.port === next ? "" : this.#parts.port;
    this.#become({ ...this.#parts, scheme, port });
  }

  get username(): string {
    return this.#parts.username;
  }

  set username(text: string) {
    if (this.#hasHost()) this.#parts.username = percent(String(text), '"<>`#?{}/:;=@[\\]^|');
  }

  get password(): string {
    return this.#parts.password;
  }

  set password(text: string) {
    if (this.#hasHost()) this.#parts.password = percent(String(text), '"<>`#?{}/:;=@[\\]^|');
  }

  get host(): string {
    return (this.#parts.host ?? "") + (this.#parts.port === "" ? "" : `:${this.#parts.port}`);
  }

  set host(text: string) {
    const match = /^(\[[^\]]*\]|[^:/\\?#]*)(?::(\d*))?/.exec(String(text))!;
    this.hostname = match[1]!;
    if (match[2] !== undefined) this.port = match[2];
  }

  get hostname(): string {
    return this.#parts.host ?? "";
  }

  set hostname(text: string) {
    if (this.#parts.host === null) return;
    const isSpecial = defaultPort(this.#parts.scheme) !== undefined;
    const host = hostOf(String(text), isSpecial);
    if (host !== null && (host !== "" || !isSpecial)) this.#parts.host = host;
  }

  get port(): string {
    return this.#parts.port;
  }

  set port(text: string) {
    if (!this.#hasHost()) return;
    if (String(text) === "") this.#parts.port = "";
    const digits = /^\d+/.exec(String(text))?.[0];
    if (digits === undefined || Number(digits) > 65_535) return;
    const port = String(Number(digits));
    this.#parts.port = port === defaultPort(this.#parts.scheme) ? "" : port;
  }

  get pathname(): string {
    return this.#parts.path;
  }

  set pathname(text: string) {
    if (this.#parts.host === null && !this.#parts.path.startsWith("/")) return;
    const path = String(text).replaceAll("?", "%3F").replaceAll("#", "%23");
    this.#parts.path = withPath({ ...this.#parts }, path, []).path;
  }

  get search(): string {
    return this.#parts.query ? `?${this.#parts.query}` : "";
  }

  set search(text: string) {
    const also = defaultPort(this.#parts.scheme) === undefined ? '"<>#' : "\"<>#'";
    const query = percent(String(text).replace(/^\?/, ""), also);
    this.#parts.query = String(text) === "" ? null : query;
    this.#params?.read(query);
  }

  get hash(): string {
    return this.#parts.hash ? `#${this.#parts.hash}` : "";
  }

  set hash(text: string) {
    const hash = percent(String(text).replace(/^#/, ""), '"<>`');
    this.#parts.hash = String(text) === "" ? null : hash;
  }

  get searchParams(): GuestSearchParams {
    this.#params ??= GuestSearchParams.of(this.#parts.query ?? "", (query) => {
      this.#parts.query = query === "" ? null : query;
    });
    return this.#params;
  }

  toString(): string {
    return this.href;
  }

  toJSON(): string {
    return this.href;
  }

  #hasHost(): boolean {
    return this.#parts.host !== null && this.#parts.host !== "" && this.#parts.scheme !== "file";
  }

  #become(parts: UrlParts): void {
    this.#parts = parts;
    this.#params?.read(parts.query ?? "");
  }
}
