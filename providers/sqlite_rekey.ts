/**
 * Keys of a store in a file: what it is encrypted under, encrypting it, and changing its key.
 *
 * Each takes the lock of the store, so no kernel runs on it meanwhile.
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { SysError } from "../kernel/errors.ts";
import { SqliteConnection, sqliteFailure } from "./sqlite_handle.ts";
import { clean, emptied, rewrite } from "./sqlite_rewrite.ts";
import { readSchema } from "./sqlite_schema.ts";
import { encryptionOf, type EncryptionState, openVault, rewrap } from "./sqlite_vault.ts";
import type { StoreKey } from "./store_key.ts";
import { StoreLock } from "./store_lock.ts";

/**
 * How the store at `path` is encrypted; no key is needed for that.
 *
 * @example
 * ```ts
 * import { SqliteStore, storeEncryption } from "@agent-libos/core";
 * const path = `${await Deno.makeTempDir()}/libos.db`;
 * await SqliteStore.open(path).close();
 * console.assert(storeEncryption(path).key === null);
 * ```
 */
export function storeEncryption(path: string): EncryptionState {
  refuseAbsent(path);
  let db: SqliteConnection | undefined;
  try {
    db = new SqliteConnection(new DatabaseSync(path, { readOnly: true }), "power");
    return encryptionOf(db, path);
  } catch (thrown) {
    throw sqliteFailure(thrown, `open store "${path}"`);
  } finally {
    db?.close();
  }
}

/**
 * Encrypts the plain store at `path`. `ESTATE` when it is encrypted already.
 *
 * @example
 * ```ts
 * import { encryptStore, SqliteStore, StoreKey } from "@agent-libos/core";
 * const folder = await Deno.makeTempDir();
 * await SqliteStore.open(`${folder}/libos.db`).close();
 * const key = StoreKey.create(`${folder}/agents.storekey`);
 * console.assert(encryptStore(`${folder}/libos.db`, key).key === key.id);
 * ```
 */
export function encryptStore(path: string, key: StoreKey): EncryptionState {
  return owning(path, (db) => {
    if (readSchema(db, path) === "encrypted") {
      const state = encryptionOf(db, path);
      // What a death left of an earlier try is finished.
      if (state.key === key.id && !state.clean) clean(db);
      else throw encrypted(path, state.key);
    } else rewrite(db, path, key);
  });
}

function encrypted(path: string, key: string | null): SysError {
  const expected = "expected a plain store; libos store rekey gives it another key";
  const sentence =
    `Cannot encrypt store "${path}": it is encrypted under key "${key}", ${expected}`;
  return new SysError("ESTATE", sentence);
}

/**
 * Gives the store at `path` another key. Its data key is wrapped anew, at once whatever the size;
 * with `rewrite` everything is encrypted under a new data key, so that who had the old key and an
 * old copy of the file cannot read what comes. A store that has the key already is left as it is.
 *
 * @example
 * ```ts
 * import { rekeyStore, SqliteStore, StoreKey } from "@agent-libos/core";
 * const folder = await Deno.makeTempDir();
 * const [from, to] = ["old", "new"].map((name) => StoreKey.create(`${folder}/${name}`)) as [
 *   StoreKey,
 *   StoreKey,
 * ];
 * await SqliteStore.open(`${folder}/libos.db`, { encryption: from }).close();
 * console.assert(rekeyStore(`${folder}/libos.db`, { from: [from], to }).key === to.id);
 * ```
 */
export function rekeyStore(path: string, given: {
  readonly from: readonly StoreKey[];
  readonly to: StoreKey;
  readonly rewrite?: boolean;
}): EncryptionState {
  const { from, to } = given;
  return owning(path, (db) => {
    openVault(db, path, [...from, to]);
    if (given.rewrite === true) return rewrite(db, path, to);
    if (encryptionOf(db, path).key === to.id) return;
    // The old wrapping is overwritten where it stood, and cut from the write-ahead log.
    db.exec("PRAGMA secure_delete = ON");
    db.transaction({ synced: true }, () => rewrap(db, path, { from, to }));
    emptied(db);
  });
}

/** Does a job on the store at `path` as its only kernel; how it is encrypted afterwards. */
function owning(path: string, job: (db: SqliteConnection) => void): EncryptionState {
  refuseAbsent(path);
  let lock: StoreLock | undefined;
  let db: SqliteConnection | undefined;
  try {
    lock = StoreLock.take(path);
    db = new SqliteConnection(new DatabaseSync(path), "power");
    db.tune({ checkpoints: true });
    job(db);
    return encryptionOf(db, path);
  } catch (thrown) {
    throw sqliteFailure(thrown, `encrypt store "${path}"`);
  } finally {
    db?.close();
    lock?.release();
  }
}

function refuseAbsent(path: string): void {
  try {
    if (Deno.statSync(path).size > 0) return;
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
  throw new SysError("ENOENT", `Cannot open store "${path}": absent, expected a store`);
}
