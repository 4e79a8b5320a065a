/**
 * Generated tools and other processes: what a tool hands on, what children see, how steps end.
 * @module
 */

import assert from "node:assert/strict";
import { type AgentImage, allow, type Json, type Sys } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import type { Pid } from "../kernel/ids.ts";
import { type FakeBody, FakeWorkshop, install } from "./fake_sandbox.ts";
import { type Body, codeOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const ANY = allow("tool.register", "**");
const ALL = [
  ANY,
  ...["file.*", "process.*", "capability.*", "message.*"].map((right) => allow(right, "**")),
];

function shopOf(body: FakeBody): FakeWorkshop {
  return FakeWorkshop.of({ tool: body, one: () => 1, two: () => 2 });
}

function calling(rights: readonly string[]): Body {
  return async ({ sys }) => {
    await install(sys, "tool", { rights });
    return (await sys.tool.call({ name: "tool" })).output;
  };
}

const IDLE = imageOf(({ sys }) => sys.message.receive({}), { name: "idle" });
const THINKER = imageOf(({ sys }) => sys.message.receive({}), {
  name: "thinker",
  model: scriptedModel(["done"]),
});

interface Handing {
  readonly claim: string;
  readonly declares: readonly string[];
  readonly call: readonly [string, Json];
  readonly code: string;
}

const spawn = (image: string, ...grants: string[]): readonly [string, Json] => [
  "process.spawn",
  { image, goal: "x", grants },
];
const SPAWNS = "process.spawn(idle@1)";

const HANDING: readonly Handing[] = [
  { claim: "a child without rights", declares: [SPAWNS], call: spawn("idle"), code: "ok" },
  {
    claim: "a child with a part of what it declares",
    declares: [SPAWNS, "file.read(./a/**)"],
    call: spawn("idle", "file.read(a/b)"),
    code: "ok",
  },
  {
    claim: "a child with what it does not declare",
    declares: [SPAWNS],
    call: spawn("idle", "file.read(a)"),
    code: "EPERM",
  },
  {
    claim: "a child with more than it declares",
    declares: [SPAWNS, "file.read(./a/*)"],
    call: spawn("idle", "file.read(./a/**)"),
    code: "EPERM",
  },
  {
    claim: "a child with one right of two",
    declares: [SPAWNS, "file.read(./a)"],
    call: spawn("idle", "file.read(./a)", "file.write(./a)"),
    code: "EPERM",
  },
  {
    claim: "a child with a bare right",
    declares: [SPAWNS, "file.read(./**)"],
    call: spawn("idle", "file.read"),
    code: "EPERM",
  },
  {
    claim: "a child of another image",
    declares: ["process.spawn(other@1)"],
    call: spawn("idle"),
    code: "EPERM",
  },
  {
    claim: "a child that thinks, with a model that it does not declare",
    declares: ["process.spawn(thinker@1)"],
    call: spawn("thinker"),
    code: "EPERM",
  },
  {
    claim: "a child that thinks, with a model that it declares",
    declares: ["process.spawn(thinker@1)", "model.generate(scripted/*)"],
    call: spawn("thinker"),
    code: "ok",
  },
];

for (const { claim, declares, call, code } of HANDING) {
  Deno.test(`A tool that starts ${claim} is told ${code}`, () =>
    inWorld(async (world) => {
      const got = await world.result(calling(declares), {
        grants: [...ALL, allow("model.generate", "**")],
        images: [IDLE, THINKER],
      });
      assert.equal(got, code);
      const held = Object.values((await world.tree()).state.caps)
        .filter(({ subject, right }) => subject !== "p_1" && right === "file.write");
      assert.deepEqual(held, []);
    }, { workshop: shopOf((_, os) => codeOf(os.call(...call))) }));
}

const DELEGATED: readonly (readonly [string, readonly string[], string, string])[] = [
  ["what it declares", ["capability.delegate", "file.read(./a)"], "file.read(./a)", "ok"],
  ["what it does not declare", ["capability.delegate"], "file.read(./a)", "EPERM"],
  ["more than it declares", ["capability.delegate", "file.read(./a)"], "file.*(./a)", "EPERM"],
  ["without declaring that", ["file.read(./a)"], "file.read(./a)", "EPERM"],
];

for (const [claim, declares, rule, code] of DELEGATED) {
  Deno.test(`A tool that delegates ${claim} is told ${code}`, () =>
    inWorld(async (world) => {
      const got = await world.result(async (context) => {
        await context.sys.process.spawn({ image: "idle", goal: "x" });
        return await calling(declares)(context);
      }, { grants: ALL, images: [IDLE] });
      assert.equal(got, code);
    }, {
      workshop: shopOf((_, os) => codeOf(os.call("capability.delegate", { to: "p_1.1", rule }))),
    }));
}

const FOREIGN: readonly (readonly [string, string, Json])[] = [
  ["read", "object.read", { object: "/p_1.1/secret" }],
  ["write", "object.write", { object: "/p_1.1/secret", value: 2, from: 1 }],
  ["link to", "object.link", { object: "own", relation: "to", to: "/p_1.1/secret" }],
  ["list", "object.list", { prefix: "/p_1.1" }],
];

for (const [verb, name, args] of FOREIGN) {
  Deno.test(`A tool that declares all of its own memory cannot ${verb} another process's, by any name`, () =>
    inWorld(async (world) => {
      const keeper = imageOf(async ({ sys }) => {
        await sys.object.create({ name: "secret", value: 1, mutable: true });
        await sys.message.receive({});
      }, { name: "keeper" });
      const process = await world.start(
        imageOf(async ({ sys }) => {
          await sys.object.create({ name: "own", value: 1 });
          await sys.process.spawn({ image: "keeper", goal: "x" });
          await sys.message.receive({});
          await install(sys, "tool", { rights: ["object.*"] });
          return (await sys.tool.call({ name: "tool" })).output;
        }),
        // The process itself may; its tool says only "object.*", which is its own.
        { grants: [...ALL, allow("object.*", "**")], images: [keeper] },
      );
      await process.send("go");
      await world.os.runUntilIdle();
      assert.equal((await world.ended(process)).result, "EPERM");
    }, { workshop: shopOf((_, os) => codeOf(os.call(name, args))) }));
}

/** What a child that inherits some tools sees and can do. */
async function child(world: World, inherit: readonly string[], body: Body): Promise<Json> {
  return await world.result(async ({ sys }) => {
    await install(sys, "one");
    await install(sys, "tool", { rights: ["object.create(x/**)", "file.write(./a)"] });
    const grants = ["file.write(./**)"];
    const spec = { image: "child", goal: "x", grants, inherit: [...inherit] };
    const { pid } = await sys.process.spawn(spec);
    const { ended } = await sys.process.wait({ pids: [pid] });
    return (ended!.outcome as { readonly result?: Json }).result!;
  }, { grants: ALL, images: [imageOf(body, { name: "child" })] });
}

const generated = async (sys: Sys): Promise<string[]> =>
  (await sys.tool.list()).tools.filter((tool) => tool.generated !== null).map(({ name }) => name);

Deno.test("A child sees none of its parent's tools unless they are handed on", () =>
  inWorld(async (world) => {
    const told = await child(world, [], async ({ sys }) => [
      ...await generated(sys),
      await codeOf(sys.tool.call({ name: "one" })),
    ]);
    assert.deepEqual(told, ["ENOSYS"]);
  }, { workshop: shopOf(() => 1) }));

Deno.test("A child sees and calls the tools that are handed on, with its own memory and rights", () =>
  inWorld(async (world) => {
    const told = await child(world, ["tool"], async ({ sys }) => [
      await generated(sys),
      (await sys.tool.call({ name: "tool" })).output,
      (await sys.object.read({ object: "x/y" })).value,
    ]);
    assert.deepEqual(told, [["tool"], ["ok", "ok", "EPERM"], 1]);
  }, {
    workshop: shopOf(async (_, os) => [
      await codeOf(os.call("object.create", { name: "x/y", value: 1 })),
      await codeOf(os.call("file.write", { path: "a", text: "" })),
      await codeOf(os.call("file.write", { path: "b", text: "" })),
    ]),
  }));

Deno.test("What is not in the own table cannot be handed on", () =>
  inWorld(async (world) => {
    const told = await world.result(async ({ sys }) => {
      const handing = (name: string) =>
        codeOf(sys.process.spawn({ image: "idle", goal: "x", inherit: [name] }));
      return [await handing("one"), await handing("file_read"), await handing("constructor")];
    }, { grants: ALL, images: [IDLE] });
    assert.deepEqual(told, ["ENOENT", "ENOENT", "ENOENT"]);
  }, { workshop: shopOf(() => 1) }));

Deno.test("A forked child sees only what is handed on, too", () =>
  inWorld(async (world) => {
    const told = await world.result(async ({ sys, input }) => {
      if (input === "child") return await generated(sys);
      await install(sys, "one");
      await install(sys, "two");
      const { pid } = await sys.process.fork({ input: "child", inherit: ["two"] });
      const { ended } = await sys.process.wait({ pids: [pid] });
      return (ended!.outcome as { readonly result?: Json }).result!;
    }, { grants: ALL });
    assert.deepEqual(told, ["two"]);
  }, { workshop: shopOf(() => 1) }));

/** An image that carries the tool "one", made by a process of another world. */
async function carrying(): Promise<{ image: AgentImage; hash: string }> {
  let image = IDLE;
  let hash = "";
  await inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys }) => {
        hash = await install(sys, "one");
        await sys.message.receive({});
      }),
      { grants: [ANY] },
    );
    const tool = await process.tool("one");
    image = imageOf(async ({ sys }) => [
      await generated(sys),
      await codeOf(sys.tool.call({ name: "one" })),
    ], { name: "carrier", generated: [tool] });
    await process.signal("kill");
  }, { workshop: shopOf(() => 1) });
  return { image, hash };
}

