/**
 * Cells: how content stands in a column, as it is or encrypted.
 *
 * An encrypted cell is: the format's number (1 byte), a salt (16), a nonce (12), the AES-256-GCM
 * ciphertext, its tag (16). Each writer draws a salt when it begins, and has a key of its own from
 * it; nonces are random. After 2^30 cells it draws another salt, so that for no key two nonces are
 * ever the same, but for a chance of 2^-37. The associated data are the kind of the cell and its
 * place, so that no cell can be put into another's place.
 *
 * What content is filed under (the hash of a value, the key of a tree) is a mark: that hash,
 * encrypted under a key for marks. Who has no key cannot try guesses against it.
 *
 * Invariants:
 *   E1. An encrypted store gives no content that was not authenticated for its place: `EINTEGRITY`.
 *   E2. Its columns are BLOB, in strict tables: SQLite itself refuses to put a plain text there.
 * @module
 */

import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { SysError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/parse.ts";
import type { SqliteRow, SqliteValue } from "./sqlite_handle.ts";
import { derived, NONCE_BYTES, TAG_BYTES } from "./store_key.ts";

/** What a cell holds. */
export type Kind = "lines" | "payloads" | "value" | "item" | "snapshot" | "summary" | "note";

/** Where a cell is: a tree and a line of it, an item's id, a mark. */
export type Place = readonly [number | string, (number | string)?];

/** What lists show of a tree by words. */
export interface Words {
  readonly key: string | null;
  readonly title: string;
}

/** Puts content into columns, and reads it from there. */
export interface Cells {
  /** Whether content is encrypted. */
  readonly isEncrypted: boolean;
  /** Names the data key; null for content as it is. */
  readonly data: string | null;
  /** Content, as it stands in its column. */
  put(text: string, kind: Kind, place: Place): SqliteValue;
  /** Content from a column. */
  get(row: SqliteRow, column: string, kind: Kind, place: Place): string;
  /** What a hash is filed under. */
  mark(hash: string): string;
  /** The hash that is filed under a mark. */
  unmark(mark: string): string;
  /** The key and the title of a tree, as they stand in their columns. */
  words(tree: number, words: Words): { readonly key: string | null; readonly title: SqliteValue };
  /** The key and the title of a tree from its row. */
  wordsIn(tree: number, row: SqliteRow): Words;
  /** Bytes that a column of `bytes` has of content. */
  size(bytes: number): number;
}

/** Content as it is. */
export const PLAIN: Cells = {
  isEncrypted: false,
  data: null,
  put: (text) => text,
  get: (row, column) => plainIn(row, column),
  mark: (hash) => hash,
  unmark: (mark) => mark,
  words: (_, words) => words,
  wordsIn: (_, row) => {
    const key = row["key"];
    return { key: typeof key === "string" ? key : null, title: plainIn(row, "title") };
  },
  size: (bytes) => bytes,
};

function plainIn(row: SqliteRow, column: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) throw rekeyed();
  throw new SysError(
    "EINTEGRITY",
    `Cannot read column "${column}": misshapen, expected a text`,
  );
}

/** A store whose data key is another since it was opened. */
export function rekeyed(): SysError {
  const state = "it was encrypted anew since it was opened";
  return new SysError("ESTALE", `Cannot use the store: ${state}, expected it to be opened again`);
}

const FORMAT = 1;
const SALT_BYTES = 16;
const HEAD_BYTES = 1 + SALT_BYTES + NONCE_BYTES;
const EXTRA_BYTES = HEAD_BYTES + TAG_BYTES;
const CELLS_PER_SALT = 2 ** 30;
/** Keys of writers that are remembered at a time. */
const KEYS_MAX = 1_024;
const NO_IV = new Uint8Array(16);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a tree is shown as whose words were changed: its log has the right ones. */
export const DAMAGED: Words = { key: null, title: "(damaged)" };

/** Content under a data key. */
export class CipherCells implements Cells {
  readonly isEncrypted = true;
  readonly #dataKey: Uint8Array;
  readonly #markKey: Uint8Array;
  readonly #keys = new Map<string, Uint8Array>();
  #salt = new Uint8Array(SALT_BYTES);
  #key: Uint8Array | null = null;
  #left = 0;

  /** Over the data key of a store, and its name. */
  constructor(dataKey: Uint8Array, store: Uint8Array, readonly data: string) {
    this.#dataKey = dataKey;
    this.#markKey = derived(dataKey, store, "libos.marks/1");
  }

