/**
 * Edits: a person approves a call with other arguments, and never with more than the asker may do.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineImage, deny, type PersonAnswer, type Rule } from "../mod.ts";
import { MemoryStore, scriptedModel, VirtualClock } from "../testing.ts";
import type { Json } from "../kernel/json.ts";
import {
  type Body,
  codeOf,
  CountedFiles,
  errorOf,
  imageOf,
  inWorld,
  START_MS,
  type World,
} from "./world_fixture.ts";
import { type DeathPlan, Died, MortalWorld } from "./world_fixture_crash.ts";

const GRANTS = [
  ask("file.write", "./d/**"),
  allow("file.read", "./**"),
  allow("file.remove", "./**"),
];

const WRITE: Body = async ({ sys }) => {
  const code = await codeOf(sys.file.write({ path: "d/a", text: "asked" }));
  return [code, await codeOf(sys.file.read({ path: "d/a" }))];
};

/** The arguments of a write, as a person changed them. */
function edit(args: Json, note?: string): PersonAnswer {
  return { outcome: "edit", args, ...(note === undefined ? {} : { note }) };
}

function args(path: string, text = "edited"): Json {
  return { path, text, mode: "either", encoding: "utf8" };
}

async function decide(world: World, answer: PersonAnswer): Promise<string> {
  const [request] = world.os.approvals.list();
  const code = await codeOf(world.os.approvals.decide(request!.id, answer));
  await world.os.runUntilIdle();
  return code;
}

interface Refused {
  readonly what: string;
  readonly args: Json;
  readonly code: string;
  readonly grants?: readonly Rule[];
}

const REFUSED: readonly Refused[] = [
  { what: "to arguments that the call does not take", args: { file: "d/b" }, code: "EINVAL" },
  { what: "to no arguments", args: null, code: "EINVAL" },
  { what: "out of the workspace", args: args("../x"), code: "EINVAL" },
  {
    what: "to what the capability it was asked under does not cover",
    args: args("e/a"),
    code: "EPERM",
  },
  {
    what: "to what another capability of the asker covers",
    args: args("e/a"),
    code: "EPERM",
    grants: [...GRANTS, allow("file.write", "./e/**")],
  },
  {
    what: "to what a rule denies",
    args: args("d/secret"),
    code: "EACCES",
    grants: [...GRANTS, deny("file.write", "./d/secret")],
  },
  {
    what: "to arguments that the constraint of the capability does not take",
    args: args("d/b", "far too long a text"),
    code: "EPERM",
    grants: [
      ask("file.write", "./d/**", { constraint: { properties: { text: { maxLength: 8 } } } }),
    ],
  },
];

for (const { what, args: wider, code, grants = GRANTS } of REFUSED) {
  Deno.test(`An edit ${what} is refused with ${code} at the decision, and the call waits on`, () =>
    inWorld(async (world) => {
      const process = await world.start(imageOf(WRITE), { grants });
      assert.equal(await decide(world, edit(wider)), code);
      assert.equal(world.os.approvals.list().length, 1);
      assert.equal((await world.events("human.answered")).length, 0);
      assert.deepEqual(world.files!.done, []);
      await decide(world, { outcome: "deny" });
      assert.equal(((await world.ended(process)).result as string[])[0], "EACCES");
    }));
}

Deno.test("An edited call is done as it was changed, and the log says both", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(WRITE), { grants: GRANTS });
    assert.equal(await decide(world, edit({ path: "d/b", text: "better" }, "not there")), "ok");
    assert.equal(world.files!.text("d/b"), "better");
    assert.deepEqual((await world.ended(process)).result, ["ok", "ENOENT"]);
    const [intent] = await world.events("call.intent");
    assert.deepEqual(intent!["args"], args("d/b", "better"));
    assert.deepEqual(intent!["edited"], {
      asked: args("d/a", "asked"),
      by: "operator",
      note: "not there",
    });
    const [grant] = (await world.events("cap.granted")).filter(({ via }) => via === "approval");
    assert.deepEqual([grant!["resource"], grant!["usesMax"]], ["./d/b", 1]);
  }));

Deno.test("An edit opens the changed call once: the one that was asked for asks again", () =>
  inWorld(async (world) => {
    await world.start(
      imageOf(async ({ sys }) => {
        await sys.file.write({ path: "d/a", text: "1" });
        await codeOf(sys.file.write({ path: "d/b", text: "2", mode: "replace" }));
        await codeOf(sys.file.write({ path: "d/a", text: "1" }));
      }),
      { grants: GRANTS },
    );
    assert.equal(await decide(world, edit(args("d/b", "2"))), "ok");
    assert.equal(world.os.approvals.list()[0]!.call!.resource, "./d/b");
    await decide(world, { outcome: "deny" });
    assert.equal(world.os.approvals.list()[0]!.call!.resource, "./d/a");
    await decide(world, { outcome: "deny" });
  }));

Deno.test("An edited call that is revoked before it is made is not made", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(WRITE), { grants: GRANTS });
    const [request] = world.os.approvals.list();
    const { store } = world;
    const { orderItem } = await import("../kernel/inbox.ts");
    const caps = Object.values((await world.tree()).state.caps);
    const held = caps.find(({ right }) => right === "file.write")!;
    await store.putInbox(
      "t_1",
      orderItem("1", {
        kind: "answer",
        request: request!.id,
        answer: edit(args("d/b")),
        by: "ada",
      }),
    );
    await store.putInbox(
      "t_1",
      orderItem("2", {
        kind: "revoke",
        capability: held.id,
        reason: "no",
        by: "ada",
      }),
    );
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, ["EPERM", "ENOENT"]);
    assert.deepEqual(world.files!.count("write d/b"), 0);
  }));

