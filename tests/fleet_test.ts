/**
 * Nodes that share one store: who has which tree, and how that changes hands.
 * @module
 */

import assert from "node:assert/strict";
import { type Runtime, SysError } from "../mod.ts";
import { inSchema, MIGRATIONS } from "../providers/postgres_schema.ts";
import { brief, fleetClaims, type FleetPlace, waiter } from "./fleet_place.ts";
import { batchOf, rejects } from "./store_fixture.ts";

const claim = fleetClaims("fleet");

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
    const { tree, epoch, seq } = late.node.peek("t_1")!.state;
    const stale = batchOf(tree, { epoch, seq: seq + 1 });
    await rejects(late.node.options.store.commit([stale]), "EFENCED");
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

const LIVELY = { autorun: true } as const;

claim(
  "PA1 A node that drains gives its trees back, and messages reach them at another",
  async (place) => {
    await using old = await place.node(LIVELY);
    const process = await old.spawn(waiter, { goal: "Wait" });
    await place.until("SELECT FROM $.trees WHERE owner = $1 AND NOT ready", [idOf(old)]);
    await using young = await place.node(LIVELY);
    const store = await place.store();
    await store.fleet().order(idOf(old), "draining");
    await place.until("SELECT FROM $.trees WHERE owner IS NULL");
    const ended = (async () => (await young.get(process.pid))!.wait())();
    // Who drains puts it where the other finds it.
    await process.send("from the old one");
    assert.equal((await ended).result, "from the old one");
    await rejects(store.fleet().order("node-none", "draining"), "ENOENT");
    const states = (await store.fleet().nodes()).map(({ id, state }) => [id, state]);
    assert.deepEqual(new Map(states as [string, string][]).get(idOf(old)), "draining");
    await store.close();
  },
);

claim("A tree that asks for labels waits for a node that has them", async (place) => {
  await using plain = await place.node(LIVELY);
  const nodeSelector = { gpu: "yes" };
  const process = await plain.spawn(brief, { goal: "Count", nodeSelector });
  await place.until("SELECT FROM $.trees WHERE owner IS NULL AND ready");
  await using other = await place.node();
  assert.deepEqual(await other.node.membership!.look(), []);
  await rejects(other.node.open("t_1"), "EFENCED");
  assert.equal((await (await other.get(process.pid))!.info()).state, "ready");
  await using able = await place.node({ ...LIVELY, node: { labels: nodeSelector } });
  await place.until("SELECT FROM $.trees WHERE NOT live");
  assert.equal((await (await able.get(process.pid))!.wait()).result, "done");
  await rejects(plain.spawn(brief, { goal: "No", nodeSelector: { "a b": "" } }), "EINVAL");
});

claim(
  "Trees of a node with a folder of its own wait for a node of its name, and go to no other",
  async (place) => {
    const node = { name: "desk", ownWorkspace: true };
    {
      await using desk = await place.node({ node });
      await desk.spawn(brief, { goal: "Work on what is here" });
      await desk.spawn(brief, { goal: "Work there", nodeSelector: { node: "lab" } });
    }
    await using other = await place.node();
    assert.deepEqual(await other.node.membership!.look(), []);
    await rejects(other.node.open("t_1"), "EFENCED");
    assert.equal((await (await other.get("p_1"))!.info()).state, "ready");
    await using back = await place.node({ node });
    await back.node.membership!.look();
    assert.deepEqual(await place.owners(), { [idOf(back)]: 1, none: 1 });
    await using lab = await place.node({ node: { name: "lab" } });
    await lab.node.membership!.look();
    assert.deepEqual(await place.owners(), { [idOf(back)]: 1, [idOf(lab)]: 1 });
    await rejects(place.node({ node: { ownWorkspace: true } }), "EINVAL");
  },
);

claim("A tree moves to a node, and stays where it is when that one takes none", async (place) => {
  await using from = await place.node(LIVELY);
  const { pid } = await from.spawn(waiter, { goal: "Wait" });
  await using to = await place.node(LIVELY);
  const store = await place.store();
  const fleet = store.fleet();
  await fleet.order(idOf(to), "cordoned");
  await rejects(fleet.move("t_1", idOf(to)), "ESTATE");
  await fleet.order(idOf(to), "active");
  await fleet.move("t_1", idOf(to));
  await place.until("SELECT FROM $.trees WHERE owner = $1", [idOf(to)]);
  await (await to.get(pid))!.send("there");
  await place.until("SELECT FROM $.trees WHERE NOT live");
  await rejects(fleet.move("t_9", idOf(to)), "ENOENT");
  await store.close();
});

