/**
 * The end of a SQLite store's log: batches of all trees are appended to one heap as they come.
 *
 * Most commits are one batch of one tree that changes nothing but its log. It goes as one
 * statement, which is a transaction of its own: fence, new head and lines in one go. Every other
 * commit is a transaction with a statement for each thing that it changes.
 *
 * Invariants:
 *   N1. A batch is appended only while its tree's row in the database stands where the batch
 *       expects it, epoch included; what is remembered here only saves reading.
 *   N2. A batch and all that goes with it become durable together, or none of it.
 * @module
 */

import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import type { Batch, InboxItem } from "../kernel/store.ts";
import { isConstraint, numberIn, numberOrNull, textOrNull } from "./sqlite_handle.ts";
import type { SqliteConnection, SqliteRow, SqliteValue } from "./sqlite_handle.ts";
import { columnsOf } from "./sqlite_log.ts";
import { writeRedaction } from "./sqlite_redactions.ts";
import { MARK_LINES } from "./sqlite_schema.ts";
import { addAsking } from "./sqlite_trees.ts";
import { absentTree, refuseMalformed, refuseUnfit } from "./store_refusals.ts";

/** What of a tree's row a batch is held against, and changes. */
interface Known {
  seq: number;
  epoch: number;
  /** Id of its last batch; null for an empty log. */
  last: number | null;
  due: number | null;
  /** When payloads are to go, as this was written last; undefined when that is not known. */
  redact?: number | null | undefined;
  live: boolean;
  ready: boolean;
  asking: number;
  key: string | null;
  title: string;
}

/** Trees which are remembered at a time. */
const KNOWN_MAX = 4_096;
/** Batches that one statement inserts, when so many are left. */
const ROWS_AT_ONCE = 16;
const COLUMNS = 7;
const ROW = "(?, ?, ?, ?, ?, ?, ?)";
const INSERT_ONE = "INSERT INTO batches(id, tree, seq, count, back, body, payloads) VALUES" + ROW;
const INSERT_MANY = INSERT_ONE + `, ${ROW}`.repeat(ROWS_AT_ONCE - 1);
/** The fence: it changes the row only while that stands where the batch expects it. */
const ADVANCE = "UPDATE trees SET seq = ?, head = ?, last = ? " +
  "WHERE id = ? AND epoch = ? AND seq = ? AND last IS ?";

/**
 * The same fence and the insert as one statement. The view and its trigger are this connection's
 * own and in no file; whatever the trigger does is undone when the fence does not hold.
 */
const APPENDED = `
  CREATE TEMP VIEW appended AS
    SELECT id, tree, seq, count, back, body, payloads, 0 AS epoch, '' AS head FROM main.batches;
  CREATE TEMP TRIGGER append_one INSTEAD OF INSERT ON appended BEGIN
    UPDATE trees SET seq = NEW.seq + NEW.count - 1, head = NEW.head, last = NEW.id
      WHERE id = NEW.tree AND epoch = NEW.epoch AND seq = NEW.seq - 1 AND last IS NEW.back;
    SELECT RAISE(ABORT, 'the tree is elsewhere') WHERE changes() <> 1;
    INSERT INTO batches(id, tree, seq, count, back, body, payloads)
      VALUES(NEW.id, NEW.tree, NEW.seq, NEW.count, NEW.back, NEW.body, NEW.payloads);
  END;
`;
const APPEND_ONE =
  "INSERT INTO appended(id, tree, seq, count, back, body, payloads, epoch, head) " +
  "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)";

/** The end of the heap: appends batches, and remembers where their trees stand. */
export class LogEnd {
  readonly #db: SqliteConnection;
  readonly #known = new Map<number, Known>();
  /** Id of the last batch of any tree; null while it is not known. */
  #top: number | null = null;
  /** Whether the connection has its view to append to. */
  #hasView = false;

  /** The end of the heap of a database; nothing is read yet. */
  constructor(db: SqliteConnection) {
    this.#db = db;
  }

  /** Forgets what may no longer be so: one tree, or after a failed transaction everything. */
  forget(tree?: TreeId): void {
    if (tree !== undefined) {
      this.#known.delete(treeNumber(tree));
      return;
    }
    this.#known.clear();
    this.#top = null;
  }

