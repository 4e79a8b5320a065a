/**
 * Tokens and sessions: who may speak to the server, stored as hashes.
 *
 * A token's secret is 32 random bytes, so its plain SHA-256 tells nothing about it. The file is
 * read again whenever it changed: a token that was taken back by another program is refused at the
 * next request.
 *
 * Invariants:
 *   T1. No secret is stored, logged or told a second time.
 *   T2. A session can do what its token can, and ends with it.
 *   T3. A one-time link opens one session.
 *   T4. Whoever listens hears of every change, this program's at once.
 *   T5. Nobody signs others out by signing in: where there are too many sessions, the oldest of the
 *       token that has the most of them ends.
 * @module
 */

import { createHash } from "node:crypto";
import { z } from "zod";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { hasName, parseJson } from "../kernel/parse.ts";
import type { Clock, Random } from "../kernel/world.ts";
import type { PrivateFile } from "../providers/private_file.ts";
import { type Principal, type Role, ROLES } from "./principal.ts";

const RECORD = z.strictObject({
  id: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  labels: z.record(z.string(), z.string()),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  createdMs: z.number(),
  expiresMs: z.number().nullable(),
});
const SESSION = z.strictObject({
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  token: z.string(),
  expiresMs: z.number(),
});
const FILE = z.strictObject({
  type: z.literal("libos.tokens/1"),
  tokens: z.array(RECORD),
  sessions: z.array(SESSION),
});
type Kept = z.infer<typeof FILE>;

/** A token, without its secret. */
export interface TokenRecord {
  /** Names it when it is revoked. */
  readonly id: string;
  /** What the log says of whoever has it. */
  readonly name: string;
  /** What they may do. */
  readonly role: Role;
  /** Only processes with all of these labels; empty for all. */
  readonly labels: Readonly<Record<string, string>>;
  /** SHA-256 of the secret. */
  readonly hash: string;
  /** When it was made, in milliseconds since 1970. */
  readonly createdMs: number;
  /** When it ends, in milliseconds since 1970; null when it is revoked. */
  readonly expiresMs: number | null;
}

/** By what somebody was let in: a token, and a session of it where there is one. */
export interface Standing {
  /** The id of the token. */
  readonly token: string;
  /** The hash of the session's secret; null for the token itself. */
  readonly session: string | null;
}

/** What a new token is to be. */
export interface TokenWish {
  /** What the log says of whoever has it. */
  readonly name: string;
  /** What they may do. */
  readonly role: Role;
  /** Only processes with all of these labels; all when absent. */
  readonly labels?: Readonly<Record<string, string>>;
  /** How long it is good for; until it is revoked when absent. */
  readonly forMs?: number;
}

const SECRET_BYTES = 32;
const NAME = /^[\w.@-]{1,64}$/;

/** The tokens of a server. */
export class TokenBook {
  readonly #file: PrivateFile;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Hashes of links that were not used yet, and for which token. */
  readonly #links = new Map<string, { readonly token: string; readonly expiresMs: number }>();
  #stamp: string | undefined;
  #kept: Kept = { type: "libos.tokens/1", tokens: [], sessions: [] };
  #byHash = new Map<string, TokenRecord>();
  readonly #listeners = new Set<() => void>();

  /** Tokens kept in `file`. */
  constructor(file: PrivateFile, clock: Clock, random: Random) {
    this.#file = file;
    this.#clock = clock;
    this.#random = random;
  }

  /** Whose token this is the secret of; undefined when it is nobody's, or out of date. */
  check(secret: string): Principal | undefined {
    this.#refresh();
    const record = this.#byHash.get(hashOf(secret));
    return record === undefined ? undefined : this.#principal(record);
  }

