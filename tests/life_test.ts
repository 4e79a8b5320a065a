/**
 * The life of a process: every state meets every event, in the kernel and from outside.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { Draft } from "../kernel/draft.ts";
import {
  allows,
  check,
  end,
  LIFE_EVENTS,
  type LifeState,
  lifeState,
  type Signal,
  signal,
  SIGNALS,
  TRANSITIONS,
  wait,
  waitOf,
  wake,
} from "../kernel/process.ts";
import type { AgentProcess } from "../runtime/process.ts";
import { codeOf, errorOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const STATES = Object.keys(TRANSITIONS) as LifeState[];
const NEVER = (): Promise<never> => new Promise(() => {});

/** Brings a process into a state. */
const BRING: { readonly [S in LifeState]: (world: World) => Promise<AgentProcess> } = {
  ready: (world) => world.os.spawn(imageOf(({ sys }) => sys.message.receive({})), { goal: "x" }),
  waiting: (world) => world.start(imageOf(({ sys }) => sys.message.receive({}))),
  async paused(world) {
    const process = await BRING.ready(world);
    await process.signal("pause");
    return process;
  },
  async canceling(world) {
    const process = await effectInFlight(world);
    await process.signal("cancel", "enough");
    return process;
  },
  ended: (world) => world.start(imageOf(() => Promise.resolve(1))),
};

let land: () => void = () => {};

/** A process with a write that has not come back; `land` lets it. */
async function effectInFlight(world: World): Promise<AgentProcess> {
  world.files!.after = (what) =>
    what === "write a" ? new Promise<void>((resolve) => land = resolve) : undefined;
  const image = imageOf(({ sys }) => sys.file.write({ path: "a", text: "" }));
  const process = await world.os.spawn(image, { goal: "x", grants: [allow("file.write")] });
  void world.os.runUntilIdle();
  await world.clock.settle();
  return process;
}

async function tidyUp(world: World, process: AgentProcess): Promise<void> {
  if ((await process.info()).state !== "ended") await process.signal("kill");
  land();
  await world.clock.settle();
}

for (const state of STATES) {
  for (const event of LIFE_EVENTS) {
    const next = (TRANSITIONS[state] as Record<string, string>)[event];
    Deno.test(`TRANSITIONS ${state} ${event}: ${next ?? "refused with ESTATE"}`, () =>
      inWorld(async (world) => {
        const handle = await BRING[state](world);
        const process = (await world.tree()).state.processes[handle.pid]!;
        assert.equal(lifeState(process.life), state);
        assert.equal(allows(process.life, event), next !== undefined);
        const error = await errorOf(Promise.resolve().then(() => check(process, event)));
        assert.equal(error?.code, next === undefined ? "ESTATE" : undefined);
        if (error !== undefined) {
          const expected = new RegExp(
            `^Cannot ${event} process "p_1": ${state}, expected [a-z ]+$`,
          );
          assert.match(error.message, expected);
        }
        await tidyUp(world, handle);
      }));
  }
  for (const sent of SIGNALS) {
    Deno.test(`A signal from outside: ${sent} to a process that is ${state}`, () =>
      inWorld(async (world) => {
        const process = await BRING[state](world);
        const next = (TRANSITIONS[state] as Record<string, string>)[sent];
        assert.equal(await codeOf(process.signal(sent)), next === undefined ? "ESTATE" : "ok");
        const after = (await process.info()).state;
        // Canceling with nothing under way is over at once.
        assert.equal(after, next === "canceling" ? "ended" : next ?? state);
        await tidyUp(world, process);
      }));
  }
}

