/**
 * G3: revocation reaches all that was derived, at once; an answer opens what was shown, and no
 * more.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask } from "../mod.ts";
import type { Pid } from "../kernel/ids.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const FILES = allow("file.*", "./d/**");
const SPAWN = allow("process.spawn", "**");

/** A process that writes a file for every message, and says what came of it. */
const WRITER: Body = async ({ sys }) => {
  for (;;) {
    const { messages: [message] } = await sys.message.receive({});
    if (message!["data"] === "stop") return null;
    const code = await codeOf(sys.file.write({ path: "d/x", text: String(message!["data"]) }));
    await sys.object.append({ object: "said", item: code });
  }
};

async function said(world: World, pid: Pid): Promise<unknown[]> {
  await world.os.runUntilIdle();
  const tree = await world.tree();
  const { object } = tree.lookUp(`${pid}/said`);
  return object!.items.map(({ value }) => "value" in value ? value.value : null);
}

/** Three generations of writers, each with a part of the one before. */
async function threeGenerations(world: World): Promise<void> {
  const leaf = imageOf(async (context) => {
    await context.sys.object.create({ name: "said", list: true });
    return await WRITER(context);
  }, { name: "leaf" });
  const middle = imageOf(async (context) => {
    await context.sys.object.create({ name: "said", list: true });
    await context.sys.process.spawn({ image: "leaf", goal: "x", grants: ["file.write(./d/x)"] });
    return await WRITER(context);
  }, { name: "middle" });
  const root = imageOf(async (context) => {
    await context.sys.object.create({ name: "said", list: true });
    const grants = ["file.write(./d/*)", "process.spawn(**)"];
    await context.sys.process.spawn({ image: "middle", goal: "x", grants });
    return await WRITER(context);
  });
  await world.start(root, { grants: [FILES, SPAWN], images: [leaf, middle] });
}

const GENERATIONS: readonly Pid[] = ["p_1", "p_1.1", "p_1.2"];

/** Lets all three write. */
async function poke(world: World, data: string): Promise<void> {
  for (const pid of GENERATIONS) await (await world.os.get(pid))!.send(data);
  await world.os.runUntilIdle();
}

for (const [generation, from] of GENERATIONS.entries()) {
  Deno.test(`G3 authority only narrows: revoking generation ${generation} reaches all below it at once`, () =>
    inWorld(async (world) => {
      await threeGenerations(world);
      await poke(world, "1");
      const tree = await world.tree();
      const caps = Object.values(tree.state.caps);
      const cap = caps.find(({ subject, right }) => subject === from && right.startsWith("file"))!;
      await (await world.os.get(from))!.revoke(cap.id);
      const [revoked] = await world.events("cap.revoked");
      assert.equal((revoked!["ids"] as unknown[]).length, 3 - generation);
      await poke(world, "2");
      for (const [i, pid] of GENERATIONS.entries()) {
        assert.deepEqual(await said(world, pid), ["ok", i < generation ? "ok" : "EPERM"]);
      }
      await (await world.os.get("p_1"))!.signal("kill");
    }));
}

Deno.test("G3 authority only narrows: a child keeps nothing when its parent ends", () =>
  inWorld(async (world) => {
    await threeGenerations(world);
    await (await world.os.get("p_1.1"))!.signal("kill");
    const tree = await world.tree();
    const holders = new Set(Object.values(tree.state.caps).map(({ subject }) => subject));
    assert.deepEqual([...holders], ["p_1"]);
    await (await world.os.get("p_1"))!.signal("kill");
  }));

const WIDER: readonly (readonly [claim: string, grant: string])[] = [
  ["another right", "net.fetch(**)"],
  ["all rights", "*(./d/**)"],
  ["a wider resource", "file.write(./**)"],
  ["a sibling whose name begins alike", "file.write(./d2/**)"],
  ["everything", "file.*(**)"],
  ["the parent's own memory", "object.read(p_2/**)"],
];

