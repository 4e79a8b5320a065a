/**
 * A streaming replica: commands that look read it, and whoever would change something is told so.
 * @module
 */

import { deepStrictEqual as equal, match } from "node:assert/strict";
import { Place } from "./cli_place.ts";
import { FleetPlace, waiter } from "./fleet_place.ts";
import { startPostgres } from "./postgres_place.ts";
import { noStandby as ignore, standbyOf } from "./standby_place.ts";

Deno.test({
  name: "Commands that look read a replica, doctor says how old it is, and nothing writes to it",
  ignore,
  fn: async () => {
    await using place = await Place.make();
    const primary = await startPostgres([]);
    const fleet = new FleetPlace(primary.url, "libos");
    {
      await using os = await fleet.node();
      await os.spawn(waiter, { goal: "Before" });
      await os.runUntilIdle();
    }
    const replica = await standbyOf(primary);
    let pid = "";
    {
      await using os = await fleet.node();
      pid = (await os.spawn(waiter, { goal: "Since" })).pid;
      await os.runUntilIdle();
    }
    const seen = new FleetPlace(replica.url, "libos");
    await seen.until("SELECT FROM $.trees WHERE id > 1 AND NOT ready AND owner IS NULL");
    place.variables["LIBOS_DB"] = seen.url;
    match((await place.libos("ps")).out, /p_1 .*Before\n.*Since/);
    match((await place.libos("describe", pid)).out, /Goal: +Since/);
    match((await place.libos("logs", pid)).out, /Since/);
    match((await place.libos("verify")).out, /t_1 .*OK\nt_\d+ .*OK/);
    const doctor = await place.libos("doctor", "--store");
    match(doctor.out, /replica +note +the last commit that it has is \d+ ms old/);
    const refused = await place.libos("send", pid, "hello");
    match(refused.err, /it can only be read, expected the primary and no replica/);
    equal(refused.exit === 0, false);
    await seen.end();
    await fleet.end();
    await replica.stop();
    await primary.stop();
  },
});
