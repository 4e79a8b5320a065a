/**
 * One connection to a SQLite library: cached statements, transactions, and failures in our words.
 *
 * Invariants:
 *   H1. Whatever the library throws comes out as a `SysError` with a code of the closed set.
 *   H2. A transaction that failed is rolled back before its failure is thrown, and the connection
 *       can be used again.
 *   H3. Every statement is ASCII with plain "?" places, so that any binding of SQLite takes it.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Errno } from "../kernel/errors.ts";
import type { Durability } from "../kernel/store.ts";
import { type Cells, PLAIN } from "./sqlite_cells.ts";

/** What goes into and comes out of a column. */
export type SqliteValue = null | number | bigint | string | Uint8Array;
/** A row by names of columns. */
export type SqliteRow = { readonly [column: string]: SqliteValue };

/** A prepared statement, as `node:sqlite` and `@db/sqlite` both have it. */
export interface SqliteStatement {
  /** Gives how many rows were changed: as `{ changes }`, or as a plain number. */
  run(...values: SqliteValue[]): unknown;
  get(...values: SqliteValue[]): unknown;
  all(...values: SqliteValue[]): unknown[];
}

/** An open database, as `node:sqlite` and `@db/sqlite` both have it. */
export interface SqliteHandle {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
  close(): unknown;
  /** Whether it is inside a transaction, as `node:sqlite` says it. */
  readonly isTransaction?: boolean | undefined;
  /** The same, as `@db/sqlite` says it. */
  readonly inTransaction?: boolean | undefined;
}

/** How long a writer waits for another connection's transaction. */
const BUSY_MS = 5_000;
/** Pages of log which gather before they are copied into the database. */
const CHECKPOINT_PAGES = 2_000;

/** One connection. Everything on it is synchronous. */
export class SqliteConnection {
  /** How content stands in its columns. */
  cells: Cells = PLAIN;
  readonly #handle: SqliteHandle;
  readonly #statements = new Map<string, SqliteStatement>();
  readonly #durability: Durability;
  /** Whether a commit waits for the disk now; null until it is set for the first time. */
  #synced: boolean | null = null;

  /** Takes a handle over; the connection closes it. */
  constructor(handle: SqliteHandle, durability: Durability) {
    this.#handle = handle;
    this.#durability = durability;
  }

  /** Sets how the connection waits and checkpoints. Changes nothing in the file. */
  tune(options: { readonly checkpoints: boolean }): void {
    this.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    this.exec(`PRAGMA wal_autocheckpoint = ${options.checkpoints ? CHECKPOINT_PAGES : 0}`);
    this.exec("PRAGMA cache_size = -16384");
    this.exec("PRAGMA temp_store = MEMORY");
    // Statements are all our own, but the file may be anybody's.
    this.exec("PRAGMA trusted_schema = OFF");
  }

  exec(sql: string): void {
    this.#handle.exec(sql);
  }

  /** Runs a statement; returns how many rows it changed. */
  run(sql: string, ...values: SqliteValue[]): number {
    const ran = this.#prepared(sql).run(...values);
    // `node:sqlite` says it in an object, `@db/sqlite` as a number.
    return Number(typeof ran === "object" ? (ran as { changes?: unknown } | null)?.changes : ran);
  }

