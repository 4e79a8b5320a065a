/**
 * What retention takes away in PostgreSQL is gone, and its room is used again.
 * @module
 */

import assert from "node:assert/strict";
import postgres from "postgres";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import { PostgresStore } from "../postgres.ts";
import { noPostgres, startPostgres } from "./postgres_place.ts";
import { batchOf, rejects } from "./store_fixture.ts";

/** Texts that do not pack: hashes of hashes. */
function long(of: string): string {
  let text = "";
  for (let one = sha256(of); text.length < 16_000; one = sha256(one)) text += one;
  return JSON.stringify(text);
}

Deno.test({
  name: "Payloads and values that are taken away are gone, and as many again take no more room",
  ignore: noPostgres() !== undefined,
  fn: async () => {
    const server = await startPostgres(["fsync=off", "autovacuum=off"]);
    const schema = `libos_room_${Deno.pid}`;
    const store = await PostgresStore.open(server.url, { schema });
    const sql = postgres(server.url, { max: 1, onnotice: () => {} });
    const bytes = async (): Promise<number> => {
      const [row] = await sql.unsafe(
        `SELECT (pg_total_relation_size('${schema}.batches')
           + pg_total_relation_size('${schema}.blobs'))::float8 AS bytes`,
      );
      return row!.bytes;
    };
    /** Writes a hundred trees with a payload and a value each, and takes both away. */
    const round = async (n: number): Promise<number> => {
      const hashes: string[] = [];
      const trees: TreeId[] = [];
      for (let i = 0; i < 100; i++) {
        const { tree } = await store.create(null);
        const [payload, blob] = [long(`payload ${n} ${i}`), long(`blob ${n} ${i}`)];
        const [of, hash] = [sha256(payload), sha256(blob)];
        const changes = { payloads: new Map([[of, payload]]), blobs: new Map([[hash, blob]]) };
        await store.commit([batchOf(tree, { lines: [`{"of":"${of}"}`], ...changes })]);
        hashes.push(hash);
        trees.push(tree);
      }
      const full = await bytes();
      for (const tree of trees) {
        const { count } = await store.archive().redact(
          tree,
          (batch) => new Set(batch.payloads.keys()),
        );
        assert.equal(count, 1);
      }
      assert.equal((await store.archive().sweep(hashes, { note: "retention" })).count, 100);
      await rejects(store.getBlob(hashes[0]!), "ENOENT");
      // What the database does by itself when enough has changed.
      for (const table of ["batches", "blobs"]) await sql.unsafe(`VACUUM ${schema}.${table}`);
      return full;
    };
    const first = await round(1);
    let last = first;
    for (let n = 2; n <= 4; n++) last = await round(n);
    const [left] = await sql.unsafe(
      `SELECT (SELECT count(*) FROM ${schema}.blobs)::int AS blobs,
         (SELECT count(payloads) FROM ${schema}.batches)::int AS payloads,
         (SELECT count(*) FROM ${schema}.batches)::int AS lines`,
    );
    assert.deepEqual([left!.blobs, left!.payloads, left!.lines], [0, 0, 400]);
    assert(last < 1.3 * first, `${first} bytes at first, ${last} at last`);
    const options = await sql.unsafe(
      `SELECT relname FROM pg_class WHERE relnamespace = '${schema}'::regnamespace
         AND reloptions::text LIKE '%autovacuum_vacuum_scale_factor%' ORDER BY relname`,
    );
    assert.deepEqual(options.map(({ relname }) => relname), ["batches", "blobs", "inbox", "trees"]);
    await sql.end();
    await store.close();
    await server.stop();
  },
});
