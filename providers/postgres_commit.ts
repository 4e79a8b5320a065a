/**
 * A commit to PostgreSQL: the batches of many trees in one statement, and so one round trip.
 *
 * The statement is a call of a function that goes through the batches in order. Each is taken only
 * where its tree ends and at its epoch: that is the condition of the one row that it updates, so
 * that of two writers one waits for the other's transaction and is then refused (S2).
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { treeNumber } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import type { Batch } from "../kernel/store.ts";
import type { Postgres } from "./postgres_handle.ts";
import { type Position, refuseMalformed, refuseUnfit } from "./store_refusals.ts";

/** The state of SQL that the function ends with when a batch does not fit. */
export const UNFIT = "LS001";

/** What a commit tells of is told to who has the trees: `-` for those that nobody has. */
const TELL = `
      PERFORM pg_notify('$channel', teller || (
        SELECT coalesce(string_agg(' ' || owner, ''), '') FROM (
          SELECT DISTINCT coalesce(t.owner, '-') AS owner FROM $.trees t
          WHERE t.id = ANY(to_) LIMIT 64) AS owners));`;

/**
 * What a commit does, in the words of a layout. Blobs come in order of hash and batches in order of
 * tree, so that two commits that bring the same wait for each other and never in a ring.
 */
export const commitFunction = (layout: 1 | 2): string => `
  CREATE FUNCTION $.commit_${layout}(
    trees bigint[], epochs bigint[], seqs bigint[], counts integer[], heads text[],
    bodies text[], payloads text[], dues bigint[], redacts bigint[], keeps integer[],
    lives integer[], readies integer[], askings integer[], keys text[], titles text[],
    hashes text[], values_ text[],
    takers integer[], taken text[], putters integer[], to_ bigint[], ids text[], items text[],
    teller text${layout === 1 ? "" : ", selectors text[]"}
  ) RETURNS void LANGUAGE plpgsql AS $commit$
  BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('$.'), 3);
    IF cardinality(hashes) > 0 THEN
      INSERT INTO $.blobs(hash, body) SELECT * FROM unnest(hashes, values_)
        ON CONFLICT (hash) DO NOTHING;
    END IF;
    FOR i IN 1 .. cardinality(trees) LOOP
      UPDATE $.trees t SET
        seq = t.seq + counts[i], head = heads[i], due = dues[i],
        redact = CASE WHEN keeps[i] = 1 THEN t.redact ELSE redacts[i] END,
        live = lives[i] = 1, ready = readies[i] = 1, asking = askings[i],
        key = keys[i], title = titles[i]${layout === 1 ? "" : ", selector = selectors[i]::jsonb"}
      WHERE t.id = trees[i] AND t.epoch = epochs[i] AND t.seq = seqs[i] - 1;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'A batch does not fit' USING ERRCODE = '${UNFIT}';
      END IF;
      INSERT INTO $.batches(tree, seq, count, body, payloads)
        VALUES(trees[i], seqs[i], counts[i], bodies[i], payloads[i]);
      IF i = ANY(takers) THEN
        DELETE FROM $.inbox b USING unnest(takers, taken) AS gone(taker, id)
          WHERE gone.taker = i AND b.tree = trees[i] AND b.id = gone.id;
      END IF;
      IF i = ANY(putters) THEN
        INSERT INTO $.inbox(tree, id, body)
          SELECT put.tree, put.id, put.body
          FROM unnest(putters, to_, ids, items) WITH ORDINALITY
            AS put(putter, tree, id, body, n)
          WHERE put.putter = i AND EXISTS (SELECT FROM $.trees t WHERE t.id = put.tree)
          ORDER BY put.n
          ON CONFLICT (tree, id) DO NOTHING;
      END IF;
    END LOOP;
    IF cardinality(putters) > 0 THEN${
  layout === 1 ? "\n      PERFORM pg_notify('$channel', teller);" : TELL
}
    END IF;
  END $commit$;
`;

/**
 * The same for batches of as many trees, none of which has two: a statement for all of them does
 * what the other does one by one. Rows are locked in order of tree first, since a join has none.
 */
export const COMMIT_TOGETHER = `
  CREATE FUNCTION $.commit_2_together(
    trees bigint[], epochs bigint[], seqs bigint[], counts integer[], heads text[],
    bodies text[], payloads text[], dues bigint[], redacts bigint[], keeps integer[],
    lives integer[], readies integer[], askings integer[], keys text[], titles text[],
    hashes text[], values_ text[],
    takers integer[], taken text[], putters integer[], to_ bigint[], ids text[], items text[],
    teller text, selectors text[]
  ) RETURNS void LANGUAGE plpgsql AS $commit$
  DECLARE
    fits bigint;
  BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('$.'), 3);
    IF cardinality(hashes) > 0 THEN
      INSERT INTO $.blobs(hash, body) SELECT * FROM unnest(hashes, values_)
        ON CONFLICT (hash) DO NOTHING;
    END IF;
    PERFORM FROM $.trees t WHERE t.id = ANY(trees) ORDER BY t.id FOR NO KEY UPDATE;
    UPDATE $.trees t SET
      seq = t.seq + b.count, head = b.head, due = b.due,
      redact = CASE WHEN b.keep = 1 THEN t.redact ELSE b.redact END,
      live = b.live = 1, ready = b.ready = 1, asking = b.asking,
      key = b.key, title = b.title, selector = b.selector::jsonb
    FROM unnest(
      trees, epochs, seqs, counts, heads, dues, redacts, keeps, lives, readies, askings, keys,
      titles, selectors
    ) AS b(
      tree, epoch, seq, count, head, due, redact, keep, live, ready, asking, key, title, selector
    )
    WHERE t.id = b.tree AND t.epoch = b.epoch AND t.seq = b.seq - 1;
    GET DIAGNOSTICS fits = ROW_COUNT;
    IF fits <> cardinality(trees) THEN
      RAISE EXCEPTION 'A batch does not fit' USING ERRCODE = '${UNFIT}';
    END IF;
    INSERT INTO $.batches(tree, seq, count, body, payloads)
      SELECT * FROM unnest(trees, seqs, counts, bodies, payloads);
    IF cardinality(takers) > 0 THEN
      DELETE FROM $.inbox b USING unnest(takers, taken) AS gone(taker, id)
        WHERE b.tree = trees[gone.taker] AND b.id = gone.id;
    END IF;
    IF cardinality(putters) > 0 THEN
      INSERT INTO $.inbox(tree, id, body)
        SELECT put.tree, put.id, put.body
        FROM unnest(to_, ids, items) WITH ORDINALITY AS put(tree, id, body, n)
        WHERE EXISTS (SELECT FROM $.trees t WHERE t.id = put.tree)
        ORDER BY put.n
        ON CONFLICT (tree, id) DO NOTHING;${TELL}
    END IF;
  END $commit$;
`;