for (const [claim, grant] of WIDER) {
  Deno.test(`G3 authority only narrows: no spawn, fork or delegation gives ${claim}`, () =>
    inWorld(async (world) => {
      const idle = imageOf(({ sys }) => sys.message.receive({}), { name: "idle" });
      const codes = await world.result(async ({ sys }) => {
        const { pid } = await sys.process.spawn({ image: "idle", goal: "x" });
        return [
          await codeOf(sys.process.spawn({ image: "idle", goal: "x", grants: [grant] })),
          await codeOf(sys.process.fork({ mode: "restricted", grants: [grant] })),
          await codeOf(sys.capability.delegate({ to: pid, rule: grant })),
        ];
      }, { grants: [FILES, SPAWN, allow("process.fork", "**")], images: [idle] });
      assert.deepEqual(codes, ["EPERM", "EPERM", "EPERM"]);
    }));
}

Deno.test("G3 authority only narrows: an image, its requests and its tools grant nothing", () =>
  inWorld(async (world) => {
    const greedy = imageOf(({ sys }) => codeOf(sys.file.write({ path: "d/x", text: "" })), {
      requests: [allow("file.*", "**")],
    });
    const process = await world.start(greedy);
    assert.equal((await world.ended(process)).result, "EPERM");
  }));

Deno.test("G3 authority only narrows: exec keeps what was held and adds nothing", () =>
  inWorld(async (world) => {
    const other = imageOf(async ({ sys }) => [
      await codeOf(sys.file.write({ path: "d/x", text: "" })),
      await codeOf(sys.file.write({ path: "e", text: "" })),
    ], { name: "other", requests: [allow("file.*", "**")] });
    const process = await world.start(
      imageOf(({ sys }) => sys.process.exec({ image: "other" })),
      { grants: [FILES, allow("process.exec", "**")], images: [other] },
    );
    assert.deepEqual((await world.ended(process)).result, ["ok", "EPERM"]);
  }));

Deno.test("G3 authority only narrows: a grant once is for the very arguments that were shown", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await sys.file.write({ path: "d/x", text: "1" });
        await sys.file.write({ path: "d/x", text: "2" });
      }),
      { grants: [ask("file.write", "./d/**")] },
    );
    const shown: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      const [request] = world.os.approvals.list();
      shown.push((request!.call!.args as { text: string }).text);
      await world.os.approvals.decide(request!.id, { outcome: "approve" });
      await world.os.runUntilIdle();
    }
    assert.deepEqual(shown, ["1", "2"]);
    assert.equal((await world.ended(process)).ok, true);
  }));

Deno.test("G3 authority only narrows: a grant once opens no second call with the same arguments", () =>
  inWorld(async (world) => {
    await world.start(
      imageOf(async ({ sys }) => {
        await sys.file.write({ path: "d/x", text: "1" });
        await sys.file.write({ path: "d/x", text: "1" });
      }),
      { grants: [ask("file.write", "./d/**")] },
    );
    await world.os.approvals.decide(world.os.approvals.list()[0]!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    assert.equal(world.os.approvals.list().length, 1);
    assert.equal(world.files!.count("write d/x"), 1);
    await (await world.os.get("p_1"))!.signal("kill");
    assert.deepEqual(world.os.approvals.list(), []);
  }));

Deno.test("G3 authority only narrows: a grant hangs under what covered the call, and falls with it", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await sys.file.write({ path: "d/x", text: "1" });
        await sys.message.receive({});
        return await codeOf(sys.file.write({ path: "d/y", text: "1" }));
      }),
      { grants: [ask("file.write", "./d/**")] },
    );
    const [request] = world.os.approvals.list();
    const wide = { outcome: "approve", scope: "process", resource: "./d/**" } as const;
    await world.os.approvals.decide(request!.id, wide);
    await world.os.runUntilIdle();
    const tree = await world.tree();
    const root = Object.values(tree.state.caps).find(({ via, right }) =>
      via === "boot" && right === "file.write"
    );
    await process.revoke(root!.id);
    await process.send("go");
    await world.os.runUntilIdle();
    assert.equal((await world.ended(process)).result, "EPERM");
  }));

