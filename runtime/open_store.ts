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
export function openStore(options: {
  readonly store?: string | Store;
  readonly durability?: Durability;
  readonly encryption?: Encryption;
}): Store {
  const { store = "./.libos/libos.db", durability = "power", encryption } = options;
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
