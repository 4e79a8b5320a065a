/**
 * Object Memory as processes use it: types, versions, lists, links, labels, find, and the bridge
 * between files and objects.
 * @module
 */

import assert from "node:assert/strict";
import { allow, type Rule } from "../mod.ts";
import { type Body, codeOf, errorOf, imageOf, inWorld } from "./world_fixture.ts";

const FILES = [allow("file.*")];

/** One call after others, and how it is answered. */
type Step = readonly [call: string, args: Record<string, unknown>, code: string];

const STEPS: Readonly<Record<string, readonly Step[]>> = {
  "types are checked when a value is made and when it is replaced": [
    ["object.create", { name: "a", type: "text", value: 1 }, "EINVAL"],
    ["object.create", { name: "a", type: "text", value: "x", mutable: true }, "ok"],
    ["object.write", { object: "a", value: 1, from: 1 }, "EINVAL"],
    ["object.create", { name: "b", type: "nothing", value: 1 }, "EINVAL"],
    ["object.create", { name: "b", type: "toString", value: 1 }, "EINVAL"],
    ["object.create", { name: "b", type: "report", value: "" }, "EINVAL"],
    ["object.create", { name: "c", type: "context", list: true }, "ok"],
    ["object.append", { object: "c", item: { role: "nobody" } }, "EINVAL"],
    ["object.append", { object: "c", item: { role: "user", text: "x" } }, "ok"],
  ],
  "an image's types are known to its processes": [
    ["object.create", { name: "a", type: "point", value: { x: 1 } }, "ok"],
    ["object.create", { name: "b", type: "point", value: { x: "1" } }, "EINVAL"],
  ],
  "a value is immutable unless it was made mutable": [
    ["object.create", { name: "a", value: 1 }, "ok"],
    ["object.write", { object: "a", value: 2, from: 1 }, "ESTATE"],
    ["object.append", { object: "a", item: 2 }, "EINVAL"],
    ["object.create", { name: "a", value: 2 }, "EEXIST"],
  ],
  "a write is based on a version, and refused on any other": [
    ["object.create", { name: "a", value: 1, mutable: true }, "ok"],
    ["object.write", { object: "a", value: 2, from: 0 }, "ESTALE"],
    ["object.write", { object: "a", value: 2, from: 1 }, "ok"],
    ["object.write", { object: "a", value: 3, from: 1 }, "ESTALE"],
    ["object.write", { object: "a", value: 3, from: 2 }, "ok"],
    ["object.write", { object: "a", value: 3, from: 9 }, "ESTALE"],
  ],
  "a list only grows": [
    ["object.create", { name: "a", list: true, mutable: true }, "ok"],
    ["object.append", { object: "a", item: 1 }, "ok"],
    ["object.write", { object: "a", value: [], from: 1 }, "EINVAL"],
    ["object.export", { object: "a", path: "a" }, "EINVAL"],
  ],
  "a name can be deleted and made again, and an id means the old one": [
    ["object.create", { name: "a", value: 1 }, "ok"],
    ["object.delete", { object: "a" }, "ok"],
    ["object.read", { object: "a" }, "ENOENT"],
    ["object.delete", { object: "a" }, "ENOENT"],
    ["object.create", { name: "a", value: 2 }, "ok"],
    ["object.read", { object: "obj_1.1" }, "EPERM"],
    ["object.read", { object: "obj_1.2" }, "ok"],
  ],
  "names that could be shown as others are refused": [
    ["object.create", { name: "../a" }, "EINVAL"],
    ["object.create", { name: "a//b" }, "EINVAL"],
    ["object.create", { name: "a/" }, "EINVAL"],
    ["object.create", { name: "/" }, "EINVAL"],
    ["object.create", { name: "/p_1" }, "EINVAL"],
    ["object.create", { name: "a*" }, "EINVAL"],
    ["object.create", { name: "e\u0301" }, "EINVAL"],
    ["object.create", { name: "a\u202eb" }, "EINVAL"],
    ["object.create", { name: "é/ü.txt" }, "ok"],
  ],
  "links go from what is written to what is read, once each": [
    ["object.create", { name: "a" }, "ok"],
    ["object.create", { name: "b" }, "ok"],
    ["object.link", { object: "a", relation: "cites", to: "b" }, "ok"],
    ["object.link", { object: "a", relation: "cites", to: "b" }, "ok"],
    ["object.link", { object: "a", relation: "cites", to: "nothing" }, "ENOENT"],
    ["object.link", { object: "nothing", relation: "cites", to: "a" }, "ENOENT"],
  ],
  "namespaces are made once, and belong to who made them": [
    ["namespace.create", { name: "team" }, "ok"],
    ["namespace.create", { name: "team" }, "EEXIST"],
    ["namespace.create", { name: "unknown" }, "EEXIST"],
    ["namespace.create", { name: "p_1" }, "EINVAL"],
    ["object.create", { name: "/team/a", value: 1 }, "ok"],
    ["object.create", { name: "/nobody/a", value: 1 }, "ENOENT"],
    ["namespace.list", {}, "ok"],
  ],
};