Deno.test("A question, a notice, a review or a right alone cannot be edited", () =>
  inWorld(async (world) => {
    await world.start(
      imageOf(async ({ sys }) => {
        await sys.human.tell({ message: "hello" });
        await sys.process.fork({ goal: "ask" });
        await codeOf(sys.capability.request({ rule: "file.read(./x)", reason: "why not" }));
      }),
      { grants: [allow("human.*"), allow("process.fork")], ceiling: [allow("file.read", "./x")] },
    );
    for (const { id } of world.os.approvals.list()) {
      assert.equal(await codeOf(world.os.approvals.decide(id, edit({}))), "EINVAL");
      await world.os.approvals.decide(id, { outcome: "deny" });
    }
  }));

/** Lives until the agent has ended, its kernel dying once as planned; whether it did die. */
async function livedThrough(plan: DeathPlan): Promise<boolean> {
  const store = new MemoryStore();
  const clock = new VirtualClock(START_MS);
  const files = new CountedFiles();
  const image = imageOf(WRITE);
  let hasDied = false;
  for (let life = 1;; life++) {
    const options = { images: [image] };
    const given = { store, clock, files, plan: life === 1 ? plan : null, life, options };
    const world = new MortalWorld(given);
    try {
      const outcome = await world.live(async () => {
        const spawn = { goal: "write", grants: GRANTS, idempotencyKey: "one" };
        const process = await world.os.spawn(image, spawn);
        await world.os.runUntilIdle();
        for (const { id, call } of world.os.approvals.list()) {
          assert.equal(call!.resource, "./d/a");
          await world.os.approvals.decide(id, edit({ path: "d/b", text: "better" }));
        }
        await world.os.runUntilIdle();
        return await world.ended(process);
      });
      assert.deepEqual(outcome.result, ["ok", "ENOENT"]);
      assert.deepEqual([files.text("d/a"), files.text("d/b")], [undefined, "better"]);
      await world.close();
      return hasDied;
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      hasDied = true;
    }
  }
}

Deno.test("Killed at any commit, an edited call is done as it was changed", async () => {
  for (let at = 1;; at++) {
    const [before, after] = [
      await livedThrough({ at, when: "before" }),
      await livedThrough({ at, when: "after" }),
    ];
    if (!before && !after) return assert.ok(at > 5, `${at} commits`);
  }
});

Deno.test("A model is told that its call was changed, what was done, and why", () =>
  inWorld(async (world) => {
    let heard = "";
    const image = defineImage({
      name: "writer",
      model: scriptedModel([
        { tool: "file_write", input: { path: "d/a", text: "asked" } },
        ({ messages }) => {
          heard = JSON.stringify(messages.at(-1));
          return "done";
        },
      ]),
    });
    await world.start(image, { grants: GRANTS });
    await decide(world, edit(args("d/b", "better"), "a is taken"));
    assert.match(heard, /operator changed the arguments of file\.write/);
    assert.match(heard, /a is taken/);
    assert.match(heard, /d\/a.*d\/b/);
  }));

Deno.test("An edit for several askers is for all of them, or for none", () =>
  inWorld(async (world) => {
    const family: Body = async ({ sys, goal }) => {
      const rules = { grants: ["file.write(./d/a*)"], rules: "" };
      if (goal === "test") await sys.process.spawn({ image: "twin", goal: "child", ...rules });
      return await codeOf(sys.file.write({ path: "d/a", text: "asked" }));
    };
    const image = imageOf(family, { name: "twin" });
    const process = await world.start(image, { grants: [...GRANTS, allow("process.spawn")] });
    const [request] = world.os.approvals.list();
    assert.deepEqual(request!.askers, ["p_1.1", "p_1"]);
    assert.equal(await decide(world, edit({ path: "d/b", text: "" })), "EPERM");
    assert.equal(await decide(world, edit({ path: "d/a2", text: "" })), "ok");
    assert.equal((await world.ended(process)).result, "ok");
    assert.equal(world.files!.text("d/a2"), "");
    assert.equal(world.files!.text("d/a"), undefined);
  }));

Deno.test("deny with stop cancels who asked, and everything below it", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys, goal }) => {
        if (goal === "test") {
          await sys.process.fork({ goal: "child" });
          await sys.process.fork({ goal: "child" });
        }
        await sys.file.write({ path: "d/a", text: "asked" });
      }),
      { grants: [...GRANTS, allow("process.fork")] },
    );
    const [request] = world.os.approvals.list();
    assert.equal(request!.askers!.length, 3);
    assert.equal(await decide(world, { outcome: "deny", reason: "enough", stop: true }), "ok");
    const { outcome } = await world.ended(process);
    assert.deepEqual(outcome, { kind: "canceled", by: "operator", reason: "enough" });
    assert.equal((await world.os.ps()).length, 0);
    assert.equal((await world.events("process.ended")).length, 3);
    assert.equal(
      (await errorOf(world.os.approvals.decide(request!.id, { outcome: "approve" })))?.code,
      "ESTATE",
    );
  }));
