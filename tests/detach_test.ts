/**
 * Detached children: trees of their own, which are waited for, told and held as other children are.
 * @module
 */

import assert from "node:assert/strict";
import { type AgentImage, allow } from "../mod.ts";
import type { EventMap } from "../kernel/event.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { type Body, codeOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const ALL = [allow("process.*"), allow("file.*"), allow("message.*"), allow("net.fetch")];

/** Runs a program that may detach "child", which runs the other one. */
async function family(world: World, parent: Body, child: Body, more: {
  readonly budget?: Record<string, number>;
  readonly images?: readonly AgentImage[];
} = {}): Promise<unknown> {
  const image = imageOf(child, { name: "child" });
  const images = [image, ...more.images ?? []];
  const { budget = {} } = more;
  return await world.result(parent, { grants: ALL, images, budget });
}

type Ended = { readonly ended: { readonly outcome: { readonly kind: string } } | null };

/** What a child that was waited for exited with. */
function resultOf({ ended }: Ended): unknown {
  const outcome = ended?.outcome as { readonly result?: unknown; readonly kind: string };
  return outcome.kind === "exited" ? outcome.result : outcome.kind;
}

const stores = [
  ["in memory", () => undefined],
  ["of SQLite", () => SqliteStore.open(":memory:")],
] as const;

for (const [name, open] of stores) {
  Deno.test(`process.detach starts a tree of its own, which its parent waits for, in a store ${name}`, async () => {
    const store = await open();
    await inWorld(async (world) => {
      const said = await family(world, async ({ sys }) => {
        const { pid } = await sys.process.detach({
          image: "child",
          goal: "sub",
          input: { n: 1 },
          cwd: "yard",
          labels: { team: "a" },
          grants: ["file.write(./yard/**)", "message.send(*)"],
          rules: "deny file.write(./yard/secret)",
        });
        return [pid, resultOf(await sys.process.wait({ pids: [pid] }))];
      }, async ({ sys, goal, input, pid }) => {
        const { cwd, labels, parent } = await sys.process.inspect({});
        return [
          pid,
          parent,
          goal,
          input,
          cwd,
          labels,
          await codeOf(sys.file.write({ path: "a", text: "" })),
          await codeOf(sys.file.write({ path: "../a", text: "" })),
          await codeOf(sys.file.write({ path: "secret", text: "" })),
        ];
      });
      assert.deepEqual(said, ["p_2", [
        "p_2",
        "p_1",
        "sub",
        { n: 1 },
        "./yard",
        { team: "a" },
        "ok",
        "EPERM",
        "EACCES",
      ]]);
      const told = (await world.lines()).find(({ type }) => type === "kin.told")!;
      const [created] = await world.events("tree.created", "t_2");
      const { above } = created as unknown as EventMap["tree.created"];
      assert.deepEqual([above?.tree, above?.pid, above?.seq], ["t_1", "p_1", told.seq]);
      const after = (await world.lines()).find(({ seq }) => seq === told.seq + 1)!;
      assert.equal(above?.hash, after.prev);
      const shown = await world.os.ps({ all: true });
      assert.deepEqual(shown.map(({ pid, parent }) => [pid, parent]), [["p_1", null], [
        "p_2",
        "p_1",
      ]]);
    }, store === undefined ? {} : { store });
    await store?.close();
  });
}

Deno.test("Messages go between a detached child and its parent, without a right", () =>
  inWorld(async (world) => {
    const said = await family(world, async ({ sys }) => {
      const { pid } = await sys.process.detach({ image: "child", goal: "talk" });
      await sys.message.send({ to: pid, data: "down" });
      const { messages: [message] } = await sys.message.receive({ filter: { from: pid } });
      return [message?.data, resultOf(await sys.process.wait({ pids: [pid] }))];
    }, async ({ sys }) => {
      const { messages: [message] } = await sys.message.receive({});
      await sys.message.send({ to: "p_1", data: ["up", message!.data!] });
      return codeOf(sys.message.send({ to: "p_9", data: "to others" }));
    });
    assert.deepEqual(said, [["up", "down"], "EPERM"]);
  }));

/** A parent that detaches a child which waits for a message, and then waits for it. */
async function waiting(world: World, detach: Record<string, unknown> = {}): Promise<{
  readonly parent: Awaited<ReturnType<World["start"]>>;
  readonly child: Awaited<ReturnType<World["start"]>>;
}> {
  const image = imageOf(async ({ sys }) => {
    const { messages: [message] } = await sys.message.receive({});
    return [message?.data, await codeOf(sys.file.write({ path: "a", text: "" }))];
  }, { name: "child" });
  const parent = await world.start(
    imageOf(async ({ sys }) => {
      const { pid } = await sys.process.detach({ image: "child", goal: "wait", ...detach });
      return resultOf(await sys.process.wait({ pids: [pid] }));
    }),
    { grants: ALL, images: [image] },
  );
  return { parent, child: (await world.os.get("p_2"))! };
}

