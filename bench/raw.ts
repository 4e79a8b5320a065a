/**
 * What the same disk costs raw: one row, one transaction, one sync, and nothing else.
 * @module
 */

import { DatabaseSync } from "node:sqlite";

/** A plain table in a SQLite file whose every commit waits for the disk. */
export class RawTable implements Disposable {
  readonly #db: DatabaseSync;
  readonly #insert: ReturnType<DatabaseSync["prepare"]>;

  /** Makes the file. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec("PRAGMA journal_mode = WAL");
    this.#db.exec("PRAGMA synchronous = FULL");
    this.#db.exec("PRAGMA wal_autocheckpoint = 2000");
    this.#db.exec("CREATE TABLE lines(id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT");
    this.#insert = this.#db.prepare("INSERT INTO lines(body) VALUES(?)");
  }

  /** Inserts a row in a transaction of its own; it is on the disk when this returns. */
  insert(body: string): void {
    this.#insert.run(body);
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}
