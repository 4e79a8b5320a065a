/**
 * Trees in a SQLite store: one compact row each; lists, wake-ups and ownership read no log.
 *
 * Invariants:
 *   O1. A tree's epoch only rises: by one whenever it gets another owner, and when it is given up.
 *   O2. Numbers of trees rise and are never used again.
 * @module
 */

import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { TreeHead } from "../kernel/store.ts";
import { numberIn, numberOrNull, textIn, textOrNull } from "./sqlite_handle.ts";
import type { SqliteConnection, SqliteRow } from "./sqlite_handle.ts";
import { absentTree, EMPTY_HEAD } from "./store_refusals.ts";

const COLUMNS = "id, seq, head, epoch, owner, lease, due, live, ready, key, title";
/**
 * How many requests of a tree wait for a person. Files from before this was counted get the column
 * when a kernel first writes to them; a tree from before then counts as one that may ask, until it
 * is written to: each new kernel does that when it opens one.
 */
const ASKING = `
  ALTER TABLE trees ADD COLUMN asking INTEGER NOT NULL DEFAULT 1;
  CREATE INDEX trees_asking ON trees(live) WHERE asking > 0 AND live = 1;
`;
/** Databases that were seen to have the column; it never goes away. */
const counting = new WeakSet<SqliteConnection>();

/** Makes an empty tree, or finds the live one with the same key; inside a transaction. */
export function createTree(
  db: SqliteConnection,
  key: string | null,
): { readonly tree: TreeId; readonly created: boolean } {
  addAsking(db);
  if (key !== null) {
    const known = db.get(
      "SELECT id FROM trees WHERE key = ? AND live = 1 ORDER BY id LIMIT 1",
      db.cells.words(0, { key, title: "" }).key,
    );
    if (known !== undefined) return { tree: treeIn(known), created: false };
  }
  const top = db.get("SELECT max(id) AS id FROM trees");
  const number = (top === undefined ? 0 : numberOrNull(top, "id") ?? 0) + 1;
  const words = db.cells.words(number, { key, title: "" });
  db.run(
    "INSERT INTO trees(id, epoch, seq, head, lease, live, ready, key, title, asking) " +
      "VALUES(?, 0, 0, ?, 0, 1, 0, ?, ?, 0)",
    number,
    EMPTY_HEAD,
    words.key,
    words.title,
  );
  return { tree: `t_${number}`, created: true };
}

/** What is known of one tree. */
export function headOfTree(db: SqliteConnection, tree: TreeId): TreeHead | undefined {
  const row = db.get(select(db) + "WHERE id = ?", treeNumber(tree));
  return row === undefined ? undefined : headIn(db, row);
}

/** A page of trees in order of number. */
export function listTrees(db: SqliteConnection, options: {
  readonly live?: boolean;
  readonly asking?: boolean;
  readonly after?: TreeId;
  readonly limit: number;
}): readonly TreeHead[] {
  const after = options.after === undefined ? 0 : treeNumber(options.after);
  const { live = false, asking = false, limit } = options;
  const which = asking && isCounting(db)
    ? "asking > 0 AND live = 1 AND "
    : live || asking
    ? "live = 1 AND "
    : "";
  const rows = db.all(`${select(db)}WHERE ${which}id > ? ORDER BY id LIMIT ?`, after, limit);
  return rows.map((row) => headIn(db, row));
}

/**
 * Trees which have something to do at `nowMs`, in order of number; with `node`, but for those that
 * another's lease holds.
 */