claim("ME2 A tree that its node does not know of is found and goes on", async (place) => {
  await plantedFree(place, 1);
  await using os = await place.node({ ...LIVELY, node: { leaseMs: 600 } });
  await place.until("SELECT FROM $.trees WHERE NOT ready");
  const { tree } = (await os.trees())[0]!;
  // As if the answer to a taking had been lost: another node had it, and it is this one's now.
  os.node.halt(os.node.peek(tree)!, new Error("lost"));
  await place.sql("UPDATE $.trees SET ready = true");
  await using other = await place.node(LIVELY);
  await place.until("SELECT FROM $.trees WHERE owner = $1", [idOf(other)]);
});

/** The version of a node that wants to join one of 0.1.0, and whether it may. */
const SKEWS: readonly (readonly [string, boolean])[] = [
  ["0.1.7", true],
  ["0.2.0", true],
  ["0.3.0", false],
  ["1.1.0", false],
];

claim("Nodes join others of their version, or one minor version off", async (place) => {
  await using _ = await place.node();
  const store = await place.store();
  for (const [version, mayJoin] of SKEWS) {
    const id = `node-${version}`;
    const facts = { id, name: id, labels: {}, version, capacity: 1, leaseMs: 30_000 };
    const joined = store.fleet().join(facts);
    if (mayJoin) await joined;
    else assert.match((await rejects(joined, "EINVAL")).message, /update one after the other/);
    await store.fleet().leave(id);
  }
  await store.close();
});

claim(
  "T1 A node of the layout before goes on with its trees, and takes none of newer nodes",
  async (place) => {
    const schema = new URL(place.url).searchParams.get("schema")!;
    await place.sql(`CREATE SCHEMA ${schema}; CREATE TABLE $.layout(version integer)`);
    await place.sql(`${inSchema(MIGRATIONS[0]!, schema)}; INSERT INTO $.layout VALUES(1)`);
    await place.sql(
      `INSERT INTO $.trees(id, epoch, seq, head, lease, live, ready, asking, title, owner)
    VALUES(nextval('$.tree_number'), 1, 0, '', 9000000000000, true, false, 0, '""', 'old')`,
    );
    await using os = await place.node();
    await os.spawn(waiter, { goal: "Wait" });
    await os.runUntilIdle();
    // What it calls is there still, and what it claims by finds no lease that has run out.
    const { head } = batchOf("t_1", {});
    const none = "'{}'";
    await place.sql(`SELECT $.commit_1('{1}', '{1}', '{1}', '{1}', '{${head}}', '{line}', '{null}',
    '{null}', '{null}', '{0}', '{1}', '{0}', '{0}', '{null}', '{"t"}', ${none}, ${none}, ${none},
    ${none}, ${none}, ${none}, ${none}, ${none}, 'old')`);
    assert.equal((await place.sql("SELECT FROM $.trees WHERE id = 1 AND seq = 1")).length, 1);
    const late = "lease <= extract(epoch FROM now() + interval '1 year') * 1000";
    assert.equal((await place.sql(`SELECT FROM $.trees WHERE ${late}`)).length, 0);
    await rejects(os.node.open("t_1"), "EFENCED");
  },
);

claim(
  "G7 A branch whose node died before it had grown is whole at the node that takes it over",
  async (place) => {
    await using other = await place.node();
    const store = await place.store();
    let isDying = false;
    const dead = Promise.withResolvers<void>();
    const { commit } = store;
    const first = await place.node({ store, approvals: "deny" });
    const agent = await first.spawn(waiter, { goal: "Wait" });
    await first.runUntilIdle();
    const { seq } = (await first.node.open("t_1")).state;
    store.commit = (batches) => {
      const isGrowth = batches.some(({ lines }) =>
        lines.some((line) => line.includes("tree.grown"))
      );
      isDying ||= isGrowth;
      return isDying ? dead.promise : commit.call(store, batches);
    };
    const branch = await agent.fork(seq, { message: "of the branch" });
    while (!isDying) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal((await other.trees({ all: true })).length, 2);
    // What nobody may see before it is whole is not shown at other nodes either.
    await rejects(other.get(branch.pid).then((there) => there!.info()), "EAGAIN");
    await place.expire(idOf(first));
    const there = (await other.get(branch.pid))!;
    await other.runUntilIdle();
    assert.equal((await there.wait()).result, "of the branch");
    assert((await other.verify()).every(({ broken }) => broken === null));
    dead.reject(new SysError("EIO", "It is dead"));
    await first.close({ drain: false });
    await store.close();
  },
);
