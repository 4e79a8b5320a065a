/**
 * Wrong clocks of nodes over one database: one that jumps by hours ends no wait early or late, and
 * what it writes bears the database's time.
 * @module
 */

import assert from "node:assert/strict";
import { createRuntime, defineImage } from "../mod.ts";
import { realClock } from "../providers/clock.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Clock } from "../kernel/world.ts";
import postgres from "postgres";
import { noPostgres, startPostgres } from "./postgres_place.ts";

const HOUR_MS = 3_600_000;
const ignore = noPostgres() !== undefined;

/** A machine's clock that can be set. */
class SetClock implements Clock {
  offMs = 0;
  now = (): number => realClock.now() + this.offMs;
  steady = (): number => realClock.steady!();
  sleep = realClock.sleep;
  soon = realClock.soon;
}

/** Fails where a wait of less than a second takes a minute. */
async function late(offMs: number, signal: AbortSignal): Promise<never> {
  await realClock.sleep(60_000, signal).catch(() => {});
  throw new Error(`a clock that was set to ${offMs} ms holds up a wait`);
}

/** Sleeps for as long as it is told, and says when. */
const sleeper = defineImage({
  name: "sleeper",
  version: "1",
  program: async ({ sys, input }) => {
    const { ms } = input as unknown as { readonly ms: number };
    const { iso: begun } = await sys.clock.now({});
    await sys.clock.sleep({ ms });
    const { iso: ended } = await sys.clock.now({});
    await sys.process.exit({ result: [begun, ended] });
  },
});

Deno.test({
  name: "A node whose clock jumps by hours ends waits neither early nor late",
  ignore,
  fn: async () => {
    const server = await startPostgres(["fsync=off"]);
    const sql = postgres(server.url, { max: 1, onnotice: () => {} });
    try {
      const at = async (): Promise<number> =>
        Number((await sql`SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms`)[0]!["ms"]);
      const clock = new SetClock();
      using stack = new DisposableStack();
      const over = new AbortController();
      stack.defer(() => over.abort());
      // It is wrong from the beginning, too.
      clock.offMs = 5 * HOUR_MS;
      const startedMs = await at();
      await using os = await createRuntime({
        store: `${server.url}?schema=clocks`,
        ...{ clock, workspace: null, images: [sleeper], approvals: "deny" },
        node: { leaseMs: 3_000 },
      });
      const sleep = (ms: number) => os.spawn(sleeper, { goal: `${ms}`, input: { ms } });
      const long = await sleep(HOUR_MS);
      for (const offMs of [2 * HOUR_MS, -9 * HOUR_MS, 48 * HOUR_MS, 0]) {
        const across = await sleep(400);
        clock.offMs = offMs;
        // What slept while the clock was set ends, and what sleeps after it.
        for (const one of [across, await sleep(200)]) {
          const { result } = await Promise.race([one.wait(), late(offMs, over.signal)]);
          const [begun, ended] = (result as string[]).map((iso) => Date.parse(iso));
          const least = one === across ? 400 : 200;
          assert.ok(ended! - begun! >= least, `${offMs}: ${ended! - begun!} of ${least} ms`);
          assert.ok(begun! >= startedMs - 3_000 && ended! <= await at() + 3_000, `${offMs}`);
        }
        // The node has looked at timers since, and this one is not over.
        const [still] = (await os.ps()).filter(({ pid }) => pid === long.pid);
        assert.equal(still?.state, "waiting", `after ${offMs}`);
      }
      const endedMs = await at();
      for (const tree of (await os.trees({ all: true })).map((one): TreeId => one.tree)) {
        for await (const { atMs } of os.log(tree)) {
          assert.ok(atMs >= startedMs - 3_000 && atMs <= endedMs + 3_000, `${tree}: ${atMs}`);
        }
      }
      // People see how far the machine itself is off, from its next beat on.
      clock.offMs = HOUR_MS;
      const off = async (): Promise<number> =>
        (await os.node.options.store.fleet!().nodes())[0]!.skewMs;
      while (Math.abs(await off() - HOUR_MS) > 3_000) await realClock.sleep(50);
    } finally {
      await sql.end();
      await server.stop();
    }
  },
});