  /** Makes a token; its secret is told once. Throws `EINVAL`, `ELIMIT`. */
  create(wish: TokenWish): { readonly record: TokenRecord; readonly secret: string } {
    if (!NAME.test(wish.name)) {
      const expected = "expected 1 to 64 letters, digits, _, ., @ and -";
      throw new SysError("EINVAL", `Cannot make a token for "${wish.name}": ${expected}`);
    }
    const { labels = {}, forMs = 0 } = wish;
    // A label that the file would lose is one less that confines whoever has the token.
    if (Object.keys(labels).some((key) => key === "" || key === "__proto__")) {
      throw new SysError("EINVAL", `Cannot make a token: no such label, expected another key`);
    }
    if (!(forMs >= 0 && forMs <= LIMITS.tokenMsMax)) {
      const expected = `expected ${LIMITS.tokenMsMax} ms at most, or none`;
      throw new SysError("EINVAL", `Cannot make a token for ${forMs} ms: ${expected}`);
    }
    const secret = `libos_${this.#secret()}`;
    const nowMs = this.#clock.now();
    const record: TokenRecord = {
      id: `tok_${this.#random.bytes(6).toHex()}`,
      name: wish.name,
      role: wish.role,
      labels,
      hash: hashOf(secret),
      createdMs: nowMs,
      expiresMs: wish.forMs === undefined ? null : nowMs + wish.forMs,
    };
    this.#change((kept) => {
      const good = kept.tokens.filter(({ expiresMs }) => expiresMs === null || expiresMs > nowMs);
      if (good.length >= LIMITS.tokensMax) {
        const state = `${good.length} are kept`;
        const expected = `expected ${LIMITS.tokensMax} at most; revoke one`;
        throw new SysError("ELIMIT", `Cannot make a token: ${state}, ${expected}`, {
          limit: "tokensMax",
        });
      }
      return { ...kept, tokens: [...good, { ...record, labels: { ...record.labels } }] };
    });
    return { record, secret };
  }

  /** All that are kept, oldest first. */
  list(): readonly TokenRecord[] {
    this.#refresh();
    return this.#kept.tokens;
  }

  /** Takes a token back, with its sessions; false when there is none. */
  revoke(id: string): boolean {
    let found = false;
    this.#change((kept) => {
      const tokens = kept.tokens.filter((one) => one.id !== id);
      found = tokens.length < kept.tokens.length;
      return { ...kept, tokens, sessions: kept.sessions.filter(({ token }) => token !== id) };
    });
    return found;
  }

  /** Whether a token is still good. */
  isGood(id: string): boolean {
    return this.goodUntil({ token: id, session: null }) !== undefined;
  }

  /**
   * When a token ends by itself, or a session of it, whichever is first: in milliseconds since
   * 1970, `Infinity` for a token without an end, undefined for what is over.
   */
  goodUntil({ token, session }: Standing): number | undefined {
    this.#refresh();
    const record = this.#kept.tokens.find(({ id }) => id === token);
    const kept = this.#kept.sessions.find(({ hash }) => hash === session);
    if (record === undefined || (session !== null && kept?.token !== token)) return undefined;
    const untilMs = Math.min(record.expiresMs ?? Infinity, kept?.expiresMs ?? Infinity);
    return untilMs > this.#clock.now() ? untilMs : undefined;
  }

  /** Hears of every change of what is kept (T4); returns how to stop. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A secret that opens one session of a token, soon (T3). */
  link(token: string): string {
    const nowMs = this.#clock.now();
    for (const [hash, { expiresMs }] of this.#links) {
      if (expiresMs <= nowMs) this.#links.delete(hash);
    }
    const secret = this.#secret();
    this.#links.set(hashOf(secret), { token, expiresMs: nowMs + LIMITS.sessionLinkMsMax });
    return secret;
  }

  /** Opens the session of a link; undefined when the link was used, or is nobody's. */
  follow(link: string): string | undefined {
    const hash = hashOf(link);
    const found = this.#links.get(hash);
    this.#links.delete(hash);
    if (found === undefined || found.expiresMs <= this.#clock.now()) return undefined;
    return this.isGood(found.token) ? this.#open(found.token) : undefined;
  }

  #open(token: string): string {
    const secret = this.#secret();
    const nowMs = this.#clock.now();
    const session = { hash: hashOf(secret), token, expiresMs: nowMs + LIMITS.sessionMsMax };
    this.#change((kept) => ({
      ...kept,
      sessions: bounded([...kept.sessions.filter(({ expiresMs }) => expiresMs > nowMs), session]),
    }));
    return secret;
  }

  /** Whose session this is the secret of, its name, and what a page must send along. */
  session(secret: string): {
    readonly who: Principal;
    readonly csrf: string;
    readonly session: string;
  } | undefined {
    this.#refresh();
    const hash = hashOf(secret);
    const session = this.#kept.sessions.find((one) => one.hash === hash);
    if (session === undefined || session.expiresMs <= this.#clock.now()) return undefined;
    const record = this.#kept.tokens.find(({ id }) => id === session.token);
    const who = record === undefined ? undefined : this.#principal(record);
    if (who === undefined) return undefined;
    return { who, csrf: hashOf(`csrf:${secret}`).slice(0, 43), session: hash };
  }

  /** Ends a session. */
  end(secret: string): void {
    const hash = hashOf(secret);
    this.#change((kept) => ({
      ...kept,
      sessions: kept.sessions.filter((one) => one.hash !== hash),
    }));
  }

  #principal({ id, name, role, labels, expiresMs }: TokenRecord): Principal | undefined {
    if (expiresMs !== null && expiresMs <= this.#clock.now()) return undefined;
    return { name, role, labels, token: id };
  }

  #secret(): string {
    return this.#random.bytes(SECRET_BYTES).toBase64({ alphabet: "base64url", omitPadding: true });
  }

  #refresh(): void {
    const stamp = this.#file.stamp();
    if (stamp === this.#stamp) return;
    this.#take(this.#file.read());
    this.#stamp = stamp;
    this.#tell();
  }

  #take(text: string | null): void {
    this.#kept = text === null
      ? { type: "libos.tokens/1", tokens: [], sessions: [] }
      : readTokens(text);
    this.#byHash = new Map(this.#kept.tokens.map((one) => [one.hash, one]));
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #change(change: (kept: Kept) => Kept): void {
    this.#file.update((text) => {
      this.#take(text);
      return JSON.stringify(change(this.#kept), null, 1);
    });
    this.#stamp = undefined;
    this.#refresh();
  }
}

/** T5 */
function bounded(sessions: Kept["sessions"]): Kept["sessions"] {
  if (sessions.length <= LIMITS.sessionsMax) return sessions;
  const own = [...Map.groupBy(sessions, ({ token }) => token).values()];
  const [oldest] = own.reduce((most, one) => one.length > most.length ? one : most);
  return bounded(sessions.filter((one) => one !== oldest));
}

function readTokens(text: string): Kept {
  try {
    const value = parseJson(text);
    if (hasName(value, "__proto__")) throw new TypeError("no label that is lost");
    return FILE.parse(value);
  } catch {
    const state = "it is not what was written, expected a file of tokens";
    throw new SysError("EINTEGRITY", `Cannot read the tokens: ${state}; remove it to begin anew`);
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
