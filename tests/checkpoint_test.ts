/**
 * Checkpoints: naming a position, looking at it, going back to it.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask } from "../mod.ts";
import { byAge, findPosition } from "../kernel/checkpoint.ts";
import { LIMITS } from "../kernel/limits.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import type { StepContext } from "../runtime/program.ts";
import { codeOf, CountedFiles, errorOf, imageOf, inWorld, World } from "./world_fixture.ts";

/** A store that outlives its runtime. */
class OpenStore extends MemoryStore {
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Writes down each message it gets, in memory, until it is told to stop. */
async function clerk({ sys }: StepContext): Promise<unknown> {
  await sys.object.create({ name: "notes", list: true });
  for (;;) {
    const { messages } = await sys.message.receive({});
    const said = messages.map((message) => (message as unknown as { data: string }).data);
    if (said.includes("stop")) return said;
    await sys.object.append({ object: "notes", item: said as never });
  }
}

async function lengthOf(world: World): Promise<number> {
  const { state } = await world.tree();
  return Object.values(state.objects).find(({ name }) => name.endsWith("/notes"))!.items.length;
}

Deno.test("A checkpoint is one line, however large the tree is", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(imageOf(clerk));
    const before = (await world.lines()).length;
    const id = await agent.checkpoint("here");
    const lines = await world.lines();
    assert.equal(lines.length, before + 1);
    assert.equal(lines.at(-1)!.type, "checkpoint.taken");
    assert.match(id, /^ck_1\.\d+$/);
    assert.ok(JSON.stringify(lines.at(-1)).length < 400);
  });
});

Deno.test("An agent names positions and lists them; automatic ones stand among them", async () => {
  await inWorld(async (world) => {
    const image = imageOf(async ({ sys }) => {
      await sys.checkpoint.create({ name: "mine" });
      await sys.file.write({ path: "a.txt", text: "a" });
      return (await sys.checkpoint.list()).checkpoints.map(({ name, auto }) => ({ name, auto }));
    });
    const agent = await world.start(image, { grants: [ask("file.write", "./**")] });
    await world.os.approvals.decide(world.os.approvals.list()[0]!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    const { result } = await world.ended(agent);
    assert.deepEqual(result, [
      { name: "mine", auto: null },
      { name: "before ask", auto: "ask" },
    ]);
  });
});

Deno.test("A destructive call has a checkpoint before its intent", async () => {
  const files = new CountedFiles();
  files.put("a.txt", "a");
  await inWorld(async (world) => {
    await world.run(async ({ sys }) => await sys.file.remove({ path: "a.txt" }), {
      grants: [allow("file.*", "./**")],
    });
    const kinds = (await world.lines()).map(({ type }) => type);
    assert.equal(kinds[kinds.indexOf("call.intent") - 1], "checkpoint.taken");
  }, { files });
});

Deno.test("No name stands for the id of another checkpoint", async () => {
  const codes: string[] = [];
  await inWorld(async (world) => {
    const agent = await world.start(imageOf(async ({ sys }) => {
      await sys.checkpoint.create({ name: "draft" });
      for (const name of ["ck_1.1", "ck_1.2", "ck_1.", "ck_1", "12"]) {
        codes.push(await codeOf(sys.checkpoint.create({ name })));
      }
      await sys.checkpoint.create({ name: "ck_1.1 again" });
      await sys.message.receive({});
    }));
    assert.deepEqual(codes, Array(5).fill("EINVAL"));
    await assert.rejects(agent.checkpoint("ck_1.1"), { code: "EINVAL" });
    // A log of before may have such a name.
    const { state } = await world.tree();
    const [first, last] = byAge(state);
    const old = { ...last!, id: "ck_1.9", name: first!.id } as const;
    const named = { ...state, checkpoints: { ...state.checkpoints, [old.id]: old } };
    assert.equal(findPosition(named, first!.id), first!.seq);
    assert.equal(findPosition(named, old.id), old.seq);
  });
});

Deno.test("Automatic checkpoints are forgotten oldest first; named ones stay", async () => {
  await inWorld(async (world) => {
    const many = LIMITS.checkpointsAutoKept + 5;
    await world.run(async ({ sys }) => {
      await sys.checkpoint.create({ name: "named" });
      for (let i = 0; i < many; i++) {
        await sys.file.write({ path: `f${i}`, text: "x" });
        await sys.file.remove({ path: `f${i}` });
      }
    }, { grants: [allow("file.*", "./**")] });
    const kept = Object.values((await world.tree()).state.checkpoints);
    assert.equal(kept.filter(({ auto }) => auto !== null).length, LIMITS.checkpointsAutoKept);
    assert.equal(kept.filter(({ name }) => name === "named").length, 1);
  });
});

Deno.test("inspect and diff tell of any two positions, and run nothing", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(imageOf(clerk));
    const first = await agent.checkpoint("first");
    await agent.send("one");
    await world.os.runUntilIdle();
    const lines = (await world.lines()).length;
    const then = await agent.inspect(first);
    assert.deepEqual(then.objects.map(({ name }) => name), ["p_1/notes"]);
    assert.equal(then.processes[0]!.state, "waiting");
    const changes = await agent.diff("first");
    assert.ok(changes.some(({ part, change }) => part === "objects" && change === "changed"));
    assert.deepEqual(await agent.diff(first, then.seq), []);
    assert.equal((await world.lines()).length, lines);
    for (const wanted of ["nowhere", 0, 10_000]) {
      assert.equal((await errorOf(agent.inspect(wanted)))?.code, "ENOENT");
    }
  });
});

