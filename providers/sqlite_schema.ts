/**
 * The tables of a SQLite store, and whether a file has them.
 *
 * The layout is made for throughput: batches of all trees lie in one heap in order of arrival, and
 * each names the batch of its tree before it. An index over (tree, seq) was tried: with 100 trees
 * in a commit it dirties 100 more pages and halves what a second holds. Sparse `marks` do its work.
 *
 * Invariants:
 *   T1. A file that is no store, or is of a newer layout, is refused and left as it was.
 *   T2. The tables and the number of their layout appear in one transaction.
 *   T3. An encrypted store has a layout number of its own, and BLOB where content stands, so that
 *       no program that does not know of it, and no slip, puts a plain text there.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { AUDIT_TABLES } from "./sqlite_audit.ts";
import { numberIn } from "./sqlite_handle.ts";
import type { SqliteConnection } from "./sqlite_handle.ts";

/** The number of the layout, in `PRAGMA user_version`. */
export const SCHEMA_VERSION = 2;
/** The number of the layout of an encrypted store. */
export const ENCRYPTED_VERSION = 100 + SCHEMA_VERSION;
/** Lines between two marks of a tree. */
export const MARK_LINES = 256;
/** "libO" in the file's header says whose file it is. */
const APPLICATION_ID = 0x6c69624f;
const PAGE_BYTES = 4_096;

const TABLES = `
  CREATE TABLE trees(
    id INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    head TEXT NOT NULL,
    last INTEGER,
    owner TEXT,
    lease INTEGER NOT NULL,
    due INTEGER,
    live INTEGER NOT NULL,
    ready INTEGER NOT NULL,
    key TEXT,
    title TEXT NOT NULL
  ) STRICT;
  CREATE INDEX trees_key ON trees(key) WHERE key IS NOT NULL;
  CREATE INDEX trees_live ON trees(live) WHERE live = 1;
  CREATE INDEX trees_ready ON trees(ready) WHERE ready = 1;
  CREATE INDEX trees_due ON trees(due) WHERE due IS NOT NULL;
  CREATE TABLE batches(
    id INTEGER PRIMARY KEY,
    tree INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    back INTEGER,
    body TEXT NOT NULL,
    payloads TEXT
  ) STRICT;
  CREATE TABLE marks(
    tree INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY(tree, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE blobs(
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE inbox(
    n INTEGER PRIMARY KEY,
    tree INTEGER NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE(tree, id)
  ) STRICT;
  CREATE TABLE snapshots(
    tree INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    head TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY(tree, seq)
  ) STRICT;
  ${AUDIT_TABLES}
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Columns that hold content, by table; SQLite keeps the words of a table as they were given. */
const CONTENT: { readonly [table: string]: RegExp } = {
  trees: /\b(title) TEXT\b/g,
  batches: /\b(body|payloads) TEXT\b/g,
  blobs: /\b(body) TEXT\b/g,
  inbox: /\b(body) TEXT\b/g,
  snapshots: /\b(state) TEXT\b/g,
  gone: /\b(note) TEXT\b/g,
};
/** Tables that hold content. */
export const CONTENT_TABLES: readonly string[] = Object.keys(CONTENT);

/** Statements that make tables, with BLOB for the columns that hold content (T3). */
export function asCells(sql: string): string {
  return sql.replace(/CREATE TABLE (?:IF NOT EXISTS )?(\w+)\([\s\S]*?\) STRICT/g, (made, table) => {
    const columns = CONTENT[table];
    return columns === undefined ? made : made.replace(columns, "$1 BLOB");
  });
}

/** Whether the database is empty ("absent"), has our tables, or is refused. */
export function readSchema(
  db: SqliteConnection,
  name: string,
): "absent" | "present" | "encrypted" {
  // The schema is read first: a file that is no database is found here, before any change.
  const tables = pragma(db, "SELECT count(*) AS value FROM sqlite_schema");
  const version = pragma(db, "PRAGMA user_version", "user_version");
  const application = pragma(db, "PRAGMA application_id", "application_id");
  if (tables === 0 && version === 0) return "absent";
  if (application !== APPLICATION_ID) {
    throw new SysError(
      "EINVAL",
      `Cannot open store "${name}": a database of another program, expected a store`,
    );
  }
  if (version === ENCRYPTED_VERSION) return "encrypted";
  if (version !== SCHEMA_VERSION) {
    throw new SysError(
      "EINVAL",
      `Cannot open store "${name}": written in layout ${version} by another version, ` +
        `expected layout ${SCHEMA_VERSION}`,
      { version },
    );
  }
  return "present";
}

/** Makes the tables in an empty database; for an encrypted store, `vault` adds its key. */
export function writeSchema(db: SqliteConnection, vault?: () => void): void {
  db.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
  db.exec("PRAGMA journal_mode = WAL");
  db.transaction({ synced: true }, () => {
    db.exec(vault === undefined ? TABLES : asCells(TABLES));
    vault?.();
  });
}

/** Refuses a binding which cuts integers to 32 bits: times would come back wrong. */
export function refuseNarrow(db: SqliteConnection, name: string): void {
  const value = pragma(db, "SELECT 4503599627370495 AS value");
  if (value === 4503599627370495) return;
  throw new SysError(
    "EINVAL",
    `Cannot open store "${name}": its handle gives integers of 32 bits, expected 64; ` +
      "open it with int64: true",
  );
}

function pragma(db: SqliteConnection, sql: string, column = "value"): number {
  const row = db.get(sql);
  return row === undefined ? 0 : numberIn(row, column);
}
