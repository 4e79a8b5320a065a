/**
 * G1, G8 and G9: one door, the same for all; the same run from the same seed; denials tell nothing.
 * @module
 */

import assert from "node:assert/strict";
import { z } from "zod";
import { allow, defineTool, SysError } from "../mod.ts";
import { MemoryStore, scriptedModel, VirtualClock } from "../testing.ts";
import { SYSCALLS } from "../broker/table.ts";
import type { StepContext } from "../runtime/program.ts";
import {
  codeOf,
  CountedFiles,
  errorOf,
  imageOf,
  inWorld,
  START_MS,
  World,
} from "./world_fixture.ts";
import { Died, MortalWorld } from "./world_fixture_crash.ts";

for (const name of Object.keys(SYSCALLS)) {
  Deno.test(`G1 one door: ${name} without authority or arguments answers, or refuses with a code`, () =>
    inWorld(async (world) => {
      const process = await world.start(imageOf(async ({ sys }) => {
        try {
          await sys(name as never, {} as never);
        } catch (error) {
          assert.ok(error instanceof SysError, `${name} threw ${error}`);
        }
      }));
      const { state, waiting } = await process.info();
      assert.ok(state === "ended" || waiting !== null);
      assert.deepEqual(world.files!.done, []);
      if (state !== "ended") await process.signal("kill");
    }));
}

Deno.test("G1 one door: a step and a tool are given the door and no other", () =>
  inWorld(async (world) => {
    const given: string[][] = [];
    const tool = defineTool({
      name: "look",
      description: "Look at what it was given",
      inputSchema: z.object({}),
      execute: (_, context) => void given.push(Object.keys(context).toSorted()),
    });
    const image = imageOf(async (context) => {
      given.push(Object.keys(context).toSorted());
      await context.sys.tool.call({ name: "look" });
    }, { tools: [tool] });
    await world.start(image);
    assert.deepEqual(given, [
      ["goal", "input", "instructions", "model", "pid", "signal", "step", "sys"],
      ["call", "idempotencyKey", "pid", "signal", "sys"],
    ]);
  }));

Deno.test("G1 one door: a tool can do what its caller may, and leaves the same lines", () =>
  inWorld(async (world) => {
    const tool = defineTool({
      name: "save",
      description: "Save",
      inputSchema: z.object({ path: z.string() }),
      execute: ({ path }, { sys }) => sys.file.write({ path, text: "" }),
    });
    const codes = await world.start(
      imageOf(async ({ sys }) => [
        await codeOf(sys.tool.call({ name: "save", input: { path: "in/a" } })),
        await codeOf(sys.tool.call({ name: "save", input: { path: "out/a" } })),
        await codeOf(sys.tool.call({ name: "file_write", input: { path: "out/b", text: "" } })),
      ], { tools: [tool] }),
      { grants: [allow("file.write", "./in/**")] },
    );
    assert.deepEqual((await world.ended(codes)).result, ["ok", "EPERM", "EPERM"]);
    assert.deepEqual(world.files!.done, ["write in/a"]);
    const denied = (await world.events("call.done"))
      .filter((each) => (each["decision"] as { effect: string }).effect === "deny");
    assert.deepEqual(denied.map((each) => each["key"]), ["2.1", "3.1"]);
  }));

Deno.test("G1 one door: code of a step that is over is never answered", () =>
  inWorld(async (world) => {
    let old: StepContext | undefined;
    let isAnswered = false;
    await world.result((context) => {
      old = context;
      return Promise.resolve();
    });
    const lines = (await world.lines()).length;
    void old!.sys.clock.now().finally(() => isAnswered = true);
    void old!.sys.file.write({ path: "a", text: "" }).finally(() => isAnswered = true);
    await world.clock.settle();
    assert.equal(isAnswered, false);
    assert.equal((await world.lines()).length, lines);
  }));

Deno.test("G1 one door: arguments are copied once, and no accessor of them is called", () =>
  inWorld(async (world) => {
    let calls = 0;
    const trap = {
      get path() {
        calls += 1;
        return "a";
      },
      text: "",
    };
    const moving = { name: "x", value: { deep: 1 } };
    const found = await world.result(async ({ sys }) => {
      const code = await codeOf(sys.file.write(trap));
      const made = sys.object.create(moving);
      moving.value.deep = 2;
      await made;
      const { value } = await sys.object.read({ object: "x" });
      return [
        code,
        value,
        await codeOf(Promise.resolve().then(() => (value as { deep: number }).deep = 3))
          .catch((error: unknown) => (error as Error).name),
      ];
    }, { grants: [allow("file.*", "**")] });
    assert.deepEqual(found, ["EINVAL", { deep: 1 }, "TypeError"]);
    assert.equal(calls, 0);
  }));

