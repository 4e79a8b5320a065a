/**
 * G3 authority only narrows: going back brings nothing back, and branching off doubles nothing.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, deny } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import type { Batch } from "../kernel/store.ts";
import type { AgentProcess } from "../runtime/process.ts";
import { codeOf, CountedFiles, errorOf, imageOf, inWorld, type World } from "./world_fixture.ts";

/** Tries to read a file whenever it is told to, and notes what came of it. */
function reader(): ReturnType<typeof imageOf> {
  return imageOf(async ({ sys }) => {
    const tried: string[] = [];
    for (;;) {
      const { messages } = await sys.message.receive({});
      const { data } = messages[0] as unknown as { readonly data: string };
      if (data === "stop") return tried;
      tried.push(await codeOf(sys.file.read({ path: data })));
    }
  });
}

async function tell(world: World, agent: AgentProcess, ...data: string[]): Promise<void> {
  for (const each of data) {
    await agent.send(each);
    await world.os.runUntilIdle();
  }
}

function withFiles(): CountedFiles {
  const files = new CountedFiles();
  for (const name of ["a", "b"]) files.put(name, name);
  return files;
}

Deno.test("G3 a capability that was revoked since is not there after going back", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(reader(), { grants: [allow("file.read", "./**")] });
    await agent.checkpoint("start");
    const { state } = await world.tree();
    const cap = Object.values(state.caps).find(({ right }) => right === "file.read")!;
    await agent.revoke(cap.id, "no more");
    await agent.restore("start");
    await tell(world, agent, "a", "stop");
    assert.deepEqual((await world.ended(agent)).result, ["EPERM"]);
  }, { files: withFiles() });
});

Deno.test("G3 what is revoked while a tree goes back, and its files are looked at, stays revoked", async () => {
  const files = withFiles();
  await inWorld(async (world) => {
    const image = imageOf(async ({ sys }) => {
      await sys.message.receive({});
      await sys.file.write({ path: "b", text: "new" });
      await sys.message.receive({});
    });
    const grants = [allow("file.read", "./**"), allow("file.write", "./**")];
    const agent = await world.start(image, { grants });
    const { caps, seq } = (await world.tree()).state;
    await tell(world, agent, "write");
    const { id } = Object.values(caps).find(({ right }) => right === "file.read")!;
    let revoked: Promise<void> | undefined;
    files.before = async (what) => {
      if (what === "digest b") await (revoked ??= agent.revoke(id, "no more"));
    };
    await agent.restore(seq);
    files.before = () => {};
    assert.ok(revoked !== undefined, "nothing was looked at");
    assert.equal((await world.tree()).state.caps[id], undefined);
  }, { files });
});

/** A store whose commits of lines of a type wait, one after the other, until they are let. */
class Gated extends MemoryStore {
  readonly gates: { readonly type: string; readonly open: Promise<void> }[] = [];
  readonly met: string[] = [];

  override async commit(batches: readonly Batch[]): Promise<void> {
    const lines = batches.flatMap((batch) => batch.lines);
    const [gate] = this.gates;
    if (gate !== undefined && lines.some((line) => line.endsWith(`"type":"${gate.type}"}`))) {
      this.gates.shift();
      this.met.push(gate.type);
      await gate.open;
    }
    await super.commit(batches);
  }
}

Deno.test("G3 what is revoked, but not written yet, while a tree goes back stays revoked", async () => {
  const store = new Gated();
  await inWorld(async (world) => {
    const agent = await world.start(reader(), { grants: [allow("file.read", "./**")] });
    await agent.checkpoint("start");
    const { caps } = (await world.tree()).state;
    const { id } = Object.values(caps).find(({ right }) => right === "file.read")!;
    const [one, other, last] = [0, 1, 2].map(() => Promise.withResolvers<void>());
    const types = ["message.sent", "message.sent", "cap.revoked"];
    store.gates.push(...[one!, other!, last!].map(({ promise }, i) => ({
      type: types[i]!,
      open: promise,
    })));
    const meet = async (count: number): Promise<void> => {
      while (store.met.length < count) await world.clock.settle();
    };
    const jobs: Promise<unknown>[] = [agent.send("a")];
    await meet(1);
    jobs.push(agent.send("b"));
    await world.clock.settle();
    jobs.push(agent.restore("start"));
    await world.clock.settle();
    one!.resolve();
    await meet(2);
    jobs.push(agent.revoke(id, "no more"));
    await world.clock.settle();
    other!.resolve();
    await meet(3);
    await world.clock.settle();
    last!.resolve();
    await Promise.all(jobs);
    const found = (await world.lines()).map(({ type }) => type);
    assert.ok(found.lastIndexOf("tree.restored") > found.lastIndexOf("cap.revoked"));
    assert.equal((await world.tree()).state.caps[id], undefined);
  }, { files: withFiles(), store });
});

