/**
 * Nodes that share one store: who has which tree, and how that changes hands.
 * @module
 */

import assert from "node:assert/strict";
import type { Runtime } from "../mod.ts";
import { brief, FleetPlace, waiter } from "./fleet_place.ts";
import { noPostgres, type Server, startPostgres } from "./postgres_place.ts";
import { rejects } from "./store_fixture.ts";

const ignore = noPostgres() !== undefined;
let server: Server;
let places = 0;

Deno.test.beforeAll(async () => {
  if (!ignore) server = await startPostgres(["fsync=off"]);
});
Deno.test.afterAll(async () => {
  if (!ignore) await server.stop();
});

function claim(name: string, body: (place: FleetPlace) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const place = new FleetPlace(server.url, `libos_fleet_${Deno.pid}_${places += 1}`);
      try {
        await body(place);
      } finally {
        await place.close();
      }
    },
  });
}

const idOf = (os: Runtime): string => os.node.options.id;

/** Trees of waiters that were given a message, and that nobody has. */
async function plantedFree(place: FleetPlace, count: number): Promise<void> {
  await using os = await place.node();
  for (let i = 0; i < count; i++) await os.spawn(waiter, { goal: `Wait ${i}` });
}

claim(
  "FL3 Two nodes share a hundred free trees about evenly, each tree at one of them",
  async (place) => {
    await plantedFree(place, 100);
    assert.deepEqual(await place.owners(), { none: 100 });
    await using one = await place.node();
    await using other = await place.node();
    const look = (os: Runtime) => os.node.membership!.look();
    for (let i = 0; i < 4; i++) await Promise.all([look(one), look(other)]);
    const owners = await place.owners();
    assert.equal(owners[idOf(one)]! + owners[idOf(other)]!, 100);
    const least = Math.min(owners[idOf(one)]!, owners[idOf(other)]!);
    assert(least >= 40, `Shared ${JSON.stringify(owners)}`);
  },
);

claim(
  "FL3 A node takes no more than its capacity, and none while it is cordoned",
  async (place) => {
    await plantedFree(place, 10);
    await using small = await place.node({ node: { capacity: 3 } });
    await small.node.membership!.look();
    assert.deepEqual(await place.owners(), { [idOf(small)]: 3, none: 7 });
    const store = await place.store();
    const fleet = store.fleet();
    await fleet.order(idOf(small), "cordoned");
    await using large = await place.node();
    await large.node.membership!.look();
    assert.deepEqual(await place.owners(), { [idOf(small)]: 3, [idOf(large)]: 7 });
    await fleet.order(idOf(large), "cordoned");
    await plantedFree(place, 2);
    assert.deepEqual(await large.node.membership!.look(), []);
    await fleet.order(idOf(large), "active");
    assert.equal((await large.node.membership!.look()).length, 2);
    await store.close();
  },
);

claim(
  "FL1 A node whose lease ran out is refused at its next commit, and comes back",
  async (place) => {
    await using late = await place.node();
    const process = await late.spawn(waiter, { goal: "Wait" });
    await late.runUntilIdle();
    await place.expire(idOf(late));
    await using quick = await place.node();
    // Whoever asks for the tree gets it, though the late one never heard of that.
    const there = (await quick.get(process.pid))!;
    await there.send({ text: "hello" });
    const ended = there.wait();
    await quick.runUntilIdle();
    assert.deepEqual((await ended).result, { text: "hello" });
    await rejects(process.send({ text: "again" }), "EFENCED");
    // It hears that it was given up, joins again, and works on.
    const store = await place.store();
    assert.equal(await store.fleet().reap(idOf(quick), 10), 0);
    await store.close();
    await late.runUntilIdle();
    const next = await late.spawn(brief, { goal: "Go on" });
    const done = next.wait();
    await late.runUntilIdle();
    assert.equal((await done).result, "done");
    const [row] = await place.sql("SELECT lapses FROM $.nodes WHERE id = $1", [idOf(late)]);
    assert.equal(row?.lapses, "1");
  },
);
