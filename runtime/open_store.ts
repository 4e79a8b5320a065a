/**
 * The store that a runtime was asked for: opened, or as it was handed in.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Durability, Store } from "../kernel/store.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import type { Encryption } from "../providers/sqlite_vault.ts";

/** Opens the store. `EINVAL` for encryption where nothing would be encrypted. */
export async function openStore(options: {
  readonly store?: string | Store;
  readonly durability?: Durability;
  readonly encryption?: Encryption;
  readonly readUrl?: string;
}): Promise<Store> {
  const { store = "./.libos/libos.db", durability = "power", encryption, readUrl } = options;
  if (typeof store === "string" && isShared(store)) {
    if (encryption === undefined) {
      // Who does not use it does not load its library.
      const { PostgresStore } = await import("../providers/postgres_store.ts");
      return await PostgresStore.open(store, readUrl === undefined ? {} : { readUrl });
    }
    const state = "a database, expected a path; a database encrypts its disk itself";
    throw new SysError("EINVAL", `Cannot encrypt store "${nameOf(store)}": ${state}`);
  }
  if (readUrl !== undefined) {
    const expected = "expected a database; a store that is handed in has its own `readUrl`";
    throw new SysError("EINVAL", `Cannot read a replica: the store is none of one, ${expected}`);
  }
  const isPath = typeof store === "string" && store !== ":memory:";
  if (isPath) {
    return SqliteStore.open(store, {
      durability,
      ...(encryption === undefined ? {} : { encryption }),
    });
  }
  const given = typeof store === "string" ? new MemoryStore() : store;
  if (encryption === undefined) return given;
  const state = typeof store === "string"
    ? "nothing of it is at rest, expected a path"
    : "it was open already, expected a path, or SqliteStore.open with encryption";
  throw new SysError("EINVAL", `Cannot encrypt store "${given.name}": ${state}`);
}

/** Whether it is the address of a database. */
export function isShared(store: string): boolean {
  return /^postgres(ql)?:\/\//.test(store);
}

/** An address without its password. */
function nameOf(store: string): string {
  return URL.canParse(store) ? `postgres ${new URL(store).host}` : "postgres";
}
