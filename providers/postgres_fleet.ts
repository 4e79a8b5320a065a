/**
 * The fleet of a PostgreSQL store: a row for each node, which holds the lease of all its trees.
 *
 * Whatever takes trees away from somebody raises their epochs in the same statement, and the
 * commits of who had them are refused from then on; so no lock is held over more than a statement.
 *
 * Invariants:
 *   PF1. Trees are locked in order of number, or skipped where another has them locked, so that
 *        nodes and commits never wait for each other in a ring.
 *   PF2. Each statement looks at and changes a bounded number of trees, but for those of one node
 *        that leaves or comes back.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type {
  Beat,
  Claimed,
  ClaimFor,
  Fleet,
  FleetNode,
  FreeTrees,
  Mine,
  NodeFacts,
  NodeLabels,
  NodeLoad,
  NodeState,
} from "../kernel/fleet.ts";
import { refuseLabels, refuseSkew } from "../kernel/fleet.ts";
import { type TreeId, treeNumber } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import type { Postgres, PostgresRow } from "./postgres_handle.ts";
import { shownNodes } from "./postgres_nodes.ts";
import type { Answer } from "./postgres_reader.ts";
import { LOCKS, POSTGRES_LAYOUT } from "./postgres_schema.ts";
import { BY_NODE, CLAIMED_FOR, fitsOf, TAKE } from "./postgres_take.ts";
import { absentTree } from "./store_refusals.ts";

/** For how long nodes that are gone are shown. */
const GONE_SHOWN_MS = 3_600_000;

/** The nodes that share a PostgreSQL database. */
export class PostgresFleet implements Fleet {
  readonly #db: Postgres;
  readonly #answer: Answer;
  readonly #aside: Answer;

  /** Over an open store; `aside` does what goes on between nodes, of which nothing is shown. */
  constructor(db: Postgres, over: { readonly answer: Answer; readonly aside: Answer }) {
    this.#db = db;
    this.#answer = over.answer;
    this.#aside = over.aside;
  }