  put(text: string, kind: Kind, place: Place): Uint8Array {
    const key = this.#writing();
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    cipher.setAAD(placeText(kind, place));
    const body = cipher.update(text, "utf8");
    cipher.final();
    const cell = new Uint8Array(EXTRA_BYTES + body.length);
    cell[0] = FORMAT;
    cell.set(this.#salt, 1);
    cell.set(nonce, 1 + SALT_BYTES);
    cell.set(body, HEAD_BYTES);
    cell.set(cipher.getAuthTag(), HEAD_BYTES + body.length);
    return cell;
  }

  get(row: SqliteRow, column: string, kind: Kind, place: Place): string {
    const cell = row[column];
    // A plain text has no business here, however it came (E1).
    if (!(cell instanceof Uint8Array)) throw broken(kind, place);
    if (cell.length < EXTRA_BYTES || cell[0] !== FORMAT) throw broken(kind, place);
    const key = this.#keyFor(cell.subarray(1, 1 + SALT_BYTES));
    const nonce = cell.subarray(1 + SALT_BYTES, HEAD_BYTES);
    const cipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(placeText(kind, place));
    cipher.setAuthTag(cell.subarray(-TAG_BYTES));
    const body = cipher.update(cell.subarray(HEAD_BYTES, -TAG_BYTES));
    try {
      cipher.final();
      return decoder.decode(body);
    } catch {
      throw broken(kind, place);
    }
  }

  mark(hash: string): string {
    return this.#permuted(hash, createCipheriv("aes-256-cbc", this.#markKey, NO_IV));
  }

  unmark(mark: string): string {
    return this.#permuted(mark, createDecipheriv("aes-256-cbc", this.#markKey, NO_IV));
  }

  /** Every hash has one mark and every mark one hash; no IV is needed, as no two hashes are one. */
  #permuted(hex: string, cipher: ReturnType<typeof createCipheriv>): string {
    cipher.setAutoPadding(false);
    // What is no hash has no mark, and is filed under that of its own hash.
    const isHash = /^[0-9a-f]{64}$/.test(hex);
    const bytes = isHash ? Uint8Array.fromHex(hex) : sha256Bytes(hex);
    const body = cipher.update(bytes);
    return body.toString("hex") + cipher.final("hex");
  }

  words(tree: number, { key, title }: Words): { key: string | null; title: Uint8Array } {
    const text = JSON.stringify([key, title]);
    return {
      key: key === null ? null : this.mark(sha256Bytes(key).toHex()),
      title: this.put(text, "summary", [tree]),
    };
  }

  wordsIn(tree: number, row: SqliteRow): Words {
    let text: string;
    try {
      text = this.get(row, "title", "summary", [tree]);
    } catch {
      // One tree that was tampered with must not keep all others from being listed.
      return DAMAGED;
    }
    const [key, title] = parseJson(text) as [string | null, string];
    return { key, title };
  }

  size(bytes: number): number {
    return bytes - EXTRA_BYTES;
  }

  #writing(): Uint8Array {
    if (this.#key === null || this.#left === 0) {
      this.#salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
      this.#key = this.#keyFor(this.#salt);
      this.#left = CELLS_PER_SALT;
    }
    this.#left -= 1;
    return this.#key;
  }

  #keyFor(salt: Uint8Array): Uint8Array {
    const name = salt.toHex();
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    if (this.#keys.size >= KEYS_MAX) this.#keys.clear();
    const key = derived(this.#dataKey, salt, "libos.cells/1");
    this.#keys.set(name, key);
    return key;
  }
}

function sha256Bytes(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

function placeText(kind: Kind, [of, at]: Place): Uint8Array {
  return encoder.encode(`libos.cell/1 ${kind} ${of}${at === undefined ? "" : ` ${at}`}`);
}

const WHAT: { readonly [K in Kind]: (place: Place) => string } = {
  lines: ([tree, seq]) => `tree "t_${tree}" at line ${seq}`,
  payloads: ([tree, seq]) => `tree "t_${tree}" at line ${seq}`,
  value: ([mark]) => `the value filed under "${mark}"`,
  item: ([tree, id]) => `item "${id}" in the inbox of tree "t_${tree}"`,
  snapshot: ([tree, seq]) => `the snapshot of tree "t_${tree}" at line ${seq}`,
  summary: ([tree]) => `the title of tree "t_${tree}"`,
  note: ([mark]) => `the note filed under "${mark}"`,
};

/** A cell that is not what was written to its place. */
function broken(kind: Kind, place: Place): SysError {
  const isTree = kind !== "value" && kind !== "note";
  const seq = typeof place[1] === "number" ? { seq: place[1] } : {};
  return new SysError(
    "EINTEGRITY",
    `Cannot read ${WHAT[kind](place)}: its ciphertext was changed or is another place's, ` +
      "expected what was written",
    { kind, ...(isTree ? { tree: `t_${place[0]}` } : {}), ...seq },
  );
}