Deno.test("wait() and wake() move a process as the table says, and wake() alone never refuses", () =>
  inWorld(async (world) => {
    const handle = await BRING.ready(world);
    const tree = await world.tree();
    const process = tree.state.processes[handle.pid]!;
    const commit = (decide: (draft: Draft) => void): void => {
      const draft = new Draft(tree, world.clock.now());
      decide(draft);
      tree.commit(draft);
    };
    const on = { reason: "timer", key: "1", untilMs: 9e15 } as const;
    const parked = { on, name: "clock.sleep", argsHash: "" };
    commit((draft) => wake(draft, process, "nobody"));
    assert.equal(lifeState(process.life), "ready");
    commit((draft) => wait(draft, process, parked));
    assert.deepEqual(waitOf(process), on);
    assert.throws(() => commit((draft) => wait(draft, process, parked)), { code: "ESTATE" });
    const by = { by: "test", reason: "" };
    commit((draft) => signal(draft, process, { signal: "pause", ...by }));
    assert.deepEqual(waitOf(process), on);
    commit((draft) => wake(draft, process, "test"));
    assert.equal(lifeState(process.life), "paused");
    assert.equal(waitOf(process), null);
    commit((draft) => signal(draft, process, { signal: "resume", ...by }));
    assert.equal(lifeState(process.life), "ready");
    commit((draft) => end(draft, process, { kind: "exited", code: 0, result: null }));
    for (const sent of SIGNALS) {
      assert.throws(() => commit((draft) => signal(draft, process, { signal: sent, ...by })));
    }
    commit((draft) => wake(draft, process, "nobody"));
    assert.equal(lifeState(process.life), "ended");
  }));

/** A chain of three processes that wait for messages. */
async function chain(world: World): Promise<AgentProcess[]> {
  const image = imageOf(async ({ sys, goal }) => {
    if (goal !== "3") {
      const grants = ["process.spawn(**)"];
      await sys.process.spawn({ image: "link", goal: String(Number(goal) + 1), grants });
    }
    await sys.message.receive({});
    return goal;
  }, { name: "link" });
  await world.start(image, { goal: "1", grants: [allow("process.spawn")] });
  const pids = ["p_1", "p_1.1", "p_1.2"];
  return await Promise.all(pids.map(async (pid) => (await world.os.get(pid))!));
}

async function states(processes: readonly AgentProcess[]): Promise<string[]> {
  return await Promise.all(processes.map(async (each) => (await each.info()).state));
}

const CASCADES: readonly (readonly [sent: Signal, at: number, after: readonly string[]])[] = [
  ["pause", 0, ["paused", "paused", "paused"]],
  ["pause", 1, ["waiting", "paused", "paused"]],
  ["pause", 2, ["waiting", "waiting", "paused"]],
  ["cancel", 0, ["ended", "ended", "ended"]],
  ["cancel", 1, ["waiting", "ended", "ended"]],
  ["kill", 0, ["ended", "ended", "ended"]],
  ["kill", 1, ["waiting", "ended", "ended"]],
  ["kill", 2, ["waiting", "waiting", "ended"]],
];

for (const [sent, at, after] of CASCADES) {
  Deno.test(`A signal cascades: ${sent} to generation ${at} leaves ${after.join(", ")}`, () =>
    inWorld(async (world) => {
      const all = await chain(world);
      await all[at]!.signal(sent, "because");
      assert.deepEqual(await states(all), after);
      if (sent === "pause") {
        await all[at]!.signal("resume");
        assert.deepEqual(await states(all), ["waiting", "waiting", "waiting"]);
      }
      if ((await all[0]!.info()).state !== "ended") await all[0]!.signal("kill");
    }));
}

Deno.test("A signal cascades: resume reaches those that were paused by themselves, too", () =>
  inWorld(async (world) => {
    const all = await chain(world);
    await all[2]!.signal("pause");
    await all[0]!.signal("pause");
    await all[0]!.signal("resume");
    assert.deepEqual(await states(all), ["waiting", "waiting", "waiting"]);
    await all[0]!.signal("kill");
  }));

Deno.test("A process that exits ends its children, and says whose end it was", () =>
  inWorld(async (world) => {
    const all = await chain(world);
    await all[0]!.send("go");
    await world.os.runUntilIdle();
    const outcomes = await Promise.all(all.map(async (each) => (await each.info()).outcome));
    assert.deepEqual(outcomes, [
      { kind: "exited", code: 0, result: "1" },
      { kind: "canceled", by: "p_1", reason: 'Parent "p_1" ended' },
      { kind: "canceled", by: "p_1", reason: 'Parent "p_1" ended' },
    ]);
  }));

Deno.test("A process that fails ends with its code, and so do its children", () =>
  inWorld(async (world) => {
    const child = imageOf(({ sys }) => sys.message.receive({}), { name: "child" });
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await sys.process.spawn({ image: "child", goal: "x" });
        await sys.file.read({ path: "nothing" });
      }),
      { images: [child], grants: [allow("process.*"), allow("file.*")] },
    );
    const { outcome } = await process.wait();
    assert.equal(outcome.kind === "failed" && outcome.code, "ENOENT");
    assert.equal((await (await world.os.get("p_1.1"))!.info()).state, "ended");
  }));