  get(sql: string, ...values: SqliteValue[]): SqliteRow | undefined {
    return (this.#prepared(sql).get(...values) ?? undefined) as SqliteRow | undefined;
  }

  all(sql: string, ...values: SqliteValue[]): readonly SqliteRow[] {
    return this.#prepared(sql).all(...values) as readonly SqliteRow[];
  }

  /**
   * Runs `job` in one write transaction. With `synced` its commit is on the disk when this returns,
   * if the store's durability is "power", and so is every transaction before it.
   */
  transaction<T>(options: { readonly synced: boolean }, job: () => T): T {
    this.#sync(options.synced && this.#durability === "power");
    this.run("BEGIN IMMEDIATE");
    try {
      const value = job();
      this.run("COMMIT");
      return value;
    } catch (thrown) {
      this.#rollback();
      throw thrown;
    }
  }

  /**
   * Whether one statement would be a transaction of its own: nobody who has the handle as well is
   * inside one of theirs. A handle that does not say so is never trusted with that.
   */
  get isFree(): boolean {
    return (this.#handle.isTransaction ?? this.#handle.inTransaction) === false;
  }

  /** Runs one statement as a transaction of its own, while the handle is free. */
  alone(options: { readonly synced: boolean }, sql: string, ...values: SqliteValue[]): void {
    this.#sync(options.synced && this.#durability === "power");
    this.#prepared(sql).run(...values);
  }

  close(): void {
    this.#statements.clear();
    this.#handle.close();
  }

  #prepared(sql: string): SqliteStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#handle.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #sync(synced: boolean): void {
    if (this.#synced === synced) return;
    this.exec(`PRAGMA synchronous = ${synced ? "FULL" : "NORMAL"}`);
    this.#synced = synced;
  }

  #rollback(): void {
    try {
      this.run("ROLLBACK");
    } catch {
      // SQLite has rolled back by itself after some failures; then there is nothing to roll back.
    }
  }
}

/** A whole number from a column; bindings give large ones as bigint. */
export function numberIn(row: SqliteRow, column: string): number {
  const value = row[column];
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  throw misshapen(column, "a number");
}

/** A whole number or null from a column. */
export function numberOrNull(row: SqliteRow, column: string): number | null {
  return row[column] === null ? null : numberIn(row, column);
}

/** A text from a column. */
export function textIn(row: SqliteRow, column: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  throw misshapen(column, "a text");
}

/** A text or null from a column. */
export function textOrNull(row: SqliteRow, column: string): string | null {
  return row[column] === null ? null : textIn(row, column);
}

function misshapen(column: string, expected: string): SysError {
  return new SysError(
    "EINTEGRITY",
    `Cannot read column "${column}": misshapen, expected ${expected}`,
  );
}

/** SQLITE_CONSTRAINT. */
const CONSTRAINT = 19;
/** What SQLite says → our code and the state to name. In order; the first that fits. */
const FAILURES: readonly (readonly [number, RegExp, Errno, string])[] = [
  [13, /database or disk is full/, "ENOSPC", "the disk is full, expected room for it"],
  // A column of an encrypted store takes no text: it was opened before it was encrypted.
  [-1, /TEXT value in BLOB column/, "ESTALE", "encrypted since, expected it to be opened again"],
  [5, /database is locked/, "EAGAIN", "locked by another connection, expected it to be free"],
  [6, /table is locked/, "EAGAIN", "locked by another reader, expected it to be free"],
  [26, /not a database/, "EINTEGRITY", "not a database, expected a store"],
  [11, /malformed/, "EINTEGRITY", "damaged, expected what was written"],
  [8, /readonly database/, "EIO", "it can only be read, expected a file that can be written"],
  [14, /unable to open/, "EIO", "the file cannot be opened, expected one that can"],
  [10, /disk I\/O error/, "EIO", "the disk failed, expected it to answer"],
];

/** Makes a `SysError` of whatever a SQLite library threw (H1); `doing` completes "Cannot …". */
export function sqliteFailure(thrown: unknown, doing: string): unknown {
  if (!(thrown instanceof Error) || thrown instanceof SysError) return thrown;
  if (thrown instanceof TypeError || thrown instanceof RangeError) return thrown;
  const code = primaryCode(thrown);
  for (const [number, pattern, errno, state] of FAILURES) {
    if (code === number || pattern.test(thrown.message)) {
      return new SysError(errno, `Cannot ${doing}: ${state}`, { cause: thrown.message });
    }
  }
  return new SysError("EIO", `Cannot ${doing}: ${thrown.message}`);
}

/** Whether a statement was refused by what the tables hold, rather than by the disk or a lock. */
export function isConstraint(thrown: unknown): boolean {
  return thrown instanceof Error && primaryCode(thrown) === CONSTRAINT;
}

/** `node:sqlite` has the number in `errcode`, `@db/sqlite` in `code`; either may be extended. */
function primaryCode(thrown: Error): number | undefined {
  const { errcode, code } = thrown as { errcode?: unknown; code?: unknown };
  if (typeof errcode === "number") return errcode & 0xff;
  return typeof code === "number" ? code & 0xff : undefined;
}
