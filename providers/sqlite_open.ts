/**
 * Opening the file of a SQLite store, whatever it is opened for.
 * @module
 */

import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SysError } from "../kernel/errors.ts";
import type { SqliteConnection, SqliteHandle } from "./sqlite_handle.ts";
import { clean } from "./sqlite_rewrite.ts";
import { readSchema, writeSchema } from "./sqlite_schema.ts";
import { encryptionOf, makeVault, openVault } from "./sqlite_vault.ts";
import type { StoreKey } from "./store_key.ts";
import { makeFile } from "./store_lock.ts";

/** What a store was opened for: to run a kernel on it, to send items to that kernel, or to look. */
export type SqliteMode = "own" | "join" | "read";

/** Makes the file that is absent, to own it; refuses to join or read one that is. */
export function prepareFile(path: string, mode: SqliteMode): void {
  if (isFolder(path)) {
    throw new SysError("EINVAL", `Cannot open store "${path}": a folder, expected a file`);
  }
  if (mode === "own") {
    Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    makeFile(path);
    return;
  }
  try {
    Deno.statSync(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) throw absentStore(path, "absent");
    throw thrown;
  }
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** Opens a file. */
export function openFile(path: string, mode: SqliteMode): SqliteHandle {
  return new DatabaseSync(path, { readOnly: mode === "read" });
}

/** Makes the tables of an empty file, refuses a foreign one, and opens the vault. */
export function prepareDatabase(db: SqliteConnection, { path, mode, keys }: {
  readonly path: string;
  readonly mode: SqliteMode;
  readonly keys: readonly StoreKey[] | null;
}): void {
  db.tune({ checkpoints: mode === "own" });
  if (readSchema(db, path) === "absent") {
    if (mode !== "own") throw absentStore(path, "empty");
    const [key] = keys ?? [];
    if (key === undefined) writeSchema(db);
    else writeSchema(db, () => void makeVault(db, key, true));
  }
  openVault(db, path, keys);
  if (mode === "own" && !encryptionOf(db, path).clean) clean(db);
}

function absentStore(path: string, state: string): SysError {
  return new SysError(
    "ENOENT",
    `Cannot open store "${path}": ${state}, expected a store; open it with mode "own" to make one`,
  );
}