Deno.test("Paused while it waits, woken meanwhile, resumed: it goes on from where it was", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(async ({ sys }) => {
      const { messages } = await sys.message.receive({});
      return messages[0]!["data"];
    }));
    await process.signal("pause");
    await process.send("hello");
    await world.os.runUntilIdle();
    assert.equal((await process.info()).state, "paused");
    await process.signal("resume");
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, "hello");
  }));

Deno.test("Paused while it sleeps: time goes on, and it wakes when it is resumed", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(async ({ sys }) => {
      await sys.clock.sleep({ ms: 100 });
      return (await sys.clock.now()).ms;
    }));
    await process.signal("pause");
    await world.pass(500);
    assert.equal((await process.info()).state, "paused");
    await process.signal("resume");
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, world.clock.now());
  }));

Deno.test("Paused while an effect is under way: its outcome is kept for when it is resumed", () =>
  inWorld(async (world) => {
    const process = await effectInFlight(world);
    await process.signal("pause");
    land();
    await world.os.runUntilIdle();
    assert.equal((await process.info()).state, "paused");
    assert.equal((await world.events("call.outcome")).length, 1);
    await process.signal("resume");
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).ok, true);
    assert.equal(world.files!.count("write a"), 1);
  }));

Deno.test("Canceled while an effect is under way: it ends when the outcome is in the log", () =>
  inWorld(async (world) => {
    const process = await BRING.canceling(world);
    assert.equal((await process.info()).state, "canceling");
    land();
    await world.os.runUntilIdle();
    const { outcome } = await world.ended(process);
    assert.deepEqual(outcome, { kind: "canceled", by: "operator", reason: "enough" });
    const types = (await world.lines()).map(({ type }) => type);
    assert.ok(types.indexOf("call.outcome") < types.indexOf("process.ended"));
  }));

Deno.test("Canceled with an effect of a grandchild under way: all end together when it came home", () =>
  inWorld(async (world) => {
    const leaf = imageOf(({ sys }) => sys.file.write({ path: "a", text: "" }), { name: "leaf" });
    const middle = imageOf(async ({ sys }) => {
      const { pid } = await sys.process.spawn({
        image: "leaf",
        goal: "x",
        grants: ["file.write(**)"],
      });
      await sys.process.wait({ pids: [pid] });
    }, { name: "middle" });
    world.files!.after = (what) =>
      what === "write a" ? new Promise<void>((resolve) => land = resolve) : undefined;
    const image = imageOf(async ({ sys }) => {
      const grants = ["file.write(**)", "process.spawn(**)"];
      const { pid } = await sys.process.spawn({ image: "middle", goal: "x", grants });
      await sys.process.wait({ pids: [pid] });
    });
    const process = await world.os.spawn(image, {
      goal: "x",
      images: [leaf, middle],
      grants: [allow("file.write"), allow("process.spawn")],
    });
    void world.os.runUntilIdle();
    await world.clock.settle();
    await process.signal("cancel");
    const all = await Promise.all(["p_1", "p_1.1", "p_1.2"].map((pid) => world.os.get(pid)));
    assert.deepEqual(await states(all as AgentProcess[]), ["canceling", "canceling", "canceling"]);
    land();
    await world.os.runUntilIdle();
    assert.deepEqual(await states(all as AgentProcess[]), ["ended", "ended", "ended"]);
  }));

Deno.test("Killed while an effect is under way: it ends at once, and the outcome still comes", () =>
  inWorld(async (world) => {
    const process = await effectInFlight(world);
    await process.signal("kill", "now");
    assert.equal((await process.info()).state, "ended");
    assert.equal((await world.events("call.outcome")).length, 0);
    land();
    await world.os.runUntilIdle();
    assert.equal((await world.events("call.outcome")).length, 1);
    assert.deepEqual((await world.tree()).state.processes["p_1"]!.journal, {});
  }));

Deno.test("Stopped code hears its signal, and its calls are never answered", () =>
  inWorld(async (world) => {
    let isAborted = false;
    const process = await world.os.spawn(
      imageOf(async ({ signal, sys }) => {
        signal.addEventListener("abort", () => isAborted = true);
        await NEVER();
        await sys.clock.now();
      }),
      { goal: "x" },
    );
    void world.os.runUntilIdle();
    await world.clock.settle();
    await process.signal("kill");
    assert.equal(isAborted, true);
  }));
