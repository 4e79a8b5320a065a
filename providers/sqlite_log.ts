/**
 * Lines in a SQLite store: appended at the end of one heap, read by following links.
 *
 * Each batch names the batch of its tree before it, and every ~256 lines of a tree a mark names a
 * batch, so that a read starts near its position. A read goes from mark to mark: it follows the
 * links backwards between two of them, remembers only numbers, and gives the batches forwards.
 *
 * Invariants:
 *   L1. Batches of a tree have rising ids and continuous lines, from 1 to the tree's `seq`.
 *   L2. A read never holds more than a few batches and the numbers of one stretch between marks:
 *       as many more as those before were small.
 *   L3. A link that leads nowhere, elsewhere or not backwards ends a read with `EINTEGRITY`.
 * @module
 */

import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import type { Batch, InboxItem, StoredBatch } from "../kernel/store.ts";
import { numberIn, numberOrNull, textOrNull } from "./sqlite_handle.ts";
import type { SqliteConnection, SqliteRow, SqliteValue } from "./sqlite_handle.ts";
import { writeRedaction } from "./sqlite_redactions.ts";
import { MARK_LINES } from "./sqlite_schema.ts";
import { addAsking } from "./sqlite_trees.ts";
import { absentTree, brokenLog, refuseMalformed, refuseUnfit } from "./store_refusals.ts";

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