  /** Appends batches in order, as one statement or in a transaction; if that fails, `forget`. */
  commit(batches: readonly Batch[], transact: (job: () => void) => void): void {
    if (batches.length === 1 && this.#appendAlone(batches[0]!)) return;
    const job = (): void => this.#appendAll(batches);
    try {
      transact(job);
    } catch (thrown) {
      // What was remembered may be to blame, when another connection appended: it is read anew.
      if (!isConstraint(thrown)) throw thrown;
      this.forget();
      transact(job);
    }
  }

  /** Appends batches inside the caller's transaction, and trusts nothing that is remembered. */
  append(batches: readonly Batch[]): void {
    this.forget();
    this.#appendAll(batches);
  }

  #appendAll(batches: readonly Batch[]): void {
    for (const batch of batches) refuseMalformed(batch);
    addAsking(this.#db);
    const rows: SqliteValue[] = [];
    for (const batch of batches) this.#add(batch, rows);
    this.#insert(rows);
  }

  /**
   * Appends a batch that changes nothing but its tree's log, as one statement. False, and nothing
   * is changed, when it has to go the long way.
   */
  #appendAlone(batch: Batch): boolean {
    const tree = treeNumber(batch.tree);
    const known = this.#known.get(tree);
    if (known === undefined || !isLogOnly(known, batch) || !this.#db.isFree) return false;
    refuseMalformed(batch);
    const [body, payloads] = columnsOf(this.#db, tree, batch);
    const { seq, lines: { length: count }, epoch, head } = batch;
    const id = this.#next();
    try {
      this.#makeView();
      const row = [id, tree, seq, count, known.last, body, payloads, epoch, head] as const;
      this.#db.alone({ synced: true }, APPEND_ONE, ...row);
    } catch (thrown) {
      this.forget();
      // What is remembered is not so: the long way reads it anew, and says what is wrong.
      if (isConstraint(thrown)) return false;
      throw thrown;
    }
    this.#top = id;
    known.seq = seq + count - 1;
    known.last = id;
    return true;
  }

  #makeView(): void {
    if (this.#hasView) return;
    this.#db.exec(APPENDED);
    this.#hasView = true;
  }

  /** Id of the next batch: no other has it, or the table refuses this one. */
  #next(): number {
    if (this.#top === null) {
      const top = this.#db.get("SELECT max(id) AS id FROM batches");
      this.#top = top === undefined ? 0 : numberOrNull(top, "id") ?? 0;
    }
    return this.#top + 1;
  }

  #add(batch: Batch, rows: SqliteValue[]): void {
    const { seq, lines } = batch;
    const tree = treeNumber(batch.tree);
    const end = seq + lines.length - 1;
    const id = this.#next();
    const known = this.#advance(batch, { tree, end, id });
    rows.push(id, tree, seq, lines.length, known.last);
    rows.push(...columnsOf(this.#db, tree, batch));
    this.#top = id;
    if (needsMark(seq, end)) {
      this.#db.run("INSERT INTO marks(tree, seq, id) VALUES(?, ?, ?)", tree, seq, id);
    }
    writeChanges(this.#db, tree, known, batch);
    writeBeside(this.#db, batch);
    known.seq = end;
    known.last = id;
  }

  /** Moves a tree's row on, or refuses the batch; returns the row as it was. */
  #advance(batch: Batch, to: { readonly tree: number; readonly end: number; readonly id: number }) {
    const { tree, end, id } = to;
    let known = this.#known.get(tree);
    if (known !== undefined && known.seq + 1 === batch.seq && known.epoch === batch.epoch) {
      const { epoch, seq, last } = known;
      if (this.#db.run(ADVANCE, end, batch.head, id, tree, epoch, seq, last) === 1) return known;
    }
    known = this.#read(batch, tree);
    const { epoch, seq, last } = known;
    this.#db.run(ADVANCE, end, batch.head, id, tree, epoch, seq, last);
    return known;
  }

  /** Reads a tree's row, and refuses a batch which does not continue it. */
  #read(batch: Batch, tree: number): Known {
    const row = this.#db.get(
      "SELECT epoch, seq, last, owner, due, live, ready, asking, key, title FROM trees " +
        "WHERE id = ?",
      tree,
    );
    refuseUnfit(batch, row && positionOf(row));
    const known = knownOf(this.#db, tree, row!);
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.set(tree, known);
    return known;
  }

  #insert(rows: readonly SqliteValue[]): void {
    const many = ROWS_AT_ONCE * COLUMNS;
    let at = 0;
    for (; at + many <= rows.length; at += many) {
      this.#db.run(INSERT_MANY, ...rows.slice(at, at + many));
    }
    for (; at < rows.length; at += COLUMNS) {
      this.#db.run(INSERT_ONE, ...rows.slice(at, at + COLUMNS));
    }
  }
}

/** Whether a mark is due in lines from `seq` to `end`. */
function needsMark(seq: number, end: number): boolean {
  return Math.floor(end / MARK_LINES) > Math.floor((seq - 1) / MARK_LINES);
}

/** Whether a batch that comes next changes nothing but the log, as far as is known. */
function isLogOnly(known: Known, batch: Batch): boolean {
  const { seq, lines, redactMs, summary: { live, ready, key, title, asking = 0 } } = batch;
  return known.seq + 1 === seq && known.epoch === batch.epoch && lines.length > 0 &&
    !needsMark(seq, seq + lines.length - 1) &&
    batch.blobs.size + batch.taken.length + batch.puts.length === 0 &&
    known.due === batch.dueMs && (redactMs === undefined || known.redact === redactMs) &&
    known.ready === ready && known.asking === asking && known.live === live &&
    known.key === key && known.title === title;
}

function positionOf(row: SqliteRow): { seq: number; epoch: number; owner: string | null } {
  return {
    seq: numberIn(row, "seq"),
    epoch: numberIn(row, "epoch"),
    owner: textOrNull(row, "owner"),
  };
}

function knownOf(db: SqliteConnection, tree: number, row: SqliteRow): Known {
  return {
    seq: numberIn(row, "seq"),
    epoch: numberIn(row, "epoch"),
    last: numberOrNull(row, "last"),
    due: numberOrNull(row, "due"),
    live: numberIn(row, "live") === 1,
    ready: numberIn(row, "ready") === 1,
    asking: numberIn(row, "asking"),
    ...db.cells.wordsIn(tree, row),
  };
}

/** Writes what lists show, each only when it changed: an index named in SET is always rewritten. */
function writeChanges(db: SqliteConnection, tree: number, known: Known, batch: Batch): void {
  const { dueMs, summary: { live, ready, key, title, asking = 0 } } = batch;
  if (known.due !== dueMs) db.run("UPDATE trees SET due = ? WHERE id = ?", dueMs, tree);
  const { redactMs } = batch;
  if (redactMs !== undefined && known.redact !== redactMs) writeRedaction(db, tree, redactMs);
  if (known.ready !== ready) {
    db.run("UPDATE trees SET ready = ? WHERE id = ?", ready ? 1 : 0, tree);
  }
  if (known.asking !== asking) db.run("UPDATE trees SET asking = ? WHERE id = ?", asking, tree);
  if (known.live !== live) db.run("UPDATE trees SET live = ? WHERE id = ?", live ? 1 : 0, tree);
  if (known.key !== key || known.title !== title) {
    const words = db.cells.words(tree, { key, title });
    if (known.key !== key) db.run("UPDATE trees SET key = ? WHERE id = ?", words.key, tree);
    db.run("UPDATE trees SET title = ? WHERE id = ?", words.title, tree);
  }
  known.due = dueMs;
  known.redact = redactMs;
  known.ready = ready;
  known.asking = asking;
  known.live = live;
  known.key = key;
  known.title = title;
}

/** Writes what goes with a batch to other places: blobs and inboxes. */
function writeBeside(db: SqliteConnection, batch: Batch): void {
  for (const [hash, text] of batch.blobs) {
    const sql = "INSERT INTO blobs(hash, body) VALUES(?, ?) ON CONFLICT DO NOTHING";
    db.run(sql, db.cells.mark(hash), db.cells.put(text, "value", [hash]));
  }
  for (const id of batch.taken) {
    db.run("DELETE FROM inbox WHERE tree = ? AND id = ?", treeNumber(batch.tree), id);
  }
  for (const { tree, item } of batch.puts) {
    if (isThere(db, tree)) putItem(db, tree, item);
  }
}

/** Puts an item into an inbox; runs inside the caller's transaction. */
export function putItem(db: SqliteConnection, tree: TreeId, item: InboxItem): void {
  if (!isThere(db, tree)) throw absentTree("put an item into", tree);
  const number = treeNumber(tree);
  db.run(
    "INSERT INTO inbox(tree, id, body) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
    number,
    item.id,
    db.cells.put(canonical(item.body), "item", [number, item.id]),
  );
}

function isThere(db: SqliteConnection, tree: TreeId): boolean {
  return db.get("SELECT id FROM trees WHERE id = ?", treeNumber(tree)) !== undefined;
}