const OVER: readonly string[] = ["file.write(./e)", "file.*(**)", "net.fetch(**)", "*(**)"];

Deno.test("G3 authority only narrows: what is over the ceiling is put before no person", () =>
  inWorld(async (world) => {
    const errors = await world.result(async ({ sys }) => {
      const said: string[] = [];
      for (const rule of OVER) {
        const error = await errorOf(sys.capability.request({ rule, reason: "please" }));
        said.push(`${error!.code}: ${error!.message.includes("over the ceiling")}`);
      }
      return said;
    }, { grants: [FILES] });
    assert.deepEqual(errors, OVER.map(() => "EPERM: true"));
    assert.equal((await world.events("human.asked")).length, 0);
  }));

Deno.test("G3 authority only narrows: no order of an operator gives what is over the ceiling", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(({ sys }) => sys.message.receive({})), {
      grants: [FILES],
    });
    assert.equal(await codeOf(process.grant(allow("file.write", "./e"))), "EPERM");
    assert.equal(await codeOf(process.grant(allow("file.write", "./d/e"))), "ok");
    assert.equal((await world.events("inbox.refused")).length, 1);
    await process.signal("kill");
  }));

Deno.test("G3 authority only narrows: what a person grants on request is used once and no wider", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await sys.capability.request({ rule: "file.write(./d/*)", reason: "to save" });
        return [
          await codeOf(sys.file.write({ path: "d/e/f", text: "" })),
          await codeOf(sys.file.read({ path: "d/x" })),
          await codeOf(sys.file.write({ path: "d/x", text: "" })),
          await codeOf(sys.file.write({ path: "d/x", text: "" })),
        ];
      }),
      { ceiling: [FILES] },
    );
    await world.os.approvals.decide(world.os.approvals.list()[0]!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, ["EPERM", "EPERM", "ok", "EPERM"]);
  }));

Deno.test("G3 authority only narrows: finite uses are spent along the whole chain", () =>
  inWorld(async (world) => {
    const leaf = imageOf(async ({ sys }) => [
      await codeOf(sys.file.write({ path: "d/x", text: "" })),
      await codeOf(sys.file.write({ path: "d/x", text: "" })),
    ], { name: "leaf" });
    const result = await world.result(async ({ sys }) => {
      const grants = ["file.write(./d/x)"];
      const { pid } = await sys.process.spawn({ image: "leaf", goal: "x", grants });
      const first = await codeOf(sys.file.write({ path: "d/y", text: "" }));
      const { ended } = await sys.process.wait({ pids: [pid] });
      const last = await codeOf(sys.file.write({ path: "d/y", text: "" }));
      return [first, (ended!.outcome as unknown as { result: unknown }).result, last];
    }, { grants: [allow("file.write", "./d/**", { uses: 2 }), SPAWN], images: [leaf] });
    assert.deepEqual(result, ["ok", ["ok", "EPERM"], "EPERM"]);
  }));

Deno.test("G3 authority only narrows: a capability ends when its time is up, and its children's with it", () =>
  inWorld(async (world) => {
    const result = await world.result(async ({ sys }) => {
      const first = await codeOf(sys.file.write({ path: "d/x", text: "" }));
      await sys.clock.sleep({ ms: 999 });
      const second = await codeOf(sys.file.write({ path: "d/x", text: "" }));
      await sys.clock.sleep({ ms: 1 });
      return [first, second, await codeOf(sys.file.write({ path: "d/x", text: "" }))];
    }, { grants: [allow("file.write", "./d/**", { expiresIn: "1s" })] });
    assert.deepEqual(result, ["ok", "ok", "EPERM"]);
  }));