/** The call of the function in a schema that does batches such as these. */
export function commitCall(schema: string, batches: readonly Batch[]): string {
  const isTogether = new Set(batches.map(({ tree }) => tree)).size === batches.length;
  const types = "bigint[],bigint[],bigint[],integer[],text[],text[],text[],bigint[],bigint[]," +
    "integer[],integer[],integer[],integer[],text[],text[],text[],text[]," +
    "integer[],text[],integer[],bigint[],text[],text[],text,text[]";
  const given = types.split(",").map((type, i) => `$${i + 1}::${type}`);
  return `SELECT ${schema}.commit_2${isTogether ? "_together" : ""}(${given.join(", ")})`;
}

/**
 * What the function is given for batches: columns as arrays, and who tells of them. `EINVAL` for
 * malformed ones.
 */
export function commitColumns(db: Postgres, batches: readonly Batch[]): unknown[] {
  for (const batch of batches) refuseMalformed(batch);
  // A stable sort: two batches of one tree stay as they came.
  const sorted = [...batches].sort((one, other) => treeNumber(one.tree) - treeNumber(other.tree));
  const blobs = new Map(sorted.flatMap(({ blobs }) => [...blobs]).reverse());
  const hashes = [...blobs.keys()].sort();
  const takes = sorted.flatMap(({ taken }, i) => taken.map((id) => [i + 1, word(id)] as const));
  const puts = sorted.flatMap((batch, i) => batch.puts.map((put) => [i + 1, put] as const));
  const column = (of: (batch: Batch) => unknown): unknown[] => sorted.map(of);
  return [
    column(({ tree }) => treeNumber(tree)),
    column(({ epoch }) => epoch),
    column(({ seq }) => seq),
    column(({ lines }) => lines.length),
    column(({ head }) => head),
    column(({ lines }) => lines.join("\n")),
    column(({ payloads }) => joined(payloads)),
    column(({ dueMs }) => dueMs),
    column(({ redactMs }) => redactMs ?? null),
    column(({ redactMs }) => flag(redactMs === undefined)),
    column(({ summary }) => flag(summary.live)),
    column(({ summary }) => flag(summary.ready)),
    column(({ summary }) => summary.asking ?? 0),
    column(({ summary }) => summary.key === null ? null : word(summary.key)),
    column(({ summary }) => word(summary.title)),
    hashes,
    hashes.map((hash) => blobs.get(hash)),
    takes.map(([taker]) => taker),
    takes.map(([, id]) => id),
    puts.map(([putter]) => putter),
    puts.map(([, { tree }]) => treeNumber(tree)),
    puts.map(([, { item }]) => word(item.id)),
    puts.map(([, { item }]) => canonical(item.body)),
    db.teller,
    column(({ summary }) => summary.selector === undefined ? null : canonical(summary.selector)),
  ];
}

/** The library takes a list of booleans for one. */
function flag(is: boolean): number {
  return is ? 1 : 0;
}

/**
 * Throws what the first batch that does not fit is refused with, in the order in which they were
 * given; what else refused them all, with `ESTALE`.
 */
export async function refuseUnfits(db: Postgres, batches: readonly Batch[]): Promise<never> {
  const rows = await db.run(
    `SELECT id, seq, epoch, owner FROM ${db.schema}.trees WHERE id = ANY($1::bigint[])`,
    [batches.map(({ tree }) => treeNumber(tree))],
  );
  const ends = new Map(rows.map((row) => [row.id, row as unknown as Position]));
  for (const batch of batches) {
    const number = treeNumber(batch.tree);
    const position = ends.get(number);
    refuseUnfit(batch, position);
    ends.set(number, { ...position, seq: position.seq + batch.lines.length });
  }
  const { tree } = batches[0]!;
  const sentence = `Cannot append to tree "${tree}": others were written meanwhile, ` +
    "expected that none was; read it again";
  throw new SysError("ESTALE", sentence, { tree });
}

/**
 * A text of anybody's as JSON: PostgreSQL takes no zero character, and no half of a character.
 */
export function word(text: string): string {
  return JSON.stringify(text);
}

/** What {@linkcode word} was given. */
export function unword(text: string): string {
  return parseJson(text) as string;
}

/** Hashes and texts in turn, one a line: canonical JSON has no line breaks of its own. */
export function joined(payloads: ReadonlyMap<string, string>): string | null {
  return payloads.size === 0 ? null : [...payloads].flat().join("\n");
}