Deno.test("G1 one door: a tool that a bare deny hides can be neither seen nor called", () =>
  inWorld(async (world) => {
    const found = await world.result(async ({ sys }) => {
      const { tools } = await sys.tool.list({});
      return [
        tools.some(({ name }) => name === "file_write"),
        await codeOf(sys.tool.call({ name: "file_write", input: { path: "a", text: "" } })),
      ];
    }, {
      grants: [allow("file.*", "**"), { effect: "deny", right: "file.write", resource: "**" }],
    });
    assert.deepEqual(found, [false, "ENOSYS"]);
  }));

const TRAVELLER = imageOf(async ({ sys }) => {
  const { base64 } = await sys.random.bytes({ length: 16 });
  await sys.file.write({ path: "a", text: base64 });
  await sys.clock.sleep({ ms: 250 });
  const { ms } = await sys.clock.now();
  const children = await Promise.all(
    [1, 2, 3].map((n) => sys.process.fork({ goal: `child ${n}`, input: n })),
  );
  return [ms, children.length];
}, { name: "traveller" });

/** The raw lines of everything one seed does, with crashes at these commits. */
async function lifeOf(seed: number, crashes: readonly number[]): Promise<string[]> {
  const store = new MemoryStore();
  const clock = new VirtualClock(START_MS);
  const files = new CountedFiles();
  for (let life = 0; life < 6; life++) {
    const at = crashes[life];
    const world = new MortalWorld({
      store,
      clock,
      files,
      life: seed * 100 + life,
      plan: at === undefined ? null : { at, when: life % 2 === 0 ? "after" : "before" },
      options: { images: [TRAVELLER] },
    });
    try {
      await world.live(async () => {
        await world.os.spawn(TRAVELLER, {
          goal: "x",
          idempotencyKey: "one",
          grants: [allow("file.*", "**"), allow("process.*", "**")],
        });
        await world.untilDone();
      });
      await world.os.runUntilIdle();
      return (await Array.fromAsync(store.read("t_1", 1))).flatMap(({ lines }) => [...lines]);
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      await clock.settle();
    }
  }
  throw new Error("The traveller did not end");
}

for (const crashes of [[], [2], [4, 3], [3, 2, 5]]) {
  Deno.test(`G8 time, chance and I/O come in: one seed gives one log, byte by byte, with ${crashes.length} crashes`, async () => {
    const [first, second] = [await lifeOf(7, crashes), await lifeOf(7, crashes)];
    assert.deepEqual(first, second);
    assert.notDeepEqual(await lifeOf(8, crashes), first);
  });
}

Deno.test("G8 time, chance and I/O come in: a scripted model gives one log, byte by byte", async () => {
  const logs: string[][] = [];
  for (let run = 0; run < 2; run++) {
    const world = new World({ store: new MemoryStore(), seed: 5 });
    const model = scriptedModel([
      { tool: "file_write", input: { path: "a", text: "hi" } },
      { tool: "clock_sleep", input: { ms: 10 } },
      "done",
    ]);
    const { defineImage } = await import("../mod.ts");
    const image = defineImage({ name: "modelled", model });
    const process = await world.start(image, { grants: [allow("file.write", "**")] });
    await world.untilDone();
    assert.equal((await world.ended(process)).result, "done");
    logs.push(
      (await Array.fromAsync(world.store.read("t_1", 1))).flatMap(({ lines }) => [...lines]),
    );
    await world.close();
  }
  assert.deepEqual(logs[0], logs[1]);
});

Deno.test("G8 time, chance and I/O come in: a clock that goes back makes no log that does", () =>
  inWorld(async (world) => {
    let nowMs = START_MS;
    world.clock.now = () => nowMs;
    const process = await world.start(imageOf(async ({ sys }) => {
      const first = (await sys.clock.now()).ms;
      nowMs -= 1_000;
      return (await sys.clock.now()).ms - first;
    }));
    assert.equal((await world.ended(process)).result, 0);
    const times = (await world.lines()).map(({ atMs }) => atMs);
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
  }));

interface Pair {
  readonly call: string;
  /** Names one thing that is there and one that is not. */
  readonly there: Record<string, unknown>;
  readonly absent: Record<string, unknown>;
}

const OTHER = { goal: "x", type: "m", data: 1 };