Deno.test("An image brings its tools to all its processes, also to one that becomes it", async () => {
  const { image } = await carrying();
  for (const how of ["start", "spawn", "exec"] as const) {
    await inWorld(async (world) => {
      const starter = imageOf(async ({ sys }) => {
        if (how === "exec") return await sys.process.exec({ image: "carrier" });
        const { pid } = await sys.process.spawn({ image: "carrier", goal: "x" });
        const { ended } = await sys.process.wait({ pids: [pid] });
        return (ended!.outcome as { readonly result?: Json }).result!;
      });
      const options = { grants: ALL, images: [image] };
      const process = await world.start(how === "start" ? image : starter, options);
      assert.deepEqual((await world.ended(process)).result, [["one"], "ok"], how);
    }, { workshop: shopOf(() => 1) });
  }
});

Deno.test("A version that was revoked comes back by no spawn, fork or exec of an image that has it", async () => {
  const { image, hash } = await carrying();
  for (const how of ["spawn", "exec"] as const) {
    await inWorld(async (world) => {
      const starter = imageOf(async ({ sys }) => {
        await sys.message.receive({});
        if (how === "exec") return await sys.process.exec({ image: "carrier" });
        const { pid } = await sys.process.spawn({ image: "carrier", goal: "x" });
        const { ended } = await sys.process.wait({ pids: [pid] });
        return (ended!.outcome as { readonly result?: Json }).result!;
      });
      const process = await world.start(starter, { grants: ALL, images: [image] });
      await world.os.order("t_1", { kind: "revoke-tool", hash, reason: "bad", by: "ops" });
      await process.send("go");
      await world.os.runUntilIdle();
      assert.deepEqual((await world.ended(process)).result, [[], "ENOSYS"], how);
    }, { workshop: shopOf(() => 1) });
  }
});