export function dueTrees(db: SqliteConnection, { nowMs, limit, node }: {
  readonly nowMs: number;
  readonly limit: number;
  readonly node: string | undefined;
}): readonly TreeId[] {
  const theirs = node === undefined ? "" : "AND id NOT IN (SELECT id FROM trees WHERE " +
    "owner IS NOT NULL AND owner <> ? AND lease > ?) ";
  const free = node === undefined ? [] : [node, nowMs];
  // Each part gives its own first `limit` in the order of its index: sorting all of 100,000 trees
  // that are due would take 30 ms a call.
  const rows = db.all(
    "SELECT id FROM (SELECT DISTINCT tree AS id FROM inbox WHERE true " +
      `${theirs.replace("id NOT", "tree NOT")}ORDER BY tree LIMIT ?) UNION ` +
      `SELECT id FROM (SELECT id FROM trees WHERE ready = 1 AND live = 1 ${theirs}` +
      "ORDER BY id LIMIT ?) UNION SELECT id FROM (SELECT id FROM trees INDEXED BY trees_due " +
      `WHERE due IS NOT NULL AND due <= ? AND live = 1 ${theirs}ORDER BY due LIMIT ?) ` +
      "ORDER BY id LIMIT ?",
    ...[...free, limit, ...free, limit, nowMs, ...free, limit, limit],
  );
  return rows.map(treeIn);
}

/** The earliest due time of any live tree. */
export function earliestDue(db: SqliteConnection): number | null {
  const row = db.get(
    "SELECT due FROM trees INDEXED BY trees_due WHERE due IS NOT NULL AND live = 1 " +
      "ORDER BY due LIMIT 1",
  );
  return row === undefined ? null : numberIn(row, "due");
}

/** Takes or renews ownership; inside a transaction. */
export function claimTree(
  db: SqliteConnection,
  claim: { readonly tree: TreeId; readonly node: string },
  options: { readonly nowMs: number; readonly ttlMs: number; readonly steal?: boolean },
): { readonly epoch: number } | undefined {
  const number = treeNumber(claim.tree);
  const row = db.get("SELECT epoch, owner, lease FROM trees WHERE id = ?", number);
  if (row === undefined) throw absentTree("claim", claim.tree);
  const owner = textOrNull(row, "owner");
  const isOwner = owner === claim.node;
  const held = owner !== null && numberIn(row, "lease") > options.nowMs;
  if (!isOwner && held && options.steal !== true) return undefined;
  const epoch = numberIn(row, "epoch") + (isOwner ? 0 : 1);
  db.run(
    "UPDATE trees SET owner = ?, epoch = ?, lease = ? WHERE id = ?",
    claim.node,
    epoch,
    options.nowMs + options.ttlMs,
    number,
  );
  return { epoch };
}

/** Gives a tree up and fences who had it; inside a transaction. */
export function releaseTree(
  db: SqliteConnection,
  claim: { readonly tree: TreeId; readonly node: string },
  epoch: number,
): void {
  db.run(
    "UPDATE trees SET owner = NULL, lease = 0, epoch = epoch + 1 " +
      "WHERE id = ? AND owner = ? AND epoch = ?",
    treeNumber(claim.tree),
    claim.node,
    epoch,
  );
}

/** Makes room for how many requests wait; inside a transaction, and not twice in the same one. */
export function addAsking(db: SqliteConnection): void {
  // What is added now may be rolled back: only the next transaction remembers that it is there.
  if (!isCounting(db)) db.exec(ASKING);
}

function isCounting(db: SqliteConnection): boolean {
  if (counting.has(db)) return true;
  const row = db.get("SELECT name FROM pragma_table_info('trees') WHERE name = 'asking'");
  if (row !== undefined) counting.add(db);
  return row !== undefined;
}

function select(db: SqliteConnection): string {
  return `SELECT ${COLUMNS}, ${isCounting(db) ? "asking" : "1 AS asking"} FROM trees `;
}

function treeIn(row: SqliteRow): TreeId {
  return `t_${numberIn(row, "id")}`;
}

function headIn(db: SqliteConnection, row: SqliteRow): TreeHead {
  const asking = numberIn(row, "asking");
  const { key, title } = db.cells.wordsIn(numberIn(row, "id"), row);
  return {
    tree: treeIn(row),
    seq: numberIn(row, "seq"),
    head: textIn(row, "head"),
    epoch: numberIn(row, "epoch"),
    owner: textOrNull(row, "owner"),
    leaseMs: numberIn(row, "lease"),
    dueMs: numberOrNull(row, "due"),
    summary: {
      live: numberIn(row, "live") === 1,
      title,
      key,
      ready: numberIn(row, "ready") === 1,
      ...(asking === 0 ? {} : { asking }),
    },
  };
}
