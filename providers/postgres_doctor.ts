/**
 * What is to be known of a PostgreSQL database before agents rely on it: whether it answers, what
 * the role may, whether commits are kept, how long one takes, how far the clocks are apart.
 *
 * Nothing is changed: no table is made, and what is written to time a commit is no row.
 * @module
 */

import { examineReplica } from "./postgres_replica_doctor.ts";
import { SysError } from "../kernel/errors.ts";
import { labelText, type NodeLabels } from "../kernel/fleet.ts";
import { parseJson } from "../kernel/parse.ts";
import { Postgres, postgresFailure } from "./postgres_handle.ts";
import { POSTGRES_LAYOUT } from "./postgres_schema.ts";

/** One thing that was looked at. */
export interface DatabaseFinding {
  readonly what: string;
  /** "note": it works, and somebody may want it otherwise. */
  readonly state: "ok" | "note" | "bad";
  readonly detail: string;
}

const VERSION_MIN = 14;
const COMMITS = 5;
const CLOCK_OFF_MS = 1_000;
const COMMIT_SLOW_MS = 100;
const UNHELD_MAX = 1_000;

/** Looks; a database that cannot be reached is one finding. */
export async function examineDatabase(url: string, readUrl?: string): Promise<{
  readonly findings: readonly DatabaseFinding[];
  /** The layout of its tables; 0 when there are none. */
  readonly layout: number;
}> {
  let db: Postgres | undefined;
  try {
    db = new Postgres(url, { connections: 1 });
    const layout = await layoutOf(db);
    const findings = [
      await serverOf(db),
      await roleOf(db, layout),
      layoutFinding(layout),
      await settingsOf(db),
      await clockOf(db),
      await commitOf(db) ?? await lagOf(db),
      ...await unheldIn(db, layout),
      ...readUrl === undefined ? [] : [await examineReplica(db, readUrl)],
    ];
    return { findings, layout };
  } catch (thrown) {
    const known = postgresFailure(thrown, `reach store "${db?.name ?? "postgres"}"`);
    if (!(known instanceof SysError)) throw known;
    return { findings: [{ what: "database", state: "bad", detail: known.message }], layout: 0 };
  } finally {
    await db?.close();
  }
}

async function serverOf(db: Postgres): Promise<DatabaseFinding> {
  const [row] = await db.run(
    `SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::integer AS number,
       pg_is_in_recovery() AS replica`,
  );
  const { version, number, replica } = row as Record<string, unknown>;
  const isOld = Math.floor(number as number / 10_000) < VERSION_MIN;
  const wrong = isOld ? `, expected ${VERSION_MIN} or later` : "";
  const only = replica === true ? ", a replica that can only be read, expected the primary" : "";
  return {
    what: "database",
    state: wrong + only === "" ? "ok" : "bad",
    detail: `${db.name}, version ${version as string}${wrong}${only}`,
  };
}

async function layoutOf({ run, schema }: Postgres): Promise<number> {
  const [row] = await run("SELECT to_regclass($1) IS NOT NULL AS there", [`${schema}.layout`]);
  if (row?.there !== true) return 0;
  const [found] = await run(`SELECT max(version) AS version FROM ${schema}.layout`);
  return (found?.version as number | null) ?? 0;
}

function layoutFinding(layout: number): DatabaseFinding {
  const known = `this program knows ${POSTGRES_LAYOUT}`;
  if (layout === 0) {
    return { what: "layout", state: "note", detail: "no tables yet, the first node makes them" };
  }
  if (layout > POSTGRES_LAYOUT) {
    return { what: "layout", state: "bad", detail: `${layout}, ${known}; update it first` };
  }
  const later = layout < POSTGRES_LAYOUT ? "; the next node that starts brings it there" : "";
  return {
    what: "layout",
    state: later === "" ? "ok" : "note",
    detail: `${layout}, ${known}${later}`,
  };
}

/** What a node does with each table, as the guide grants it. */
const NEEDED: readonly (readonly [string, string])[] = Object.entries({
  trees: "INSERT UPDATE",
  batches: "INSERT",
  blobs: "INSERT DELETE",
  inbox: "INSERT DELETE",
  snapshots: "INSERT DELETE",
  gone: "INSERT UPDATE",
  nodes: "INSERT UPDATE DELETE",
}).flatMap(([table, rights]) =>
  ["SELECT", ...rights.split(" ")].map((right) => [table, right] as const)
);

