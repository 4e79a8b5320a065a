/**
 * Going back because a process wants it: what it takes, what comes back, and what does not.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import type { Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Program } from "../runtime/program.ts";
import { eraseObject } from "../runtime/retention.ts";
import type { PersonAnswer } from "../kernel/world.ts";
import { type Body, codeOf, imageOf, inWorld, World } from "./world_fixture.ts";

const GRANTS = [allow("checkpoint.restore", "draft"), allow("file.*", "**"), allow("process.*")];
const YES: PersonAnswer = { outcome: "approve" };

/** Takes a checkpoint, works, and goes back once: then it does something else. */
const SECOND_THOUGHTS: Body = async ({ sys }) => {
  await sys.checkpoint.create({ name: "draft" });
  const { messages: [told] } = await sys.message.receive({
    filter: { type: "went.back" },
    timeoutMs: 0,
  });
  if (told !== undefined) return told["data"];
  await sys.file.write({ path: "a", text: "first" });
  await sys.object.create({ name: "plan", value: "first" });
  await sys.checkpoint.restore({ to: "draft", reason: "the plan was poor" });
};

/** Says yes to whatever waits; how many that were. */
async function approve(world: World, answer: PersonAnswer = YES): Promise<number> {
  const waiting = world.os.approvals.list();
  for (const { id } of waiting) await world.os.approvals.decide(id, answer);
  await world.os.runUntilIdle();
  return waiting.length;
}

Deno.test("A process takes its tree back when a person lets it, and is told there that it did", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(SECOND_THOUGHTS), { grants: GRANTS });
    const [request] = world.os.approvals.list();
    assert.equal(request!.risk, "destructive");
    assert.match(request!.preview!, /all that the tree did since would be undone/);
    assert.equal(await approve(world), 1);
    const told = (await world.ended(process)).result as Record<string, unknown>;
    const [asked] = await world.events("restore.asked");
    assert.deepEqual(
      [told["to"], told["checkpoint"], told["reason"], told["left"]],
      [asked!["to"], "draft", "the plan was poor", LIMITS.returnsPerTreeMax - 1],
    );
    assert.deepEqual((told["effects"] as { what: string }[]).map(({ what }) => what), [
      "file.write",
    ]);
    assert.equal(world.files!.text("a"), "first");
    const { state } = await world.tree();
    assert.deepEqual(Object.values(state.objects).map(({ name }) => name), []);
    assert.deepEqual([state.returns, state.going], [1, undefined]);
    const [restored] = await world.events("tree.restored");
    assert.equal(restored!["by"], "p_1");
  }));

Deno.test("Who has no right for the checkpoint, or no person's word, does not go back", () =>
  inWorld(async (world) => {
    const body: Body = async ({ sys }) => {
      await sys.checkpoint.create({ name: "draft" });
      await sys.checkpoint.create({ name: "other" });
      const said: string[] = [];
      for (const to of ["other", "nothing", "draft"]) {
        said.push(await codeOf(sys.checkpoint.restore({ to, reason: "x" })));
      }
      said.push(await codeOf(sys.checkpoint.restore({ to: "7", reason: "x" })));
      return said;
    };
    const process = await world.start(imageOf(body), { grants: GRANTS });
    assert.equal(await approve(world, { outcome: "deny", reason: "go on" }), 1);
    const { result } = await world.ended(process);
    assert.deepEqual(result, ["EPERM", "EPERM", "EACCES", "EINVAL"]);
    assert.equal((await world.events("restore.asked")).length, 0);
  }));

Deno.test("A tree goes back so a bounded number of times, and what was approved is spent", () =>
  inWorld(async (world) => {
    const body: Body = async ({ sys }) => {
      await sys.checkpoint.create({ name: "draft" });
      return await codeOf(sys.checkpoint.restore({ to: "draft", reason: "again" }));
    };
    const process = await world.start(imageOf(body), { grants: GRANTS });
    let asked = 0;
    for (let now = 1; now > 0;) asked += now = await approve(world);
    // Each time anew: an approval that was used does not come back with the past.
    assert.equal(asked, LIMITS.returnsPerTreeMax + 1);
    assert.equal((await world.ended(process)).result, "ELIMIT");
    assert.equal((await world.events("tree.restored")).length, LIMITS.returnsPerTreeMax);
  }));

Deno.test("A tree that cannot go back says why to who wanted it, and goes on", () =>
  inWorld(async (world) => {
    // In its second step it wants back into the first, of which something was erased.
    const program: Program = async ({ sys }) => {
      const { checkpoints } = await sys.checkpoint.list();
      if (checkpoints.length === 0) {
        await sys.object.create({ name: "ann", value: "The secret of Ann. ".repeat(40) });
        await sys.checkpoint.create({ name: "draft" });
        return;
      }
      const { messages: [told] } = await sys.message.receive({});
      if (told!["type"] === "went.back") await sys.process.exit({ result: told!["data"] as Json });
      await sys.checkpoint.restore({ to: "draft", reason: "x" });
    };
    const image = defineImage({ name: "twice", program });
    const process = await world.start(image, { grants: GRANTS });
    await eraseObject(world.os.node, "t_1", "p_1/ann", { by: "dpo", reason: "asked" });
    await process.send("go");
    await world.os.runUntilIdle();
    assert.equal(await approve(world), 1);
    const told = (await world.ended(process)).result as Record<string, unknown>;
    const { code, message } = told["refused"] as { code: string; message: string };
    assert.equal(code, "ESTATE");
    assert.match(message, /what "p_1" worked with there was erased since/);
    assert.equal((await world.events("restore.refused")).length, 1);
    assert.equal((await world.events("tree.restored")).length, 0);
  }));

Deno.test("A kernel that dies on the way back leaves the tree standing, and the next one goes on", async () => {
  class LastingStore extends MemoryStore {
    isDead = false;

    override commit(...args: Parameters<MemoryStore["commit"]>): Promise<void> {
      const lines = args[0].flatMap((batch) => batch.lines);
      if (lines.some((line) => line.endsWith('"type":"tree.restored"}'))) this.isDead = true;
      if (this.isDead) return new Promise(() => {});
      return super.commit(...args);
    }
  }
  const store = new LastingStore();
  const image = imageOf(SECOND_THOUGHTS);
  const first = new World({ store });
  await first.start(image, { grants: GRANTS });
  const [request] = first.os.approvals.list();
  await first.os.approvals.decide(request!.id, YES);
  void first.os.runUntilIdle();
  while (!store.isDead) await first.clock.settle();
  // What was not written never happened.
  store.isDead = false;
  const { clock, files } = first;
  const commit = MemoryStore.prototype.commit.bind(store);
  store.commit = commit;
  const second = new World({ store, clock, files, seed: 2, images: [image] });
  await second.os.node.openLive(10);
  const { state } = await second.tree();
  assert.equal(state.going?.name, "draft");
  await second.os.runUntilIdle();
  const process = (await second.os.get("p_1"))!;
  const told = (await second.ended(process)).result as Record<string, unknown>;
  assert.equal(told["reason"], "the plan was poor");
  assert.equal((await second.events("tree.restored")).length, 1);
  assert.equal(files!.count("write a"), 1);
  await second.close();
});
