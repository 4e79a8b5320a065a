/**
 * Nodes for tests: runtimes over one schema, and a hand on the database's clock as nodes see it.
 * @module
 */

import postgres from "postgres";
import { createRuntime, defineImage, type Runtime, type RuntimeOptions } from "../mod.ts";
import { PostgresStore } from "../postgres.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";

/** Waits for one message, then ends. */
export const waiter = defineImage({
  name: "waiter",
  program: async ({ sys }) => {
    const { messages: [message] } = await sys.message.receive({});
    await sys.process.exit({ result: message?.data });
  },
});

/** Ends at once with its node's work done: one line of it in memory. */
export const brief = defineImage({
  name: "brief",
  program: async ({ sys }) => {
    await sys.process.exit({ result: "done" });
  },
});

/** A schema with nodes. */
export class FleetPlace {
  readonly url: string;
  readonly #schema: string;
  readonly #admin: postgres.Sql;

  /** Over a server; nothing is made yet. */
  constructor(server: string, schema: string) {
    this.url = `${server}?schema=${schema}`;
    this.#schema = schema;
    this.#admin = postgres(server, { max: 1, onnotice: () => {} });
  }

  /** A node that runs nothing by itself, and so does not beat: its lease outlasts any test. */
  async node(options: RuntimeOptions = {}): Promise<Runtime> {
    const lasting = options.autorun === true ? {} : { leaseMs: 86_400_000 };
    return await createRuntime({
      store: this.url,
      workspace: null,
      images: [waiter, brief],
      approvals: "deny",
      autorun: false,
      ...options,
      node: { ...lasting, ...options.node },
    });
  }

  /** The store without a node. */
  async store(): Promise<PostgresStore> {
    return await PostgresStore.open(this.url, { connections: 1 });
  }

  /** Runs SQL with "$." for the schema. */
  async sql(text: string, values: readonly string[] = []): Promise<readonly postgres.Row[]> {
    return await this.#admin.unsafe(text.replaceAll("$.", `${this.#schema}.`), [...values]);
  }

  /** The lease of a node, or of all, runs out now. */
  async expire(id?: string): Promise<void> {
    if (id === undefined) await this.sql("UPDATE $.nodes SET until = 0");
    else await this.sql("UPDATE $.nodes SET until = 0 WHERE id = $1", [id]);
  }

  /** Resolves when a query has rows. */
  async until(text: string, values: readonly string[] = []): Promise<void> {
    while ((await this.sql(text, values)).length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** How many trees that have not ended each owner has; "none" for those that nobody has. */
  async owners(): Promise<Record<string, number>> {
    const rows = await this.sql(
      "SELECT coalesce(owner, 'none') AS owner, count(*)::integer AS n FROM $.trees WHERE live GROUP BY 1",
    );
    return Object.fromEntries(rows.map(({ owner, n }) => [owner, n]));
  }

  /** Asks no more; the schema stays. */
  async end(): Promise<void> {
    await this.#admin.end();
  }

  /** Takes the schema away. */
  async close(): Promise<void> {
    await this.#admin.unsafe(`DROP SCHEMA IF EXISTS ${this.#schema} CASCADE`);
    await this.#admin.end();
  }
}

/** What makes the tests of a file: each in a schema of its own, over one server. */
export function fleetClaims(
  word: string,
): (name: string, body: (place: FleetPlace) => Promise<void>) => void {
  const ignore = noPostgres() !== undefined;
  let server: Server;
  let places = 0;
  Deno.test.beforeAll(async () => {
    if (!ignore) server = await startPostgres(["fsync=off"]);
  });
  Deno.test.afterAll(async () => {
    if (!ignore) await server.stop();
  });
  return (name, body) =>
    Deno.test({
      name,
      ignore,
      fn: async () => {
        const place = new FleetPlace(server.url, `libos_${word}_${Deno.pid}_${places += 1}`);
        try {
          await body(place);
        } finally {
          await place.close();
        }
      },
    });
}
