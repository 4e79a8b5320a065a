/**
 * What tests of encrypted stores share: a folder, keys, and a search through every byte of it.
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { sha256 } from "../kernel/json.ts";
import type { Encryption, Store } from "../mod.ts";
import { SqliteStore, StoreKey } from "../mod.ts";
import type { SqliteMode } from "../providers/sqlite_store.ts";
import { batchOf, item, LIVE } from "./store_fixture.ts";

/** A key that is the same in every process. */
export const KEY = StoreKey.of("5e".repeat(32));
/** Another. */
export const OTHER = StoreKey.of("0f".repeat(32));

/** Runs `job` in a folder which is gone afterwards. */
export async function withFolder(job: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "libos-crypt-" });
  try {
    await job(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Opens a store; what refuses it is a rejection. */
export function open(
  path: string,
  encryption?: Encryption,
  mode: SqliteMode = "own",
): Promise<SqliteStore> {
  const options = encryption === undefined ? { mode } : { mode, encryption };
  return new Promise((resolve) => resolve(SqliteStore.open(path, options)));
}

/** Names of the files of a folder in which some text lies, as UTF-8, with the text. */
export function found(folder: string, texts: readonly string[]): string[] {
  const hits: string[] = [];
  for (const { name, isFile } of Deno.readDirSync(folder)) {
    if (!isFile) continue;
    const bytes = Deno.readFileSync(`${folder}/${name}`);
    // Latin-1 keeps every byte, so a search for ASCII misses none.
    const all = new TextDecoder("latin1").decode(bytes);
    for (const text of texts) if (all.includes(text)) hits.push(`${name}: ${text}`);
  }
  return hits.sort();
}

/** A value, its hash, and a text that only it has. */
export const VALUE = JSON.stringify("marker-value ".repeat(60));
/** Texts of {@linkcode fill}, none of which may lie in an encrypted file. */
export const MARKS: readonly string[] = [
  ...["line", "payload", "value", "item", "state", "title", "key", "note"]
    .map((what) => `marker-${what}`),
  sha256(VALUE),
];

/** Puts every kind of content into an empty store, with a marker each; many lines, if asked. */
export async function fill(store: Store, lines = 3): Promise<void> {
  const { tree } = await store.create("marker-key");
  const payload = JSON.stringify("marker-payload ".repeat(40));
  const gone = JSON.stringify("marker-value gone");
  for (let seq = 1; seq <= lines; seq++) {
    await store.commit([batchOf(tree, {
      seq,
      lines: [JSON.stringify({ seq, text: "marker-line", pad: "x".repeat((seq * 37) % 3_000) })],
      payloads: new Map([[sha256(payload), payload]]),
      blobs: new Map([[sha256(VALUE), VALUE], [sha256(gone), gone]]),
      summary: { ...LIVE, title: "marker-title", key: "marker-key" },
    })]);
  }
  await store.putInbox(tree, { ...item("i"), body: { say: "marker-item" } });
  await store.putSnapshot(tree, { seq: 2, head: "", state: '"marker-state"' });
  await store.archive?.().sweep([sha256(gone)], { note: "marker-note" });
}

/** Changes the file of a closed store behind its back. */
export function tamper(path: string, job: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(path);
  try {
    job(db);
  } finally {
    db.close();
  }
}
