/**
 * The history of a SQLite store: leaves and signed heads in two tables of the same file.
 *
 * Any connection that may write can seal, beside the kernel's too: a seal says how long the history
 * was when it was made, and that is compared in the transaction that adds it.
 *
 * Invariants:
 *   A1. Leaves and the head over them are added in one transaction, which is on the disk when
 *       `append` resolves. No row is ever changed.
 *   A2. What the columns beside a text say is not believed: it is compared with the text.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { isHash } from "../kernel/merkle.ts";
import { parseJson } from "../kernel/parse.ts";
import { HEAD, readLeaf, refuseUnfitSeal } from "../kernel/seal.ts";
import type { AuditStore, SignedHead, StoredHead, StoredStretch } from "../kernel/seal.ts";
import { numberIn, textIn } from "./sqlite_handle.ts";
import type { SqliteConnection, SqliteRow } from "./sqlite_handle.ts";

/** The tables of a history. `tree` and `seq` are the stretch's, and NULL for keys. */
export const AUDIT_TABLES = `
  CREATE TABLE audit_leaves(
    n INTEGER PRIMARY KEY,
    tree INTEGER,
    seq INTEGER,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_leaves_tree ON audit_leaves(tree, seq) WHERE tree IS NOT NULL;
  CREATE TABLE audit_heads(
    size INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    peaks TEXT NOT NULL
  ) STRICT;
`;

/** How the store lets its history in: it knows whether it is open, and what it was opened for. */
export interface SqliteDoor {
  read<T>(verb: string, job: () => T): Promise<T>;
  /** Runs `job` in one synced write transaction. */
  write<T>(verb: string, job: () => T): Promise<T>;
}

/** The history of a store in a SQLite file. */
export class SqliteAuditStore implements AuditStore {
  readonly #db: SqliteConnection;
  readonly #door: SqliteDoor;

  /** Over the connection of a store; see `SqliteStore.audit`. */
  constructor(db: SqliteConnection, door: SqliteDoor) {
    this.#db = db;
    this.#door = door;
  }

  append(leaves: readonly string[], head: SignedHead, peaks: readonly string[]): Promise<void> {
    return this.#door.write("seal", () => {
      const size = sizeOf(this.#db);
      refuseUnfitSeal(size, leaves, head);
      for (const [i, text] of leaves.entries()) {
        const leaf = readLeaf(text);
        const of = leaf?.type === "libos.seal/1" ? leaf : undefined;
        this.#db.run(
          "INSERT INTO audit_leaves(n, tree, seq, body) VALUES(?, ?, ?, ?)",
          size + i,
          of === undefined ? null : treeNumber(of.tree),
          of?.seq ?? null,
          text,
        );
      }
      this.#db.run(
        "INSERT INTO audit_heads(size, body, peaks) VALUES(?, ?, ?)",
        head.size,
        canonical(head),
        canonical([...peaks]),
      );
    });
  }

  last(): Promise<StoredHead | undefined> {
    return this.#door.read("read the seals of", () => {
      const row = this.#db.get(
        "SELECT size, body, peaks FROM audit_heads ORDER BY size DESC LIMIT 1",
      );
      return row === undefined ? undefined : { head: headIn(row), peaks: peaksIn(row) };
    });
  }

  leaves(from: number, limit: number): Promise<readonly string[]> {
    return this.#door.read("read the seals of", () => {
      const rows = this.#db.all(
        "SELECT body FROM audit_leaves WHERE n >= ? ORDER BY n LIMIT ?",
        from,
        limit,
      );
      return rows.map((row) => textIn(row, "body"));
    });
  }

  heads(after: number, limit: number): Promise<readonly SignedHead[]> {
    return this.#door.read("read the seals of", () => {
      const rows = this.#db.all(
        "SELECT size, body FROM audit_heads WHERE size > ? ORDER BY size LIMIT ?",
        after,
        limit,
      );
      return rows.map(headIn);
    });
  }

  latest(tree: TreeId): Promise<StoredStretch | undefined> {
    return this.#stretch(
      tree,
      "SELECT n, seq, body FROM audit_leaves WHERE tree = ? ORDER BY seq DESC LIMIT 1",
    );
  }

  covering(tree: TreeId, seq: number): Promise<StoredStretch | undefined> {
    return this.#stretch(
      tree,
      "SELECT n, seq, body FROM audit_leaves WHERE tree = ? AND seq >= ? ORDER BY seq LIMIT 1",
      seq,
    );
  }

  #stretch(tree: TreeId, sql: string, ...rest: number[]): Promise<StoredStretch | undefined> {
    return this.#door.read("read the seals of", () => {
      const row = this.#db.get(sql, treeNumber(tree), ...rest);
      if (row === undefined) return undefined;
      const [index, text] = [numberIn(row, "n"), textIn(row, "body")];
      const leaf = readLeaf(text);
      if (
        leaf?.type === "libos.seal/1" && leaf.tree === tree && leaf.seq === numberIn(row, "seq")
      ) {
        return { index, text, stretch: leaf };
      }
      throw misstored(`leaf ${index}`);
    });
  }
}

/** What is wrong with the rows of a history by themselves, a sentence each. */
export function findAuditDamage(db: SqliteConnection): readonly string[] {
  const rows = db.all(
    "SELECT n FROM audit_leaves WHERE tree IS NOT NULL AND NOT (json_valid(body) AND " +
      "json_extract(body, '$.tree') = 't_' || tree AND json_extract(body, '$.seq') = seq) " +
      "LIMIT 100",
  );
  const found = rows.map((row) => `Leaf ${numberIn(row, "n")} is filed under another line`);
  const size = sizeOf(db);
  const last = db.get("SELECT ifnull(max(size), 0) AS size FROM audit_heads");
  const signed = last === undefined ? 0 : numberIn(last, "size");
  if (size !== signed) found.push(`The history has ${size} leaves, and its last head ${signed}`);
  return found;
}

/** How many leaves there are: one more than the last number, so that a lost one is missed. */
function sizeOf(db: SqliteConnection): number {
  const row = db.get("SELECT ifnull(max(n) + 1, 0) AS size FROM audit_leaves");
  return row === undefined ? 0 : numberIn(row, "size");
}

function headIn(row: SqliteRow): SignedHead {
  const size = numberIn(row, "size");
  const head = HEAD.safeParse(parsed(textIn(row, "body"))).data;
  if (head?.size === size) return head;
  throw misstored(`the head of ${size} leaves`);
}

function peaksIn(row: SqliteRow): readonly string[] {
  const peaks = parsed(textIn(row, "peaks"));
  if (Array.isArray(peaks) && peaks.every(isHash)) return peaks;
  throw misstored("the frontier of the last head");
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function misstored(what: string): SysError {
  const sentence = `Cannot read the seals of the store: ${what} is not what was stored`;
  return new SysError("EINTEGRITY", `${sentence}, expected what was sealed`);
}
