/**
 * The book of hooks: how far each tree was looked through, and what is still to be told.
 *
 * Invariants:
 *   K1. What is to be told and how far its tree was looked through are written together, synced.
 *   K2. An event is entered once for a hook, however often it is found.
 *   K3. The file is readable by its owner only, and holds no resource, argument or prompt.
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import {
  numberIn,
  SqliteConnection,
  sqliteFailure,
  type SqliteRow,
  textIn,
  textOrNull,
} from "./sqlite_handle.ts";

/** An event that a hook is to be told of. */
export interface Entry {
  readonly hook: string;
  readonly id: string;
  readonly event: string;
  readonly tree: string;
  readonly seq: number;
  readonly atMs: number;
  /** JSON. */
  readonly facts: string;
  readonly attempts: number;
}

/** An event that was given up. */
export interface DeadEntry extends Entry {
  readonly error: string;
}

/** An event that waits to be told, or was given up. */
export interface KeptEntry extends Entry {
  readonly state: "due" | "dead";
  readonly error: string | null;
}

const TABLES = `
CREATE TABLE IF NOT EXISTS seen (tree TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS entry (
  hook TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, tree TEXT NOT NULL,
  seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, facts TEXT NOT NULL,
  attempts INTEGER NOT NULL, next_ms INTEGER NOT NULL, state TEXT NOT NULL, error TEXT,
  PRIMARY KEY (hook, id)
) STRICT;
CREATE INDEX IF NOT EXISTS due ON entry (state, next_ms);
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
`;
const DEAD_MAX = 1_000;

/** The book. */
export class HookBook {
  readonly #db: SqliteConnection;

  /** Opens or makes it; ":memory:" keeps nothing. */
  constructor(path: string) {
    try {
      if (path !== ":memory:") {
        Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
        if (Deno.build.os !== "windows") Deno.chmodSync(path, 0o600);
      }
      this.#db = new SqliteConnection(new DatabaseSync(path), "power");
      this.#db.exec("PRAGMA journal_mode = WAL");
      this.#db.tune({ checkpoints: true });
      this.#db.exec(TABLES);
    } catch (thrown) {
      throw sqliteFailure(thrown, `open the book of hooks "${path}"`);
    }
  }

  /** A note; undefined when there is none. */
  note(name: string): string | undefined {
    const row = this.#db.get("SELECT value FROM note WHERE name = ?", name);
    return row === undefined ? undefined : textIn(row, "value");
  }

