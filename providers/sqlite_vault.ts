/**
 * The vault of an encrypted store: one row with its data key, wrapped by the key of its owner.
 *
 * Invariants:
 *   W1. A store is opened as it is: an encrypted one with its key, a plain one without. Nothing
 *       falls back.
 *   W2. A change of keys is one transaction: the store opens with the old key or with the new one,
 *       whenever the kernel dies.
 * @module
 */

import { createHash, randomBytes } from "node:crypto";
import { SysError } from "../kernel/errors.ts";
import { CipherCells, PLAIN, rekeyed } from "./sqlite_cells.ts";
import { numberIn, textIn } from "./sqlite_handle.ts";
import type { SqliteConnection, SqliteRow } from "./sqlite_handle.ts";
import { ENCRYPTED_VERSION, readSchema } from "./sqlite_schema.ts";
import { KEY_BYTES, type StoreKey } from "./store_key.ts";

/** The key of a store, or several of which one is the store's. */
export type Encryption = StoreKey | readonly StoreKey[];

const VAULT = `
  CREATE TABLE vault(
    id INTEGER PRIMARY KEY CHECK(id = 1),
    store BLOB NOT NULL,
    key TEXT NOT NULL,
    data TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    clean INTEGER NOT NULL
  ) STRICT;
`;
const STORE_BYTES = 16;

/** How a store is encrypted, as anybody can see who has its file. */
export interface EncryptionState {
  /** Names the key that opens it; null for a plain store. */
  readonly key: string | null;
  /** Names the data key; another one after everything was encrypted anew. */
  readonly data: string | null;
  /** false: what was there before it was last encrypted anew may still lie in its file. */
  readonly clean: boolean;
}

/** How the store in a database is encrypted. */
export function encryptionOf(db: SqliteConnection, name: string): EncryptionState {
  if (readSchema(db, name) !== "encrypted") return { key: null, data: null, clean: true };
  const row = vaultRow(db);
  return {
    key: textIn(row, "key"),
    data: textIn(row, "data"),
    clean: numberIn(row, "clean") === 1,
  };
}

/** Keys as a list; an empty one is no encryption asked for by mistake, and is refused. */
export function keysOf(encryption: Encryption | undefined): readonly StoreKey[] | null {
  if (encryption === undefined) return null;
  const keys = "id" in encryption ? [encryption] : encryption;
  if (keys.length > 0) return keys;
  const expected = "expected the key of the store, or no encryption at all";
  throw new SysError("EINVAL", `Cannot open the store: no keys were given, ${expected}`);
}

/** Makes a data key and puts it into an empty vault; inside a transaction. */
export function makeVault(db: SqliteConnection, key: StoreKey, clean: boolean): CipherCells {
  db.exec(VAULT);
  const store = new Uint8Array(randomBytes(STORE_BYTES));
  const dataKey = new Uint8Array(randomBytes(KEY_BYTES));
  db.run(
    "INSERT INTO vault(id, store, key, data, wrapped, clean) VALUES(1, ?, ?, ?, ?, ?)",
    store,
    key.id,
    dataName(dataKey),
    key.wrap(dataKey, store),
    clean ? 1 : 0,
  );
  db.exec(`PRAGMA user_version = ${ENCRYPTED_VERSION}`);
  return new CipherCells(dataKey, store, dataName(dataKey));
}

/** Opens the cells of a store that is there, or refuses (W1). */
export function openVault(
  db: SqliteConnection,
  name: string,
  keys: readonly StoreKey[] | null,
): void {
  const isEncrypted = readSchema(db, name) === "encrypted";
  if (!isEncrypted && keys === null) {
    db.cells = PLAIN;
    return;
  }
  if (!isEncrypted) {
    const expected = "expected an encrypted one; libos store encrypt makes one of it";
    throw new SysError(
      "ESTATE",
      `Cannot open store "${name}" with a key: it is plain, ${expected}`,
    );
  }
  const row = vaultRow(db);
  const { dataKey, store } = unwrapped(row, name, keys ?? []);
  db.cells = new CipherCells(dataKey, store, dataName(dataKey));
}

/** The data key of a store, opened with the one of `keys` that fits. */
function unwrapped(
  row: SqliteRow,
  name: string,
  keys: readonly StoreKey[],
): { readonly dataKey: Uint8Array; readonly store: Uint8Array; readonly key: StoreKey } {
  const wanted = textIn(row, "key");
  const { store, wrapped } = row;
  const key = keys.find(({ id }) => id === wanted);
  if (key === undefined) {
    const given = keys.length === 0 ? "no key was given" : `not with ${named(keys)}`;
    const expected = "expected its key: encryption in code, --store-key FILE or LIBOS_KEY";
    const state = `it is encrypted under key "${wanted}", and ${given}`;
    throw new SysError("EACCES", `Cannot open store "${name}": ${state}, ${expected}`, {
      key: wanted,
    });
  }
  const isWhole = store instanceof Uint8Array && wrapped instanceof Uint8Array;
  const dataKey = isWhole ? key.unwrap(wrapped, store) : undefined;
  if (dataKey !== undefined && isWhole) return { dataKey, store, key };
  const state = `its data key is not what key "${wanted}" wrapped for it`;
  throw new SysError(
    "EINTEGRITY",
    `Cannot open store "${name}": ${state}, expected the vault as it was written`,
  );
}

function named(keys: readonly StoreKey[]): string {
  return keys.map(({ id }) => `"${id}"`).join(", ");
}

/** Wraps the data key of a store with another key; inside a transaction (W2). */
export function rewrap(db: SqliteConnection, name: string, given: {
  readonly from: readonly StoreKey[];
  readonly to: StoreKey;
}): void {
  const { dataKey, store } = unwrapped(vaultRow(db), name, given.from);
  const sql = "UPDATE vault SET key = ?, wrapped = ?";
  db.run(sql, given.to.id, given.to.wrap(dataKey, store));
}

/** Refuses to go on with a data key that is no longer the store's. */
export function refuseRekeyed(db: SqliteConnection): void {
  const row = db.get("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'vault'");
  const now = row === undefined ? null : textIn(vaultRow(db), "data");
  if (now !== db.cells.data) throw rekeyed();
}

function vaultRow(db: SqliteConnection): SqliteRow {
  const row = db.get("SELECT store, key, data, wrapped, clean FROM vault WHERE id = 1");
  if (row !== undefined) return row;
  throw new SysError("EINTEGRITY", "Cannot open the store: its vault is empty, expected its key");
}

function dataName(dataKey: Uint8Array): string {
  return createHash("sha256").update("libos.data/1").update(dataKey).digest("hex").slice(0, 16);
}