const ENDS: readonly (readonly [string, Json, readonly string[], string])[] = [
  ["process.exit", { result: "out" }, ["process.exit"], "out"],
  ["process.exec", { image: "next" }, ["process.exec(next@1)"], "next"],
  ["process.exit", { result: "out" }, [], "EPERM"],
  ["process.exec", { image: "next" }, [], "EPERM"],
  ["process.exec", { image: "next" }, ["process.exec(other@1)"], "EPERM"],
  ["process.fork", {}, ["process.fork"], "EPERM"],
];

for (const [name, args, rights, expected] of ENDS) {
  const how = rights.length === 0 ? "nothing" : rights.join();
  Deno.test(`A tool that declares ${how} and ends its step by ${name}: ${expected}, after it returned`, () =>
    inWorld(async (world) => {
      const next = imageOf(() => Promise.resolve("next"), { name: "next" });
      const process = await world.start(
        imageOf(async ({ sys }) => {
          await install(sys, "tool", { rights: [...rights, "file.write(./a)"] });
          return await codeOf(sys.tool.call({ name: "tool" }));
        }),
        { grants: ALL, images: [next] },
      );
      assert.equal((await world.ended(process)).result, expected);
      assert.equal(world.files!.text("a"), "after");
    }, {
      workshop: shopOf(async (_, os) => {
        os.ends(name, args);
        await os.call("file.write", { path: "a", text: "after" });
        return null;
      }),
    }));
}

Deno.test("A bare deny of a declared right hides the tool, and it is called no longer", () =>
  inWorld(async (world) => {
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await install(sys, "tool", { rights: ["file.write(./a)"] });
        await install(sys, "one", { rights: ["file.read(./a)"] });
        const before = await generated(sys);
        await sys.message.receive({});
        return [before, await generated(sys), await codeOf(sys.tool.call({ name: "tool" }))];
      }),
      { grants: ALL },
    );
    await world.os.order("t_1", { kind: "policy", text: "deny file.write(**)", by: "ops" });
    await process.send("go");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, [["one", "tool"], ["one"], "ENOSYS"]);
  }, { workshop: shopOf(() => 1) }));

Deno.test("What a tool saw labels its process, like anything its process saw itself", () =>
  inWorld(async (world) => {
    world.files!.put("a", "x");
    const process = await world.start(imageOf(calling(["file.read(./a)"])), { grants: ALL });
    await world.ended(process);
    const { label } = (await world.tree()).state.processes["p_1" as Pid]!;
    assert.equal(label.trust, "untrusted");
  }, { workshop: shopOf((_, os) => os.call("file.read", { path: "a" })) }));
