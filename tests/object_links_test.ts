/**
 * Links of objects: who may read an object is told what it points to, as it sees it.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { type Body, codeOf, inWorld } from "./world_fixture.ts";

const GRANTS = [allow("process.fork"), allow("file.*", "./**")];

type Sys = Parameters<Body>[0]["sys"];

/** The links that a read tells, as `relation to`. */
async function linksOf(sys: Sys, object: string): Promise<string[]> {
  const { links = [] } = await sys.object.read({ object });
  return links.map(({ relation, to }) => `${relation} ${to}`);
}

Deno.test("object.read tells what an object links to, each link once", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys }) => {
      await sys.object.create({ name: "a", value: 1 });
      await sys.object.create({ name: "list", list: true });
      const { object: b } = await sys.object.create({ name: "b", value: "of b" });
      const without = await sys.object.read({ object: "a" });
      await sys.object.link({ object: "a", relation: "cites", to: "b" });
      await sys.object.link({ object: "a", relation: "cites", to: "b" });
      await sys.object.link({ object: "a", relation: "answers", to: b });
      await sys.object.link({ object: "list", relation: "about", to: "a" });
      const [first] = (await sys.object.read({ object: "a" })).links!;
      return [
        "links" in without,
        await linksOf(sys, "a"),
        await linksOf(sys, "list"),
        (await sys.object.read({ object: first!.to })).value,
        await codeOf(sys.object.link({ object: "a", relation: "cites", to: "none" })),
      ];
    });
    assert.deepEqual(said, [
      false,
      ["cites obj_1.3", "answers obj_1.3"],
      ["about obj_1.1"],
      "of b",
      "ENOENT",
    ]);
  }));

Deno.test("A fork sees the links there were when it began, and its copy keeps them", () =>
  inWorld(async (world) => {
    const said = await world.result(async ({ sys, goal }) => {
      if (goal === "child") {
        await sys.message.receive({});
        const seen = await linksOf(sys, "a");
        await sys.object.write({ object: "a", value: 2, from: 1 });
        await sys.object.link({ object: "a", relation: "later", to: "b" });
        return [seen, await linksOf(sys, "a")];
      }
      await sys.object.create({ name: "a", value: 1, mutable: true });
      await sys.object.create({ name: "b", value: 1 });
      await sys.object.link({ object: "a", relation: "first", to: "b" });
      const { pid } = await sys.process.fork({ goal: "child" });
      await sys.object.link({ object: "a", relation: "later", to: "b" });
      await sys.message.send({ to: pid, data: "go" });
      const { ended } = await sys.process.wait({ pids: [pid] });
      return [
        (ended!.outcome as unknown as { result: unknown }).result,
        await linksOf(sys, "a"),
      ];
    }, { grants: GRANTS });
    const both = ["first obj_1.2", "later obj_1.2"];
    assert.deepEqual(said, [[["first obj_1.2"], both], both]);
  }));

Deno.test("A link carries the label of who made it to who reads it", () =>
  inWorld(async (world) => {
    world.files!.put("secret/a", "a secret");
    const said = await world.result(async ({ sys }) => {
      await sys.object.create({ name: "a", value: 1 });
      const before = (await sys.process.inspect({}))["label"];
      await sys.file.read({ path: "secret/a" });
      await sys.object.link({ object: "a", relation: "the word is swordfish", to: "a" });
      return [before, (await sys.object.read({ object: "a" }))["label"]];
    }, { grants: GRANTS });
    assert.deepEqual(said, [
      { sensitivity: "public", trust: "trusted" },
      { origin: ["file:./secret"], sensitivity: "secret", trust: "untrusted" },
    ]);
  }, { policy: "label file.read(./secret/**) sensitivity=secret trust=untrusted" }));
