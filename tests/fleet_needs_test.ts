/**
 * Nodes that do not all have the same programs and models: who takes which tree.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage, type Runtime } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { examineDatabase } from "../providers/postgres_doctor.ts";
import { brief, fleetClaims, type FleetPlace, waiter } from "./fleet_place.ts";
import { rejects } from "./store_fixture.ts";

const claim = fleetClaims("needs");

/** A program that not every node has. */
const ready = defineImage({
  name: "ready",
  program: async ({ sys }) => {
    await sys.process.exit({ result: "done" });
  },
});
const thinker = defineImage({ name: "thinker", model: scriptedModel(["done"]) });

const LIVELY = { autorun: true } as const;
const HAS = { images: [waiter, brief, ready, thinker] };
const idOf = (os: Runtime): string => os.node.options.id;

/** A tree that has something to do, and that nobody has. */
async function planted(place: FleetPlace, image = ready): Promise<void> {
  await using os = await place.node(HAS);
  await os.spawn(image, { goal: "Work" });
}

async function openings(place: FleetPlace, os: Runtime): Promise<number> {
  const rows = await place.sql(
    "SELECT FROM $.batches, unnest(string_to_array(body, E'\\n')) AS line " +
      `WHERE line LIKE '%tree.opened%' AND line LIKE '%${idOf(os)}%'`,
  );
  return rows.length;
}

claim("A tree waits for a node that has its program, and others leave it", async (place) => {
  await planted(place);
  await using plain = await place.node();
  assert.deepEqual(await plain.node.membership!.look(), []);
  const store = await place.store();
  const { first } = await store.fleet().free();
  assert.deepEqual(first.map(({ selector }) => selector), [{ "program:ready@1": "yes" }]);
  const [node] = await store.fleet().nodes();
  assert.deepEqual(Object.keys(node!.labels), ["node"]);
  const { findings } = await examineDatabase(place.url);
  const found = findings.find(({ what }) => what === "trees");
  assert.match(found!.detail, /what 1 ask for, such as t_1: program:ready@1=yes/);
  await store.close();
  await using able = await place.node(HAS);
  await able.node.membership!.look();
  assert.deepEqual(await place.owners(), { [idOf(able)]: 1 });
  await able.runUntilIdle();
  assert.deepEqual(await place.owners(), {});
  assert.equal(await openings(place, plain), 0);
});

claim("A node that hears of a program later takes the trees that waited for it", async (place) => {
  await planted(place);
  await using os = await place.node(LIVELY);
  await place.until("SELECT FROM $.nodes WHERE labels ? 'program:waiter@1'");
  assert.deepEqual(await place.owners(), { none: 1 });
  os.register(ready);
  await place.until("SELECT FROM $.trees WHERE NOT live");
});

claim("A tree waits for a node that has its model", async (place) => {
  await planted(place, thinker);
  await using plain = await place.node();
  assert.deepEqual(await plain.node.membership!.look(), []);
  await using able = await place.node(HAS);
  await able.node.membership!.look();
  assert.deepEqual(await place.owners(), { [idOf(able)]: 1 });
});

claim(
  "A tree that says not yet what it runs on is given back once, and says so from then on",
  async (place) => {
    await planted(place);
    // As a node of before wrote it.
    await place.sql("UPDATE $.trees SET selector = NULL");
    await using plain = await place.node(LIVELY);
    await place.until(
      "SELECT FROM $.trees WHERE owner IS NULL AND selector ? 'program:ready@1'",
    );
    await plain.runUntilIdle();
    assert.equal(await openings(place, plain), 1);
    await using _able = await place.node({ ...LIVELY, ...HAS });
    await place.until("SELECT FROM $.trees WHERE NOT live");
    assert.equal(await openings(place, plain), 1);
  },
);

claim("A node without its program ends a tree that nobody can run, when told", async (place) => {
  await planted(place);
  await using plain = await place.node(LIVELY);
  await rejects(plain.node.open("t_1", "look"), "EFENCED");
  await plain.order("t_1", { kind: "signal", pid: "p_1", signal: "kill", reason: "", by: "me" });
  await place.until("SELECT FROM $.trees WHERE NOT live");
});

claim("A process that becomes what its node cannot run goes where that is had", async (place) => {
  await using plain = await place.node(LIVELY);
  const parent = defineImage({
    name: "parent",
    program: async ({ sys }) => {
      const { pid } = await sys.process.spawn({ image: "ready", goal: "Help" });
      const { ended } = await sys.process.wait({ pids: [pid] });
      await sys.process.exit({ result: ended?.outcome.kind });
    },
  });
  // Only its data is known here: as after an update that took the code away.
  const child = { ...ready, program: undefined };
  const root = await plain.spawn(parent, {
    goal: "Delegate",
    images: [child],
    grants: [allow("process.spawn", "ready@1")],
  });
  await place.until(
    "SELECT FROM $.trees WHERE owner IS NULL AND selector ? 'program:ready@1'",
  );
  await using able = await place.node({ ...LIVELY, images: [parent, ready] });
  await place.until("SELECT FROM $.trees WHERE NOT live");
  assert.equal((await (await able.get(root.pid))!.wait()).result, "exited");
});
