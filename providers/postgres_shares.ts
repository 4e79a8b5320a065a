/**
 * Limits of all nodes over a PostgreSQL database: rows, each changed in one short transaction.
 *
 * The time is the database's own, so that nodes with other clocks count in the same windows.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type {
  OnceAsking,
  OnceState,
  SharedEntering,
  SharedSpend,
  Shares,
} from "../kernel/shares.ts";
import { word } from "./postgres_commit.ts";
import type { Postgres } from "./postgres_handle.ts";

type Answer = <T>(verb: string, job: (db: Postgres) => Promise<T>) => Promise<T>;

/** A window is remembered in so many parts; a part counts until all of it has left the window. */
const PARTS = 240;
/** When a gate is full of calls that are out, it is asked again after so long. */
const FULL_MS = 100;
const NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/** The tables and functions of shared limits. */
export const SHARES_TABLES = `
  CREATE TABLE $.gates(name text COLLATE "C" PRIMARY KEY, held bigint NOT NULL DEFAULT 0);
  CREATE TABLE $.gate_parts(
    gate text COLLATE "C" NOT NULL,
    part bigint NOT NULL,
    until bigint NOT NULL,
    requests bigint NOT NULL,
    tokens double precision NOT NULL,
    PRIMARY KEY(gate, part)
  ) WITH (fillfactor = 50);
  CREATE TABLE $.gate_out(
    gate text COLLATE "C" NOT NULL,
    permit text COLLATE "C" NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY(gate, permit)
  );
  CREATE TABLE $.quotas(
    quota text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    since bigint NOT NULL,
    amount double precision NOT NULL,
    PRIMARY KEY(quota, kind, since)
  ) WITH (fillfactor = 50);
  CREATE TABLE $.answers(
    book text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    asked text NOT NULL,
    attempt text NOT NULL,
    until bigint NOT NULL,
    lease bigint NOT NULL,
    answer text,
    PRIMARY KEY(book, key)
  );
  CREATE INDEX answers_until ON $.answers(until);
  CREATE FUNCTION $.gate_enter_1(
    gate_ text, permit_ text, tokens_ double precision, requests_max bigint,
    tokens_max double precision, out_max bigint, window_ bigint, lease_ bigint
  ) RETURNS bigint LANGUAGE plpgsql AS $enter$
  DECLARE
    now_ bigint;
    held_ bigint;
    part_ bigint;
    width_ bigint := greatest(window_ / ${PARTS}, 1);
    used_requests bigint;
    used_tokens double precision;
    first_ bigint;
    out_ bigint;
  BEGIN
    INSERT INTO $.gates(name) VALUES(gate_) ON CONFLICT DO NOTHING;
    SELECT held INTO held_ FROM $.gates WHERE name = gate_ FOR UPDATE;
    now_ := ${NOW};
    IF held_ > now_ THEN RETURN held_ - now_; END IF;
    DELETE FROM $.gate_out WHERE gate = gate_ AND until <= now_;
    SELECT count(*) INTO out_ FROM $.gate_out WHERE gate = gate_;
    IF out_ >= out_max THEN RETURN ${FULL_MS}; END IF;
    DELETE FROM $.gate_parts WHERE gate = gate_ AND until <= now_;
    SELECT coalesce(sum(requests), 0), coalesce(sum(tokens), 0), min(until)
      INTO used_requests, used_tokens, first_ FROM $.gate_parts WHERE gate = gate_;
    IF used_requests >= requests_max OR used_tokens + least(tokens_, tokens_max) > tokens_max THEN
      RETURN greatest(first_ - now_, 1);
    END IF;
    part_ := now_ / width_;
    INSERT INTO $.gate_parts AS p(gate, part, until, requests, tokens)
      VALUES(gate_, part_, (part_ + 1) * width_ + window_, 1, tokens_)
      ON CONFLICT (gate, part) DO UPDATE
        SET requests = p.requests + 1, tokens = p.tokens + EXCLUDED.tokens;
    INSERT INTO $.gate_out(gate, permit, until) VALUES(gate_, permit_, now_ + lease_);
    RETURN 0;
  END $enter$;
`;

/** The limits of all nodes over one database. */
export class PostgresShares implements Shares {
  readonly #answer: Answer;

  /** Over an open store. */
  constructor(answer: Answer) {
    this.#answer = answer;
  }

