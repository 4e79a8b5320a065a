/**
 * A generated tool that waits goes on in a branch as well: what was recorded in the origin comes
 * back before what was recorded in the branch, in the order in which it was.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import { treeOf } from "../kernel/ids.ts";
import { type FakeOs, FakeWorkshop, install } from "./fake_sandbox.ts";
import { imageOf, inWorld } from "./world_fixture.ts";

const RIGHTS = ["file.*(./**)", "message.receive"];
const GRANTS = [
  allow("tool.register", "**"),
  allow("file.*", "./**"),
  allow("message.*", "**"),
  allow("process.*", "**"),
];

/** Two calls at a time, of which the second is answered first; then one that waits. */
async function work(os: FakeOs, order: string[]): Promise<void> {
  const told = (what: string, call: Promise<unknown>) => call.then(() => void order.push(what));
  await Promise.all([
    told("read", os.call("file.read", { path: "slow" })),
    told("written", os.call("file.write", { path: "a", text: "1" })),
  ]);
  await told("heard", os.call("message.receive", {}));
  await told("written", os.call("file.write", { path: "b", text: "2" }));
}

Deno.test("A tool hears again in a branch what its origin recorded, and then what the branch did", async () => {
  const runs: string[][] = [];
  const workshop = FakeWorkshop.of({
    tool: async (_, os) => {
      const order: string[] = [];
      runs.push(order);
      await work(os, order);
      return order;
    },
  });
  const caller = imageOf(async ({ sys }) => {
    await install(sys, "tool", { rights: RIGHTS });
    return (await sys.tool.call({ name: "tool" })).output;
  }, { name: "caller" });
  await inWorld(async (world) => {
    world.files!.put("slow", "x");
    const [isWritten, read] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let reads = 0;
    world.files!.before = (what) => {
      if (what === "read slow" && ++reads === 1) return read.promise;
    };
    world.files!.after = (what) => {
      if (what === "write a") isWritten.resolve();
    };
    const starting = world.start(caller, { grants: GRANTS });
    await isWritten.promise;
    const tree = await world.tree();
    const last = async () => (await world.lines(tree.state.tree)).at(-1)?.type;
    while (await last() !== "call.outcome") await world.os.node.durable(tree);
    const { seq } = tree.state;
    const branch = await (await world.os.get("p_1"))!.fork(seq);
    read.resolve();
    const origin = await starting;
    await world.os.runUntilIdle();
    // Where the branch recorded its read has a smaller number than where the origin wrote.
    assert.ok((await world.os.node.open(treeOf(branch.pid))).state.seq < seq);
    for (const agent of [branch, origin]) {
      await agent.send("go on");
      await world.os.runUntilIdle();
      assert.deepEqual((await world.ended(agent)).result, ["written", "read", "heard", "written"]);
    }
    // Twice each: what was heard before the wait was heard again in the same order.
    const waited = ["written", "read"];
    const whole = [...waited, "heard", "written"];
    assert.deepEqual(runs, [waited, waited, whole, whole]);
    assert.deepEqual([world.files!.count("write a"), world.files!.count("read slow")], [1, 2]);
  }, { workshop });
});
