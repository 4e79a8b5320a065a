/**
 * Seals: signed statements about the heads of all trees of a store, in one Merkle tree.
 *
 * A store's *history* is a list of leaves that only grows. A leaf is the canonical JSON of a
 * statement: a key comes into force, or a stretch of a tree's log is as it is. After leaves were
 * added, the root of the whole history is signed: a *signed head*. Each head vouches for every
 * leaf below it, so an old one that is kept elsewhere shows later changes of what it covered.
 *
 * Every statement names its type with a version, so that a signature over one kind is none over
 * another. What is signed is the canonical JSON of the statement without `sig`.
 *
 * Invariants:
 *   H1. Leaf 0 is the first key, signed by itself; every other key is signed by the one before it.
 *   H2. A head is signed by the key which is the latest among its leaves.
 *   H3. The stretches of one tree follow each other without a gap.
 *   H4. Leaves and the head over them are stored together or not at all, and never change.
 * @module
 */

import { z } from "zod";
import { SysError } from "./errors.ts";
import type { TreeId } from "./ids.ts";
import { isId } from "./ids.ts";
import { canonical } from "./json.ts";
import { isHash } from "./merkle.ts";
import { parseJson } from "./parse.ts";

/** Stands behind the heads of one tree, with all that the hash chain to `head` is made of. */
export interface Stretch {
  /** What it is, and in which version. */
  readonly type: "libos.seal/1";
  /** The tree. */
  readonly tree: TreeId;
  /** The stretch is the lines after `from`, up to and with `seq`. */
  readonly from: number;
  /** The last line. */
  readonly seq: number;
  /** SHA-256 of the line at `seq`. */
  readonly head: string;
  /**
   * Merkle root over the hashes of the stretch's lines. A line starts with "{" and a node with
   * 0x01, so the chain's own hashes serve as leaves and no line is hashed twice.
   */
  readonly lines: string;
  /** When it was sealed, in milliseconds since 1970. */
  readonly at: number;
}

/** A public key comes into force. */
export interface KeyStatement {
  /** What it is, and in which version. */
  readonly type: "libos.key/1";
  /** Names the history: random, and the same for all its keys. */
  readonly log: string;
  /** An Ed25519 public key: 32 bytes in hexadecimal digits. */
  readonly key: string;
  /** The key before it, which signs this; null for the first, which signs itself. */
  readonly prev: string | null;
  /** When it was made, in milliseconds since 1970. */
  readonly at: number;
  /** 64 bytes in hexadecimal digits. */
  readonly sig: string;
}

/** The root of a history at a size, signed. */
export interface SignedHead {
  /** What it is, and in which version. */
  readonly type: "libos.head/1";
  /** Names the history. */
  readonly log: string;
  /** How many leaves it covers. */
  readonly size: number;
  /** The Merkle root over them. */
  readonly root: string;
  /** When it was signed, in milliseconds since 1970. */
  readonly at: number;
  /** The key which signs. */
  readonly key: string;
  /** 64 bytes in hexadecimal digits. */
  readonly sig: string;
}

const isKey = isHash;
const isSignature = (value: unknown): value is string =>
  typeof value === "string" && /^[0-9a-f]{128}$/.test(value);
const count = z.number().int().min(0);
const hash = z.custom<string>(isHash, "expected a SHA-256 in hexadecimal digits");
const key = z.custom<string>(isKey, "expected an Ed25519 key in hexadecimal digits");
const sig = z.custom<string>(isSignature, "expected an Ed25519 signature in hexadecimal digits");
const log = z.string().regex(/^[0-9a-f]{32}$/, "expected 32 hexadecimal digits");

/** The form of a stretch. */
export const STRETCH: z.ZodType<Stretch> = z.strictObject({
  type: z.literal("libos.seal/1"),
  tree: z.custom<TreeId>((value) => isId("t", value), "expected the id of a tree"),
  from: count,
  seq: count.min(1),
  head: hash,
  lines: hash,
  at: count,
}).refine(({ from, seq }) => from < seq, "expected at least one line");