async function roleOf({ run, schema }: Postgres, layout: number): Promise<DatabaseFinding> {
  const [row] = await run(
    `SELECT current_user::text AS name, rolsuper,
       has_database_privilege(current_database(), 'CREATE') AS makes
     FROM pg_roles WHERE rolname = current_user`,
  );
  const { name, rolsuper, makes } = row as Record<string, unknown>;
  const lacking = layout === 0 ? makes === true ? [] : ["CREATE on the database"] : (await run(
    `SELECT needed.right || ' on ' || needed.name AS lacking
       FROM unnest($1::text[], $2::text[]) AS needed(name, "right")
       WHERE to_regclass($3 || '.' || needed.name) IS NOT NULL
         AND NOT has_table_privilege(to_regclass($3 || '.' || needed.name), needed."right")`,
    [NEEDED.map(([table]) => table), NEEDED.map(([, right]) => right), schema],
  )).map((one) => one.lacking as string);
  if (lacking.length > 0) {
    const detail = `"${name as string}" lacks ${lacking.slice(0, 4).join("; ")}`;
    return { what: "role", state: "bad", detail };
  }
  return rolsuper === true
    ? { what: "role", state: "note", detail: `"${name as string}" may everything, expected less` }
    : { what: "role", state: "ok", detail: `"${name as string}" may what is needed` };
}

/** Settings that lose what was acknowledged, and what they are to be. */
const LOSING: readonly (readonly [string, readonly string[]])[] = [
  ["fsync", ["on"]],
  ["full_page_writes", ["on"]],
  ["synchronous_commit", ["on", "local", "remote_write", "remote_apply"]],
];

async function settingsOf({ run }: Postgres): Promise<DatabaseFinding> {
  const shown: string[] = [];
  let isLosing = false;
  for (const [name, safe] of LOSING) {
    const [row] = await run("SELECT current_setting($1) AS value", [name]);
    const value = row?.value as string;
    const isSafe = safe.includes(value);
    isLosing ||= !isSafe;
    shown.push(`${name} ${value}${isSafe ? "" : ", which loses commits, expected on"}`);
  }
  return { what: "settings", state: isLosing ? "bad" : "ok", detail: shown.join(", ") };
}

async function clockOf({ run }: Postgres): Promise<DatabaseFinding> {
  const before = Date.now();
  const [row] = await run(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now",
  );
  const after = Date.now();
  const off = Math.round((before + after) / 2 - (row?.now as number));
  const detail = `this machine is ${Math.abs(off)} ms ${off < 0 ? "behind" : "ahead"}, ` +
    `give or take ${Math.ceil((after - before) / 2)} ms`;
  return { what: "clock", state: Math.abs(off) > CLOCK_OFF_MS ? "note" : "ok", detail };
}

/** How far a replica may be behind: what it has is all that was committed before. */
async function lagOf({ run }: Postgres): Promise<DatabaseFinding> {
  const [row] = await run(
    "SELECT ceil(extract(epoch FROM now() - pg_last_xact_replay_timestamp()) * 1000) AS old",
  );
  const old = row?.old ?? null;
  const detail = old === null
    ? "nothing was heard of the primary since it started"
    : `the last commit that it has is ${Number(old)} ms old; it lacks later ones, if there are any`;
  return { what: "replica", state: "note", detail };
}

/** Trees with something to do that ask for what none of the nodes has; none where none runs. */
async function unheldIn(
  { run, schema }: Postgres,
  layout: number,
): Promise<readonly DatabaseFinding[]> {
  if (layout < 2) return [];
  const nodes = `SELECT FROM ${schema}.nodes n
    WHERE n.state = 'active' AND n.until > ${schema}.now_ms()`;
  const rows = await run(
    `SELECT id, selector::text AS asks FROM ${schema}.trees t
     WHERE ready AND live AND owner IS NULL AND selector IS NOT NULL AND EXISTS (${nodes})
       AND NOT EXISTS (${nodes} AND n.labels @> t.selector) ORDER BY id LIMIT ${UNHELD_MAX}`,
  );
  const [first] = rows;
  if (first === undefined) return [];
  const asks = labelText(parseJson(first.asks as string) as NodeLabels);
  const count = rows.length < UNHELD_MAX ? String(rows.length) : `${UNHELD_MAX} or more`;
  const detail = `no node has what ${count} ask for, such as t_${first.id as number}: ${asks}`;
  return [{ what: "trees", state: "note", detail }];
}

/** Undefined where nothing can be committed. */
async function commitOf({ run }: Postgres): Promise<DatabaseFinding | undefined> {
  const [row] = await run("SELECT pg_is_in_recovery() AS replica");
  if (row?.replica === true) return undefined;
  const times: number[] = [];
  for (let i = 0; i < COMMITS; i++) {
    const before = Date.now();
    // A record in the write-ahead log that nobody reads: it is flushed as any commit.
    await run("SELECT pg_logical_emit_message(true, 'libos', 'doctor')");
    times.push(Date.now() - before);
  }
  times.sort((a, b) => a - b);
  const median = times[Math.floor(COMMITS / 2)]!;
  const detail = `${median} ms, the slowest of ${COMMITS} ${times.at(-1)} ms`;
  return { what: "commit", state: median > COMMIT_SLOW_MS ? "note" : "ok", detail };
}
