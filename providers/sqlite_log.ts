/**
 * Lines in a SQLite store, read by following links: `sqlite_end.ts` appends them.
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
import type { StoredBatch } from "../kernel/store.ts";
import { numberIn, numberOrNull, textOrNull } from "./sqlite_handle.ts";
import type { SqliteConnection, SqliteRow, SqliteValue } from "./sqlite_handle.ts";
import { absentTree, brokenLog } from "./store_refusals.ts";

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