/** The form of a key statement. */
export const KEY: z.ZodType<KeyStatement> = z.strictObject({
  type: z.literal("libos.key/1"),
  log,
  key,
  prev: key.nullable(),
  at: count,
  sig,
});

/** The form of a signed head. */
export const HEAD: z.ZodType<SignedHead> = z.strictObject({
  type: z.literal("libos.head/1"),
  log,
  size: count.min(1),
  root: hash,
  at: count,
  key,
  sig,
});

const LEAF = z.union([STRETCH, KEY]);

/** Reads the text of a leaf; undefined for what is none, or is not written canonically. */
export function readLeaf(text: string): Stretch | KeyStatement | undefined {
  let value: unknown;
  try {
    value = parseJson(text);
    if (canonical(value) !== text) return undefined;
  } catch {
    return undefined;
  }
  return LEAF.safeParse(value).data;
}

/** What a signature of a statement is over. */
export function signedText(statement: Omit<KeyStatement | SignedHead, "sig">): string {
  return canonical({ ...statement, sig: undefined });
}

/** Whether `sig` is `key`'s signature of `text`; false for malformed ones. */
export type CheckSignature = (key: string, text: string, sig: string) => boolean;

/** What a reader takes as given: some public keys, and how signatures are checked. */
export interface Trust {
  /** Public keys. A key is also trusted when one of these, or one that it signed, signed it. */
  readonly keys: readonly string[];
  /** How signatures are checked. */
  readonly check: CheckSignature;
}

/** Who signs a history. */
export interface Signer {
  /** Names the history. */
  readonly log: string;
  /** All its keys, the oldest first; the last one signs. */
  readonly keys: readonly KeyStatement[];
  /** The last key's signature of a text. */
  sign(text: string): string;
}

/** Keys, each signed by the one before. */
export class KeyChain {
  readonly #trust: Trust;
  readonly #keys: KeyStatement[] = [];
  readonly #trusted = new Set<string>();

  /** Starts without a key. */
  constructor(trust: Trust) {
    this.#trust = trust;
  }

  /** All keys, the oldest first. */
  get keys(): readonly KeyStatement[] {
    return this.#keys;
  }

  /** The key in force. */
  get last(): KeyStatement | undefined {
    return this.#keys.at(-1);
  }

