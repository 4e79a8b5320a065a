/**
 * The tables of a PostgreSQL store, in a schema of their own, and how they come to be as they are.
 *
 * Migrations only go forward: each is one transaction, and none takes away what a node that knows
 * only the layouts before it reads or calls. What a commit does is a function whose name has the
 * layout in it, so that older nodes go on with theirs.
 *
 * Invariants:
 *   T1. A schema of a newer layout is refused and left as it was.
 *   T2. The tables and the number of their layout appear in one transaction, once, however many
 *       nodes start at the same time; one that fails leaves nothing.
 *   T3. A node of the layout before goes on while a later one is there; it is not started anew.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { AUDIT_TABLES } from "./postgres_audit.ts";
import { COMMIT_TOGETHER, commitFunction } from "./postgres_commit.ts";
import type { Postgres } from "./postgres_handle.ts";
import { SHARES_TABLES } from "./postgres_shares.ts";

/** The newest layout that this code knows. */
export const POSTGRES_LAYOUT = 8;
/** Advisory locks, beside the schema's number: who migrates, names, sweeps, joins, seals. */
export const LOCKS = { migrate: 1, key: 2, sweep: 3, join: 4, seal: 5 } as const;

/**
 * What a node finds by without reading logs is an index over few trees: those that live, wait for
 * a time, are ready, or ask. Room is left in pages of `trees`, so that most commits rewrite a row
 * in its place and touch no index.
 */
const LAYOUT_1 = `
  CREATE SEQUENCE $.tree_number;
  CREATE TABLE $.trees(
    id bigint PRIMARY KEY,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    head text NOT NULL,
    owner text,
    lease bigint NOT NULL,
    due bigint,
    redact bigint,
    live boolean NOT NULL,
    ready boolean NOT NULL,
    asking integer NOT NULL,
    key text COLLATE "C",
    title text NOT NULL
  ) WITH (fillfactor = 70);
  CREATE INDEX trees_key ON $.trees(key) WHERE key IS NOT NULL AND live;
  CREATE INDEX trees_live ON $.trees(id) WHERE live;
  CREATE INDEX trees_ready ON $.trees(id) WHERE ready AND live;
  CREATE INDEX trees_due ON $.trees(due) WHERE due IS NOT NULL AND live;
  CREATE INDEX trees_asking ON $.trees(id) WHERE asking > 0 AND live;
  CREATE INDEX trees_redact ON $.trees(redact) WHERE redact IS NOT NULL;
  CREATE TABLE $.batches(
    tree bigint NOT NULL,
    seq bigint NOT NULL,
    count integer NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    body text NOT NULL,
    payloads text,
    PRIMARY KEY(tree, seq)
  );
  CREATE INDEX batches_position ON $.batches USING brin(position);
  CREATE TABLE $.blobs(hash text COLLATE "C" PRIMARY KEY, body text NOT NULL);
  CREATE TABLE $.gone(hash text COLLATE "C" PRIMARY KEY, note text NOT NULL);
  CREATE TABLE $.inbox(
    n bigint GENERATED ALWAYS AS IDENTITY,
    tree bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    body text NOT NULL,
    PRIMARY KEY(tree, id)
  );
  CREATE TABLE $.snapshots(
    tree bigint NOT NULL,
    seq bigint NOT NULL,
    head text NOT NULL,
    state text NOT NULL,
    PRIMARY KEY(tree, seq)
  );
  ${commitFunction(1)}
`;

/**
 * Nodes. A tree of one has no lease of its own but the node's, so that one row is renewed for all
 * of them; to nodes of layout 1 it looks as one that never runs out. What waits for a node is found
 * by indexes over trees that nobody has.
 */
const LAYOUT_2 = `
  CREATE FUNCTION $.now_ms() RETURNS bigint LANGUAGE sql STABLE
    AS 'SELECT (extract(epoch FROM now()) * 1000)::bigint';
  CREATE TABLE $.nodes(
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    labels jsonb NOT NULL,
    version text NOT NULL,
    layout integer NOT NULL,
    capacity integer NOT NULL,
    lease integer NOT NULL,
    state text NOT NULL,
    started bigint NOT NULL,
    beat bigint NOT NULL,
    until bigint NOT NULL,
    skew bigint NOT NULL DEFAULT 0,
    active integer NOT NULL DEFAULT 0,
    held integer NOT NULL DEFAULT 0,
    taken bigint NOT NULL DEFAULT 0,
    freed bigint NOT NULL DEFAULT 0,
    lapses bigint NOT NULL DEFAULT 0
  ) WITH (fillfactor = 50);
  ALTER TABLE $.trees ADD COLUMN selector jsonb, ADD COLUMN wanted text COLLATE "C";
  CREATE INDEX trees_owner ON $.trees(owner, id) WHERE owner IS NOT NULL;
  CREATE INDEX trees_lease ON $.trees(lease) WHERE owner IS NOT NULL;
  CREATE INDEX trees_wanted ON $.trees(wanted, id) WHERE wanted IS NOT NULL;
  CREATE INDEX trees_free_ready ON $.trees(id) WHERE ready AND live AND owner IS NULL;
  CREATE INDEX trees_free_due ON $.trees(due)
    WHERE due IS NOT NULL AND live AND owner IS NULL;
  ${commitFunction(2)}
  ${COMMIT_TOGETHER}
`;

