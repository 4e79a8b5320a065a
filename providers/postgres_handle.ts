/**
 * A connection to PostgreSQL: statements with values, transactions, and our codes for its failures.
 *
 * Invariants:
 *   H1. Whatever the library throws becomes a `SysError`; no sentence has a password in it.
 *   H2. A statement that a lost connection leaves in doubt is not repeated here: who sent it knows
 *       how to look whether it happened.
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
  readonly #sql: postgres.Sql<{ bigint: number }>;

  /** Connects when the first statement is run. `EINVAL` for a URL that is none of PostgreSQL. */
  constructor(url: string, options: PostgresOptions = {}) {
    const { at, schema, ssl } = readAddress(url, options.schema);
    this.schema = schema;
    this.awayMs = options.awayMs ?? LIMITS.storeAwayMsMax;
    this.name = `postgres ${at.host}${at.pathname}`;
    try {
      this.#sql = postgres(at.href, {
        max: options.connections ?? 4,
        ssl,
        connect_timeout: LIMITS.storeConnectMsMax / 1_000,
        backoff: (tries: number) => Math.min(0.02 * 2 ** tries, 1),
        onnotice: () => {},
        connection: { application_name: "libos" },
        types: {
          bigint: { to: 20, from: [20], parse: Number, serialize: (value: number) => `${value}` },
        },
      }) as unknown as postgres.Sql<{ bigint: number }>;
    } catch (thrown) {
      throw postgresFailure(thrown, `open store "${this.name}"`);
    }
  }

  /** Runs one short statement, in a transaction of its own. */
  readonly run: Run = async (sql, values = []) => {
    const query = this.#sql.unsafe(sql, [...values] as never[], { prepare: true });
    return await this.#inTime(query, () => query.cancel());
  };

  /** Runs a job in one transaction, all or nothing, for as long as it takes once it is begun. */
  async transaction<T>(job: (run: Run) => Promise<T>): Promise<T> {
    const begun = Promise.withResolvers<void>();
    const done = this.#sql.begin((sql) => {
      begun.resolve();
      return job((text, values = []) => sql.unsafe(text, [...values] as never[]));
    });
    await this.#inTime(Promise.race([begun.promise, done]), () => {});
    return await done as T;
  }

  /**
   * Calls `heard` when another store of this schema tells that trees were given something, and
   * when the line to hear it by is there anew: what was told meanwhile was missed.
   */
  async listen(heard: () => void): Promise<void> {
    await this.#sql.listen(this.schema, (teller) => {
      if (teller !== this.teller) heard();
    }, heard);
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
    await this.#sql.end({ timeout: 1 });
  }
}

/** Makes a `SysError` of whatever the library threw (H1); `doing` completes "Cannot …". */
export function postgresFailure(thrown: unknown, doing: string): unknown {
  if (!(thrown instanceof Error) || thrown instanceof SysError) return thrown;
  if (thrown instanceof TypeError || thrown instanceof RangeError) return thrown;
  const code = stateOf(thrown) ?? "";
  const found = STATES.find(([state]) => code.startsWith(state));
  const [errno, said]: readonly [Errno, string] = found === undefined
    ? ["EIO", code === "" ? thrown.message : `the database says ${code}, ${thrown.message}`]
    : [found[1], found[2]];
  return new SysError(errno, `Cannot ${doing}: ${said}`, { cause: code });
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
  "57P",
];