for (const [claim, steps] of Object.entries(STEPS)) {
  Deno.test(`Object Memory: ${claim}`, () =>
    inWorld(async (world) => {
      const point = { type: "object", properties: { x: { type: "number" } } };
      const process = await world.start(
        imageOf(async ({ sys }) => {
          const codes: string[] = [];
          for (const [call, args] of steps) {
            codes.push(await codeOf(sys(call as never, args as never)));
          }
          return codes;
        }, { types: { point } }),
        {
          grants: [
            ...FILES,
            allow("namespace.*"),
            ...["team/**", "nobody/**"].map((space) => allow("object.*", space)),
          ],
        },
      );
      assert.deepEqual((await world.ended(process)).result, steps.map(([, , code]) => code));
    }));
}

Deno.test("Object Memory: a stale write says the version there is", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      await sys.object.create({ name: "a", value: 1, mutable: true });
      await sys.object.write({ object: "a", value: 2, from: 1 });
      const error = await errorOf(sys.object.write({ object: "a", value: 3, from: 1 }));
      return [error!.message, error!.detail?.["version"], error!.retry];
    });
    const message = 'Cannot write object "p_1/a": at version 2, expected 1';
    assert.deepEqual(said, [message, 2, true]);
  }));

Deno.test("Object Memory: of writes at once based on one version just one is taken", () =>
  inWorld(async (world) => {
    const codes = await world.result(async ({ sys }) => {
      await sys.object.create({ name: "a", value: 0, mutable: true });
      const writes = [1, 2, 3].map((value) => sys.object.write({ object: "a", value, from: 1 }));
      return await Promise.all(writes.map(codeOf));
    });
    assert.deepEqual(codes, ["ok", "ESTALE", "ESTALE"]);
  }));

Deno.test("Object Memory: items of a list are read from and to", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      await sys.object.create({ name: "a", list: true });
      for (let i = 0; i < 5; i++) await sys.object.append({ object: "a", item: i });
      const read = async (from?: number, to?: number) =>
        (await sys.object.read({
          object: "a",
          ...(from === undefined ? {} : { from }),
          ...(to === undefined ? {} : { to }),
        })).value;
      return [await read(), await read(3), await read(1, 3), await read(4, 2), await read(9)];
    });
    assert.deepEqual(said, [[0, 1, 2, 3, 4], [3, 4], [1, 2], [], []]);
  }));

Deno.test("Object Memory: large values are kept once by hash and read back after a restart", () =>
  inWorld(async (world) => {
    const value = { text: "é".repeat(5_000) };
    await world.result(async ({ sys }) => {
      await sys.object.create({ name: "a", value });
      await sys.object.create({ name: "b", value });
    });
    const { objects } = (await world.tree()).state;
    const refs = Object.values(objects).map(({ versions }) => versions[0]!.value);
    assert.ok("hash" in refs[0]! && "hash" in refs[1]! && refs[0].hash === refs[1].hash);
    assert.deepEqual(JSON.parse((await world.store.getBlob(refs[0].hash))!), value);
  }));

const FOUND: Readonly<Record<string, readonly string[]>> = {
  "apples": ["fruit/one", "fruit/two"],
  "PEARS": ["fruit/two"],
  "ünï": ["words"],
  "deep": ["nested"],
  "nothing": [],
  "!!": [],
};

for (const [query, names] of Object.entries(FOUND)) {
  Deno.test(`object.find ${JSON.stringify(query)} finds ${names.join(", ") || "nothing"}`, () =>
    inWorld(async (world) => {
      const found = await world.result(async ({ sys }) => {
        await sys.object.create({ name: "fruit/one", value: "apples, apples and apples" });
        await sys.object.create({
          name: "fruit/two",
          value: `apples and pears ${"x ".repeat(99)}`,
        });
        await sys.object.create({ name: "words", value: "Ünï" });
        await sys.object.create({ name: "nested", value: { a: [{ b: "deep" }] } });
        await sys.object.create({ name: "list", list: true });
        await sys.object.append({ object: "list", item: "in a list" });
        const first = await sys.object.find({ query });
        assert.deepEqual(await sys.object.find({ query }), first);
        return first.found.map(({ name }) => name);
      });
      assert.deepEqual(found, names);
    }));
}

interface Flow {
  readonly policy: string;
  readonly grants?: readonly Rule[];
  readonly body: Body;
  readonly result: unknown;
}

const LABELS = "label file.read(./secret/**) sensitivity=secret trust=trusted";
const SECRET = { sensitivity: "secret", trust: "trusted", origin: ["file:./secret"] };
const NO_LEAK =
  `${LABELS}\ndeny file.write(./out/**) when sensitivity>=secret because it is secret`;
const leak: Body = ({ sys }) => codeOf(sys.file.write({ path: "out/a", text: "x" }));