  /** Writes a note; null takes it away. */
  setNote(name: string, value: string | null): void {
    this.#write(true, () => {
      if (value === null) this.#db.run("DELETE FROM note WHERE name = ?", name);
      else this.#db.run("INSERT OR REPLACE INTO note VALUES (?, ?)", name, value);
    });
  }

  /** How far a tree was looked through. */
  seen(tree: string): number {
    const row = this.#db.get("SELECT seq FROM seen WHERE tree = ?", tree);
    return row === undefined ? 0 : numberIn(row, "seq");
  }

  /** Enters events, and how far trees were looked through (K1, K2). */
  enter(entries: readonly Entry[], seen: Iterable<readonly [string, number]>): void {
    this.#write(entries.length > 0, () => {
      for (const { hook, id, event, tree, seq, atMs, facts } of entries) {
        this.#db.run(
          "INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 'due', NULL)",
          ...[hook, id, event, tree, seq, atMs, facts],
        );
      }
      for (const [tree, seq] of seen) {
        this.#db.run(
          "INSERT INTO seen VALUES (?, ?) ON CONFLICT (tree) DO UPDATE " +
            "SET seq = MAX(seq, excluded.seq)",
          tree,
          seq,
        );
      }
    });
  }

  /** What is due for some hooks, the earliest first. */
  due(hooks: readonly string[], nowMs: number, limit: number): readonly Entry[] {
    const places = hooks.map(() => "?").join(", ");
    return this.#db.all(
      `SELECT * FROM entry WHERE state = 'due' AND next_ms <= ? AND hook IN (${places}) ` +
        "ORDER BY next_ms, at_ms LIMIT ?",
      ...[nowMs, ...hooks, limit],
    ).map(entryOf);
  }

  /** When something is due next after `nowMs`; null for never. */
  nextMs(hooks: readonly string[], nowMs: number): number | null {
    const places = hooks.map(() => "?").join(", ");
    const row = this.#db.get(
      `SELECT MIN(next_ms) AS at FROM entry WHERE state = 'due' AND next_ms > ? ` +
        `AND hook IN (${places})`,
      ...[nowMs, ...hooks],
    );
    return row === undefined || row["at"] === null ? null : numberIn(row, "at");
  }

  /** How many wait, and how many were given up. */
  counts(): { readonly due: number; readonly dead: number } {
    const of = (state: string): number =>
      numberIn(this.#db.get("SELECT COUNT(*) AS n FROM entry WHERE state = ?", state)!, "n");
    return { due: of("due"), dead: of("dead") };
  }

  /** What was given up, the newest first. */
  dead(limit: number): readonly DeadEntry[] {
    return this.#db.all(
      "SELECT * FROM entry WHERE state = 'dead' ORDER BY at_ms DESC LIMIT ?",
      limit,
    ).map((row) => ({ ...entryOf(row), error: textOrNull(row, "error") ?? "" }));
  }

  /** Enters events to be told again, from the first try on, also those that were given up. */
  again(entries: readonly Entry[]): void {
    this.#write(true, () => {
      for (const { hook, id, event, tree, seq, atMs, facts } of entries) {
        this.#db.run(
          "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 'due', NULL) " +
            // Fewer than any count of it so far: one that is told just now is told again, too.
            "ON CONFLICT (hook, id) DO UPDATE SET state = 'due', next_ms = 0, error = NULL, " +
            "attempts = MIN(attempts, 0) - 1",
          ...[hook, id, event, tree, seq, atMs, facts],
        );
      }
    });
  }

  /** What waits to be told, or was given up, the newest first. */
  kept(limit: number): readonly KeptEntry[] {
    return this.#db.all(
      "SELECT * FROM entry WHERE state IN ('due', 'dead') ORDER BY at_ms DESC, id LIMIT ?",
      limit,
    ).map((row) => ({
      ...entryOf(row),
      state: textIn(row, "state") === "due" ? "due" : "dead",
      error: textOrNull(row, "error"),
    }));
  }

  /** A hook was told. `isKept`: it would be found again, and is not to be told again. */
  told({ hook, id, attempts }: Entry, isKept: boolean): void {
    const where = "WHERE hook = ? AND id = ? AND attempts = ?";
    this.#write(false, () => {
      const what = isKept ? "UPDATE entry SET state = 'told'" : "DELETE FROM entry";
      this.#db.run(`${what} ${where}`, hook, id, attempts);
    });
  }

  /** It failed: again at `nextMs`, or null when it is given up. */
  failed({ hook, id, attempts }: Entry, nextMs: number | null, error: string): void {
    this.#write(true, () => {
      this.#db.run(
        "UPDATE entry SET attempts = ?, next_ms = ?, state = ?, error = ? " +
          "WHERE hook = ? AND id = ? AND attempts = ?",
        ...[attempts + 1, nextMs ?? 0, nextMs === null ? "dead" : "due", error, hook, id, attempts],
      );
      if (nextMs !== null) return;
      this.#db.run(
        "DELETE FROM entry WHERE state = 'dead' AND rowid NOT IN (SELECT rowid FROM entry " +
          "WHERE state = 'dead' ORDER BY at_ms DESC LIMIT ?)",
        DEAD_MAX,
      );
    });
  }

  /** Closes the file. */
  close(): void {
    this.#db.close();
  }

  #write(synced: boolean, job: () => void): void {
    try {
      this.#db.transaction({ synced }, job);
    } catch (thrown) {
      throw sqliteFailure(thrown, "write the book of hooks");
    }
  }
}

function entryOf(row: SqliteRow): Entry {
  return {
    hook: textIn(row, "hook"),
    id: textIn(row, "id"),
    event: textIn(row, "event"),
    tree: textIn(row, "tree"),
    seq: numberIn(row, "seq"),
    atMs: numberIn(row, "at_ms"),
    facts: textIn(row, "facts"),
    attempts: numberIn(row, "attempts"),
  };
}