Deno.test("G3 what was derived from a revoked capability does not come back either", async () => {
  await inWorld(async (world) => {
    const child = reader();
    const parent = imageOf(async ({ sys }) => {
      const { pid } = await sys.process.spawn({
        image: child.data.name,
        goal: "read",
        grants: ["file.read(./a)"],
      });
      return await sys.process.wait({ pids: [pid] });
    });
    const agent = await world.start(parent, {
      grants: [allow("file.read", "./**"), allow("process.spawn", "**")],
      images: [child],
    });
    await agent.checkpoint("start");
    const { state } = await world.tree();
    const root = Object.values(state.caps).find(({ right, parent: from }) =>
      right === "file.read" && from === null
    )!;
    await agent.revoke(root.id);
    await agent.restore("start");
    const left = Object.values((await world.tree()).state.caps).map(({ right }) => right);
    assert.ok(!left.includes("file.read"));
  }, { files: withFiles() });
});

Deno.test("G3 a use that was spent since stays spent", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(reader(), {
      grants: [allow("file.read", "./**", { uses: 2 })],
    });
    await agent.checkpoint("start");
    await tell(world, agent, "a");
    await agent.restore("start");
    await tell(world, agent, "a", "a", "stop");
    assert.deepEqual((await world.ended(agent)).result, ["ok", "EPERM"]);
  }, { files: withFiles() });
});

Deno.test("G3 an answer that was given since is asked for again, not found open", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(reader(), { grants: [ask("file.read", "./**")] });
    await tell(world, agent, "a");
    const [first] = world.os.approvals.list();
    const position = (await world.lines()).at(-1)!.seq;
    await world.os.approvals.decide(first!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    await agent.restore(position);
    await world.os.runUntilIdle();
    const [again] = world.os.approvals.list();
    assert.notEqual(again!.id, first!.id);
    const error = await errorOf(world.os.approvals.decide(first!.id, { outcome: "approve" }));
    assert.equal(error?.code, "ESTATE");
    await world.os.approvals.decide(again!.id, { outcome: "deny" });
    await world.os.runUntilIdle();
    await tell(world, agent, "stop");
    assert.deepEqual((await world.ended(agent)).result, ["EACCES"]);
  }, { files: withFiles() });
});

Deno.test("G3 a request that is still open is the same one after going back", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(reader(), { grants: [ask("file.read", "./**")] });
    await tell(world, agent, "a");
    const [first] = world.os.approvals.list();
    await agent.restore((await world.lines()).at(-1)!.seq);
    await world.os.runUntilIdle();
    assert.deepEqual(world.os.approvals.list().map(({ id }) => id), [first!.id]);
    await world.os.approvals.decide(first!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    await tell(world, agent, "stop");
    assert.deepEqual((await world.ended(agent)).result, ["ok"]);
  }, { files: withFiles() });
});

Deno.test("G3 a policy that was loaded since holds after going back", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(reader(), { grants: [allow("file.read", "./**")] });
    await agent.checkpoint("start");
    await world.os.order("t_1", { kind: "policy", text: "deny file.read(./a)", by: "operator" });
    await agent.restore("start");
    await tell(world, agent, "a", "b", "stop");
    assert.deepEqual((await world.ended(agent)).result, ["EACCES", "ok"]);
  }, { files: withFiles() });
});

