/**
 * Replay: a step that is run again from the top goes on where it was, and does nothing twice.
 * @module
 */

import assert from "node:assert/strict";
import { z } from "zod";
import { allow, ask, defineTool } from "../mod.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, World } from "./world_fixture.ts";

/** Opens a second runtime over the same store, as after a crash: the first one is not closed. */
function again(old: World, seed: number, images: Parameters<World["os"]["register"]>[0][]): World {
  const { store, clock, files } = old;
  return new World({ store, clock, files, seed, images });
}

Deno.test("A half-finished tool call is run again after a crash and its inner calls are answered from the log", async () => {
  const lives: string[] = [];
  const tool = defineTool({
    name: "save-two",
    description: "Save two files",
    inputSchema: z.object({}),
    uses: ["file.write"],
    async execute(_, { sys }) {
      lives.push("began");
      await sys.file.write({ path: "a", text: "1" });
      await sys.clock.sleep({ ms: 50 });
      await sys.file.write({ path: "b", text: "2" });
      return { saved: 2 };
    },
  });
  const image = imageOf(async ({ sys }) => (await sys.tool.call({ name: "save-two" })).output, {
    tools: [tool],
  });
  const first = new World();
  const { pid } = await first.start(image, { grants: [allow("file.write", "**")] });
  assert.deepEqual(first.files!.done, ["write a"]);
  const second = again(first, 2, [image]);
  await second.untilDone();
  const process = (await second.os.get(pid))!;
  assert.deepEqual((await second.ended(process)).result, { saved: 2 });
  assert.deepEqual(second.files!.done, ["write a", "write b"]);
  assert.deepEqual(lives, ["began", "began"]);
  assert.equal((await second.events("call.intent")).length, 2);
  await second.close();
});

type Change = readonly [claim: string, before: Body, after: Body, says: RegExp];

const CHANGES: readonly Change[] = [
  [
    "another name",
    async ({ sys }) => await sys.clock.now(),
    async ({ sys }) => await sys.process.cwd(),
    /call 1 was "clock\.now" before and is "process\.cwd" now, expected the same call$/,
  ],
  [
    "other arguments",
    async ({ sys }) => await sys.object.create({ name: "a", value: 1 }),
    async ({ sys }) => await sys.object.create({ name: "a", value: 2 }),
    /call 1 was "object\.create" before and is "object\.create" now with other arguments, expected/,
  ],
  [
    "a defaulted argument made explicit is the same",
    async ({ sys }) => await sys.object.create({ name: "a", value: 1 }),
    async ({ sys }) => await sys.object.create({ mutable: false, value: 1, name: "a" }),
    /^$/,
  ],
  [
    "a call left out",
    async ({ sys }) => {
      await sys.clock.now();
      await sys.process.cwd();
    },
    async ({ sys }) => await sys.process.cwd(),
    /Cannot go on with step 1 of process "p_1": call 1 was "clock\.now" before/,
  ],
];

for (const [claim, before, after, says] of CHANGES) {
  Deno.test(`A different call under the same key is refused with EREPLAY: ${claim}`, () =>
    inWorld(async (world) => {
      let body = before;
      const image = imageOf(async (context) => {
        await body(context);
        await context.sys.clock.sleep({ ms: 1 });
        return "";
      });
      const process = await world.start(image);
      body = after;
      await world.pass(1);
      const { outcome } = await world.ended(process);
      const said = outcome.kind === "failed" ? `${outcome.code} ${outcome.message}` : "";
      if (said !== "") assert.match(said, /^EREPLAY Cannot go on with step 1 of process "p_1": /);
      assert.match(said.replace(/^EREPLAY /, ""), says);
    }));
}

Deno.test("A refused call is refused again the same way when its step is run again", () =>
  inWorld(async (world) => {
    const heard: string[] = [];
    await world.result(async ({ sys }) => {
      const error = await errorOf(sys.file.read({ path: "secret" }));
      heard.push(`${error?.code} ${error?.message}`);
      await sys.clock.sleep({ ms: 1 });
    });
    assert.equal(heard.length, 2);
    assert.equal(heard[0], heard[1]);
    assert.match(heard[0]!, /^EPERM Cannot call "file\.read": /);
    assert.equal((await world.events("call.done")).length, 3);
  }));

Deno.test("A refusal stands for its step even when the right was given meanwhile", () =>
  inWorld(async (world) => {
    const heard: string[] = [];
    const image = imageOf(async ({ sys }) => {
      heard.push(await codeOf(sys.file.write({ path: "a", text: "" })));
      await sys.message.receive({});
      return await codeOf(sys.file.write({ path: "a", text: "" }));
    });
    const process = await world.start(image, { ceiling: [allow("file.write", "**")] });
    await process.grant(allow("file.write", "**"));
    await process.send("go");
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, "ok");
    assert.deepEqual(heard, ["EPERM", "EPERM"]);
  }));

