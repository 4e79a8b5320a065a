/**
 * A process as it is held at a node that has not its tree.
 * @module
 */

import assert from "node:assert/strict";
import { defineImage, type Runtime } from "../mod.ts";
import { fleetClaims, type FleetPlace, waiter } from "./fleet_place.ts";
import { rejects } from "./store_fixture.ts";

const claim = fleetClaims("handle");

const LIVELY = { autorun: true } as const;
const idOf = (os: Runtime): string => os.node.options.id;
const named = (place: FleetPlace, name: string) => place.node({ ...LIVELY, node: { name } });
const heldBy = (place: FleetPlace, os: Runtime): Promise<void> =>
  place.until("SELECT FROM $.trees WHERE owner = $1 AND NOT ready", [idOf(os)]);

claim(
  "A process of another node is read, told and waited for, and its tree stays where it is",
  async (place) => {
    await using owner = await named(place, "one");
    await using other = await named(place, "two");
    const { pid } = await owner.spawn(waiter, { goal: "Wait" });
    await heldBy(place, owner);
    const there = (await other.get(pid))!;
    assert.equal((await there.info()).state, "waiting");
    assert.deepEqual((await other.ps()).map((one) => one.pid), [pid]);
    assert.equal((await other.explain(pid, "clock.read")).decision, "none");
    assert((await there.tools()).length > 0);
    assert.equal((await there.inspect(2)).seq, 2);
    assert((await Array.fromAsync(there.events())).length > 0);
    assert.deepEqual(await place.owners(), { [idOf(owner)]: 1 });
    const stopped = AbortSignal.abort();
    await assert.rejects(there.wait({ signal: stopped }));
    const [ended, text] = [there.wait(), Array.fromAsync(there.text())];
    await there.send("from two");
    assert.equal((await ended).result, "from two");
    assert.deepEqual(await text, []);
    assert.equal(await other.get("p_99"), undefined);
  },
);

claim(
  "What changes a tree of another node otherwise is refused by its node's name",
  async (place) => {
    await using owner = await named(place, "one");
    await using other = await named(place, "two");
    const { pid } = await owner.spawn(waiter, { goal: "Wait" });
    await heldBy(place, owner);
    const there = (await other.get(pid))!;
    const { message } = await rejects(there.checkpoint("here"), "EFENCED");
    assert.match(
      message,
      /^Cannot open tree "t_1": node "one" owns it, expected it here; ask that/,
    );
    await there.signal("kill", "enough");
    assert.equal((await there.wait()).outcome.kind, "killed");
  },
);

claim("Whoever waits hears of the end when the tree goes to another node", async (place) => {
  await using owner = await named(place, "one");
  const process = await owner.spawn(waiter, { goal: "Wait" });
  await heldBy(place, owner);
  const ended = process.wait();
  await using other = await named(place, "two");
  const fleet = owner.node.options.store.fleet!();
  await fleet.move("t_1", idOf(other));
  await place.until("SELECT FROM $.trees WHERE owner IS DISTINCT FROM $1", [idOf(owner)]);
  await (await other.get(process.pid))!.send("there");
  assert.equal((await ended).result, "there");
});

claim(
  "A key that is another node's already gives the tree that has it, and many at once give one",
  async (place) => {
    await using one = await named(place, "one");
    await using two = await named(place, "two");
    const spawned = (os: Runtime) => os.spawn(waiter, { goal: "Wait", idempotencyKey: "k" });
    const first = await spawned(one);
    await heldBy(place, one);
    const again = await spawned(two);
    assert.equal(again.pid, first.pid);
    const ended = again.wait();
    await again.send("through two");
    assert.equal((await ended).result, "through two");
    // What has ended leaves its key to the next: whoever begins it, all get that one.
    const all = await Promise.all([one, two, one, two].map(spawned));
    assert.equal(new Set(all.map(({ pid }) => pid)).size, 1);
    assert.notEqual(all[0]!.pid, first.pid);
  },
);

claim("A handle from before a tree moved goes on to say how it stands", async (place) => {
  const busy = defineImage({
    name: "busy",
    program: async ({ sys }) => {
      const { messages: [message] } = await sys.message.receive({});
      if (message?.type === "last") await sys.process.exit({ result: message.data });
    },
  });
  await using one = await named(place, "one");
  one.register(busy);
  const process = await one.spawn(busy, { goal: "Work" });
  await heldBy(place, one);
  await using two = await named(place, "two");
  two.register(busy);
  await one.node.options.store.fleet!().move("t_1", idOf(two));
  await place.until("SELECT FROM $.trees WHERE owner IS DISTINCT FROM $1", [idOf(one)]);
  await process.send(1);
  await process.send(2, { type: "last" });
  assert.equal((await process.wait()).result, 2);
  assert.equal((await process.info()).state, "ended");
});
