/**
 * What a branch begins with came before all that it does: views from then do not see what is new,
 * and views from now see what is old.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { type ObjectId, treeOf } from "../kernel/ids.ts";
import type { AgentProcess } from "../runtime/process.ts";
import { versionViews } from "../server/view/memory.ts";
import { codeOf, imageOf, inWorld, type World } from "./world_fixture.ts";

const GRANTS = [allow("object.*", "**"), allow("process.*", "**"), allow("message.*", "**")];

/** What the parent is asked for: to make objects, to change one, to fork a child. */
interface Work {
  readonly make?: readonly string[];
  readonly change?: string;
  readonly fork?: string;
}

/** A parent does as it is told; a child looks for what it is told, when it is told to. */
const FAMILY = imageOf(async ({ sys, goal }) => {
  for (;;) {
    const { messages } = await sys.message.receive({});
    const said = messages[0]!["data"] as unknown as Work & { readonly look?: readonly string[] };
    for (const name of said.make ?? []) {
      await sys.object.create({ name, mutable: true, value: `${name} of ${goal}` });
    }
    if (said.change !== undefined) {
      const { version } = await sys.object.read({ object: said.change });
      await sys.object.write({ object: said.change, value: "changed", from: version });
    }
    if (said.fork !== undefined) await sys.process.fork({ goal: said.fork });
    if (said.look === undefined) continue;
    const seen: string[] = [];
    for (const object of said.look) {
      const code = await codeOf(sys.object.read({ object }));
      seen.push(code === "ok" ? `${(await sys.object.read({ object })).value}` : code);
    }
    return await sys.process.exit({ result: seen });
  }
}, { name: "family" });

async function told(world: World, agent: AgentProcess, ...works: readonly Work[]): Promise<void> {
  for (const work of works) {
    await agent.send(work as never);
    await world.os.runUntilIdle();
  }
}

async function branchOf(world: World, agent: AgentProcess): Promise<AgentProcess> {
  return await agent.fork((await world.os.node.open(treeOf(agent.pid))).state.seq);
}

/** What the nth child of a tree's root sees under some names. */
async function seenBy(world: World, agent: AgentProcess, n: number, look: readonly string[]) {
  const child = (await world.os.get(`${agent.pid}.${n}`))!;
  await child.send({ look } as never);
  await world.os.runUntilIdle();
  return (await child.wait()).result;
}

Deno.test("A child that is forked in a branch sees what its parent has, as it was then", async () => {
  await inWorld(async (world) => {
    const origin = await world.start(FAMILY, { grants: GRANTS, goal: "a" });
    // The origin's log is far longer than that of a branch.
    const many = Array.from({ length: 40 }, (_, i) => `many${i}`);
    await told(world, origin, { make: [...many, "old", "other"] });
    const branch = await branchOf(world, origin);
    await told(world, branch, { make: ["new"] }, { fork: "c" }, { change: "old" });
    await told(world, branch, { make: ["late"] }, { change: "new" });
    const look = ["old", "other", "new", "late"];
    assert.deepEqual(await seenBy(world, branch, 1, look), [
      "old of a",
      "other of a",
      "new of a",
      "ENOENT",
    ]);
    // And in a branch of the branch.
    const second = await branchOf(world, branch);
    await told(world, second, { fork: "d" }, { change: "other" }, { make: ["latest"] });
    assert.deepEqual(await seenBy(world, second, 2, [...look, "latest"]), [
      "changed",
      "other of a",
      "changed",
      "late of a",
      "ENOENT",
    ]);
  });
});

Deno.test("A child that came along with a branch sees nothing of what is made there", async () => {
  await inWorld(async (world) => {
    const origin = await world.start(FAMILY, { grants: GRANTS, goal: "a" });
    await told(world, origin, { make: Array.from({ length: 40 }, (_, i) => `many${i}`) });
    await told(world, origin, { make: ["old"] }, { fork: "c" });
    const branch = await branchOf(world, origin);
    await told(world, branch, { make: ["new"] }, { change: "old" });
    assert.deepEqual(await seenBy(world, branch, 1, ["old", "new"]), ["old of a", "ENOENT"]);
  });
});

Deno.test("Versions of a branch say in which of its lines they were written, or in none", async () => {
  await inWorld(async (world) => {
    const origin = await world.start(FAMILY, { grants: GRANTS, goal: "a" });
    await told(world, origin, { make: ["old"] });
    const branch = await branchOf(world, origin);
    await told(world, branch, { change: "old" });
    const tree = treeOf(branch.pid);
    const { state } = await world.os.node.open(tree);
    const [object] = Object.values(state.objects).filter(({ name }) => name.endsWith("/old"));
    const lines = (await world.lines(tree)).filter(({ type }) => type === "object.written");
    assert.equal(lines.length, 1);
    const seqs = versionViews(state, state.objects[object!.id as ObjectId]!).map(({ seq }) => seq);
    assert.deepEqual(seqs, [0, lines[0]!.seq]);
  });
});

Deno.test("A tree does not go back to where it was not there yet", async () => {
  await inWorld(async (world) => {
    const origin = await world.start(FAMILY, { grants: GRANTS, goal: "a" });
    await told(world, origin, { make: ["old"] });
    const branch = await branchOf(world, origin);
    await world.os.runUntilIdle();
    for (const agent of [origin, branch]) {
      const lines = await world.lines(treeOf(agent.pid));
      const root = lines.findIndex(({ type }) =>
        type === "process.spawned" || type === "tree.grown"
      );
      for (const at of [1, lines[root]!.seq - 1]) {
        assert.equal(await codeOf(agent.restore(at)), "ESTATE");
        assert.equal(await codeOf(agent.fork(at)), "ESTATE");
      }
      assert.deepEqual(await world.lines(treeOf(agent.pid)), lines);
      await told(world, agent, { make: ["new"] });
      assert.equal(await codeOf(agent.restore(lines.length)), "ok");
    }
  });
});