const FLOWS: Readonly<Record<string, Flow>> = {
  "what was read labels the reader": {
    policy: LABELS,
    body: async ({ sys }) => {
      await sys.file.read({ path: "secret/a" });
      return (await sys.process.inspect({}))["label"];
    },
    result: SECRET,
  },
  "a file nobody speaks of is internal and untrusted": {
    policy: LABELS,
    body: async ({ sys }) => {
      await sys.file.read({ path: "plain" });
      return (await sys.process.inspect({}))["label"];
    },
    result: { sensitivity: "internal", trust: "untrusted", origin: ["file:."] },
  },
  "labels join and never fall": {
    policy: LABELS,
    body: async ({ sys }) => {
      await sys.file.read({ path: "secret/a" });
      await sys.file.read({ path: "plain" });
      return (await sys.process.inspect({}))["label"];
    },
    result: {
      sensitivity: "secret",
      trust: "untrusted",
      origin: ["file:.", "file:./secret"],
    },
  },
  "a sink is shut to who has read a secret": {
    policy: NO_LEAK,
    body: async (context) => {
      const before = await leak(context);
      await context.sys.file.read({ path: "secret/a" });
      return [before, await leak(context)];
    },
    result: ["ok", "EACCES"],
  },
  "an import labels the object and not its caller": {
    policy: NO_LEAK,
    body: async (context) => {
      const { sys } = context;
      await sys.object.import({ path: "secret/a", name: "s" });
      return [
        await leak(context),
        await codeOf(sys.object.read({ object: "s" })),
        await leak(context),
      ];
    },
    result: ["ok", "ok", "EACCES"],
  },
  "what was found carries its label to who found it": {
    policy: NO_LEAK,
    body: async (context) => {
      const { sys } = context;
      await sys.object.import({ path: "secret/a", name: "s" });
      await sys.object.find({ query: "secret" });
      return await leak(context);
    },
    result: "EACCES",
  },
  "what is written carries its writer's label": {
    policy: NO_LEAK,
    body: async ({ sys }) => {
      await sys.file.read({ path: "secret/a" });
      await sys.object.create({ name: "copy", value: "x" });
      return (await sys.object.read({ object: "copy" }))["label"];
    },
    result: SECRET,
  },
  "a child is born with its parent's label": {
    policy: NO_LEAK,
    grants: [allow("process.fork")],
    body: async (context) => {
      const { sys, goal } = context;
      if (goal === "child") return await leak(context);
      await sys.file.read({ path: "secret/a" });
      const { pid } = await sys.process.fork({ goal: "child" });
      const { ended } = await sys.process.wait({ pids: [pid] });
      return (ended!.outcome as unknown as { result: unknown }).result;
    },
    result: "EACCES",
  },
  "a parent that hears a child's result has its label": {
    policy: NO_LEAK,
    grants: [allow("process.fork")],
    body: async (context) => {
      const { sys, goal } = context;
      if (goal === "child") return (await sys.file.read({ path: "secret/a" })).text;
      const { pid } = await sys.process.fork({ goal: "child" });
      await sys.process.wait({ pids: [pid] });
      return await leak(context);
    },
    result: "EACCES",
  },
  "a message carries its sender's label": {
    policy: NO_LEAK,
    grants: [allow("process.fork")],
    body: async (context) => {
      const { sys, goal } = context;
      if (goal === "child") {
        await sys.file.read({ path: "secret/a" });
        return await sys.message.send({ to: "p_1", data: "psst" });
      }
      await sys.process.fork({ goal: "child" });
      await sys.message.receive({});
      return await leak(context);
    },
    result: "EACCES",
  },
  "an export of a secret object is judged by what it will have read": {
    policy: NO_LEAK,
    body: async ({ sys }) => {
      await sys.object.import({ path: "secret/a", name: "s" });
      return await codeOf(sys.object.export({ object: "s", path: "out/a" }));
    },
    result: "EACCES",
  },
};

for (const [claim, { policy, grants = [], body, result }] of Object.entries(FLOWS)) {
  Deno.test(`Labels: ${claim}`, () =>
    inWorld(async (world) => {
      world.files!.put("secret/a", "a secret");
      world.files!.put("plain", "nothing much");
      const said = await world.result(body, { grants: [...FILES, ...grants] });
      assert.deepEqual(said, result);
    }, { policy }));
}

Deno.test("object.import and object.export move a file through memory with its provenance", () =>
  inWorld(async (world) => {
    world.files!.put("in", "Grüße");
    await world.result(async ({ sys }) => {
      await sys.object.import({ path: "in", name: "x" });
      await sys.object.export({ object: "x", path: "out" });
    }, { grants: FILES });
    assert.equal(world.files!.text("out"), "Grüße");
    const { object } = (await world.tree()).lookUp("p_1/x");
    assert.match(object!.from.sources[0]!, /^file:\.\/in@[0-9a-f]{64}$/);
    assert.equal(object!.from.call, "p_1#1.1");
  }));