/** Calls of a process without rights on what its parent, its sibling and its tree have. */
const PAIRS: readonly Pair[] = [
  { call: "object.read", there: { object: "/p_1/secret" }, absent: { object: "/p_1/nothing" } },
  { call: "object.read", there: { object: "obj_1.1" }, absent: { object: "obj_1.99" } },
  {
    call: "object.write",
    there: { object: "obj_1.1", value: 1, from: 1 },
    absent: { object: "obj_1.99", value: 1, from: 1 },
  },
  { call: "object.delete", there: { object: "obj_1.1" }, absent: { object: "obj_1.99" } },
  {
    call: "object.export",
    there: { object: "obj_1.1", path: "o" },
    absent: { object: "obj_1.99", path: "o" },
  },
  { call: "object.create", there: { name: "/p_1/secret" }, absent: { name: "/p_1/nothing" } },
  { call: "object.list", there: { prefix: "/shared" }, absent: { prefix: "/nothing" } },
  {
    call: "object.find",
    there: { query: "x", prefix: "/shared" },
    absent: { query: "x", prefix: "/nothing" },
  },
  { call: "namespace.create", there: { name: "shared" }, absent: { name: "nothing" } },
  { call: "file.read", there: { path: "there" }, absent: { path: "nothing" } },
  { call: "file.stat", there: { path: "there" }, absent: { path: "nothing" } },
  { call: "file.remove", there: { path: "there" }, absent: { path: "nothing" } },
  { call: "file.move", there: { from: "there", to: "b" }, absent: { from: "nothing", to: "b" } },
  { call: "process.inspect", there: { pid: "p_1.1" }, absent: { pid: "p_1.99" } },
  {
    call: "process.signal",
    there: { pid: "p_1.1", signal: "kill" },
    absent: { pid: "p_1.99", signal: "kill" },
  },
  { call: "process.wait", there: { pids: ["p_1.1"] }, absent: { pids: ["p_1.99"] } },
  {
    call: "process.spawn",
    there: { image: "idle", goal: "x" },
    absent: { image: "nothing", goal: "x" },
  },
  { call: "process.exec", there: { image: "idle" }, absent: { image: "nothing" } },
  { call: "message.send", there: { ...OTHER, to: "p_1.1" }, absent: { ...OTHER, to: "p_1.99" } },
  { call: "budget.inspect", there: { pid: "p_1.1" }, absent: { pid: "p_1.99" } },
  {
    call: "budget.limit",
    there: { pid: "p_1.1", limits: {} },
    absent: { pid: "p_1.99", limits: {} },
  },
  {
    call: "capability.inspect",
    there: { capability: "cap_1.1" },
    absent: { capability: "cap_1.99" },
  },
  {
    call: "capability.revoke",
    there: { capability: "cap_1.1" },
    absent: { capability: "cap_1.99" },
  },
  {
    call: "capability.delegate",
    there: { to: "p_1.1", rule: "object.read(**)" },
    absent: { to: "p_1.99", rule: "object.read(**)" },
  },
  {
    call: "model.generate",
    there: { model: "a/b", messages: [] },
    absent: { model: "a/c", messages: [] },
  },
];

for (const { call, there, absent } of PAIRS) {
  const about = String(Object.values(there)[0]);
  Deno.test(`G9 denials tell nothing: ${call} of ${about} and of what is absent are refused alike`, () =>
    inWorld(async (world) => {
      world.files!.put("there", "x");
      const idle = imageOf(({ sys }) => sys.message.receive({}), { name: "idle" });
      const nosy = imageOf(async ({ sys }) => {
        // The names it gives are taken out of what it hears; all else has to be the same.
        const hear = async (args: Record<string, unknown>): Promise<string> => {
          const error = await errorOf(sys(call as never, args as never));
          let said = `${error?.code} ${error?.message} ${JSON.stringify(error?.detail)}`;
          for (const given of Object.values(args).flat()) {
            if (typeof given === "string") said = said.replaceAll(given.replace(/^\//, ""), "…");
          }
          return said.replaceAll("/…", "…").replaceAll("t_1", "…");
        };
        return [await hear(there), await hear(absent)];
      }, { name: "nosy" });
      const said = await world.result(async ({ sys }) => {
        await sys.object.create({ name: "secret", value: "x", mutable: true });
        await sys.namespace.create({ name: "shared" });
        await sys.process.spawn({ image: "idle", goal: "x" });
        const { pid } = await sys.process.spawn({ image: "nosy", goal: "x" });
        const { ended } = await sys.process.wait({ pids: [pid] });
        return (ended!.outcome as unknown as { result: unknown }).result;
      }, { grants: [allow("process.*"), allow("namespace.*")], images: [idle, nosy] });
      const [one, other] = said as string[];
      assert.notEqual(one!.split(" ")[0], "undefined", "it was not refused");
      assert.equal(one, other);
    }));
}

Deno.test("G9 denials tell nothing: who has the right hears that a thing is absent", () =>
  inWorld(async (world) => {
    const codes = await world.result(async ({ sys }) => [
      await codeOf(sys.object.read({ object: "nothing" })),
      await codeOf(sys.file.read({ path: "nothing" })),
      await codeOf(sys.process.inspect({ pid: "p_1.99" })),
      await codeOf(sys.process.spawn({ image: "nothing", goal: "x" })),
    ], { grants: [allow("file.*"), allow("process.*")] });
    assert.deepEqual(codes, ["ENOENT", "ENOENT", "ENOENT", "ENOENT"]);
  }));
