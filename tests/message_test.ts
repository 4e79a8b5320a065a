/**
 * Messages: in order, filtered, answered, interrupting, and bounded.
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { allow } from "../mod.ts";
import type { Pid } from "../kernel/ids.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const ALL = [allow("process.*"), allow("message.*")];

/** Runs a root and one fork of it that runs the other body. */
async function pair(world: World, root: Body, child: Body): Promise<unknown> {
  return await world.result(async (context) => {
    if (context.goal === "child") return await child(context);
    await context.sys.process.fork({ goal: "child" });
    return await root(context);
  }, { grants: ALL });
}

const CHILD: Pid = "p_1.1";

Deno.test("message.receive gives messages in the order in which each sender sent them", () =>
  inWorld(async (world) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer(), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 7 }),
        async (sent, max) => {
          const got = await world.result(async ({ sys, pid }) => {
            for (const data of sent) await sys.message.send({ to: pid, data });
            const got: unknown[] = [];
            while (got.length < sent.length) {
              const { messages } = await sys.message.receive({ max });
              got.push(...messages.map(({ data }) => data));
            }
            return got;
          });
          assert.deepEqual(got, sent);
        },
      ),
      { numRuns: 15 },
    );
  }));

const FILTERS: Readonly<Record<string, readonly [filter: object, got: readonly number[]]>> = {
  "nothing": [{}, [1, 2, 3, 4]],
  "a type": [{ type: "b" }, [2, 3]],
  "a sender": [{ from: CHILD }, []],
  "a type and a sender": [{ type: "b", from: "p_1" }, [2, 3]],
  "what it answers": [{ replyTo: "msg_1.1" }, [4]],
  "what answers nothing that was sent": [{ replyTo: "msg_1.9" }, []],
};

for (const [claim, [filter, expected]] of Object.entries(FILTERS)) {
  Deno.test(`message.receive filtered by ${claim} takes ${expected.join(", ") || "none"} and leaves the rest`, () =>
    inWorld(async (world) => {
      const said = await world.result(async ({ sys, pid: to }) => {
        await sys.message.send({ to, data: 1, type: "a" });
        await sys.message.send({ to, data: 2, type: "b" });
        await sys.message.send({ to, data: 3, type: "b" });
        await sys.message.send({ to, data: 4, type: "c", replyTo: "msg_1.1" });
        const take = async (filter: object): Promise<unknown[]> =>
          (await sys.message.receive({ filter, max: 10, timeoutMs: 0 })).messages
            .map(({ data }) => data);
        return [await take(filter), await take({})];
      });
      const rest = [1, 2, 3, 4].filter((each) => !expected.includes(each));
      assert.deepEqual(said, [expected, rest]);
    }));
}

Deno.test("message.receive waits for a message its filter takes, and others wait for later", () =>
  inWorld(async (world) => {
    const said = await pair(world, async ({ sys }) => {
      const { messages } = await sys.message.receive({ filter: { type: "wanted" } });
      const others = await sys.message.receive({ max: 10, timeoutMs: 0 });
      return [messages, others.messages].map((all) => all.map(({ data }) => data));
    }, async ({ sys }) => {
      for (const type of ["a", "b", "wanted"]) {
        await sys.message.send({ to: "p_1", data: type, type });
        await sys.clock.sleep({ ms: 1 });
      }
      await sys.message.receive({});
    });
    assert.deepEqual(said, [["wanted"], ["a", "b"]]);
  }));

Deno.test("message.receive gives nothing when its time is up", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      const start = (await sys.clock.now()).ms;
      const { messages } = await sys.message.receive({ timeoutMs: 70 });
      return [messages, (await sys.clock.now()).ms - start];
    });
    assert.deepEqual(said, [[], 70]);
  }));

Deno.test("message.send answers a question, and the asker knows which", () =>
  inWorld(async (world) => {
    const said = await pair(world, async ({ sys }) => {
      const asked = await sys.message.send({ to: CHILD, data: "2 + 2?" });
      await sys.message.send({ to: CHILD, data: "3 + 3?" });
      const { messages } = await sys.message.receive({ filter: { replyTo: asked.message! } });
      return messages.map(({ data }) => data);
    }, async ({ sys }) => {
      const { messages: [one] } = await sys.message.receive({});
      const { messages: [two] } = await sys.message.receive({});
      for (const [message, data] of [[two, 6], [one, 4]] as const) {
        const replyTo = message!.id as `msg_${string}`;
        await sys.message.send({ to: "p_1", data, replyTo });
      }
      await sys.message.receive({});
    });
    assert.deepEqual(said, [4]);
  }));

