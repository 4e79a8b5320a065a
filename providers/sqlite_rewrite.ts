/**
 * Encrypting a store that is there: every row that holds content is written anew, in one
 * transaction, and then the file is made anew, so that nothing of before is left in it.
 *
 * Invariants:
 *   Y1. Whenever the kernel dies, the store is wholly as before or wholly as afterwards.
 *   Y2. A store that is not clean yet says so, and the next kernel that opens it goes on cleaning.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Cells, Kind, Place } from "./sqlite_cells.ts";
import { numberIn, textIn } from "./sqlite_handle.ts";
import type { SqliteConnection, SqliteRow, SqliteValue } from "./sqlite_handle.ts";
import { asCells, CONTENT_TABLES, readSchema } from "./sqlite_schema.ts";
import { makeVault } from "./sqlite_vault.ts";
import type { StoreKey } from "./store_key.ts";

/** Rows in hand at a time. */
const ROWS_AT_ONCE = 32;

/**
 * Encrypts all content under a new data key, wrapped by `key`: of a plain store, or of an encrypted
 * one whose cells are open.
 */
export function rewrite(db: SqliteConnection, name: string, key: StoreKey): void {
  const was = db.cells;
  try {
    db.transaction({ synced: true }, () => {
      const tables = setAside(db);
      if (readSchema(db, name) === "encrypted") db.exec("DROP TABLE vault");
      const cells = makeVault(db, key, false);
      for (const { table } of tables) copy(db, table, { from: was, to: cells });
      for (const { table, indexes } of tables) {
        db.exec(`DROP TABLE was_${table}`);
        for (const sql of indexes) db.exec(sql);
      }
      db.cells = cells;
    });
  } catch (error) {
    db.cells = was;
    throw error;
  }
  clean(db);
}

/** Makes the file anew, if something of before may lie in it (Y2); false while others read it. */
export function clean(db: SqliteConnection): boolean {
  // The file itself is written anew; what it needs besides is ciphertext, and need not fit memory.
  db.exec("PRAGMA temp_store = FILE");
  try {
    db.run("VACUUM");
  } finally {
    db.exec("PRAGMA temp_store = MEMORY");
  }
  if (!emptied(db)) return false;
  db.transaction({ synced: true }, () => db.run("UPDATE vault SET clean = 1"));
  return true;
}

/** Copies the write-ahead log into the file and cuts it; false while others read from it. */
export function emptied(db: SqliteConnection): boolean {
  const row = db.get("PRAGMA wal_checkpoint(TRUNCATE)");
  return row === undefined || numberIn(row, "busy") === 0;
}

/** A table that is being copied. */
interface Aside {
  readonly table: string;
  readonly indexes: readonly string[];
}

/** Gives the tables that hold content other names, and makes new ones in their place. */
function setAside(db: SqliteConnection): readonly Aside[] {
  const tables: Aside[] = [];
  for (const table of CONTENT_TABLES) {
    const made = db.get("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", table);
    if (made === undefined) continue;
    const rows = db.all(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? " +
        "AND sql IS NOT NULL",
      table,
    );
    db.exec(`ALTER TABLE ${table} RENAME TO was_${table}`);
    for (const row of rows) db.exec(`DROP INDEX ${textIn(row, "name")}`);
    db.exec(asCells(textIn(made, "sql").replace(`"${table}"`, table)));
    tables.push({ table, indexes: rows.map((row) => textIn(row, "sql")) });
  }
  return tables;
}

function copy(
  db: SqliteConnection,
  table: string,
  cells: { readonly from: Cells; readonly to: Cells },
): void {
  const key = KEYS[table] ?? "id";
  let insert: string | null = null;
  for (const row of rowsOf(db, `was_${table}`, key)) {
    const changed = { ...row, ...CHANGES[table]!(row, cells) };
    const columns = Object.keys(changed);
    insert ??= `INSERT INTO ${table}(${columns.join(", ")}) ` +
      `VALUES(${columns.map(() => "?").join(", ")})`;
    db.run(insert, ...Object.values(changed));
  }
}