/** The end of the heap: appends batches, and remembers where their trees stand. */
export class LogEnd {
  readonly #db: SqliteConnection;
  readonly #known = new Map<number, Known>();
  /** What SQLite said when all this was read; it says otherwise once another connection wrote. */
  #version = -1;
  /** Id of the last batch of any tree. */
  #top = 0;

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
    this.#version = -1;
  }

  /** Appends batches in order, inside the caller's transaction; if that fails, `forget`. */
  append(batches: readonly Batch[]): void {
    for (const batch of batches) refuseMalformed(batch);
    addAsking(this.#db);
    this.#refresh();
    const rows: SqliteValue[] = [];
    for (const batch of batches) this.#add(batch, rows);
    this.#insert(rows);
  }

  #refresh(): void {
    const row = this.#db.get("PRAGMA data_version");
    const version = row === undefined ? 0 : numberIn(row, "data_version");
    if (version === this.#version) return;
    this.forget();
    const top = this.#db.get("SELECT max(id) AS id FROM batches");
    this.#top = top === undefined ? 0 : numberOrNull(top, "id") ?? 0;
    this.#version = version;
  }

  #add(batch: Batch, rows: SqliteValue[]): void {
    const { seq, lines } = batch;
    const tree = treeNumber(batch.tree);
    const end = seq + lines.length - 1;
    const id = this.#top + 1;
    const known = this.#advance(batch, { tree, end, id });
    rows.push(id, tree, seq, lines.length, known.last);
    rows.push(...columnsOf(this.#db, tree, batch));
    this.#top = id;
    if (Math.floor(end / MARK_LINES) > Math.floor((seq - 1) / MARK_LINES)) {
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

/** How far a read goes: the log as it was when the read began. */
interface Reach {
  readonly tree: TreeId;
  /** Number of the last line. */
  readonly end: number;
  /** Id of the batch which holds it; null for an empty log. */
  readonly last: number | null;
}

/** What a stretch of a read remembers of a batch. */
interface Link {
  readonly id: number;
  readonly seq: number;
  readonly count: number;
}

/** Where the log of a tree ends now. */
export function reachOf(db: SqliteConnection, tree: TreeId): Reach {
  const row = db.get("SELECT seq, last FROM trees WHERE id = ?", treeNumber(tree));
  if (row === undefined) throw absentTree("read", tree);
  return { tree, end: numberIn(row, "seq"), last: numberOrNull(row, "last") };
}

/** The batches which hold line `next` and those after it, as far as the next mark or the end. */
export function stretch(db: SqliteConnection, reach: Reach, next: number): readonly Link[] {
  const tree = treeNumber(reach.tree);
  const mark = db.get(
    "SELECT id FROM marks WHERE tree = ? AND seq >= ? AND seq <= ? ORDER BY seq LIMIT 1",
    tree,
    next,
    reach.end,
  );
  const rows = db.all(
    "WITH RECURSIVE walk(id, seq, count, back) AS (" +
      "SELECT id, seq, count, back FROM batches WHERE id = ? AND tree = ? " +
      "UNION ALL " +
      "SELECT b.id, b.seq, b.count, b.back FROM walk AS w CROSS JOIN batches AS b " +
      "ON b.id = w.back WHERE w.seq > ? AND b.tree = ? AND b.id < w.id" +
      ") SELECT id, seq, count FROM walk",
    mark === undefined ? reach.last : numberIn(mark, "id"),
    tree,
    next,
    tree,
  );
  const links = rows.map(linkOf).sort((one, other) => one.id - other.id);
  refuseBroken(reach.tree, links, next);
  return links;
}

function linkOf(row: SqliteRow): Link {
  return { id: numberIn(row, "id"), seq: numberIn(row, "seq"), count: numberIn(row, "count") };
}

/** Refuses links which do not lead from line `next` on without a gap (L1, L3). */
function refuseBroken(tree: TreeId, links: readonly Link[], next: number): void {
  const first = links[0];
  if (first === undefined || first.seq > next || first.seq + first.count <= next) {
    throw brokenLog(tree, next, "a broken link, expected the batch which holds it");
  }
  let seq = first.seq;
  for (const link of links) {
    if (link.seq !== seq) {
      throw brokenLog(tree, seq, `found line ${link.seq}, expected line ${seq}`);
    }
    seq += link.count;
  }
}

/** Batches that a read takes at once, at most. */
const WIDTH_MAX = 16;
/** How much text they may be, as far as those before tell. */
const WIDTH_CHARS = 262_144;
const SELECT_ONE = "SELECT id, body, payloads FROM batches WHERE id = ?";
const SELECT_MANY = "SELECT id, body, payloads FROM batches WHERE id IN (" +
  `${"?, ".repeat(WIDTH_MAX - 1)}?) ORDER BY id`;

/** The batches that links lead to, and how many may be read next: one to begin with (L2). */
export function batchesAt(
  db: SqliteConnection,
  tree: TreeId,
  links: readonly Link[],
): { readonly batches: readonly StoredBatch[]; readonly width: number } {
  const ids = links.map(({ id }) => id);
  while (links.length > 1 && ids.length < WIDTH_MAX) ids.push(ids[0]!);
  const rows = db.all(links.length > 1 ? SELECT_MANY : SELECT_ONE, ...ids);
  let [next, chars] = [0, 0];
  const batches = links.map((link) => {
    const row = rows[next];
    if (row === undefined || numberIn(row, "id") !== link.id) {
      throw brokenLog(tree, link.seq, "absent, expected a batch");
    }
    next += 1;
    const batch = batchIn(db, tree, link, row);
    for (const line of batch.lines) chars += line.length;
    for (const text of batch.payloads.values()) chars += text.length;
    return batch;
  });
  const room = Math.floor(WIDTH_CHARS * links.length / Math.max(chars, 1));
  return { batches, width: Math.max(1, Math.min(room, WIDTH_MAX)) };
}

/** The batch a link leads to. */
export function batchAt(db: SqliteConnection, tree: TreeId, link: Link): StoredBatch {
  return batchesAt(db, tree, [link]).batches[0]!;
}

function batchIn(db: SqliteConnection, tree: TreeId, link: Link, row: SqliteRow): StoredBatch {
  const place = [treeNumber(tree), link.seq] as const;
  const lines = db.cells.get(row, "body", "lines", place).split("\n");
  const joined = db.cells.isEncrypted
    ? lines.splice(link.count)
    : textOrNull(row, "payloads")?.split("\n") ?? [];
  if (lines.length !== link.count) {
    const found = `a batch of ${lines.length} lines, expected ${link.count}`;
    throw brokenLog(tree, link.seq, found);
  }
  const payloads = paired(joined);
  if (payloads === undefined) {
    throw brokenLog(tree, link.seq, "payloads without a hash, expected a hash for each");
  }
  return { seq: link.seq, lines, payloads };
}

/** The body and the payloads of a batch as columns; encrypted, both are one cell. */
export function columnsOf(
  db: SqliteConnection,
  tree: number,
  { seq, lines, payloads }: StoredBatch,
): readonly [SqliteValue, SqliteValue] {
  const body = lines.length === 1 ? lines[0] ?? "" : lines.join("\n");
  const joined = joinPayloads(payloads);
  if (!db.cells.isEncrypted) return [body, joined];
  const whole = joined === null ? body : `${body}\n${joined}`;
  return [db.cells.put(whole, "lines", [tree, seq]), null];
}

/** Hashes and texts in turn, one a line: canonical JSON has no line breaks of its own. */
function joinPayloads(payloads: ReadonlyMap<string, string>): string | null {
  if (payloads.size === 0) return null;
  const parts: string[] = [];
  for (const [hash, text] of payloads) parts.push(hash, text);
  return parts.join("\n");
}

const NO_PAYLOADS: ReadonlyMap<string, string> = new Map();

function paired(parts: readonly string[]): ReadonlyMap<string, string> | undefined {
  if (parts.length === 0) return NO_PAYLOADS;
  if (parts.length % 2 !== 0) return undefined;
  const payloads = new Map<string, string>();
  for (let i = 0; i < parts.length; i += 2) payloads.set(parts[i] ?? "", parts[i + 1] ?? "");
  return payloads;
}
