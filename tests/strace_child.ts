/**
 * A life of the two agents over a store and a workspace in files, for a tracer that makes a system
 * call of it fail or kills it there.
 *
 * `strace_child.ts FOLDER LIFE [PAGES]`: says what a kernel was told is durable in `FOLDER/acks`, a
 * line for each batch. PAGES: how much log gathers before it is copied into the database; the store
 * is then sealed, with the key and an anchor beside the folder. Exits with 0 when both agents have
 * ended and 3 when the kernel cannot go on.
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { closeSync, openSync, writeSync } from "node:fs";
import { SqliteStore } from "../mod.ts";
import { VirtualClock } from "../testing.ts";
import type { Batch, Store } from "../kernel/store.ts";
import { RootedFiles } from "../providers/files.ts";
import { openAuditing } from "../runtime/auditing.ts";
import { live, openAgents } from "./fault_agents.ts";
import { START_MS } from "./world_fixture.ts";

/** Opens the store of a folder; one that copies its log more often has no lock. */
export function openStore(folder: string, pages: number | null): SqliteStore {
  const path = `${folder}/libos.db`;
  if (pages === null) return SqliteStore.open(path);
  const handle = new DatabaseSync(path);
  const exec = handle.exec.bind(handle);
  handle.exec = (sql) =>
    exec(/^PRAGMA wal_autocheckpoint/.test(sql) ? `PRAGMA wal_autocheckpoint = ${pages}` : sql);
  return SqliteStore.over(handle);
}

/** Says what is acknowledged, once it is. */
export function saying(store: Store, folder: string): Store {
  const fd = openSync(`${folder}/acks`, "a");
  const commit = store.commit.bind(store);
  store.commit = async (batches: readonly Batch[]): Promise<void> => {
    await commit(batches);
    const told = batches.map(({ tree, seq, lines, head }) =>
      `${tree} ${seq + lines.length - 1} ${head}\n`
    );
    writeSync(fd, told.join(""));
  };
  const close = store.close.bind(store);
  store.close = async (): Promise<void> => {
    await close();
    closeSync(fd);
  };
  return store;
}

/** How the store of a folder is sealed: by what is not on its disk. */
export function sealing(folder: string): { readonly keyFile: string; readonly anchor: string } {
  return { keyFile: `${folder}.key`, anchor: `${folder}.heads` };
}

/** One life: null when both have ended, or the codes of what went wrong. */
export async function oneLife(
  folder: string,
  life: number,
  pages: number | null = null,
): Promise<string[] | null> {
  const files = await RootedFiles.open(`${folder}/files`);
  const store = saying(openStore(folder, pages), folder);
  const clock = new VirtualClock(START_MS);
  const audit = sealing(folder);
  const auditing = pages === null ? null : await openAuditing(store, { audit, clock });
  const os = openAgents({ store, files, clock, life, auditing });
  const found = await live({ os, store, clock });
  await os.close({ drain: found === null });
  return found;
}

if (import.meta.main) {
  const [folder = "", life = "1", pages] = Deno.args;
  try {
    const found = await oneLife(folder, Number(life), pages === undefined ? null : Number(pages));
    if (found !== null) console.log(found.join());
    Deno.exit(found === null ? 0 : 3);
  } catch (error) {
    console.log(String(error));
    Deno.exit(3);
  }
}
