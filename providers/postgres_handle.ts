/**
 * A connection to PostgreSQL: statements with values, transactions, and our codes for its failures.
 *
 * Invariants:
 *   H1. Whatever the library throws becomes a `SysError`; no sentence has a password in it.
 *   H2. A statement that a lost connection leaves in doubt is not repeated here: who sent it knows
 *       how to look whether it happened.
 *   H3. A line on which nothing comes back in time is given up with all that waits on it.
 * @module
 */

import postgres from "postgres";
import { type Errno, SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { readAddress } from "./postgres_address.ts";
import { STATES } from "./postgres_states.ts";

/** One row, by column. */
export type PostgresRow = Readonly<Record<string, unknown>>;
/** Runs one statement with values for `$1`, `$2`, and so on. */
export type Run = (sql: string, values?: readonly unknown[]) => Promise<readonly PostgresRow[]>;

/** How a store is reached. */
export interface PostgresOptions {
  /** The schema that its tables are in: lower-case letters, digits and `_`. "libos" by default. */
  readonly schema?: string;
  /** Connections at most; 4 by default. */
  readonly connections?: number;
  /** How long a statement waits for a database that is away, in milliseconds; 30 s by default. */
  readonly awayMs?: number;
  /** false: commits wait no longer than that, either; else until the database is back. */
  readonly isPatient?: boolean;
  /** A replica of it, which what is only shown is read from; the same role and schema serve. */
  readonly readUrl?: string;
  /** How old what a replica has may be, in milliseconds; 10 s by default. */
  readonly readLagMs?: number;
}

/** A pool of connections to one database. */
export class Postgres {
  /** "postgres HOST:PORT/DATABASE", with no name of a user and no password. */
  readonly name: string;
  /** The schema, fit to stand in a statement. */
  readonly schema: string;
  /** How long a statement waits for a database that is away, in milliseconds. */
  readonly awayMs: number;
  /** Who this is, to others that listen: no one else has it. */
  readonly teller: string = crypto.randomUUID();
  /** The node that listens; without one, all that is told is heard. */
  node: string | undefined;
  /** Connections at most, but for the one that listens. */
  readonly connections: number;
  /** Statements and transactions that were not answered yet. */
  statements = 0;
  readonly #open: (more?: object) => Sql;
  #sql: Sql;
  /** The line that others are heard by, and when it is there. */
  #ear: { readonly sql: Sql; readonly isUp: Promise<void> } | undefined;
  /** What was given up, and ends by itself. */
  readonly #ending = new Set<Promise<void>>();

  /** Connects when the first statement is run. `EINVAL` for a URL that is none of PostgreSQL. */
  constructor(url: string, options: PostgresOptions = {}) {
    const { at, schema, ssl } = readAddress(url, options.schema);
    this.schema = schema;
    this.awayMs = options.awayMs ?? LIMITS.storeAwayMsMax;
    this.connections = options.connections ?? 4;
    this.name = `postgres ${at.host}${at.pathname}`;
    this.#open = (more) => {
      return postgres(at.href, {
        max: this.connections,
        ssl,
        connect_timeout: LIMITS.storeConnectMsMax / 1_000,
        backoff: (tries: number) => Math.min(0.02 * 2 ** tries, 1),
        onnotice: () => {},
        connection: { application_name: "libos" },
        types: {
          bigint: { to: 20, from: [20], parse: Number, serialize: (value: number) => `${value}` },
        },
        ...more,
      }) as unknown as Sql;
    };
    try {
      this.#sql = this.#open();
    } catch (thrown) {
      throw postgresFailure(thrown, `open store "${this.name}"`);
    }
  }

  /** Runs one short statement, in a transaction of its own. */
  readonly run: Run = async (sql, values = []) => {
    const over = this.#sql;
    const query = over.unsafe(sql, [...values] as never[], { prepare: true });
    return await this.#counted(this.#inTime(query, () => {
      takeBack(query);
      this.#renew(over);
    }));
  };

  /** Runs a job in one transaction, all or nothing, for as long as it takes once it is begun. */
  async transaction<T>(job: (run: Run) => Promise<T>): Promise<T> {
    const begun = Promise.withResolvers<void>();
    const over = this.#sql;
    const done = this.#counted(over.begin((sql) => {
      begun.resolve();
      return job((text, values = []) => sql.unsafe(text, [...values] as never[]));
    }));
    await this.#inTime(Promise.race([begun.promise, done]), () => this.#renew(over));
    return await done as T;
  }

  async #counted<T>(job: Promise<T>): Promise<T> {
    this.statements += 1;
    try {
      return await job;
    } finally {
      this.statements -= 1;
    }
  }

  /**
   * Calls `heard` when another store of this schema tells that trees of this node, or of none, were
   * given something, and when the line to hear it by is there anew: what was told meanwhile was
   * missed. `isOwn` is what this node alone has to look at.
   */
  listen(heard: (isOwn: boolean) => void): Promise<void> {
    if (this.#ear !== undefined) return this.#ear.isUp;
    const sql = this.#open({
      max: 1,
      idle_timeout: null,
      max_lifetime: null,
      onnotify: (_: string, told: string) => this.#tell(told, heard),
      onclose: () => this.#deafen(sql),
    });
    const isUp = this.#inTime(sql.unsafe(`LISTEN ${this.schema}`), () => {}).then(() =>
      heard(false)
    );
    isUp.catch(() => this.#deafen(sql));
    this.#ear = { sql, isUp };
    return isUp;
  }

  #tell(told: string, heard: (isOwn: boolean) => void): void {
    // Nodes of layout 1 do not say whose the trees are.
    const [teller, ...nodes] = told.split(" ");
    const isOwn = this.node !== undefined && nodes.includes(this.node);
    const isOurs = isOwn || this.node === undefined || nodes.length === 0 || nodes.includes("-");
    if (teller !== this.teller && isOurs) heard(isOwn);
  }

  /** Who asks next listens by a new line. */
  #deafen(sql: Sql): void {
    if (this.#ear?.sql !== sql) return;
    this.#ear = undefined;
    this.#end(sql);
  }

  /**
   * Connects anew: a line that stands still is not known to be dead for many minutes, and whatever
   * is asked over it waits as long (H3).
   */
  #renew(over: Sql): void {
    if (this.#sql !== over) return;
    this.#sql = this.#open();
    this.#end(over);
    if (this.#ear !== undefined) this.#deafen(this.#ear.sql);
  }

  #end(sql: Sql): void {
    const ended = sql.end({ timeout: ENDING_S }).catch(() => {})
      .finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  /** The library waits for a database for as long as it takes: here, whoever waits hears of it. */
  async #inTime<T>(job: Promise<T>, cancel: () => void): Promise<T> {
    const deadline = AbortSignal.timeout(this.awayMs);
    const late = Promise.withResolvers<never>();
    const tell = (): void => {
      cancel();
      late.reject(Object.assign(new Error("No answer in time"), { code: "CONNECT_TIMEOUT" }));
    };
    deadline.addEventListener("abort", tell, { once: true });
    try {
      return await Promise.race([job, late.promise]);
    } finally {
      deadline.removeEventListener("abort", tell);
    }
  }

  /** Ends all connections: what is under way has a second. */
  async close(): Promise<void> {
    if (this.#ear !== undefined) this.#deafen(this.#ear.sql);
    await Promise.all([this.#sql.end({ timeout: ENDING_S }), ...this.#ending]);
  }
}

type Sql = postgres.Sql<{ bigint: number }>;

/**
 * Asks the database to give a statement up. The library's own `cancel` drops the promise of the
 * line that it needs for that: where that line is refused, the whole process would end.
 */
function takeBack(query: object): void {
  const { canceller } = query as { canceller: ((query: object) => Promise<void>) | null };
  canceller?.(query).catch(() => {});
}

/** For how long what is under way may go on over lines that are given up, in seconds. */
const ENDING_S = 1;

/**
 * Makes a `SysError` of whatever the library threw (H1); `doing` completes "Cannot …". Its detail
 * says the state of SQL, and `away` where nothing is wrong but that the database is not there.
 */
export function postgresFailure(thrown: unknown, doing: string): unknown {
  if (!(thrown instanceof Error) || thrown instanceof SysError) return thrown;
  if (thrown instanceof TypeError || thrown instanceof RangeError) return thrown;
  const code = stateOf(thrown) ?? "";
  const found = STATES.find(([state]) => code.startsWith(state));
  const [errno, said]: readonly [Errno, string] = found === undefined
    ? ["EIO", code === "" ? thrown.message : `the database says ${code}, ${thrown.message}`]
    : [found[1], found[2]];
  const away = isLost(thrown) ? { away: true } : {};
  return new SysError(errno, `Cannot ${doing}: ${said}`, { cause: code, ...away });
}

/** The state of SQL that an error carries, or the code of a lost connection. */
export function stateOf(thrown: unknown): string | undefined {
  const code = (thrown as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Whether the connection is gone, and with it the answer (H2). */
export function isLost(thrown: unknown): boolean {
  const code = stateOf(thrown) ?? "";
  return LOST.some((one) => code.startsWith(one));
}

const LOST: readonly string[] = [
  "CONNECTION_",
  "CONNECT_TIMEOUT",
  "ECONN",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENOENT",
  "08",
  "53300",
  "57P",
];
