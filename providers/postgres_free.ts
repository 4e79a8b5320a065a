/**
 * Trees of a PostgreSQL store that no node has.
 * @module
 */

import type { FreeTrees, NodeLabels } from "../kernel/fleet.ts";
import { parseJson } from "../kernel/parse.ts";
import { unword } from "./postgres_commit.ts";
import type { Run } from "./postgres_handle.ts";

/** How many are counted of each, and how many of those with something to do are named. */
const COUNTED = 10_000;
const NAMED = 50;

/** Those that have not ended; looking stays cheap however many there are. */
export async function freeTrees(run: Run): Promise<FreeTrees> {
  const busy = `(ready OR (due IS NOT NULL AND due <= $.now_ms())
    OR EXISTS (SELECT FROM $.inbox i WHERE i.tree = t.id))`;
  const count = (what: string): string =>
    `(SELECT count(*) FROM (SELECT FROM $.trees t
       WHERE live AND owner IS NULL AND ${what} LIMIT ${COUNTED}) AS counted)`;
  const [counts] = await run(
    `SELECT ${count(busy)} AS ready, ${count(`NOT ${busy}`)} AS resting`,
  );
  const rows = await run(
    `SELECT id, title, selector::text AS selector FROM $.trees t
     WHERE live AND owner IS NULL AND ${busy} ORDER BY id LIMIT ${NAMED}`,
  );
  const { ready, resting } = counts as { readonly ready: number; readonly resting: number };
  const first = rows.map(({ id, title, selector }) => ({
    tree: `t_${id as number}` as const,
    title: unword(title as string),
    selector: selector === null ? null : parseJson(selector as string) as NodeLabels,
  }));
  return { ready, resting, atMost: COUNTED, first };
}