Deno.test("Pause and resume of a parent reach its detached child", () =>
  inWorld(async (world) => {
    const { parent, child } = await waiting(world);
    await parent.signal("pause");
    await world.os.runUntilIdle();
    assert.equal((await child.info()).state, "paused");
    await child.send("while paused");
    await world.os.runUntilIdle();
    assert.equal((await child.info()).state, "paused");
    await parent.signal("resume");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(parent)).result, ["while paused", "EPERM"]);
  }));

for (const signal of ["cancel", "kill"] as const) {
  Deno.test(`A parent's ${signal} ends its detached child`, () =>
    inWorld(async (world) => {
      const { parent, child } = await waiting(world);
      await parent.signal(signal);
      await world.os.runUntilIdle();
      const kind = signal === "kill" ? "killed" : "canceled";
      assert.equal((await world.ended(child)).outcome.kind, kind);
      assert.equal((await world.ended(parent)).outcome.kind, kind);
    }));
}

Deno.test("A detached child ends with its parent, when that exits", () =>
  inWorld(async (world) => {
    const image = imageOf(({ sys }) => sys.message.receive({}), { name: "child" });
    await world.start(
      imageOf(async ({ sys }) => (await sys.process.detach({ image: "child", goal: "x" })).pid),
      { grants: ALL, images: [image] },
    );
    const child = (await world.os.get("p_2"))!;
    assert.equal((await world.ended(child)).outcome.kind, "canceled");
    assert.equal((await world.events("kin.settled")).length, 1);
  }));

Deno.test("A child that is killed by itself ends its parent's wait with that outcome", () =>
  inWorld(async (world) => {
    const { parent, child } = await waiting(world);
    await child.signal("kill", "enough");
    await world.os.runUntilIdle();
    assert.equal((await world.ended(parent)).result, "killed");
  }));

Deno.test("What is revoked from a parent is gone from its detached child, whatever derived it", () =>
  inWorld(async (world) => {
    const { parent, child } = await waiting(world, { grants: ["file.write(./a)"] });
    const cap = Object.values((await world.tree()).state.caps)
      .find(({ right, subject }) => right === "file.*" && subject === "p_1")!;
    await parent.revoke(cap.id, "enough");
    await world.os.runUntilIdle();
    await child.send("go");
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(parent)).result, ["go", "EPERM"]);
    const [revoked] = await world.events("cap.revoked", "t_2");
    assert.equal(revoked?.by, "p_1");
  }));

Deno.test("A detached child keeps what was not revoked, with the constraints that it came with", () =>
  inWorld(async (world) => {
    const constraint = { properties: { text: { const: "yes" } } };
    const image = imageOf(async ({ sys }) => [
      await codeOf(sys.file.write({ path: "a", text: "no" })),
      await codeOf(sys.file.write({ path: "a", text: "yes" })),
    ], { name: "child" });
    const said = await world.result(async ({ sys }) => {
      const { pid } = await sys.process.detach({
        image: "child",
        goal: "x",
        grants: ["file.write(./a)"],
      });
      return resultOf(await sys.process.wait({ pids: [pid] }));
    }, {
      grants: [allow("process.*"), allow("file.write", "./**", { constraint })],
      images: [image],
    });
    assert.deepEqual(said, ["EPERM", "ok"]);
  }));

/** What a parent asks for a detached child, and what refuses it. */
const REFUSED: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ["a right that its parent has not", { grants: ["shell.run(git)"] }, "EPERM"],
  ["more than its parent has of a right", { grants: ["net.fetch(https://b.example/**)"] }, "EPERM"],
  ["a right that counts uses", { grants: ["human.tell(owner)"] }, "EPERM"],
  ["no part of a budget that is limited", { budget: {} }, "EBUDGET"],
  ["more than is left of a budget", { budget: { toolCalls: 11 } }, "EBUDGET"],
  ["more children than its parent may have", { budget: { toolCalls: 1, children: 9 } }, "EBUDGET"],
  ["more trees than there may be", { budget: { toolCalls: 1 }, trees: 1_024 }, "ELIMIT"],
  ["an image that is not there", { image: "other" }, "EPERM"],
  ["labels of nodes that are none", { nodeSelector: { "a b": "c" } }, "EINVAL"],
  ["another place than its parent's tree has", { nodeSelector: { region: "us" } }, "EPERM"],
  ["rules that are none", { budget: { toolCalls: 1 }, rules: "nonsense" }, "EINVAL"],
];

