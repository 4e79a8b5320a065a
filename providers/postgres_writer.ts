/**
 * Writing to a PostgreSQL database that may be away for a while.
 *
 * Invariants:
 *   P1. A commit whose connection is lost is looked up before it is answered or sent again: it is
 *       never told to have failed when it happened, nor the other way round.
 * @module
 */

import { treeNumber } from "../kernel/ids.ts";
import type { Batch } from "../kernel/store.ts";
import { commitCall, commitColumns, refuseUnfits, UNFIT } from "./postgres_commit.ts";
import { isLost, type Postgres, stateOf } from "./postgres_handle.ts";

/** Writes batches, each commit once. */
export class PostgresWriter {
  readonly #db: Postgres;
  readonly #isPatient: boolean;
  /** Ends the waiting for a database that is away. */
  readonly #hurry = new AbortController();

  /** Over a pool of connections; a patient one waits for as long as the database is away. */
  constructor(db: Postgres, isPatient: boolean) {
    this.#db = db;
    this.#isPatient = isPatient;
  }

  /** Appends batches of several trees in one transaction. */
  async commit(batches: readonly Batch[]): Promise<void> {
    const columns = commitColumns(this.#db, batches);
    await this.#surely(batches, async () => {
      await this.#db.run(commitCall(this.#db.schema, batches), columns);
    });
  }

  /** Commits wait no longer for a database that is away. */
  hurry(): void {
    this.#hurry.abort();
  }

  /**
   * Sends what is all or nothing until it is known whether it happened (P1): for as long as the
   * database is away, but for a store that is not patient, or is about to be closed.
   */
  async #surely(batches: readonly Batch[], send: () => Promise<void>): Promise<void> {
    const deadline = AbortSignal.timeout(this.#db.awayMs);
    const { signal } = this.#hurry;
    const isOver = (): boolean => signal.aborted || (!this.#isPatient && deadline.aborted);
    for (let tries = 0;; tries++) {
      try {
        if (tries > 0 && await this.#isWritten(batches)) return;
        return await send();
      } catch (thrown) {
        if (stateOf(thrown) === UNFIT) {
          // The one that was sent before may have been on its way when it was looked for.
          if (tries > 0 && await this.#isWritten(batches)) return;
          return await refuseUnfits(this.#db, batches);
        }
        // Deadlocks and failed orders of transactions are rolled back as a whole.
        const isAgain = isLost(thrown) || /^40/.test(stateOf(thrown) ?? "");
        if (!isAgain || isOver()) throw thrown;
        await pause(Math.min(25 * 2 ** tries, 1_000), signal);
      }
    }
  }

  /** Whether the last batch of a commit, and with it all of them, is in the store. */
  async #isWritten(batches: readonly Batch[]): Promise<boolean> {
    const { tree, seq, lines } = batches.at(-1)!;
    const [row] = await this.#db.run(
      `SELECT body FROM ${this.#db.schema}.batches WHERE tree = $1 AND seq = $2 AND count = $3`,
      [treeNumber(tree), seq, lines.length],
    );
    return row?.body === lines.join("\n");
  }
}

/** So long, or until there is hurry. */
function pause(ms: number, hurry: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      hurry.removeEventListener("abort", done);
      resolve();
    }
    hurry.addEventListener("abort", done);
    if (hurry.aborted) done();
  });
}
