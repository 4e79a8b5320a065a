/**
 * Who watches a chaos run for the judge of timers: the database notes when it took each batch, and
 * who had which tree since when; each node is asked again and again whether it answers.
 * @module
 */

import type { TreeId } from "../../kernel/ids.ts";
import { realClock } from "../../providers/clock.ts";
import { Postgres } from "../../providers/postgres_handle.ts";
import type { Member } from "./member.ts";
import type { Held, Span } from "./timers.ts";

/** Between two questions, and how long an answer may take of who is well. */
const ASK_MS = 150;
const WELL_MS = 200;
/** What was not asked for so long was not watched. */
const BLIND_MS = 1_000;

/** What the database notes beside its tables. */
const NOTES = `
  CREATE TABLE $.noted_batches(tree bigint, seq bigint, at double precision);
  CREATE TABLE $.noted_owners(n bigserial, tree bigint, owner text, at double precision);
  CREATE FUNCTION $.note_ms() RETURNS double precision LANGUAGE sql VOLATILE
    AS 'SELECT extract(epoch FROM clock_timestamp())::double precision * 1000';
  CREATE FUNCTION $.note_batch() RETURNS trigger LANGUAGE plpgsql AS $n$ BEGIN
    INSERT INTO $.noted_batches VALUES(NEW.tree, NEW.seq, $.note_ms()); RETURN NULL;
  END $n$;
  CREATE FUNCTION $.note_owner() RETURNS trigger LANGUAGE plpgsql AS $n$ BEGIN
    INSERT INTO $.noted_owners(tree, owner, at) VALUES(NEW.id, NEW.owner, $.note_ms());
    RETURN NULL;
  END $n$;
  CREATE TRIGGER note_batch AFTER INSERT ON $.batches
    FOR EACH ROW EXECUTE FUNCTION $.note_batch();
  CREATE TRIGGER note_owner AFTER UPDATE OF owner ON $.trees
    FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION $.note_owner();
`;

/** Watches nodes and their database. */
export class Watch {
  /** When each node, by its id, answered all the while. */
  readonly steady = new Map<string, { fromMs: number; toMs: number }[]>();
  readonly #db: Postgres;
  /** The database's time less this machine's. */
  #aheadMs = 0;

  private constructor(db: Postgres) {
    this.#db = db;
  }

  /** Has the database note things from now on; its tables are there. */
  static async begin(url: string, schema: string): Promise<Watch> {
    const watch = new Watch(new Postgres(url, { schema, connections: 1 }));
    const { run, transaction } = watch.#db;
    await transaction.call(watch.#db, async (each) => {
      for (const sql of NOTES.replaceAll("$.", `${schema}.`).split(/;\n(?=\s*CREATE|$)/)) {
        if (sql.trim() !== "") await each(sql);
      }
    });
    const sentMs = realClock.now();
    const [row] = await run(`SELECT ${schema}.note_ms() AS now`);
    watch.#aheadMs = (row!.now as number) - (sentMs + realClock.now()) / 2;
    return watch;
  }

  /** Asks a node until it is enough. */
  async ask(member: Member, signal: AbortSignal): Promise<void> {
    let isWell = false;
    while (!signal.aborted) {
      const { id } = member;
      const sentMs = realClock.now();
      const patience = new AbortController();
      const late = realClock.sleep(WELL_MS, patience.signal).then(() => null, () => null);
      const heard = await Promise.race([id === null ? null : member.ask({ do: "well" }), late]);
      patience.abort();
      const isNow = heard !== null && heard.how === "value" && heard.value === true;
      if (id !== null && isNow && member.id === id) this.#noted(id, sentMs, isWell);
      isWell = isNow;
      await realClock.sleep(ASK_MS, signal).catch(() => {});
    }
  }

  #noted(id: string, sentMs: number, isWell: boolean): void {
    const [fromMs, toMs] = [sentMs + this.#aheadMs, realClock.now() + this.#aheadMs];
    const spans = this.steady.get(id) ?? [];
    this.steady.set(id, spans);
    const last = spans.at(-1);
    if (isWell && last !== undefined && fromMs - last.toMs < BLIND_MS) last.toMs = toMs;
    else spans.push({ fromMs, toMs });
  }

  /** When the batches of a tree were taken, by their first lines; and who had it. */
  async of(tree: TreeId): Promise<{
    readonly batches: ReadonlyMap<number, number>;
    readonly held: readonly Held[];
  }> {
    const { run, schema } = this.#db;
    const number = Number(tree.slice(2));
    const batches = await run(`SELECT seq, at FROM ${schema}.noted_batches WHERE tree = $1`, [
      number,
    ]);
    const owners = await run(
      `SELECT owner, at FROM ${schema}.noted_owners WHERE tree = $1 ORDER BY n`,
      [number],
    );
    return {
      batches: new Map(batches.map(({ seq, at }) => [seq as number, at as number])),
      held: owners.map(({ owner, at }) => ({
        owner: owner as string | null,
        fromMs: at as number,
      })),
    };
  }

  /** Asks no more. */
  async close(): Promise<void> {
    await this.#db.close();
  }
}

/** How long all of some spans are. */
export function lengthOf(spans: readonly Span[]): number {
  return spans.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
}
