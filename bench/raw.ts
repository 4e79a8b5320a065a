/**
 * What the same disk costs raw: one row, one transaction, one sync, and nothing else.
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import type { Store } from "../kernel/store.ts";
import { numberRow, type Row } from "./measure.ts";

/** Rows that make the write-ahead log as long as it gets, so that commits find their room made. */
const ROWS_WARM = 4_000;

/** A plain table in a SQLite file whose every commit waits for the disk. */
export class RawTable implements Disposable {
  readonly #db: DatabaseSync;
  readonly #insert: ReturnType<DatabaseSync["prepare"]>;

  /** Makes the file, and brings it to where commits cost what they will cost from then on. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec("PRAGMA journal_mode = WAL");
    this.#db.exec("PRAGMA synchronous = FULL");
    this.#db.exec("PRAGMA wal_autocheckpoint = 2000");
    this.#db.exec("CREATE TABLE lines(id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT");
    this.#insert = this.#db.prepare("INSERT INTO lines(body) VALUES(?)");
    this.#db.exec("BEGIN");
    for (let i = 0; i < ROWS_WARM; i++) this.insert("x".repeat(2_048));
    this.#db.exec("COMMIT");
    this.#db.exec("PRAGMA wal_checkpoint(RESTART)");
  }

  /** Inserts a row in a transaction of its own; it is on the disk when this returns. */
  insert(body: string): void {
    this.#insert.run(body);
  }

  /** Inserts rows in one transaction; all of them are on the disk when this returns. */
  insertAll(bodies: readonly string[]): void {
    this.#db.exec("BEGIN");
    for (const body of bodies) this.insert(body);
    this.#db.exec("COMMIT");
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** How fast a log was checked, beside SHA-256 of its lines and payloads and nothing else. */
export async function verifyRow(
  what: string,
  checked: { readonly lines: number; readonly ms: number },
  { store, tree }: { readonly store: Store; readonly tree: TreeId },
): Promise<Row> {
  let hashMs = 0;
  for await (const { lines, payloads } of store.read(tree, 1)) {
    const start = performance.now();
    for (const text of lines) sha256(text);
    for (const text of payloads.values()) sha256(text);
    hashMs += performance.now() - start;
  }
  const [rate, hashes] = [checked.ms, hashMs].map((ms) => checked.lines / ms * 1_000) as [
    number,
    number,
  ];
  return {
    ...numberRow(what, rate, { unit: "events/s" }),
    raw: numberRow("", hashes, { unit: "events/s" }).measured,
    ratio: (rate / hashes).toFixed(2),
  };
}
