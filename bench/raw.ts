/**
 * What the same disk costs raw: one row, one transaction, one sync, and nothing else.
 * @module
 */

import { DatabaseSync } from "node:sqlite";

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

  [Symbol.dispose](): void {
    this.#db.close();
  }
}