Deno.test("A tree goes back, and goes on from there; its log only grows", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(imageOf(clerk));
    await agent.send("one");
    await world.os.runUntilIdle();
    await agent.checkpoint("one");
    for (const said of ["two", "three", "stop"]) {
      await agent.send(said);
      await world.os.runUntilIdle();
    }
    assert.equal((await agent.info()).state, "ended");
    const before = (await world.lines()).length;
    const { messages } = await agent.restore("one");
    assert.deepEqual(messages.map(({ data }) => data), ["two", "three", "stop"]);
    assert.equal(await lengthOf(world), 1);
    assert.equal((await agent.info()).state, "waiting");
    assert.ok((await world.lines()).length > before);
    await agent.send("stop");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(agent)).result, ["stop"]);
  });
});

Deno.test("Going back twice, and forward again, is possible: every position stays", async () => {
  await inWorld(async (world) => {
    const agent = await world.start(imageOf(clerk));
    const empty = await agent.checkpoint("empty");
    await agent.send("one");
    await world.os.runUntilIdle();
    const full = await agent.checkpoint("full");
    await agent.restore(empty);
    assert.equal(await lengthOf(world), 0);
    await agent.restore(full);
    assert.equal(await lengthOf(world), 1);
    await agent.restore(empty);
    assert.equal(await lengthOf(world), 0);
  });
});

Deno.test("Going back gives no ids twice and gives back nothing that was spent", async () => {
  await inWorld(async (world) => {
    const image = imageOf(async ({ sys }) => {
      await sys.message.receive({});
      await sys.object.create({ name: "x", value: 1 });
      await sys.message.receive({});
    }, { budget: { toolCalls: 5 } });
    const agent = await world.start(image);
    await agent.checkpoint("start");
    await agent.send("go");
    await world.os.runUntilIdle();
    const { state } = await world.tree();
    const [next, spent] = [{ ...state.next }, { ...(await agent.info()).spent }];
    await agent.restore("start");
    for (const [kind, n] of Object.entries(next)) {
      assert.ok(state.next[kind as keyof typeof next] >= n, kind);
    }
    assert.deepEqual((await agent.info()).spent, spent);
  });
});

Deno.test("What is running when a tree goes back is ended, and runs again from there", async () => {
  const files = new CountedFiles();
  await inWorld(async (world) => {
    const image = imageOf(async ({ sys }) => {
      const { messages } = await sys.message.receive({});
      await sys.file.write({ path: "a.txt", text: String(messages.length) });
      return await sys.message.receive({ filter: { type: "end" } });
    });
    const agent = await world.start(image, { grants: [allow("file.*", "./**")] });
    await agent.checkpoint("start");
    let release: () => void = () => {};
    files.before = (what) =>
      what === "write a.txt" ? new Promise<void>((resolve) => release = resolve) : undefined;
    await agent.send("go");
    const running = world.os.runUntilIdle();
    while (world.os.node.broker.sending.size === 0) {
      await new Promise((done) => setTimeout(done, 0));
    }
    const restored = agent.restore("start");
    release();
    files.before = () => {};
    const { effects } = await restored;
    await running;
    assert.deepEqual(effects.map(({ name, result }) => [name, result?.ok]), [["file.write", true]]);
    assert.equal((await agent.info()).state, "waiting");
  }, { files });
});

Deno.test("A restart after going back finds the tree as it went back", async () => {
  const world = new World({ store: new OpenStore() });
  const image = imageOf(clerk);
  const agent = await world.start(image);
  await agent.checkpoint("start");
  await agent.send("one");
  await world.os.runUntilIdle();
  await agent.restore("start");
  const dump = (await world.tree()).dump();
  await world.os.close({ drain: false });
  const { store, clock, files } = world;
  await inWorld(async (again) => {
    again.os.register(image);
    const tree = await again.tree();
    assert.equal(tree.state.objects && await lengthOf(again), 0);
    assert.ok(dump.includes('"notes"'));
    const back = (await again.os.get(agent.pid))!;
    await back.send("stop");
    await again.os.runUntilIdle();
    assert.deepEqual((await again.ended(back)).result, ["stop"]);
  }, { store, clock, files });
});
