/**
 * An encrypted SQLite store keeps what every store keeps, in memory, in a file and over a handle.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Store } from "../kernel/store.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { StoreKey } from "../providers/store_key.ts";
import { testStore } from "./store_conformance.ts";

const key = StoreKey.of("5e".repeat(32));
/** Folders of stores that are open, to be removed with them. */
const folders = new Map<Store, string>();

function openFile(folder: string): Store {
  const store = SqliteStore.open(`${folder}/libos.db`, { encryption: key });
  const close = store.close.bind(store);
  folders.set(store, folder);
  store.close = async () => {
    await close();
    if (folders.delete(store)) await Deno.remove(folder, { recursive: true });
  };
  return store;
}

async function reopenFile(store: Store): Promise<Store> {
  const folder = folders.get(store);
  assert(folder !== undefined, "Only an open store is reopened");
  folders.delete(store);
  await store.close();
  return openFile(folder);
}

testStore(
  "Encrypted SqliteStore in memory",
  () => SqliteStore.open(":memory:", { encryption: key }),
);
testStore("Encrypted SqliteStore in a file", async () => openFile(await Deno.makeTempDir()), {
  reopen: reopenFile,
});
testStore(
  "Encrypted SqliteStore over node:sqlite",
  () => SqliteStore.over(new DatabaseSync(":memory:"), { encryption: key }),
);