Deno.test("A process parked in the middle of a tool goes on inside it", () =>
  inWorld(async (world) => {
    const tool = defineTool({
      name: "ask-and-save",
      description: "Ask, then save",
      inputSchema: z.object({ path: z.string() }),
      async execute({ path }, { sys }) {
        const { answer } = await sys.human.ask({ prompt: "What?" });
        await sys.file.write({ path, text: String(answer) });
        return answer;
      },
    });
    const image = imageOf(
      async ({ sys }) => {
        const { output } = await sys.tool.call({ name: "ask-and-save", input: { path: "a" } });
        return [output, (await sys.process.inspect({})).step];
      },
      { tools: [tool] },
    );
    const process = await world.start(image, {
      grants: [allow("file.write", "**"), allow("human.ask", "**")],
    });
    const [request] = world.os.approvals.list();
    assert.equal((await process.info()).state, "waiting");
    await world.os.approvals.decide(request!.id, { outcome: "answer", value: "so" });
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, ["so", 1]);
    assert.equal(world.files!.text("a"), "so");
    assert.equal((await world.events("human.asked")).length, 1);
  }));

Deno.test("Promise.all of calls of which one parks makes each of them once", () =>
  inWorld(async (world) => {
    const result = await world.result(async ({ sys }) => {
      const [a, , b, , c] = await Promise.all([
        sys.file.write({ path: "a", text: "1" }),
        sys.clock.sleep({ ms: 10 }),
        sys.file.write({ path: "b", text: "2" }),
        sys.clock.sleep({ ms: 20 }),
        sys.object.create({ name: "c", value: 3 }),
      ]);
      return [a.bytes, b.bytes, c.version];
    }, { grants: [allow("file.write", "**")] });
    assert.deepEqual(result, [1, 1, 1]);
    assert.equal(world.files!.count("write a"), 1);
    assert.equal(world.files!.count("write b"), 1);
    assert.equal((await world.events("object.created")).length, 1);
  }));

Deno.test("Promise.all of questions puts each before a person once", () =>
  inWorld(async (world) => {
    const image = imageOf(async ({ sys }) => {
      const all = await Promise.all(["a", "b", "c"].map((prompt) => sys.human.ask({ prompt })));
      return all.map(({ answer }) => answer);
    });
    const process = await world.start(image, { grants: [allow("human.ask", "**")] });
    for (let i = 0; i < 3; i++) {
      const [request, ...others] = world.os.approvals.list();
      assert.equal(others.length, 0);
      const value = request!.prompt.toUpperCase();
      await world.os.approvals.decide(request!.id, { outcome: "answer", value });
      await world.os.runUntilIdle();
    }
    assert.deepEqual((await world.ended(process)).result, ["A", "B", "C"]);
    assert.equal((await world.events("human.asked")).length, 3);
  }));

Deno.test("A permission is asked for once, however often its step is run again", async () => {
  const image = imageOf(async ({ sys }) => {
    await sys.clock.now();
    await sys.file.write({ path: "a", text: "x" });
    await sys.clock.sleep({ ms: 5 });
    return "saved";
  });
  let world = new World();
  const { pid } = await world.start(image, { grants: [ask("file.write", "**")] });
  for (let life = 2; life < 6; life++) {
    world = again(world, life, [image]);
    await world.os.ps();
    await world.os.runUntilIdle();
    assert.equal(world.os.approvals.list().length, 1);
  }
  await world.os.approvals.decide(world.os.approvals.list()[0]!.id, { outcome: "approve" });
  world = again(world, 6, [image]);
  await world.untilDone();
  assert.equal((await world.ended((await world.os.get(pid))!)).result, "saved");
  assert.equal((await world.events("human.asked")).length, 1);
  assert.equal(world.files!.count("write a"), 1);
  await world.close();
});

Deno.test("An effect that a step did not wait for comes home before the step is over", () =>
  inWorld(async (world) => {
    const gate = Promise.withResolvers<void>();
    world.files!.before = (what) => what === "write a" ? gate.promise : undefined;
    const image = imageOf(({ step }) => Promise.resolve(step));
    const program = image.program!;
    const stepped = { ...image, program: stepOf(program) };
    await world.os.spawn(stepped, { goal: "x", grants: [allow("file.write", "**")] });
    const idle = world.os.runUntilIdle();
    await world.clock.settle();
    assert.equal((await world.tree()).state.processes["p_1"]!.step, 1);
    gate.resolve();
    await idle;
    const outcomes = await world.events("call.outcome");
    assert.deepEqual(outcomes.map(({ step }) => step), [1, 1]);
    assert.equal(world.files!.count("write a"), 1);
  }));

/** A program whose first step ends by returning, not by an exit. */
function stepOf(program: NonNullable<ReturnType<typeof imageOf>["program"]>): typeof program {
  return async (context) => {
    if (context.step === 2) return await program(context);
    const { sys } = context;
    void sys.file.write({ path: "a", text: "1" });
    await sys.file.write({ path: "b", text: "2" });
  };
}