  /** Runs a statement with "$." for the schema. */
  async #run(sql: string, values: readonly unknown[] = []): Promise<readonly PostgresRow[]> {
    return await this.#db.run(sql.replaceAll("$.", `${this.#db.schema}.`), values);
  }

  join(facts: NodeFacts): Promise<number> {
    return this.#aside("join the nodes of", async ({ schema }) => {
      const { id, name, version, capacity, leaseMs } = facts;
      const labels = { ...facts.labels, node: name };
      refuseLabels(`node "${name}"`, labels);
      return await this.#db.transaction(async (run) => {
        // One after the other: two that do not go together do not both find nobody there.
        await run(`SELECT pg_advisory_xact_lock(hashtext($1), ${LOCKS.join})`, [schema]);
        const others = await run(
          `SELECT DISTINCT version FROM ${schema}.nodes
           WHERE state <> 'gone' AND until > ${schema}.now_ms() AND id <> $1`,
          [id],
        );
        refuseSkew(version, others.map((row) => row.version as string));
        await run(
          `WITH back AS (
             SELECT id FROM ${schema}.trees WHERE owner = $1 ORDER BY id FOR UPDATE
           ) UPDATE ${schema}.trees t SET owner = NULL, lease = 0, epoch = t.epoch + 1
           FROM back WHERE t.id = back.id`,
          [id],
        );
        const [row] = await run(
          `INSERT INTO ${schema}.nodes
             (id, name, labels, version, layout, capacity, lease, state, started, beat, until)
           SELECT $1, $2, $3::text::jsonb, $4, $5::integer, $6::integer, $7::integer, 'active',
             now, now, now + $7::integer
           FROM ${schema}.now_ms() AS now
           ON CONFLICT (id) DO UPDATE SET state = 'active', beat = EXCLUDED.beat,
             until = EXCLUDED.until, lapses = nodes.lapses + 1, active = 0, held = 0
           RETURNING beat AS now`,
          [id, name, canonical(labels), version, POSTGRES_LAYOUT, capacity, leaseMs],
        );
        return row!.now as number;
      });
    });
  }

  offer(id: string, has: NodeLabels): Promise<void> {
    return this.#aside("say what is had of", async () => {
      await this.#run(
        `UPDATE $.nodes SET labels = $2::text::jsonb || (
           SELECT jsonb_object_agg(key, value) FROM jsonb_each(labels) WHERE key NOT LIKE '%:%')
         WHERE id = $1`,
        [id, canonical(has)],
      );
    });
  }

  beat(id: string, { active, held, steps, nowMs }: NodeLoad): Promise<Beat | undefined> {
    return this.#aside("renew the leases of", async () => {
      const [row] = await this.#run(
        `WITH peers AS (
           SELECT sum(active) AS active, sum(capacity) AS capacity FROM $.nodes
           WHERE id <> $1 AND state = 'active' AND until > $.now_ms()
         ), next AS (
           SELECT min(until) AS until FROM $.nodes WHERE id <> $1 AND state <> 'gone'
         )
         UPDATE $.nodes n SET beat = now, until = now + n.lease,
           active = $2::integer, held = $3::integer, skew = $4::bigint - now, steps = $5::real
         FROM $.now_ms() AS now, peers, next
         WHERE n.id = $1 AND n.state <> 'gone'
         RETURNING n.state, now, next.until - now AS next,
           (SELECT count(*) FROM $.trees t WHERE t.owner = n.id) AS owned,
           ceil(($2::integer + coalesce(peers.active, 0))::float8 * n.capacity
             / greatest(1, n.capacity + coalesce(peers.capacity, 0))) AS share`,
        [id, active, held, nowMs, steps],
      );
      if (row === undefined) return undefined;
      const { state, now, next, share, owned } = row as unknown as
        & Omit<Beat, "nextMs" | "nowMs">
        & {
          readonly now: number;
          readonly next: number | null;
        };
      return { state, share, owned, nowMs: now, nextMs: next === null ? null : Math.max(0, next) };
    });
  }

  reap(id: string, limit: number): Promise<number> {
    return this.#aside("free trees of", async () => {
      await this.#run(
        `UPDATE $.nodes SET state = 'gone' WHERE state <> 'gone' AND until <= $.now_ms()`,
      );
      // Those of nodes that do not join have a lease each.
      const freed = await this.#run(
        `WITH stale AS (
           SELECT t.id FROM $.trees t
           WHERE t.owner IN (SELECT id FROM $.nodes WHERE state = 'gone')
             OR (t.owner IS NOT NULL AND t.lease <= $.now_ms())
           LIMIT $2::integer FOR UPDATE OF t SKIP LOCKED
         ), freed AS (
           UPDATE $.trees t SET owner = NULL, lease = 0, epoch = t.epoch + 1
           FROM stale WHERE t.id = stale.id RETURNING t.id
         ), noted AS (
           UPDATE $.nodes SET freed = freed + (SELECT count(*) FROM freed)
           WHERE id = $1 AND EXISTS (SELECT FROM freed)
         ) SELECT id FROM freed`,
        [id, limit],
      );
      await this.#run(
        `DELETE FROM $.nodes n WHERE n.id IN (
           SELECT id FROM $.nodes WHERE state = 'gone' AND beat < $.now_ms() - ${GONE_SHOWN_MS}
           LIMIT 64
         ) AND NOT EXISTS (SELECT FROM $.trees t WHERE t.owner = n.id)`,
      );
      return freed.length;
    });
  }

  take(id: string, wish: Parameters<Fleet["take"]>[1]): ReturnType<Fleet["take"]> {
    return this.#aside("take trees of", async () => {
      const { nowMs, active, limit, isOver, barred } = wish;
      const rows = await this.#run(TAKE, [
        ...[id, nowMs, active, limit, isOver ? 1 : 0],
        barred.map(treeNumber),
      ]);
      const trees = rows.filter((row) => row.id !== null);
      return { trees: trees.map(claimedIn), free: (rows[0]?.free as number | undefined) ?? 0 };
    });
  }

  claim(tree: TreeId, id: string, why: ClaimFor): ReturnType<Fleet["claim"]> {
    return this.#aside("claim a tree of", async () => {
      const number = treeNumber(tree);
      const [row] = await this.#run(
        `UPDATE $.trees t SET
           epoch = t.epoch + CASE WHEN t.owner = me.id THEN 0 ELSE 1 END,
           owner = me.id, lease = ${BY_NODE}, wanted = NULL
         FROM $.nodes me WHERE t.id = $1 AND me.id = $2 AND me.state <> 'gone'
           AND (t.owner = me.id OR ((t.owner IS NULL OR t.lease <= $.now_ms()
             OR EXISTS (SELECT FROM $.nodes n WHERE n.id = t.owner
               AND (n.state = 'gone' OR n.until <= $.now_ms())))
             AND ($3::text = 'new' OR (me.state = 'active' AND ${fitsOf(CLAIMED_FOR)}))))
         RETURNING t.epoch`,
        [number, id, why],
      );
      if (row !== undefined) return { epoch: row.epoch as number };
      const [there] = await this.#run(
        `SELECT coalesce(n.name, t.owner) AS by
         FROM $.trees t LEFT JOIN $.nodes n ON n.id = t.owner WHERE t.id = $1`,
        [number],
      );
      if (there === undefined) throw absentTree("claim", tree);
      return { by: there.by as string | null };
    });
  }

  giveBack(id: string, trees: readonly Claimed[]): Promise<void> {
    return this.#aside("give back trees of", async ({ schema, teller }) => {
      if (trees.length === 0) return;
      await this.#run(
        `WITH back AS (
           SELECT t.id FROM unnest($2::bigint[], $3::bigint[]) AS given(id, epoch)
           JOIN $.trees t ON t.id = given.id AND t.epoch = given.epoch AND t.owner = $1
           ORDER BY t.id FOR UPDATE OF t
         ), given AS (
           UPDATE $.trees t SET owner = NULL, lease = 0, epoch = t.epoch + 1
           FROM back WHERE t.id = back.id
           RETURNING t.wanted, t.live AND (t.ready OR t.due <= $.now_ms() OR EXISTS (
             SELECT FROM $.inbox i WHERE i.tree = t.id)) AS has_work
         ) SELECT pg_notify('${schema}', $4 || ' ' || wanted) FROM (
           SELECT DISTINCT coalesce(wanted, '-') AS wanted FROM given WHERE has_work) AS told`,
        [id, trees.map(({ tree }) => treeNumber(tree)), trees.map(({ epoch }) => epoch), teller],
      );
    });
  }

  mine(id: string): Promise<Mine> {
    return this.#aside("list trees of", async () => {
      const rows = await this.#run(
        `SELECT 'state' AS kind, NULL::bigint AS id, state FROM $.nodes WHERE id = $1
         UNION ALL SELECT 'inbox', t.id, NULL FROM (SELECT DISTINCT tree FROM $.inbox) i
           JOIN $.trees t ON t.id = i.tree WHERE t.owner = $1
         UNION ALL (SELECT 'wanted', t.id, NULL FROM $.trees t
           WHERE t.wanted IS NOT NULL AND t.wanted <> $1 AND t.owner = $1 LIMIT 64)`,
        [id],
      );
      const of = (kind: string): TreeId[] =>
        rows.filter((row) => row.kind === kind).map((row): TreeId => `t_${row.id as number}`);
      const state = rows.find((row) => row.kind === "state")?.state as NodeState | undefined;
      return { state, inbox: of("inbox"), wanted: of("wanted") };
    });
  }

  owned(id: string): Promise<readonly Claimed[]> {
    return this.#aside("list trees of", async () => {
      const sql = "SELECT id, epoch FROM $.trees WHERE owner = $1 ORDER BY id";
      return (await this.#run(sql, [id])).map(claimedIn);
    });
  }

  leave(id: string): Promise<void> {
    return this.#aside("leave the nodes of", async ({ schema, teller }) => {
      await this.#run(
        `WITH back AS (SELECT id FROM $.trees WHERE owner = $1 ORDER BY id FOR UPDATE),
         given AS (
           UPDATE $.trees t SET owner = NULL, lease = 0, epoch = t.epoch + 1
           FROM back WHERE t.id = back.id
         ), left_ AS (
           UPDATE $.nodes SET state = 'gone', until = $.now_ms(), active = 0, held = 0
           WHERE id = $1
         ) SELECT pg_notify('${schema}', $2 || ' -')`,
        [id, teller],
      );
    });
  }

  nodes(): Promise<readonly FleetNode[]> {
    return this.#answer("list the nodes of", (db) => shownNodes(db).nodes());
  }

  free(): Promise<FreeTrees> {
    return this.#answer("list trees of", (db) => shownNodes(db).free());
  }

  order(id: string, state: Exclude<NodeState, "gone">): Promise<void> {
    return this.#answer("order a node of", async ({ schema, teller }) => {
      const [row] = await this.#run(
        `WITH one AS (
           UPDATE $.nodes SET state = $2 WHERE id = $1 AND state <> 'gone'
             AND until > $.now_ms() RETURNING id
         ) SELECT pg_notify('${schema}', $3 || ' ' || id) FROM one`,
        [id, state, teller],
      );
      if (row === undefined) throw await this.#notThere(id, "order");
    });
  }

  move(tree: TreeId, id: string): Promise<void> {
    return this.#answer("move a tree of", async ({ schema, teller }) => {
      const [node] = await this.#run(
        `SELECT id FROM $.nodes WHERE id = $1 AND state = 'active' AND until > $.now_ms()`,
        [id],
      );
      if (node === undefined) throw await this.#notThere(id, "move a tree to");
      const [row] = await this.#run(
        `WITH one AS (
           UPDATE $.trees SET wanted = $2 WHERE id = $1 RETURNING coalesce(owner, $2) AS owner
         ) SELECT pg_notify('${schema}', $3 || ' ' || owner) FROM one`,
        [treeNumber(tree), id, teller],
      );
      if (row === undefined) throw absentTree("move", tree);
    });
  }

  async #notThere(id: string, verb: string): Promise<SysError> {
    const node = (await this.nodes()).find((one) => one.id === id);
    if (node === undefined) {
      return new SysError("ENOENT", `Cannot ${verb} node "${id}": absent, expected one that runs`);
    }
    const sentence = `Cannot ${verb} node "${id}": it is ${node.state}, expected an active one`;
    return new SysError("ESTATE", sentence);
  }
}

function claimedIn(row: PostgresRow): Claimed {
  return { tree: `t_${row.id as number}`, epoch: row.epoch as number };
}
