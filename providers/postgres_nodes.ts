/**
 * The nodes of a PostgreSQL store as people are shown them.
 *
 * Times are those of the database's clock. A replica says how it was when the last commit that it
 * has was made: by its own clock, leases would run out there that were renewed.
 * @module
 */

import type { Fleet, FleetNode, NodeLabels, NodeState } from "../kernel/fleet.ts";
import { labelsIn, needsIn } from "../kernel/needs.ts";
import { parseJson } from "../kernel/parse.ts";
import { freeTrees } from "./postgres_free.ts";
import type { Postgres, PostgresRow } from "./postgres_handle.ts";

/** When what a database says is from. */
const AS_OF = `(SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(
    (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000)::bigint, $.now_ms())
  ELSE $.now_ms() END AS now)`;

/** The nodes, and the trees that none of them has. */
export function shownNodes({ run, schema }: Postgres): Pick<Fleet, "nodes" | "free"> {
  const within = (sql: string): Promise<readonly PostgresRow[]> =>
    run(sql.replaceAll("$.", `${schema}.`));
  return {
    nodes: async () => {
      const rows = await within(
        `SELECT n.id, name, labels::text AS labels, version, layout, capacity, n.lease, active,
           held, coalesce(steps, 0) AS steps, started, skew, taken, freed, lapses,
           greatest(0, now - beat) AS age,
           CASE WHEN until <= now THEN 'gone' ELSE state END AS state,
           (SELECT count(*) FROM $.trees t WHERE t.owner = n.id) AS owned
         FROM $.nodes n, ${AS_OF} AS as_of ORDER BY name, n.id`,
      );
      return rows.map(nodeIn);
    },
    free: () => freeTrees(within),
  };
}

function nodeIn(row: PostgresRow): FleetNode {
  const { id, name, version, state } = row as Record<string, string> as
    & {
      readonly [K in "id" | "name" | "version"]: string;
    }
    & { readonly state: NodeState };
  const count = (key: string): number => row[key] as number;
  const words = parseJson(row.labels as string) as NodeLabels;
  return {
    ...{ id, name, version, state, labels: labelsIn(words), has: needsIn(words) },
    capacity: count("capacity"),
    leaseMs: count("lease"),
    active: count("active"),
    held: count("held"),
    steps: count("steps"),
    layout: count("layout"),
    startedMs: count("started"),
    beatAgeMs: count("age"),
    skewMs: count("skew"),
    ...{ taken: count("taken"), freed: count("freed"), lapses: count("lapses") },
    owned: count("owned"),
  };
}
