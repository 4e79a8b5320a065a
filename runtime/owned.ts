/**
 * Which files of the machine a runtime is made of, and keeps from all that runs in it.
 * @module
 */

import { basename, dirname, join, resolve } from "node:path";
import { Owned } from "../providers/owned.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { isShared } from "./open_store.ts";
import type { RuntimeOptions } from "./runtime_options.ts";

/** The folder that is a runtime's own by its name. */
const OWN_FOLDER = ".libos";

/**
 * What options name: the store with what stands beside it, keys, books, the policy's file, and what
 * was reserved.
 */
export function ownedBy(options: RuntimeOptions): Owned {
  const { workspace, store = "./.libos/libos.db", audit, hookOptions, policyFile } = options;
  const path = store instanceof SqliteStore ? store.path : store;
  const isFile = typeof path === "string" && path !== ":memory:" && !isShared(path);
  const stores = isFile ? [resolve(path)] : [];
  const { reserved = [] } = options;
  const files = [...stores, audit?.keyFile, hookOptions?.file, policyFile, ...reserved]
    .filter((one) => one !== undefined);
  const folders = [
    ...workspace === null ? [] : [join(workspace ?? ".", OWN_FOLDER)],
    ...stores.map((one) => dirname(one)).filter((folder) => basename(folder) === OWN_FOLDER),
  ];
  return Owned.of([
    ...folders.map((path) => ({ path, kind: "folder" as const })),
    ...files.map((path) => ({ path, kind: "file" as const })),
  ]);
}
