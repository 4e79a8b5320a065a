/**
 * Branching off because a process wants it: what it takes, what goes along, and that it is once.
 * @module
 */

import assert from "node:assert/strict";
import { PERSON } from "../kernel/label.ts";
import { LIMITS } from "../kernel/limits.ts";
import { allow, ask, type BranchEdits } from "../mod.ts";
import { MemoryStore } from "../testing.ts";
import { type Body, codeOf, imageOf, inWorld, World } from "./world_fixture.ts";

const GRANTS = [
  allow("checkpoint.fork", "draft"),
  allow("file.*", "**"),
];

/** Takes a checkpoint and branches off there; the branch sees a message, and does something else. */
const TWO_WAYS: Body = async ({ sys }) => {
  await sys.checkpoint.create({ name: "draft" });
  const filter = { type: "message" };
  const { messages: [told] } = await sys.message.receive({ filter, timeoutMs: 0 });
  if (told !== undefined) return { branch: told["data"], from: told["from"] };
  return await sys.checkpoint.fork({ from: "draft", message: "try the other way" });
};

Deno.test("A process starts a branch of its tree when a person lets it, and both go their ways", () =>
  inWorld(async (world) => {
    const process = await world.start(imageOf(TWO_WAYS), { grants: GRANTS });
    const [request] = world.os.approvals.list();
    assert.match(request!.preview!, /may use up as much again/);
    await world.os.approvals.decide(request!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, { pid: "p_2" });
    const branch = (await world.os.get("p_2"))!;
    assert.deepEqual((await world.ended(branch)).result, {
      branch: "try the other way",
      from: "tree:t_1",
    });
    const [forked] = await world.events("tree.forked", "t_2");
    assert.deepEqual([forked!["from"], forked!["by"]], ["t_1", "p_1"]);
  }));

Deno.test("Who has no right for the checkpoint, or no person's word, starts no branch", () =>
  inWorld(async (world) => {
    const body: Body = async ({ sys }) => {
      await sys.checkpoint.create({ name: "draft" });
      await sys.checkpoint.create({ name: "other" });
      const said: string[] = [];
      for (const from of ["other", "nothing", "draft"]) {
        said.push(await codeOf(sys.checkpoint.fork({ from })));
      }
      return said;
    };
    const process = await world.start(imageOf(body), { grants: GRANTS });
    for (const { id } of world.os.approvals.list()) {
      await world.os.approvals.decide(id, { outcome: "deny" });
    }
    await world.os.runUntilIdle();
    assert.deepEqual((await world.ended(process)).result, ["EPERM", "EPERM", "EACCES"]);
    assert.equal((await world.os.trees({ all: true })).length, 1);
  }));

Deno.test("A branch is theirs who started the tree it came from: they approve nothing of it, where that is so", () =>
  inWorld(async (world) => {
    const body: Body = async ({ sys }) => {
      await sys.checkpoint.create({ name: "draft" });
      const filter = { type: "message" };
      const { messages: [told] } = await sys.message.receive({ filter, timeoutMs: 0 });
      if (told === undefined) await sys.checkpoint.fork({ from: "draft", message: "write it" });
      else await sys.file.write({ path: "out", text: "of the branch" });
    };
    const grants = [...GRANTS, ask("file.write", "./**")];
    await world.start(imageOf(body), { grants, by: "ada" });
    const decide = (actor: string) => {
      const [request] = world.os.approvals.list();
      const by = { actor, strict: true };
      return codeOf(world.os.approvals.decide(request!.id, { outcome: "approve" }, by));
    };
    assert.equal(await decide("ada"), "EPERM");
    assert.equal(await decide("bob"), "ok");
    await world.os.runUntilIdle();
    assert.equal((await world.tree("t_2")).state.owner, "ada");
    assert.equal(await decide("ada"), "EPERM");
    assert.equal(await decide("bob"), "ok");
    await world.os.runUntilIdle();
    assert.equal(world.files!.text("out"), "of the branch");
  }));

const UNMEANT: readonly (readonly [unknown, RegExp])[] = [
  [{ budget: { usd: -1 } }, /limit usd to "-1": expected a number from 0/],
  [{ budget: { tokens: NaN } }, /limit tokens to "NaN": expected a number/],
  [{ budget: { tokens: "many" } }, /limit tokens to "many": expected a number/],
  [{ budget: { tokns: 1 } }, /"tokns": unknown, expected one of .*, did you mean "tokens"\?/],
  [{ budget: 5 }, /another budget: expected an object/],
  [{ model: "small" }, /model "small": expected "provider\/model"/],
  [{ model: "some/" }, /expected "provider\/model"/],
  [{ model: "/small" }, /expected "provider\/model"/],
  [{ goal: 5 }, /another goal: expected a string/],
  [{ sender: { from: "ada", label: {} } }, /message from "ada": expected whose words they are/],
  [{ sender: { from: "", label: PERSON } }, /message from "": expected whose words they are/],
  [[], /no object/],
  [{ mesage: "x" }, /"mesage": unknown, expected one of .*, did you mean "message"\?/],
  [null, /no object/],
];

