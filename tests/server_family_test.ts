/**
 * Trees that come from others, over the API: branches, detached children, and what is damaged.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage, SysError } from "../mod.ts";
import { Draft } from "../kernel/draft.ts";
import type { Line } from "../kernel/event.ts";
import { serve } from "../server/mod.ts";
import { sees } from "../server/principal.ts";
import { told } from "../server/told.ts";
import { MemoryStore, VirtualClock } from "../testing.ts";
import { code, confined, sleeper } from "./server_attack_place.ts";
import { serverPlace } from "./server_place.ts";
import { CountedFiles, START_MS, World } from "./world_fixture.ts";
import { Died, MortalWorld } from "./world_fixture_crash.ts";

const SECRET = "s3cr3t";

const child = defineImage({
  name: "child",
  program: async ({ sys }) => void await sys.message.receive({}),
});
const parent = defineImage({
  name: "parent",
  program: async ({ sys }) => {
    await sys.object.create({ name: "note", value: SECRET });
    await sys.process.detach({ image: "child", goal: "sub", input: SECRET.padEnd(900) });
    await sys.message.receive({});
  },
});

Deno.test("Lines of a branch and of a family are told to who sees no values", async () => {
  await using at = await serverPlace({ runtime: { autorun: false } });
  const grants = [allow("process.*", "**"), allow("object.*", "**")];
  await at.runtime.spawn(parent, { goal: "a", grants, images: [child] });
  await at.runtime.runUntilIdle();
  const alone = await at.runtime.spawn(sleeper, { goal: "b" });
  await at.runtime.runUntilIdle();
  const { pid } = await alone.fork((await at.runtime.node.open("t_3")).state.seq, {
    message: SECRET.padEnd(900),
  });
  assert.equal(pid, "p_4");
  const words = new Set<string>();
  for (const tree of ["t_1", "t_2", "t_3", "t_4"]) {
    const answer = await at.ask("viewer", `/v1/trees/${tree}/events`);
    assert.equal(answer.status, 200, tree);
    const text = await answer.text();
    assert(!text.includes(SECRET), tree);
    for (const { type } of JSON.parse(text).items) words.add(type);
  }
  for (const type of ["kin.told", "tree.forked", "tree.grown"]) assert(words.has(type), type);
});

Deno.test("A tree that is damaged is absent to who sees other labels", async () => {
  await using at = await serverPlace({ runtime: { autorun: false } });
  await at.runtime.spawn(sleeper, { goal: "b", labels: { team: "b" } });
  await at.runtime.runUntilIdle();
  at.runtime.node.bar("t_1", new SysError("EINTEGRITY", 'Cannot read tree "t_1" at line 3'));
  const { headers } = confined(at, "operator");
  for (const path of ["/v1/processes/p_1", "/v1/trees/t_1", "/v1/trees/t_1/events"]) {
    assert.equal(await code(at.ask("admin", path)), "500 EINTEGRITY", path);
    const [theirs, absent] = await Promise.all(
      [path, path.replace("_1", "_9")].map((one) => at.ask(null, one, { headers })),
    );
    assert.deepEqual([theirs!.status, absent!.status], [404, 404], path);
    const { detail } = await absent!.json();
    assert.equal((await theirs!.json()).detail, detail.replace("_9", "_1"), path);
  }
});

const HASH = "a".repeat(64);

/** A store with a tree that has a tool, and with a branch of it that died before it had grown. */
async function begun(): Promise<MemoryStore> {
  const store = new MemoryStore();
  const [clock, files] = [new VirtualClock(START_MS), new CountedFiles()];
  const options = { images: [sleeper] };
  const first = new MortalWorld({ store, clock, files, plan: null, life: 1, options });
  await first.start(sleeper);
  const tree = await first.tree();
  const draft = new Draft(tree, clock.now());
  const none = { source: { value: "" }, code: { value: "" }, tests: { value: "" }, testCount: 0 };
  const contract = { description: "", inputSchema: {}, outputSchema: null, rights: [] };
  draft.add("tool.proposed", { hash: HASH, name: "one", by: "p_1", ...none, ...contract });
  tree.commit(draft);
  await first.os.node.durable(tree);
  await first.os.close();
  // Opening the origin is the first commit, and branching off is the second.
  const plan = { at: 3, when: "before" } as const;
  const world = new MortalWorld({ store, clock, files, plan, life: 2, options });
  const job = world.live(async () => {
    const agent = (await world.os.get("p_1"))!;
    await agent.fork((await world.tree()).state.seq);
    await world.os.runUntilIdle();
  });
  await assert.rejects(job, Died);
  return store;
}

Deno.test("A tool that is revoked in all trees is revoked in a branch that had yet to grow", async () => {
  const store = await begun();
  // Nothing is opened before it is asked for, as when another node dies.
  const world = new World({ store, images: [sleeper] });
  const server = serve(world.os);
  const { secret } = server.tokens.create({ name: "ops", role: "operator" });
  const answer = await fetch(`${server.url}/v1/tools/${HASH}/revoke`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: '{"reason":"bad"}',
  });
  assert.equal(answer.status, 200, await answer.text());
  for (const tree of ["t_1", "t_2"] as const) {
    const { tools } = (await world.tree(tree)).state;
    assert.deepEqual(tools[HASH]!.revoked, { by: "ops", reason: "bad" }, tree);
  }
  await server.close();
  await world.close();
});

Deno.test("A line that no kernel wrote is not told, and breaks no stream of others", () => {
  const types = ["process.spawned", "process.ended", "call.done", "call.outcome", "human.asked"];
  const line = { tree: "t_1", seq: 1, atMs: 1, prev: "" } as const;
  for (const type of [...types, "human.answered", "object.created", "checkpoint.taken"]) {
    for (const data of [null, {}, { goal: null, outcome: null, result: null }]) {
      assert.equal(told({ ...line, type, data } as unknown as Line), undefined, type);
    }
  }
  const data = { to: 1, by: "ann" };
  const restored = { ...line, type: "tree.restored", data } as unknown as Line;
  assert.equal(told(restored)?.kind, "process.state");
  assert.equal(told({ ...restored, atMs: 1e300 }), undefined);
  const who = { name: "a", role: "viewer", token: "a", labels: { team: "a" } } as const;
  assert.deepEqual([{ team: "a" }, { team: "b" }, {}, null].map((one) => sees(who, one)), [
    true,
    false,
    false,
    false,
  ]);
});

Deno.test("A tree that cannot be shown hides no other", async () => {
  await using at = await serverPlace({ runtime: { autorun: false } });
  for (const goal of ["a", "b"]) await at.runtime.spawn(sleeper, { goal });
  await at.runtime.runUntilIdle();
  // As of a tree that was brought: no kernel writes that.
  const { processes } = (await at.runtime.node.open("t_1")).state;
  processes["p_1"] = { ...processes["p_1"]!, startedMs: 1e300 };
  const { items } = await (await at.ask("viewer", "/v1/processes")).json();
  assert.deepEqual(items.map(({ pid }: { pid: string }) => pid), ["p_2"]);
});
