/**
 * When payloads of trees are to be taken away, in a SQLite store: a table of its own, so that trees
 * of which nobody said so cost nothing, and files from before it was there are read as they are.
 * @module
 */

import type { TreeId } from "../kernel/ids.ts";
import { numberIn } from "./sqlite_handle.ts";
import type { SqliteConnection } from "./sqlite_handle.ts";

const TABLE = `
  CREATE TABLE IF NOT EXISTS redactions(tree INTEGER PRIMARY KEY, due INTEGER NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS redactions_due ON redactions(due);
`;

/** Writes down when payloads of a tree are to go; null for never. Inside a transaction. */
export function writeRedaction(db: SqliteConnection, tree: number, dueMs: number | null): void {
  db.exec(TABLE);
  if (dueMs === null) db.run("DELETE FROM redactions WHERE tree = ?", tree);
  else {
    const sql = "INSERT OR REPLACE INTO redactions(tree, due) VALUES(?, ?)";
    db.run(sql, tree, Math.ceil(dueMs));
  }
}

/** Trees with payloads that are to go by `nowMs`, the earliest first. */
export function redactableTrees(
  db: SqliteConnection,
  nowMs: number,
  limit: number,
): readonly TreeId[] {
  const table = "SELECT 1 AS one FROM sqlite_schema WHERE type = 'table' AND name = 'redactions'";
  if (db.get(table) === undefined) return [];
  const sql = "SELECT tree FROM redactions WHERE due <= ? ORDER BY due, tree LIMIT ?";
  return db.all(sql, nowMs, limit).map((row): TreeId => `t_${numberIn(row, "tree")}`);
}
