/**
 * Children: spawned, forked, turned into other images, waited for.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const ALL = [allow("process.*"), allow("file.*"), allow("message.*")];

/** Runs a program that may start "child", which runs the other one. */
async function family(world: World, parent: Body, child: Body): Promise<unknown> {
  const image = imageOf(child, { name: "child" });
  return await world.result(parent, { grants: ALL, images: [image] });
}

/** What a forked child finds, as its parent hears it. */
async function forked(world: World, before: Body, options: {
  readonly fork: Record<string, unknown>;
  readonly child: Body;
  readonly after?: Body;
}): Promise<unknown> {
  return await world.result(async (context) => {
    if (context.goal === "child") return await options.child(context);
    await before(context);
    const { pid } = await context.sys.process.fork({ goal: "child", ...options.fork });
    const late = await options.after?.(context);
    const { ended } = await context.sys.process.wait({ pids: [pid] });
    const outcome = ended!.outcome as unknown as { result: unknown };
    return options.after === undefined ? outcome.result : [outcome.result, late];
  }, { grants: ALL });
}

Deno.test("process.spawn gives a child its goal, input, labels, cwd, rules and no more", () =>
  inWorld(async (world) => {
    const said = await family(world, async ({ sys }) => {
      await sys.process.chdir({ path: "yard" });
      const { pid } = await sys.process.spawn({
        image: "child",
        goal: "sub",
        input: { n: 1 },
        cwd: "deep/../in",
        labels: { team: "a" },
        grants: ["file.write(./in/**)", "file.read(./**)"],
        rules: "deny file.read(./yard/in/secret)",
        priority: 50,
      });
      const { ended } = await sys.process.wait({ pids: [pid] });
      return (ended!.outcome as unknown as { result: unknown }).result;
    }, async ({ sys, goal, input }) => {
      const { cwd, labels } = await sys.process.inspect({});
      return [
        goal,
        input,
        cwd,
        labels,
        await codeOf(sys.file.write({ path: "a", text: "" })),
        await codeOf(sys.file.write({ path: "../a", text: "" })),
        await codeOf(sys.file.read({ path: "secret" })),
        await codeOf(sys.file.read({ path: "other" })),
        await codeOf(sys.process.spawn({ image: "child", goal: "x" })),
      ];
    });
    assert.deepEqual(said, [
      "sub",
      { n: 1 },
      "./yard/in",
      { team: "a" },
      "ok",
      "EPERM",
      "EACCES",
      "ENOENT",
      "EPERM",
    ]);
    assert.deepEqual(world.files!.done.filter((each) => each.startsWith("write")), [
      "write yard/in/a",
    ]);
  }));

Deno.test("process.fork copy shows the parent's memory as it was, and what both write stays apart", () =>
  inWorld(async (world) => {
    const read = async ({ sys }: Parameters<Body>[0], object: string): Promise<unknown> =>
      (await errorOf(sys.object.read({ object })))?.code ??
        (await sys.object.read({ object })).value;
    const said = await forked(world, async ({ sys }) => {
      await sys.object.create({ name: "shared", value: "old", mutable: true });
      await sys.object.create({ name: "list", list: true });
      await sys.object.append({ object: "list", item: 1 });
      await sys.object.create({ name: "gone", value: "still there" });
    }, {
      fork: { mode: "copy" },
      async child(context) {
        const { sys } = context;
        await sys.message.receive({});
        const seen = [
          await read(context, "shared"),
          await read(context, "list"),
          await read(context, "gone"),
          await read(context, "new"),
        ];
        await sys.object.write({ object: "shared", value: "child's", from: 1 });
        await sys.object.append({ object: "list", item: "child's" });
        await sys.object.delete({ object: "gone" });
        return [
          seen,
          await read(context, "shared"),
          await read(context, "list"),
          await read(context, "gone"),
        ];
      },
      async after(context) {
        const { sys } = context;
        await sys.object.write({ object: "shared", value: "parent's", from: 1 });
        await sys.object.append({ object: "list", item: "parent's" });
        await sys.object.delete({ object: "gone" });
        await sys.object.create({ name: "new", value: 1 });
        const [child] = (await sys.process.inspect({}))["children"] as `p_${string}`[];
        await sys.message.send({ to: child!, data: "go" });
        return [
          await read(context, "shared"),
          await read(context, "list"),
          await read(context, "gone"),
        ];
      },
    });
    assert.deepEqual(said, [
      [
        ["old", [1], "still there", "ENOENT"],
        "child's",
        [1, "child's"],
        "ENOENT",
      ],
      ["parent's", [1, "parent's"], "ENOENT"],
    ]);
  }));

