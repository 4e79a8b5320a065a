/**
 * Chaos for as long as one likes: `deno task chaos -- --seed 7 --minutes 5 --nodes 5 --trees 500`.
 *
 * `LIBOS_TEST_PG` names a database; without, one is started. Ends with 1 when something does not
 * hold; the seed repeats what is done, though not the moment at which it strikes. Calm lasts for as
 * long as trees end, and is given up when none has for `--stall` seconds (180): it always comes to a
 * judgement, which says of trees that are left why they are, as far as anybody knows.
 * @module
 */

import { parseArgs } from "node:util";
import { startPostgres } from "../postgres_place.ts";
import { chaos } from "./run.ts";

const number = (of: string | undefined, otherwise: number): number => Number(of ?? otherwise);

const { values } = parseArgs({
  args: Deno.args.filter((one) => one !== "--"),
  options: {
    seed: { type: "string" },
    minutes: { type: "string" },
    nodes: { type: "string" },
    trees: { type: "string" },
    lease: { type: "string" },
    pause: { type: "string" },
    stall: { type: "string" },
  },
});
const seed = number(values.seed, Date.now() % 1_000_000);
const trees = number(values.trees, 500);
const server = await startPostgres(["fsync=off"]);
try {
  console.log(`seed ${seed}`);
  const outcome = await chaos(server, {
    seed,
    trees,
    nodes: number(values.nodes, 5),
    chaosMs: number(values.minutes, 5) * 60_000,
    calmMs: number(values.stall, 180) * 1_000,
    leaseMs: number(values.lease, 3_000),
    pauseMs: number(values.pause, 20 * trees),
    gapMs: { faults: 3_000, acts: 200 },
    clients: 8,
    fair: 0.8,
  }, (what) => console.log(what));
  const { violations, ...rest } = outcome;
  console.log(JSON.stringify({ seconds: Math.round(performance.now() / 1_000), ...rest }));
  for (const one of violations) console.log(`VIOLATION ${one}`);
  console.log(violations.length === 0 ? "all holds" : `seed ${seed}: ${violations.length} do not`);
  Deno.exitCode = violations.length === 0 ? 0 : 1;
} finally {
  await server.stop();
}