  /** Adds a key; says why it cannot follow, or null. */
  add(statement: KeyStatement): string | null {
    const { last } = this;
    const { key, prev, sig } = statement;
    if (prev !== (last?.key ?? null)) return "a key does not name the one before it";
    if (last !== undefined && statement.log !== last.log) return "a key is of another history";
    if (this.#keys.some((known) => known.key === key)) return "a key comes twice";
    if (!this.#trust.check(prev ?? key, signedText(statement), sig)) {
      return prev === null
        ? "the first key is not signed by itself"
        : "a key is not signed by the one before it";
    }
    const follows = prev !== null && this.#trusted.has(prev);
    if (follows || this.#trust.keys.includes(key)) this.#trusted.add(key);
    this.#keys.push(statement);
    return null;
  }

  /** Why a head is not signed by one of the keys, or null. */
  refuses(head: SignedHead): string | null {
    const statement = this.#keys.find(({ key }) => key === head.key);
    if (statement === undefined) return "its key is none of the history";
    if (statement.log !== head.log) return "it is of another history";
    const signed = this.#trust.check(head.key, signedText(head), head.sig);
    return signed ? null : "the signature is not its key's";
  }

  /** Whether a key is one that the reader trusts, or descends from one. */
  trusts(key: string): boolean {
    return this.#trusted.has(key);
  }
}

/** A stretch as it is stored. */
export interface StoredStretch {
  /** Its place in the history. */
  readonly index: number;
  /** The text of its leaf. */
  readonly text: string;
  /** What the text says. */
  readonly stretch: Stretch;
}

/** A head with what is needed to go on after it. */
export interface StoredHead {
  /** The head. */
  readonly head: SignedHead;
  /** The state of the Merkle frontier at its size; whoever uses it checks it against the root. */
  readonly peaks: readonly string[];
}

/** Where a history lives: leaves and heads, both only ever added to. */
export interface AuditStore {
  /**
   * Adds leaves and the head over all leaves, in one transaction. Throws `ESTALE` with nothing
   * changed unless `head.size` is the number of leaves before plus those added.
   */
  append(
    leaves: readonly string[],
    head: SignedHead,
    peaks: readonly string[],
  ): Promise<void>;
  /** The latest head. */
  last(): Promise<StoredHead | undefined>;
  /** The texts of leaves from `from` (0 is the first), at most `limit`. */
  leaves(from: number, limit: number): Promise<readonly string[]>;
  /** Heads of more than `after` leaves, the smallest first, at most `limit`. */
  heads(after: number, limit: number): Promise<readonly SignedHead[]>;
  /** The last stretch of a tree. */
  latest(tree: TreeId): Promise<StoredStretch | undefined>;
  /** The first stretch of a tree that ends at line `seq` or later. */
  covering(tree: TreeId, seq: number): Promise<StoredStretch | undefined>;
}

/** Puts heads where who can change the store cannot change them. */
export interface Anchor {
  /** What it is, for people. */
  readonly name: string;
  /** Keeps a head for good. Keeping one again changes nothing. */
  put(head: SignedHead): Promise<void>;
  /** The head of the largest size that it keeps. */
  latest(): Promise<SignedHead | undefined>;
  /** All that it keeps, the oldest first. */
  all(): Promise<readonly SignedHead[]>;
}

/** The history of a store in memory. */
export class MemoryAuditStore implements AuditStore {
  readonly #leaves: string[] = [];
  readonly #heads: StoredHead[] = [];
  readonly #stretches = new Map<TreeId, StoredStretch[]>();

  append(leaves: readonly string[], head: SignedHead, peaks: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      refuseUnfitSeal(this.#leaves.length, leaves, head);
      const stored = leaves.map((text, i) => ({ index: this.#leaves.length + i, text }));
      for (const { index, text } of stored) {
        this.#leaves.push(text);
        const leaf = readLeaf(text);
        if (leaf?.type !== "libos.seal/1") continue;
        const stretch = { index, text, stretch: leaf };
        const known = this.#stretches.get(leaf.tree);
        if (known === undefined) this.#stretches.set(leaf.tree, [stretch]);
        else known.push(stretch);
      }
      this.#heads.push({ head: { ...head }, peaks: [...peaks] });
      resolve();
    });
  }

  last(): Promise<StoredHead | undefined> {
    return Promise.resolve(this.#heads.at(-1));
  }

  leaves(from: number, limit: number): Promise<readonly string[]> {
    return Promise.resolve(this.#leaves.slice(from, from + limit));
  }

  heads(after: number, limit: number): Promise<readonly SignedHead[]> {
    const found = this.#heads.filter(({ head }) => head.size > after).slice(0, limit);
    return Promise.resolve(found.map(({ head }) => head));
  }

  latest(tree: TreeId): Promise<StoredStretch | undefined> {
    return Promise.resolve(this.#stretches.get(tree)?.at(-1));
  }

  covering(tree: TreeId, seq: number): Promise<StoredStretch | undefined> {
    return Promise.resolve(this.#stretches.get(tree)?.find(({ stretch }) => stretch.seq >= seq));
  }
}

/** Refuses a seal that does not continue the history; the one sentence of all kinds of store. */
export function refuseUnfitSeal(
  size: number,
  leaves: readonly string[],
  head: SignedHead,
): void {
  if (leaves.length > 0 && head.size === size + leaves.length) return;
  const sentence = `Cannot seal the store: its history has ${size} leaves, ` +
    `expected ${head.size - leaves.length}`;
  throw new SysError("ESTALE", sentence, { size });
}