/** What a process may wait for when it is interrupted. */
const WAITS: Readonly<Record<string, Body>> = {
  "clock.sleep": ({ sys }) => sys.clock.sleep({ ms: 9_999 }),
  "message.receive": ({ sys }) => sys.message.receive({ filter: { type: "other" } }),
  "human.ask": ({ sys }) => sys.human.ask({ prompt: "?" }),
  "process.wait": async ({ sys }) => {
    const { pid } = await sys.process.fork({ goal: "idle" });
    return await sys.process.wait({ pids: [pid] });
  },
};

for (const [call, waits] of Object.entries(WAITS)) {
  Deno.test(`An interrupt ends the wait of ${call} with ECANCELED, and is there to be read`, () =>
    inWorld(async (world) => {
      const process = await world.start(
        imageOf(async (context) => {
          const { sys, goal } = context;
          if (goal === "idle") return await sys.message.receive({});
          const error = await errorOf(waits(context));
          const { messages } = await sys.message.receive({ timeoutMs: 0 });
          return [error?.code, error?.message, messages[0]?.["data"]];
        }),
        { grants: [...ALL, allow("human.ask")] },
      );
      await process.send("stop it", { interrupt: true });
      await world.os.runUntilIdle();
      const expected = ["ECANCELED", `Cannot finish "${call}": interrupted`, "stop it"];
      assert.deepEqual((await world.ended(process)).result, expected);
      assert.deepEqual(world.os.approvals.list(), []);
    }));
}

Deno.test("message.send needs a right for what is neither parent nor below, and to interrupt", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys, goal }) => {
      if (goal === "idle") return await sys.message.receive({ filter: { type: "never" } });
      if (goal === "child") {
        return [
          await codeOf(sys.message.send({ to: "p_1", data: "up" })),
          await codeOf(sys.message.send({ to: CHILD, data: "sideways" })),
          await codeOf(sys.message.send({ to: "p_1", data: "stop", interrupt: true })),
        ];
      }
      await sys.process.fork({ goal: "idle" });
      const { pid } = await sys.process.fork({ goal: "child" });
      const { ended } = await sys.process.wait({ pids: [pid] });
      const down = await codeOf(sys.message.send({ to: CHILD, data: "down" }));
      const stop = await codeOf(sys.message.send({ to: CHILD, data: "", interrupt: true }));
      return [(ended!.outcome as unknown as { result: unknown }).result, down, stop];
    }, { grants: [allow("process.*")] });
    assert.deepEqual(said, [["ok", "EPERM", "EPERM"], "ok", "EPERM"]);
  }));

Deno.test("message.send refuses who has ended, and says so only to who may know", () =>
  inWorld(async (world) => {
    const said = await pair(world, async ({ sys }) => {
      await sys.process.wait({ pids: [CHILD] });
      return await codeOf(sys.message.send({ to: CHILD, data: 1 }));
    }, () => Promise.resolve());
    assert.equal(said, "ESTATE");
  }));

Deno.test("message.send reaches another tree by its inbox, once", () =>
  inWorld(async (world) => {
    const there = await world.start(imageOf(async ({ sys }) => {
      const { messages } = await sys.message.receive({});
      return [messages[0]!["from"], messages[0]!["data"]];
    }));
    await world.start(imageOf(({ sys }) => sys.message.send({ to: "p_1", data: { hi: 1 } })), {
      grants: ALL,
    });
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(there)).result, ["p_2", { hi: 1 }]);
    assert.equal((await world.events("message.sent", "t_1")).length, 1);
  }));

Deno.test("message.send to a tree that is not there goes nowhere, and its sender goes on", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      const { message } = await sys.message.send({ to: "p_99", data: 1 });
      await sys.object.create({ name: "after" });
      return message;
    }, { grants: ALL });
    assert.equal(said, null);
    assert.deepEqual([...world.os.node.broken.keys()], []);
  }));
