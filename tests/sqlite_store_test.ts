/**
 * The SQLite store keeps what every store keeps: in memory, in a file, and over the handles of both
 * bindings it is made for.
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { StatementSync } from "node:sqlite";
import type { Store } from "../kernel/store.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import type { SqliteHandle, SqliteStatement, SqliteValue } from "../providers/sqlite_handle.ts";
import { testStore } from "./store_conformance.ts";
import { rejects } from "./store_fixture.ts";

/** Folders of stores that are open, to be removed with them. */
const folders = new Map<Store, string>();

/** A store in a folder of its own, which goes when the store is closed. */
function openFile(folder: string): Store {
  const store = SqliteStore.open(`${folder}/libos.db`);
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

testStore("SqliteStore in memory", () => SqliteStore.open(":memory:"));
testStore("SqliteStore in a file", async () => openFile(await Deno.makeTempDir()), {
  reopen: reopenFile,
});
testStore("SqliteStore over node:sqlite", () => SqliteStore.over(new DatabaseSync(":memory:")));

/** `Statement` of `@db/sqlite`: `run` counts changes, nothing found is undefined, rows plain. */
class OtherStatement implements SqliteStatement {
  readonly #statement: StatementSync;
  readonly #isNarrow: boolean;

  constructor(statement: StatementSync, isNarrow: boolean) {
    this.#statement = statement;
    this.#isNarrow = isNarrow;
    this.#statement.setReadBigInts(!isNarrow);
  }

  run(...values: SqliteValue[]): number {
    return Number(this.#statement.run(...values).changes);
  }

  get(...values: SqliteValue[]): Record<string, unknown> | undefined {
    const row = this.#statement.get(...values);
    return row === undefined ? undefined : this.#plain(row);
  }

  all(...values: SqliteValue[]): Record<string, unknown>[] {
    return this.#statement.all(...values).map((row) => this.#plain(row));
  }

  values(...values: SqliteValue[]): unknown[][] {
    return this.all(...values).map((row) => Object.values(row));
  }

  /** Without `int64` it cuts integers to 32 bits; with it, here, all of them are bigint. */
  #plain(row: object): Record<string, unknown> {
    const cut = (value: unknown) => this.#isNarrow && typeof value === "number" ? value | 0 : value;
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, cut(value)]));
  }
}

/** `Database` of `@db/sqlite`. */
class OtherDatabase implements SqliteHandle {
  readonly #database: DatabaseSync;
  readonly #isNarrow: boolean;

  constructor(path: string, options: { readonly int64?: boolean } = {}) {
    this.#database = new DatabaseSync(path);
    this.#isNarrow = options.int64 !== true;
  }

  exec(sql: string): number {
    this.#database.exec(sql);
    return 0;
  }

  prepare(sql: string): OtherStatement {
    // Its length in UTF-16 units is handed on as a length in bytes.
    assert.match(sql, /^[\x20-\x7e]*$/);
    return new OtherStatement(this.#database.prepare(sql), this.#isNarrow);
  }

  close(): void {
    this.#database.close();
  }
}

testStore(
  "SqliteStore over @db/sqlite",
  () => SqliteStore.over(new OtherDatabase(":memory:", { int64: true })),
);

Deno.test("SqliteStore.over() refuses a handle which cuts integers to 32 bits", async () => {
  const handle = new OtherDatabase(":memory:");
  const opened = new Promise((resolve) => resolve(SqliteStore.over(handle)));
  const error = await rejects(opened, "EINVAL");
  assert.match(error.message, /int64: true/);
  handle.close();
});