Deno.test("process.fork restricted shows only what is shared and gives only what is named", () =>
  inWorld(async (world) => {
    const said = await forked(world, async ({ sys }) => {
      await sys.object.create({ name: "pub/a", value: 1 });
      await sys.object.create({ name: "private", value: 2 });
    }, {
      fork: { mode: "restricted", share: ["pub/**"], grants: ["file.write(./x)"] },
      child: async ({ sys }) => [
        (await sys.object.list({})).objects.map(({ name }) => name),
        await codeOf(sys.object.read({ object: "private" })),
        await codeOf(sys.object.read({ object: "/p_1/private" })),
        await codeOf(sys.file.write({ path: "x", text: "" })),
        await codeOf(sys.file.write({ path: "y", text: "" })),
        await codeOf(sys.process.fork({})),
      ],
    });
    assert.deepEqual(said, [["pub/a"], "ENOENT", "EPERM", "ok", "EPERM", "EPERM"]);
  }));

Deno.test("process.fork ephemeral leaves nothing of its memory but its result", () =>
  inWorld(async (world) => {
    const said = await forked(world, ({ sys }) => sys.object.create({ name: "mine", value: 1 }), {
      fork: { ephemeral: true },
      async child({ sys }) {
        await sys.object.create({ name: "results/x", value: "big".repeat(200) });
        return "result";
      },
    });
    assert.equal(said, "result");
    const { objects } = (await world.tree()).state;
    assert.deepEqual(Object.values(objects).map(({ name }) => name), ["p_1/mine"]);
  }));

Deno.test("process.fork gives no one-shot and no grant of a person", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys, goal }) => {
      if (goal === "child") return await codeOf(sys.file.write({ path: "a", text: "" }));
      const { pid } = await sys.process.fork({ goal: "child" });
      const { ended } = await sys.process.wait({ pids: [pid] });
      const { result } = ended!.outcome as unknown as { result: unknown };
      return [result, await codeOf(sys.file.write({ path: "a", text: "" }))];
    }, { grants: [allow("process.fork"), allow("file.write", "./a", { uses: 1 })] });
    assert.deepEqual(said, ["EPERM", "ok"]);
  }));

Deno.test("process.wait takes over what a child left under results/, once", () =>
  inWorld(async (world) => {
    const said = await family(world, async ({ sys }) => {
      const { pid } = await sys.process.spawn({ image: "child", goal: "x" });
      const first = await sys.process.wait({ pids: [pid], merge: true });
      const again = await sys.process.wait({ pids: [pid], merge: true });
      const { value } = await sys.object.read({ object: `from/${pid}/deep/a` });
      return [first.merged, again.merged, again.ended?.outcome.kind, value];
    }, async ({ sys }) => {
      await sys.object.create({ name: "results/deep/a", value: 1 });
      await sys.object.create({ name: "other", value: 2 });
    });
    assert.deepEqual(said, [["from/p_1.1/deep/a"], [], "exited", 1]);
  }));

Deno.test("process.wait refuses to merge over a name that is taken, and the child's stays", () =>
  inWorld(async (world) => {
    const said = await family(world, async ({ sys }) => {
      await sys.object.create({ name: "from/p_1.1/a", value: "mine" });
      const { pid } = await sys.process.spawn({ image: "child", goal: "x" });
      return [
        await codeOf(sys.process.wait({ pids: [pid], merge: true })),
        (await sys.object.read({ object: "from/p_1.1/a" })).value,
      ];
    }, ({ sys }) => sys.object.create({ name: "results/a", value: "the child's" }));
    assert.deepEqual(said, ["EEXIST", "mine"]);
    assert.notEqual((await world.tree()).lookUp("p_1.1/results/a").object, undefined);
  }));