Deno.test("A branch has ids of its own, the memory of its origin, and its own way", async () => {
  await inWorld(async (world) => {
    const image = imageOf(async ({ sys, goal }) => {
      await sys.object.create({ name: "seen", value: goal });
      const { messages } = await sys.message.receive({});
      const { value } = await sys.object.read({ object: "seen" });
      return { seen: value, said: (messages[0] as unknown as { data: unknown }).data };
    });
    const agent = await world.start(image);
    await agent.checkpoint("here");
    const branch = await agent.fork("here", { goal: "another" });
    await world.os.runUntilIdle();
    assert.equal(branch.pid, "p_2");
    const { state } = await world.tree("t_2");
    assert.equal(state.processes["p_2"]!.upcoming?.goal, "another");
    await branch.send("to the branch");
    await agent.send("to the origin");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(branch)).result, { seen: "test", said: "to the branch" });
    assert.deepEqual((await world.ended(agent)).result, { seen: "test", said: "to the origin" });
    const [forked] = await world.events("tree.forked", "t_2");
    const [taken] = (await world.lines()).filter(({ type }) => type === "checkpoint.taken");
    assert.equal(forked!["seq"], taken!.seq);
  });
});

Deno.test("G3 a branch has no use and no grant that its origin could use, too", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(reader(), {
      grants: [allow("file.read", "./a", { uses: 1 }), ask("file.read", "./b")],
    });
    await tell(world, agent, "b");
    const [request] = world.os.approvals.list();
    await world.os.approvals.decide(request!.id, { outcome: "approve", scope: "process" });
    await world.os.runUntilIdle();
    const branch = await agent.fork((await world.lines()).at(-1)!.seq);
    await world.os.runUntilIdle();
    await tell(world, branch, "a", "b");
    assert.equal(world.os.approvals.list().length, 1);
    await world.os.approvals.decide(world.os.approvals.list()[0]!.id, { outcome: "deny" });
    await tell(world, branch, "stop");
    assert.deepEqual((await world.ended(branch)).result, ["ok", "EPERM", "EACCES"]);
  }, { files: withFiles() });
});

Deno.test("A branch takes edits: policy, budget, model; bad ones are refused, and nothing is made", async () => {
  await inWorld(async (world) => {
    const grants = [allow("file.read", "./**"), allow("model.generate", "some/*")];
    const agent = await world.start(reader(), { grants });
    const policy = "deny file.read(./a)";
    const branch = await agent.fork(world.os.node.trees[0]!.state.seq, {
      policy,
      budget: { modelCalls: 3 },
      message: "a",
    });
    await world.os.runUntilIdle();
    assert.deepEqual((await branch.info()).budget, { modelCalls: 3 });
    const { state } = await world.tree("t_2");
    assert.equal(state.policy.text, policy);
    await tell(world, branch, "stop");
    assert.deepEqual((await world.ended(branch)).result, ["EACCES"]);
    const now = world.os.node.trees[0]!.state.seq;
    const other = await agent.fork(now, { model: "some/model" });
    const { images, processes } = (await world.tree("t_3")).state;
    assert.equal(images[processes[other.pid]!.image]!.model, "some/model");
    const foreign = await errorOf(agent.fork(now, { model: "other/model" }));
    assert.equal(foreign?.code, "EPERM");
    const error = await errorOf(agent.fork(1_000_000));
    assert.equal(error?.code, "ENOENT");
    assert.equal((await errorOf(agent.fork(3, { policy: "deny nothing" })))?.code, "EINVAL");
    assert.equal((await world.os.trees({ all: true })).length, 3);
  }, { files: withFiles() });
});

Deno.test("A rule of deny that came with a spawn holds in a branch", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(reader(), {
      grants: [allow("file.read", "./**"), deny("file.read", "./a")],
    });
    const branch = await agent.fork(world.os.node.trees[0]!.state.seq);
    await world.os.runUntilIdle();
    await tell(world, branch, "a", "b", "stop");
    assert.deepEqual((await world.ended(branch)).result, ["EACCES", "ok"]);
  }, { files: withFiles() });
});
