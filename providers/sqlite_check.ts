/**
 * Looks for damage in a SQLite store: a sentence for each thing found, in plain words.
 *
 * Whether the lines say what was written is the business of the kernel, which checks their hashes;
 * here the pages, links, counts and blobs are checked.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import { findAuditDamage } from "./sqlite_audit.ts";
import { numberIn, textIn } from "./sqlite_handle.ts";
import type { SqliteConnection, SqliteRow } from "./sqlite_handle.ts";
import { findCipherDamage } from "./sqlite_rewrite.ts";

/** Sentences of one kind that are worth reading. */
const SENTENCES_MAX = 100;
/** Blobs in hand at a time. */
const BLOBS_AT_ONCE = 16;

/** A question whose every row is damage, and the sentence for a row. */
interface Question {
  readonly sql: string;
  readonly say: (row: SqliteRow) => string;
  /** Looks at content itself, which is not to be seen in an encrypted store. */
  readonly isOfContent?: true;
}

const QUESTIONS: readonly Question[] = [
  {
    sql: "SELECT b.tree AS tree, b.seq AS seq FROM batches AS b LEFT JOIN batches AS p " +
      "ON p.id = b.back WHERE b.seq > 1 AND " +
      "(p.id IS NULL OR p.tree <> b.tree OR p.seq + p.count <> b.seq OR p.id >= b.id)",
    say: (row) => `Tree "${tree(row)}" has a broken link before line ${numberIn(row, "seq")}`,
  },
  {
    sql:
      "SELECT tree, seq FROM batches WHERE seq < 1 OR count < 1 OR (seq = 1 AND back IS NOT NULL)",
    say: (row) => `Tree "${tree(row)}" has a misnumbered batch at line ${numberIn(row, "seq")}`,
  },
  {
    isOfContent: true,
    sql: "SELECT tree, seq, count FROM batches " +
      "WHERE length(body) - length(replace(body, char(10), '')) + 1 <> count",
    say: (row) =>
      `Tree "${tree(row)}" has a batch at line ${numberIn(row, "seq")} ` +
      `with other than ${numberIn(row, "count")} lines`,
  },
  {
    sql: "SELECT t.id AS tree, t.seq AS seq FROM trees AS t LEFT JOIN batches AS b " +
      "ON b.id = t.last WHERE (t.seq = 0) <> (t.last IS NULL) OR (t.seq > 0 AND " +
      "(b.id IS NULL OR b.tree <> t.id OR b.seq + b.count - 1 <> t.seq))",
    say: (row) => `Tree "${tree(row)}" has no batch which ends at line ${numberIn(row, "seq")}`,
  },
  {
    sql: "SELECT b.tree AS tree, sum(b.count) AS count FROM batches AS b " +
      "LEFT JOIN trees AS t ON t.id = b.tree GROUP BY b.tree " +
      "HAVING sum(b.count) <> ifnull(t.seq, 0)",
    say: (row) =>
      `Tree "${tree(row)}" has ${numberIn(row, "count")} lines stored, which is not its length`,
  },
  {
    sql: "SELECT m.tree AS tree, m.seq AS seq FROM marks AS m LEFT JOIN batches AS b " +
      "ON b.id = m.id WHERE b.id IS NULL OR b.tree <> m.tree OR b.seq <> m.seq",
    say: (row) => `Tree "${tree(row)}" has a mark at line ${numberIn(row, "seq")} of another batch`,
  },
  {
    sql: "SELECT s.tree AS tree, s.seq AS seq FROM snapshots AS s LEFT JOIN trees AS t " +
      "ON t.id = s.tree WHERE t.id IS NULL OR s.seq > t.seq",
    say: (row) =>
      `Tree "${tree(row)}" has a snapshot beyond its end, at line ${numberIn(row, "seq")}`,
  },
  {
    sql:
      "SELECT i.tree AS tree, i.id AS id FROM inbox AS i LEFT JOIN trees AS t ON t.id = i.tree " +
      "WHERE t.id IS NULL",
    say: (row) => `Inbox item "${textIn(row, "id")}" is for tree "${tree(row)}", which is absent`,
  },
];

