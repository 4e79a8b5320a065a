/**
 * Generated tools that ask people: who is asked sees which version of which tool asks.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, type PersonRequest } from "../mod.ts";
import type { Pid } from "../kernel/ids.ts";
import { FakeWorkshop, install } from "./fake_sandbox.ts";
import { type Body, imageOf, inWorld, type World } from "./world_fixture.ts";

const GRANTS = [
  allow("tool.register", "**"),
  ask("file.write", "./asked"),
  ...["human.*", "process.*"].map((right) => allow(right, "**")),
];
const RIGHTS = ["file.write(./asked)", "human.*"];
const WRITE = { path: "asked", text: "x" };

function asking(): FakeWorkshop {
  return FakeWorkshop.of({
    question: async (_, os) => await os.call("human.ask", { prompt: "?" }),
    notice: async (_, os) => await os.call("human.tell", { message: "!" }),
    write: async (_, os) => await os.call("file.write", WRITE),
    again: async (_, os) => await os.call("file.write", WRITE),
  });
}

const calling = (name: string): Body => async ({ sys }) => {
  const hash = await install(sys, name, { rights: RIGHTS });
  const { output } = await sys.tool.call({ name });
  return [hash, output];
};

function only(world: World): PersonRequest {
  const [request, ...more] = world.os.approvals.list();
  assert.deepEqual(more, []);
  return request!;
}

for (const name of ["question", "write"]) {
  Deno.test(`A person is told which tool asks, and which version of it: ${name}`, () =>
    inWorld(async (world) => {
      const process = await world.start(imageOf(calling(name)), { grants: GRANTS });
      const { id, kind, tool } = only(world);
      const [asked] = await world.events("human.asked");
      assert.deepEqual(asked!.tool, tool);
      const answer = kind === "question"
        ? { outcome: "answer", value: "yes" }
        : { outcome: "approve" };
      await world.os.approvals.decide(id, answer as never);
      await world.os.runUntilIdle();
      const [hash] = (await world.ended(process)).result as [string];
      assert.deepEqual(tool, { name, hash });
    }, { workshop: asking() }));
}

Deno.test("A notice says which tool gave it", () =>
  inWorld(async (world) => {
    const [hash] = await world.result(calling("notice"), { grants: GRANTS }) as [string];
    const [asked] = await world.events("human.asked");
    assert.deepEqual(asked!.tool, { name: "notice", hash });
  }, { workshop: asking() }));

Deno.test("A person is told of no tool where none asks", () =>
  inWorld(async (world) => {
    await world.start(imageOf(({ sys }) => sys.file.write(WRITE)), { grants: GRANTS });
    assert.equal("tool" in only(world), false);
    assert.equal("tool" in (await world.events("human.asked"))[0]!, false);
  }));

Deno.test("The same call asked for by two tools is two requests, and by one tool is one", () =>
  inWorld(async (world) => {
    const child = (name: string) => imageOf(calling(name), { name });
    const asks = ["write", "again", "write"];
    await world.start(
      imageOf(async ({ sys }) => {
        const pids: Pid[] = [];
        for (const image of asks) {
          const grants = ["tool.register", "file.write(./asked)", "human.*"];
          pids.push((await sys.process.spawn({ image, goal: "x", grants })).pid);
        }
        await sys.process.wait({ pids });
      }),
      { grants: GRANTS, images: [child("write"), child("again")] },
    );
    const told = world.os.approvals.list().map(({ tool, askers }) => [tool?.name, askers!.length]);
    assert.deepEqual(told, [["write", 2], ["again", 1]]);
  }, { workshop: asking() }));
