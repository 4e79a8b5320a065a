/**
 * Chaos, in short: nodes over one database are killed, paused, cut off and given wrong clocks while
 * agents do effects and clients act; then every log is read. `deno task chaos` does it for minutes.
 * @module
 */

import assert from "node:assert/strict";
import { chaos } from "./chaos/run.ts";
import { noPostgres, startPostgres } from "./postgres_place.ts";

const SEED = Number(Deno.env.get("LIBOS_SEED") ?? Date.now() % 1_000_000);

Deno.test({
  name:
    "Whatever happens to nodes, lines and the database: trees end, effects are done once at most, " +
    "and what was acknowledged is in the logs once",
  ignore: noPostgres() !== undefined,
  fn: async () => {
    console.log(`chaos: LIBOS_SEED=${SEED}`);
    const server = await startPostgres(["fsync=off"]);
    try {
      const { violations, effects, acts } = await chaos(server, {
        seed: SEED,
        nodes: 3,
        trees: 12,
        chaosMs: 6_000,
        calmMs: 120_000,
        leaseMs: 1_500,
        pauseMs: 300,
        gapMs: { faults: 1_200, acts: 150 },
        clients: 4,
        fair: 0.3,
      });
      assert.deepEqual(violations, [], `LIBOS_SEED=${SEED}`);
      assert.ok(effects > 0 && acts.ok > 0, `${effects} effects, ${acts.ok} acts`);
    } finally {
      await server.stop();
    }
  },
});