/** Newest batches of a large store that are looked at when it is opened. */
const NEWEST = 1_000;
/** Newest batches that their trees do not know of: a disk kept pages of two times. */
const UNKNOWN_NEWEST: Question = {
  sql: `SELECT b.tree AS tree, b.seq AS seq FROM (SELECT id, tree, seq FROM batches ` +
    `ORDER BY id DESC LIMIT ${NEWEST}) AS b LEFT JOIN trees AS t ON t.id = b.tree ` +
    `WHERE t.id IS NULL OR t.last IS NULL OR t.last < b.id`,
  say: (row) => `Tree "${tree(row)}" has a batch beyond its end, at line ${numberIn(row, "seq")}`,
};

/** Rows of damage that are read when a file is opened; with more it is refused. */
const DAMAGE_ROWS_MAX = 10_000;

/**
 * Trees whose rows do not hold together, each with what is wrong: who ran on them would not notice
 * for long. A file whose pages or seals do not, or which has rows of no tree, is refused with
 * `EINTEGRITY`. Of a large one only the newest batches are looked at.
 */
export function damagedTrees(
  db: SqliteConnection,
  name: string,
  isLarge: boolean,
): ReadonlyMap<TreeId, string> {
  const refuse = (what: string): never => {
    throw new SysError(
      "EINTEGRITY",
      `Cannot open store "${name}": damaged (${what}), expected what was written; ` +
        'read what is left with mode "read"',
    );
  };
  if (!isLarge) {
    const row = db.get("PRAGMA integrity_check(1)");
    const sentence = row === undefined ? "ok" : textIn(row, "integrity_check");
    if (sentence !== "ok") refuse(sentence.replaceAll(/\s+/g, " "));
  }
  const damaged = new Map<TreeId, string>();
  const questions = isLarge
    ? [UNKNOWN_NEWEST]
    : QUESTIONS.filter(({ isOfContent }) => isOfContent !== true);
  for (const { sql, say } of questions) {
    const rows = db.all(`${sql} LIMIT ${DAMAGE_ROWS_MAX}`);
    for (const row of rows) {
      const isThere = db.get("SELECT id FROM trees WHERE id = ?", numberIn(row, "tree"));
      if (isThere === undefined || rows.length === DAMAGE_ROWS_MAX) refuse(say(row));
      if (!damaged.has(tree(row))) damaged.set(tree(row), say(row));
    }
  }
  const [seals] = isLarge ? [] : findAuditDamage(db);
  if (seals !== undefined) refuse(seals);
  return damaged;
}

/** A tree that is not run, and why. */
export function damagedTree(id: TreeId, what: string): SysError {
  const sentence = `Cannot run tree "${id}": damaged (${what}), expected what was written`;
  return new SysError("EINTEGRITY", sentence, { tree: id });
}

/** Everything that is wrong; empty for a sound store. */
export function findDamage(db: SqliteConnection): readonly string[] {
  const found: string[] = [];
  for (const row of db.all(`PRAGMA integrity_check(${SENTENCES_MAX})`)) {
    const sentence = textIn(row, "integrity_check");
    if (sentence !== "ok") found.push(`The file is damaged: ${sentence}`);
  }
  const { isEncrypted } = db.cells;
  for (const { sql, say, isOfContent } of QUESTIONS) {
    if (isEncrypted && isOfContent === true) continue;
    for (const row of db.all(`${sql} LIMIT ${SENTENCES_MAX}`)) found.push(say(row));
  }
  if (isEncrypted) found.push(...findCipherDamage(db, SENTENCES_MAX));
  for (const hash of tamperedBlobs(db)) found.push(`Blob "${hash}" has a text with another hash`);
  return found;
}

function* tamperedBlobs(db: SqliteConnection): Iterable<string> {
  for (let after = 0;;) {
    const rows = db.all(
      "SELECT id, hash, body FROM blobs WHERE id > ? ORDER BY id LIMIT ?",
      after,
      BLOBS_AT_ONCE,
    );
    if (rows.length === 0) return;
    for (const row of rows) {
      after = numberIn(row, "id");
      const hash = db.cells.unmark(textIn(row, "hash"));
      const text = textOf(db, row, hash);
      if (text !== undefined && sha256(text) !== hash) yield hash;
    }
  }
}

/** The text of a value; undefined when its ciphertext was changed, which is told of already. */
function textOf(db: SqliteConnection, row: SqliteRow, hash: string): string | undefined {
  try {
    return db.cells.get(row, "body", "value", [hash]);
  } catch (error) {
    if (db.cells.isEncrypted) return undefined;
    throw error;
  }
}

function tree(row: SqliteRow): TreeId {
  return `t_${numberIn(row, "tree")}`;
}