for (const [what, args, code] of REFUSED) {
  Deno.test(`process.detach refuses ${what} with ${code}, and begins nothing`, () =>
    inWorld(async (world) => {
      const image = imageOf(() => Promise.resolve(null), { name: "child" });
      const said = await world.result(
        async ({ sys }) => {
          const given = { image: "child", goal: "x", ...args };
          return await codeOf(sys.process.detach(given as { image: string; goal: string }));
        },
        {
          grants: [
            allow("process.detach", "child@*"),
            allow("net.fetch", "https://a.example/**"),
            allow("human.tell", "owner", { uses: 2 }),
          ],
          budget: { toolCalls: 10, children: 5 },
          nodeSelector: { region: "eu" },
          images: [image],
        },
      );
      assert.equal(said, code);
      assert.deepEqual(
        (await world.store.list({ limit: 9 })).filter(({ seq }) => seq > 0).length,
        1,
      );
    }));
}

Deno.test("What a detached child may spend is set aside, and what it did not spend comes back", () =>
  inWorld(async (world) => {
    const said = await family(world, async ({ sys }) => {
      const spent = async () =>
        ((await sys.process.inspect({})).spent as { readonly bytes: number }).bytes;
      const given = { image: "child", goal: "x", budget: { bytes: 1_000 } };
      const { pid } = await sys.process.detach(given);
      const held = await spent();
      const more = await codeOf(sys.process.detach({ ...given, budget: { bytes: 9_001 } }));
      const result = resultOf(await sys.process.wait({ pids: [pid] }));
      return [held, more, result, await spent()];
    }, async ({ sys }) => {
      await sys.object.create({ name: "a", value: "x".repeat(100) });
      return codeOf(sys.object.create({ name: "b", value: "x".repeat(1_000) }));
    }, { budget: { bytes: 10_000 } });
    const { bytes } = (await (await world.os.get("p_2"))!.info()).spent;
    assert.ok(bytes > 0 && bytes < 1_000, `${bytes} bytes`);
    assert.deepEqual(said, [1_000, "EBUDGET", "EBUDGET", bytes]);
  }));

Deno.test("Authority only narrows over generations of trees, and trees are given out from above", () =>
  inWorld(async (world) => {
    const deep = imageOf(async ({ sys, input }) => {
      const n = input as number;
      const own = [
        await codeOf(sys.file.write({ path: "a", text: "" })),
        await codeOf(sys.file.write({ path: "b", text: "" })),
      ];
      if (n === 0) return own;
      const detach = (grants: string[]) =>
        sys.process.detach({ image: "deep", goal: "x", input: n - 1, grants, trees: n - 1 });
      const wider = await codeOf(detach(["file.write(./**)"]));
      const { pid } = await detach(["file.write(./a)", "process.detach(deep@*)"]);
      const second = await codeOf(detach([]));
      return [...own, wider, second, resultOf(await sys.process.wait({ pids: [pid] }))];
    }, { name: "deep" });
    const said = await world.result(async ({ sys }) => {
      const { pid } = await sys.process.detach({
        image: "deep",
        goal: "x",
        input: 2,
        grants: ["file.write(./a)", "process.detach(deep@*)"],
        trees: 2,
      });
      return resultOf(await sys.process.wait({ pids: [pid] }));
    }, { grants: ALL, images: [deep] });
    const inner = ["ok", "EPERM"];
    assert.deepEqual(said, [...inner, "EPERM", "ELIMIT", [...inner, "EPERM", "ELIMIT", inner]]);
  }));

Deno.test("What a parent has seen goes along with the goal, and what a child saw comes back", () =>
  inWorld(async (world) => {
    world.files!.put("hr", "x");
    world.files!.put("board", "y");
    const seen = async (sys: Parameters<Body>[0]["sys"]) =>
      ((await sys.process.inspect({})).label as { readonly sensitivity: string }).sensitivity;
    const said = await family(world, async ({ sys }) => {
      await sys.file.read({ path: "hr" });
      const grants = ["file.read(./board)"];
      const { pid } = await sys.process.detach({ image: "child", goal: "x", grants });
      const before = await seen(sys);
      const result = resultOf(await sys.process.wait({ pids: [pid] }));
      return [before, result, await seen(sys)];
    }, async ({ sys }) => {
      const born = await seen(sys);
      await sys.file.read({ path: "board" });
      return born;
    });
    assert.deepEqual(said, ["confidential", "confidential", "secret"]);
  }, {
    policy: "label file.read(./hr) sensitivity=confidential trust=trusted\n" +
      "label file.read(./board) sensitivity=secret trust=trusted",
  }));