/**
 * When the database cleans up: by what changed and not by a share of what is there, which with ten
 * million trees is two million dead rows.
 */
const UPKEEP = `
  ALTER TABLE $.trees SET (
    autovacuum_vacuum_scale_factor = 0.005, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01);
  ALTER TABLE $.inbox SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
  ALTER TABLE $.batches SET (
    autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_vacuum_scale_factor = 0.01);
  ALTER TABLE $.blobs SET (
    autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_vacuum_scale_factor = 0.01);
`;

/** How many steps a second a node makes; null of nodes of the layouts before. */
const STEPS = "ALTER TABLE $.nodes ADD COLUMN steps real";

/** When an item was put into an inbox; of those that are there already, now. */
const PUT = "ALTER TABLE $.inbox ADD COLUMN put bigint DEFAULT $.now_ms()";

/**
 * Who follows what is committed finds it by positions. Their index has what was there when the
 * database last cleaned up, so that is done by what was added, too; and no statistics, which know
 * nothing of the newest, make the database read all there is in its place.
 */
const FOLLOWED = `
  ALTER TABLE $.batches SET (
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000);
  CREATE FUNCTION $.followed_8(above bigint, gaps bigint[], most integer)
    RETURNS TABLE("position" bigint, tree bigint, seq bigint)
    LANGUAGE sql STABLE
    SET enable_seqscan = off SET enable_indexscan = off AS $followed$
      (SELECT b.position, b.tree, b.seq FROM $.batches b WHERE b.position = ANY(gaps))
      UNION ALL
      (SELECT b.position, b.tree, b.seq FROM $.batches b WHERE b.position > above
       ORDER BY b.position LIMIT most)
      ORDER BY 1 LIMIT most
    $followed$;
`;

/** Statements that lead from the layout before to each, "$" for the schema; the first is 1. */
export const MIGRATIONS: readonly string[] = [
  LAYOUT_1,
  LAYOUT_2,
  SHARES_TABLES,
  AUDIT_TABLES,
  UPKEEP,
  STEPS,
  PUT,
  FOLLOWED,
];

/** Brings the schema to the newest layout; `EINVAL` when it is of a newer one (T1). */
export async function migrate(
  db: Postgres,
  migrations: readonly string[] = MIGRATIONS,
): Promise<void> {
  const newest = migrations.length;
  const { schema } = db;
  if (await layoutOf(db, newest) === newest) return;
  await db.transaction(async (run) => {
    await run(`SELECT pg_advisory_xact_lock(hashtext($1), ${LOCKS.migrate})`, [schema]);
    // Only who may make schemas is asked for one that is there.
    const [there] = await run("SELECT to_regnamespace($1) IS NOT NULL AS there", [schema]);
    if (there?.there !== true) await run(`CREATE SCHEMA ${schema}`);
    await run(`CREATE TABLE IF NOT EXISTS ${schema}.layout(version integer NOT NULL)`);
    const [row] = await run(`SELECT max(version) AS version FROM ${schema}.layout`);
    const from = (row?.version as number | null) ?? 0;
    refuseNewer(db, from, newest);
    for (let version = from + 1; version <= newest; version++) {
      await run(inSchema(migrations[version - 1]!, schema));
      await run(`INSERT INTO ${schema}.layout(version) VALUES($1)`, [version]);
    }
  });
}

/** A text of SQL with the schema and its channel in their places. */
export function inSchema(sql: string, schema: string): string {
  return sql.replaceAll("$.", `${schema}.`).replaceAll("$channel", schema);
}

/** The layout of the schema; 0 when it has none of our tables. */
async function layoutOf(db: Postgres, newest: number): Promise<number> {
  const [there] = await db.run("SELECT to_regclass($1) IS NOT NULL AS there", [
    `${db.schema}.layout`,
  ]);
  if (there?.there !== true) return 0;
  const [row] = await db.run(`SELECT max(version) AS version FROM ${db.schema}.layout`);
  const version = (row?.version as number | null) ?? 0;
  refuseNewer(db, version, newest);
  return version;
}

function refuseNewer(db: Postgres, version: number, newest: number): void {
  if (version <= newest) return;
  throw new SysError(
    "EINVAL",
    `Cannot open store "${db.name}": written in layout ${version} by a newer version, ` +
      `expected layout ${newest} or below; update this node first`,
    { version },
  );
}