  enter(call: SharedEntering): Promise<number> {
    return this.#answer("ask for a share of", async ({ run, schema }) => {
      const [row] = await run(
        `SELECT ${schema}.gate_enter_1($1, $2, $3, $4, $5, $6, $7, $8) AS ms`,
        [
          windowOf(call.gate, call.windowMs),
          ...[call.permit, call.tokens, call.requestsMax, call.tokensMax, call.outMax],
          ...[call.windowMs, call.leaseMs],
        ],
      );
      return row!.ms as number;
    });
  }

  renew(gate: string, permit: string, more: {
    readonly leaseMs: number;
    readonly windowMs: number;
  }): Promise<void> {
    return this.#answer("keep a share of", async ({ run, schema }) => {
      await run(
        `UPDATE ${schema}.gate_out SET until = ${NOW} + $3::bigint WHERE gate = $1 AND permit = $2`,
        [windowOf(gate, more.windowMs), permit, more.leaseMs],
      );
    });
  }

  leave(gate: string, permit: string, end: {
    readonly tokens: number;
    readonly heldMs: number;
    readonly windowMs: number;
  }): Promise<void> {
    return this.#answer("give a share back to", async ({ run, schema }) => {
      const name = windowOf(gate, end.windowMs);
      const width = Math.max(1, Math.floor(end.windowMs / PARTS));
      await run(
        `WITH gone AS (
           DELETE FROM ${schema}.gate_out WHERE gate = $1 AND permit = $2
         ), held AS (
           UPDATE ${schema}.gates SET held = greatest(held, ${NOW} + $3::bigint)
           WHERE name = $1 AND $3::bigint > 0
         )
         INSERT INTO ${schema}.gate_parts AS p(gate, part, until, requests, tokens)
           SELECT $1, ${NOW} / $5::bigint, (${NOW} / $5::bigint + 1) * $5::bigint + $6::bigint, 0,
             $4::double precision WHERE $4::double precision > 0
           ON CONFLICT (gate, part) DO UPDATE SET tokens = p.tokens + EXCLUDED.tokens`,
        [name, permit, Math.ceil(end.heldMs), end.tokens, width, end.windowMs],
      );
    });
  }

  spend(spends: readonly SharedSpend[]): Promise<(more: readonly number[]) => Promise<void>> {
    return this.#answer("spend of a quota in", async (db) => {
      const since = await db.transaction(async (run) => {
        const [now] = await run(`SELECT ${NOW} AS ms`);
        const all: number[] = [];
        // In one order everywhere, so that two that spend of the same wait and never in a ring.
        for (const one of spends) all.push(await this.#spend(db.schema, run, [one, now!.ms]));
        return all;
      });
      return (more) =>
        this.#answer("spend of a quota in", async ({ run, schema }) => {
          for (const [i, { quota, kind }] of spends.entries()) {
            await run(
              `UPDATE ${schema}.quotas SET amount = greatest(0, amount + $4::double precision)
               WHERE quota = $1 AND kind = $2 AND since = $3`,
              [word(quota), kind, since[i], more[i] ?? 0],
            );
          }
        });
    });
  }

  async #spend(
    schema: string,
    run: Postgres["run"],
    [one, nowMs]: readonly [SharedSpend, unknown],
  ): Promise<number> {
    const since = Math.floor(nowMs as number / one.periodMs) * one.periodMs;
    const [row] = await run(
      `INSERT INTO ${schema}.quotas AS q(quota, kind, since, amount)
         SELECT $1, $2, $3::bigint, $4::double precision
         WHERE $4::double precision <= $5::double precision
         ON CONFLICT (quota, kind, since) DO UPDATE SET amount = q.amount + EXCLUDED.amount
         WHERE q.amount + EXCLUDED.amount <= $5::double precision RETURNING amount`,
      [word(one.quota), one.kind, since, one.amount, one.max],
    );
    if (row !== undefined) return since;
    const [spent] = await run(
      `SELECT amount FROM ${schema}.quotas WHERE quota = $1 AND kind = $2 AND since = $3`,
      [word(one.quota), one.kind, since],
    );
    const next = new Date(since + one.periodMs).toISOString();
    throw new SysError(
      "EBUDGET",
      `Cannot spend ${one.amount} ${one.kind} of quota "${one.quota}": ` +
        `${(spent?.amount as number | undefined) ?? 0} of ${one.max} used until ${next}, ` +
        "expected a higher one, or the next period",
      { quota: one.quota, kind: one.kind, untilMs: since + one.periodMs },
    );
  }

  begin(asking: OnceAsking): Promise<OnceState> {
    return this.#answer("answer a request once by", async ({ run, schema }) => {
      const { book, key, of, attempt, keepMs, leaseMs, keysMax } = asking;
      await run(
        `DELETE FROM ${schema}.answers WHERE until <= ${NOW} OR (book, key) IN (
           SELECT book, key FROM ${schema}.answers WHERE book = $1 AND answer IS NOT NULL
           ORDER BY until DESC OFFSET $2::bigint)`,
        [book, keysMax - 1],
      );
      const [made] = await run(
        `INSERT INTO ${schema}.answers(book, key, asked, attempt, until, lease)
           VALUES($1, $2, $3, $4, ${NOW} + $5::bigint, ${NOW} + $6::bigint)
           ON CONFLICT (book, key) DO NOTHING RETURNING key`,
        [book, key, of, attempt, keepMs, leaseMs],
      );
      if (made !== undefined) return { is: "first" };
      const [row] = await run(
        `SELECT asked, answer, lease > ${NOW} AS held FROM ${schema}.answers
         WHERE book = $1 AND key = $2`,
        [book, key],
      );
      // It was taken back meanwhile: whoever asks again begins it.
      if (row === undefined) return { is: "begun" };
      if (row.asked !== of) return { is: "other" };
      if (row.answer !== null) return { is: "answered", answer: row.answer as string };
      return { is: row.held === true ? "begun" : "lost" };
    });
  }

  keep({ book, key, attempt, leaseMs }: OnceAsking): Promise<void> {
    return this.#answer("answer a request once by", async ({ run, schema }) => {
      await run(
        `UPDATE ${schema}.answers SET lease = ${NOW} + $4::bigint
         WHERE book = $1 AND key = $2 AND attempt = $3 AND answer IS NULL`,
        [book, key, attempt, leaseMs],
      );
    });
  }

  finish({ book, key, attempt }: OnceAsking, answer: string | null): Promise<void> {
    return this.#answer("answer a request once by", async ({ run, schema }) => {
      const mine = "WHERE book = $1 AND key = $2 AND attempt = $3 AND answer IS NULL";
      if (answer === null) {
        await run(`DELETE FROM ${schema}.answers ${mine}`, [book, key, attempt]);
        return;
      }
      const sql = `UPDATE ${schema}.answers SET answer = $4 ${mine}`;
      await run(sql, [book, key, attempt, answer]);
    });
  }
}

/** Nodes that count in other windows count apart. */
function windowOf(gate: string, windowMs: number): string {
  return `${word(gate)} ${windowMs}`;
}
