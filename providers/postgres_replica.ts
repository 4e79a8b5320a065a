/**
 * A replica of a PostgreSQL store: a hot standby that is asked in the primary's place for what is
 * only shown.
 *
 * Before each question it is asked how far it is. It answers where it has done all that the primary
 * had when this process was last answered by the primary: so nothing that was written or shown here
 * is missing, whoever asks. What other nodes wrote since may be, for as long as the limit says.
 *
 * Invariants:
 *   PR1. A replica that lacks what this process wrote or was shown is not asked, nor one that is
 *        older than the limit, nor one of which that is not known.
 *   PR2. What is no standby of this very database is not asked: another system or database, one
 *        that was promoted, a later timeline, a position that the primary has not reached.
 *   PR3. Whatever a replica fails at, the primary is asked, and asked alone until the question is
 *        answered; what was told already is not told again.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { ReplicaState, ReplicaUse, StoreView } from "../kernel/store.ts";
import { realClock } from "./clock.ts";
import { readAddress } from "./postgres_address.ts";
import { Postgres, postgresFailure, type PostgresOptions, type Run } from "./postgres_handle.ts";
import { PostgresView } from "./postgres_view.ts";

/** Where a database is in its log, and which one it is. */
export interface Place {
  readonly isCopy: boolean;
  /** Bytes of the log that are done; null for a copy that has not begun. */
  readonly at: number | null;
  readonly system: string;
  readonly database: number;
  readonly timeline: number;
}

/**
 * Of a primary, what it has sent to its disk: no commit that was answered is beyond it, but where
 * answers do not wait for the disk.
 */
const PLACE = `
  SELECT pg_is_in_recovery() AS "isCopy", system_identifier::text AS system,
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
      WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()
      ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn)::bigint AS at,
    CASE WHEN pg_is_in_recovery() THEN greatest(
        (SELECT timeline_id FROM pg_control_checkpoint()),
        (SELECT min_recovery_end_timeline FROM pg_control_recovery()))
      ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer
    END AS timeline
  FROM pg_control_system()`;

/** Where a database is. */
export async function placeOf(run: Run): Promise<Place> {
  return (await run(PLACE))[0] as unknown as Place;
}

/** Why a database is no replica of another; undefined where it is one. */
export function whyForeign(copy: Place, primary: Place): string | undefined {
  if (!copy.isCopy) return "it takes writes, as what was promoted does; expected a standby";
  const isSame = copy.system === primary.system && copy.database === primary.database;
  if (!isSame) return "it is of another database, expected a standby of the store's";
  if (copy.timeline > primary.timeline) {
    return "it follows what was promoted, expected a standby of the store's primary";
  }
  return undefined;
}

/** Where the primary was at a time. */
interface Sample {
  readonly at: number;
  readonly atMs: number;
}

const SAMPLES_KEPT = 128;
/** How often one is asked again that has to do a little more first. */
const AGAIN_MS = 10;

/** The replica of a store, and how it stands. */
export class PostgresReplica {
  readonly #primary: Postgres;
  readonly #db: Postgres;
  readonly #lagMsMax: number;
  /** Answers of the primary that may have told of something new. */
  #passed = 0;
  /** How far it has to be, and how many answers that covers. */
  #mark = { at: 0, passed: -1 };
  /** Places of the primary, the oldest first; of those that it has done, the last alone. */
  #samples: Sample[] = [];
  #known: Place | undefined;
  #restUntilMs = 0;
  #isTrying = false;
  /** Whether what it had to do last was done in time: else nobody waits for it again. */
  #isPrompt = true;
  #use: ReplicaUse = "unasked";
  #detail = "nothing was asked yet";
  #lag: { readonly ms: number | null; readonly bytes: number | null } = { ms: null, bytes: null };
  readonly #answered = { replica: 0, primary: 0 };

  /** Of a primary; connects at the first question. `EINVAL` for what cannot be one of it. */
  constructor(primary: Postgres, url: string, options: PostgresOptions) {
    const { schema } = readAddress(url, primary.schema);
    if (schema !== primary.schema) {
      const sentence = `Cannot read schema "${schema}" of a replica: the store is in ` +
        `"${primary.schema}", expected the same`;
      throw new SysError("EINVAL", sentence);
    }
    this.#primary = primary;
    this.#lagMsMax = options.readLagMs ?? LIMITS.replicaLagMsMax;
    const { connections } = primary;
    const awayMs = LIMITS.replicaAwayMsMax;
    this.#db = new Postgres(url, { schema, connections, awayMs });
  }

  /** The primary has answered: what it said or did has to be in the replica from now on (PR1). */
  passed(): void {
    this.#passed += 1;
  }