Deno.test("Edits that nobody could mean are refused before a tree is made", () =>
  inWorld(async (world) => {
    const grants = [...GRANTS, allow("model.generate", "some/*")];
    const process = await world.start(imageOf(TWO_WAYS), { grants });
    for (const [edits, message] of UNMEANT) {
      await assert.rejects(process.fork("draft", edits as BranchEdits), {
        code: "EINVAL",
        message,
      });
    }
    const goal = "g".repeat(LIMITS.goalBytesMax + 1);
    assert.equal(await codeOf(process.fork("draft", { goal })), "ELIMIT");
    const message = "m".repeat(LIMITS.messageBytesMax + 1);
    assert.equal(await codeOf(process.fork("draft", { message })), "ELIMIT");
    assert.equal((await world.os.trees({ all: true })).length, 1);
    const meant = { budget: { usd: 0.5, wallMs: 1_000 }, model: "some/model:7b", goal: "other" };
    assert.equal((await process.fork("draft", meant)).pid, "p_2");
  }));

Deno.test("A branch with a model that its root may not use there is refused before it is made", () =>
  inWorld(async (world) => {
    const grants = [
      ...GRANTS,
      allow("model.generate", "some/*"),
      allow("model.generate", "once/*", { uses: 1 }),
    ];
    const process = await world.start(imageOf(TWO_WAYS), { grants });
    const refused = /with model "(other|once)\/one": not its own, expected one of some\/\*/;
    const from = (edits: BranchEdits) => process.fork("draft", edits);
    await assert.rejects(from({ model: "other/one" }), { code: "EPERM", message: refused });
    // What could be used twice goes along with no branch.
    await assert.rejects(from({ model: "once/one" }), { code: "EPERM", message: refused });
    const policy = "deny model.generate(some/one)";
    const edits = { model: "some/one", policy };
    await assert.rejects(from(edits), { code: "EPERM" });
    assert.equal((await world.os.trees({ all: true })).length, 1);
    assert.equal((await from({ model: "some/one" })).pid, "p_2");
  }));

Deno.test("What the forker has seen goes along with what it says to the branch", () =>
  inWorld(async (world) => {
    const body: Body = async ({ sys }) => {
      await sys.checkpoint.create({ name: "draft" });
      const filter = { type: "message" };
      const { messages: [told] } = await sys.message.receive({ filter, timeoutMs: 0 });
      if (told !== undefined) return told["label"];
      await sys.file.read({ path: "secrets" });
      return await sys.checkpoint.fork({ from: "draft", message: "as I have read" });
    };
    world.files!.put("secrets", "…");
    await world.start(imageOf(body), { grants: GRANTS });
    const { state } = await world.tree();
    const seen = state.processes["p_1"]!.label;
    const [request] = world.os.approvals.list();
    await world.os.approvals.decide(request!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    const [sent] = await world.events("message.received", "t_2");
    assert.notEqual(sent, undefined);
    const branch = await world.tree("t_2");
    assert.equal(branch.state.processes["p_2"]!.label.trust, seen.trust);
    assert.notEqual(seen.trust, "user");
  }));

Deno.test("A kernel that dies between the branch and its outcome leaves one branch, not two", async () => {
  class LastingStore extends MemoryStore {
    isDead = false;

    override commit(...args: Parameters<MemoryStore["commit"]>): Promise<void> {
      const lines = args[0].flatMap((batch) => batch.lines);
      const isOutcome = lines.some((line) => line.endsWith('"type":"call.outcome"}'));
      if (isOutcome) this.isDead = true;
      if (this.isDead) return new Promise(() => {});
      return super.commit(...args);
    }
  }
  const store = new LastingStore();
  const image = imageOf(TWO_WAYS);
  const first = new World({ store });
  await first.start(image, { grants: GRANTS });
  const [request] = first.os.approvals.list();
  await first.os.approvals.decide(request!.id, { outcome: "approve" });
  void first.os.runUntilIdle();
  while (!store.isDead) await first.clock.settle();
  // What was not written never happened.
  store.commit = MemoryStore.prototype.commit.bind(store);
  const { clock, files } = first;
  const second = new World({ store, clock, files, seed: 2, images: [image] });
  await second.os.node.openLive(10);
  await second.os.runUntilIdle();
  const process = (await second.os.get("p_1"))!;
  assert.deepEqual((await second.ended(process)).result, { pid: "p_2" });
  assert.equal((await second.os.trees({ all: true })).length, 2);
  await second.close();
});

Deno.test("A branch waits for such a node as its origin does, before it has grown and after", () =>
  inWorld(async (world) => {
    const waits = imageOf(async ({ sys }) => void await sys.message.receive({}));
    const nodeSelector = { region: "eu" };
    const agent = await world.start(waits, { nodeSelector });
    const branch = await agent.fork((await world.tree()).state.seq);
    assert.equal((await world.store.head("t_2"))!.summary.selector?.["region"], "eu");
    await branch.info();
    assert.deepEqual((await world.tree("t_2")).state.selector, nodeSelector);
    const second = await branch.fork((await world.tree("t_2")).state.seq);
    await second.info();
    assert.deepEqual((await world.tree("t_3")).state.selector, nodeSelector);
  }));

Deno.test("What a branch did is run again with what it began with, the step in hand too", () =>
  inWorld(async (world) => {
    const twice = imageOf(async ({ sys }) => {
      await sys.object.create({ name: "first", value: 1 });
      await sys.message.receive({});
      await sys.object.create({ name: "second", value: 2 });
    });
    const agent = await world.start(twice, { grants: [allow("object.*", "**")] });
    const branch = await agent.fork((await world.tree()).state.seq);
    await branch.send("go on");
    await world.os.runUntilIdle();
    const { steps, calls, diverged } = await branch.replay();
    assert.deepEqual([steps, calls, diverged], [1, 4, null]);
  }));