/** The rows of a table in the order of its key, a few in hand at a time. */
function* rowsOf(db: SqliteConnection, table: string, key: string): Iterable<SqliteRow> {
  const end = `ORDER BY ${key} LIMIT ${ROWS_AT_ONCE}`;
  const next = `SELECT * FROM ${table} WHERE (${key}) > (${key.replaceAll(/\w+/g, "?")}) ${end}`;
  for (let rows = db.all(`SELECT * FROM ${table} ${end}`); rows.length > 0;) {
    yield* rows;
    const last = rows.at(-1)!;
    rows = db.all(next, ...key.split(", ").map((column) => last[column]!));
  }
}

/** What a table's rows are ordered by, when it is not "id". */
const KEYS: { readonly [table: string]: string } = {
  inbox: "n",
  snapshots: "tree, seq",
  gone: "hash",
};

type Change = (
  row: SqliteRow,
  cells: { readonly from: Cells; readonly to: Cells },
) => Readonly<Record<string, SqliteValue>>;

const CHANGES: { readonly [table: string]: Change } = {
  trees: (row, { from, to }) => {
    const tree = numberIn(row, "id");
    // Words that were changed are passed over in lists, and not here.
    from.get(row, "title", "summary", [tree]);
    return { ...to.words(tree, from.wordsIn(tree, row)) };
  },
  batches: (row, { from, to }) => {
    const place = [numberIn(row, "tree"), numberIn(row, "seq")] as const;
    const body = from.get(row, "body", "lines", place);
    const payloads = row["payloads"];
    // An encrypted batch is one cell.
    const whole = typeof payloads === "string" ? `${body}\n${payloads}` : body;
    return { body: to.put(whole, "lines", place), payloads: null };
  },
  blobs: (row, given) => filed(row, given, { column: "body", kind: "value" }),
  gone: (row, given) => filed(row, given, { column: "note", kind: "note" }),
  inbox: (row, { from, to }) => {
    const place: Place = [numberIn(row, "tree"), textIn(row, "id")];
    return { body: to.put(from.get(row, "body", "item", place), "item", place) };
  },
  snapshots: (row, { from, to }) => {
    const place = [numberIn(row, "tree"), numberIn(row, "seq")] as const;
    return { state: to.put(from.get(row, "state", "snapshot", place), "snapshot", place) };
  },
};

function filed(
  row: SqliteRow,
  { from, to }: { readonly from: Cells; readonly to: Cells },
  { column, kind }: { readonly column: string; readonly kind: Kind },
): Readonly<Record<string, SqliteValue>> {
  const hash = from.unmark(textIn(row, "hash"));
  const text = from.get(row, column, kind, [hash]);
  return { hash: to.mark(hash), [column]: to.put(text, kind, [hash]) };
}

/** Every cell of an encrypted store that does not open in its place, a sentence each. */
export function findCipherDamage(db: SqliteConnection, sentencesMax: number): readonly string[] {
  const found: string[] = [];
  for (const table of CONTENT_TABLES) {
    const key = KEYS[table] ?? "id";
    const made = db.get("SELECT 1 AS one FROM sqlite_schema WHERE name = ?", table);
    if (made === undefined) continue;
    for (const row of rowsOf(db, table, key)) {
      if (found.length >= sentencesMax) return found;
      const broken = brokenIn(table, row, { from: db.cells, to: NOWHERE });
      if (broken !== null) found.push(broken);
    }
  }
  return found;
}

const NOWHERE: Cells = {
  // What is read is written nowhere.
  isEncrypted: true,
  data: null,
  put: () => null,
  get: () => "",
  mark: (hash) => hash,
  unmark: (mark) => mark,
  words: () => ({ key: null, title: null }),
  wordsIn: () => ({ key: null, title: "" }),
  size: (bytes) => bytes,
};

/** What is wrong with a row, or null. */
function brokenIn(
  table: string,
  row: SqliteRow,
  cells: { readonly from: Cells; readonly to: Cells },
): string | null {
  try {
    CHANGES[table]!(row, cells);
    return null;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.message.replace(/^Cannot read (.)/, (_, first: string) => first.toUpperCase());
  }
}