  /** How it stands. */
  get state(): ReplicaState {
    const { ms, bytes } = this.#lag;
    return {
      name: this.#db.name,
      use: this.#use,
      detail: this.#detail,
      lagMs: ms,
      lagBytes: bytes,
      answered: { ...this.#answered },
    };
  }

  /** The replica, for one question; undefined where the primary has to be asked. */
  async view(primary: StoreView): Promise<StoreView | undefined> {
    const behindMs = await this.#behindMs();
    this.#answered[behindMs === null ? "primary" : "replica"] += 1;
    if (behindMs === null) return undefined;
    return new PostgresView(this.#db, {
      primary,
      behindMs,
      failed: (thrown) => {
        this.#answered.replica -= 1;
        this.#answered.primary += 1;
        // What is not there may be there since.
        const isAbsent = thrown instanceof SysError && thrown.code === "ENOENT";
        if (!isAbsent) this.#rest("away", thrown);
      },
    });
  }

  /** Ends its connections. */
  async close(): Promise<void> {
    await this.#db.close();
  }

  /** How old what it has is, at most; null where it is not to be asked. */
  async #behindMs(): Promise<number | null> {
    if (this.#use !== "away" && this.#use !== "refused") return await this.#try();
    // Nobody waits for one that was away.
    if (!this.#isTrying && realClock.steady!() >= this.#restUntilMs) {
      this.#isTrying = true;
      void this.#try().finally(() => this.#isTrying = false);
    }
    return null;
  }

  async #try(): Promise<number | null> {
    try {
      return await this.#look();
    } catch (thrown) {
      return this.#rest("away", thrown);
    }
  }

  async #look(): Promise<number | null> {
    let copy = await placeOf(this.#db.run);
    const primary = await this.#sample(copy.at ?? 0);
    const foreign = whyForeign(copy, primary);
    if (foreign !== undefined || copy.at === null) {
      return this.#rest("refused", foreign ?? "it has not begun, expected a standby that replays");
    }
    const untilMs = realClock.steady!() + (this.#isPrompt ? LIMITS.replicaWaitMsMax : 0);
    const { at } = this.#mark;
    while ((copy.at ?? 0) < at && realClock.steady!() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      copy = await placeOf(this.#db.run);
    }
    return this.#judge(copy.at ?? 0, at);
  }

  /** Where the primary is, as far as it has to be asked anew; `at` is where the replica was. */
  async #sample(at: number): Promise<Place> {
    const passed = this.#passed;
    const lastMs = this.#samples.at(-1)?.atMs ?? -Infinity;
    const isOld = realClock.steady!() - lastMs > LIMITS.replicaLookMs;
    const known = this.#known;
    if (known !== undefined && passed === this.#mark.passed && !isOld) return known;
    // What it has done by the time of the question it had at least as soon.
    const atMs = realClock.steady!();
    const primary = await placeOf(this.#primary.run);
    const place = primary.at ?? 0;
    this.#known = primary;
    // Of two that ask at the same time, the one that came later may know less.
    if (passed > this.#mark.passed) {
      this.#mark = { at: Math.max(this.#mark.at, place), passed };
    }
    this.#samples.push({ at: place, atMs });
    if (this.#samples.length > SAMPLES_KEPT) this.#samples.splice(1, 1);
    // A standby is sent nothing that its primary does not have.
    return at > place ? { ...primary, system: "of another history" } : primary;
  }

  #judge(at: number, wanted: number): number | null {
    const done = this.#samples.findLastIndex((sample) => sample.at <= at);
    if (done > 0) this.#samples.splice(0, done);
    const newest = this.#samples[0]!.at <= at ? this.#samples[0]! : undefined;
    const ms = newest === undefined ? null : Math.ceil(realClock.steady!() - newest.atMs);
    const bytes = Math.max(0, this.#samples.at(-1)!.at - at);
    this.#lag = { ms, bytes };
    const isLate = ms === null || ms > this.#lagMsMax;
    this.#isPrompt = at >= wanted;
    if (at >= wanted && !isLate) {
      this.#use = "used";
      this.#detail = "what is only shown is read from it";
      return ms;
    }
    this.#use = "behind";
    const why = ms === null
      ? "nobody knows how far it is behind"
      : isLate
      ? `it is more than ${this.#lagMsMax} ms behind`
      : "it lacks what was written or shown here last";
    this.#detail = `${why}: the primary is read`;
    return null;
  }

  /** It is not asked for a while. */
  #rest(use: "away" | "refused", why: unknown): null {
    const known = typeof why === "string" ? why : postgresFailure(why, "read it");
    if (!(known instanceof SysError) && typeof known !== "string") throw known;
    this.#use = use;
    this.#detail = `${typeof known === "string" ? known : known.message}: the primary is read`;
    this.#lag = { ms: null, bytes: null };
    this.#restUntilMs = realClock.steady!() + LIMITS.replicaLookMs;
    return null;
  }
}