Deno.test("process.wait answers with the first of several that ended, at once when one has", () =>
  inWorld(async (world) => {
    const said = await family(world, async ({ sys }) => {
      const pids: `p_${string}`[] = [];
      for (const ms of [300, 100, 200]) {
        pids.push((await sys.process.spawn({ image: "child", goal: "x", input: ms })).pid);
      }
      const first = await sys.process.wait({ pids });
      const same = await sys.process.wait({ pids });
      const others = await sys.process.wait({ pids: [pids[0]!, pids[2]!] });
      return [first, same, others].map(({ ended }) => ended?.pid);
    }, ({ sys, input }) => sys.clock.sleep({ ms: Number(input) }));
    assert.deepEqual(said, ["p_1.2", "p_1.2", "p_1.3"]);
  }));

const TIMEOUTS: Readonly<
  Record<string, readonly [timeoutMs: number, ended: boolean, afterMs: number]>
> = {
  "0 does not wait": [0, false, 0],
  "one that is too short": [50, false, 50],
  "one that is long enough": [500, true, 100],
};

for (const [claim, [timeoutMs, isEnded, afterMs]] of Object.entries(TIMEOUTS)) {
  Deno.test(`process.wait with a time limit: ${claim}`, () =>
    inWorld(async (world) => {
      const said = await family(world, async ({ sys }) => {
        const start = (await sys.clock.now()).ms;
        const { pid } = await sys.process.spawn({ image: "child", goal: "x" });
        const { ended } = await sys.process.wait({ pids: [pid], timeoutMs });
        return [ended !== null, (await sys.clock.now()).ms - start];
      }, ({ sys }) => sys.clock.sleep({ ms: 100 }));
      assert.deepEqual(said, [isEnded, afterMs]);
    }));
}

Deno.test("process.wait refuses what is no child of the caller's", () =>
  inWorld(async (world) => {
    const codes = await world.result(async ({ sys, pid }) => [
      await codeOf(sys.process.wait({ pids: [pid] })),
      await codeOf(sys.process.wait({ pids: ["p_1.7"] })),
      await codeOf(sys.process.wait({ pids: ["p_9"] })),
    ]);
    assert.deepEqual(codes, ["EPERM", "EPERM", "EPERM"]);
  }));

Deno.test("process.exec goes on as another image with the same memory, children and next step", () =>
  inWorld(async (world) => {
    const other = imageOf(async ({ sys, goal, step, pid }) => {
      const { children, image } = await sys.process.inspect({});
      const { value } = await sys.object.read({ object: "mine" });
      return [goal, step, pid, image, (children as unknown[]).length, value];
    }, { name: "other", version: "2" });
    const said = await world.result(async ({ sys }) => {
      await sys.object.create({ name: "mine", value: "kept" });
      await sys.process.fork({ goal: "child" });
      return await sys.process.exec({ image: "other@2", goal: "new goal" });
    }, { grants: ALL, images: [other] });
    assert.deepEqual(said, ["new goal", 2, "p_1", "other@2", 1, "kept"]);
  }));

Deno.test("process.signal from inside refuses the caller and those above it", () =>
  inWorld(async (world) => {
    const said = await family(world, async ({ sys, pid }) => {
      const own = await codeOf(sys.process.signal({ pid, signal: "kill" }));
      const { pid: child } = await sys.process.spawn({
        image: "child",
        goal: "x",
        grants: ["process.signal(**)"],
      });
      const { ended } = await sys.process.wait({ pids: [child] });
      return [own, (ended!.outcome as unknown as { result: unknown }).result];
    }, ({ sys }) => codeOf(sys.process.signal({ pid: "p_1", signal: "kill" })));
    assert.deepEqual(said, ["EINVAL", "EINVAL"]);
  }));

Deno.test("process.list and process.inspect show the caller and what is below it", () =>
  inWorld(async (world) => {
    const said = await family(world, async ({ sys }) => {
      const { pid } = await sys.process.spawn({ image: "child", goal: "sub" });
      await sys.process.wait({ pids: [pid] });
      const all = (await sys.process.list({})).processes;
      const live = (await sys.process.list({ ended: false })).processes;
      return [
        all.map((each) => each.pid),
        live.map((each) => each.pid),
        (await sys.process.inspect({ pid }))["goal"],
      ];
    }, async ({ sys }) => (await sys.process.list({})).processes.length);
    assert.deepEqual(said, [["p_1", "p_1.1"], ["p_1"], "sub"]);
  }));
