/**
 * Contexts: pins, what supersedes them, what may not be shown, labels, and budgets.
 * @module
 */

import assert from "node:assert/strict";
import { allow, defineImage } from "../mod.ts";
import type { Sys } from "../broker/client.ts";
import { totalOf } from "../kernel/context.ts";
import { countChars, filler, KeepingModel, promptText } from "./context_fixture.ts";
import { codeOf, errorOf, exiting, imageOf, inWorld, type World } from "./world_fixture.ts";
import type { RunOptions } from "./world_fixture.ts";
import type { StepContext } from "../runtime/program.ts";

const model = (): KeepingModel => new KeepingModel();

/** Runs a program with a model of its own. */
async function run(
  world: World,
  asked: KeepingModel,
  body: (context: StepContext) => Promise<unknown>,
  options: RunOptions = {},
): Promise<void> {
  const process = await world.start(imageOf(body, { model: asked }), options);
  await world.untilDone();
  const status = await world.ended(process);
  assert.equal(status.outcome.kind, "exited", JSON.stringify(status.outcome));
}

async function keep(sys: Sys, name: string, value: string): Promise<void> {
  await sys.object.create({ name, type: "text", value, mutable: true });
}

async function begin(sys: Sys, turns: readonly string[] = ["Begin."]): Promise<void> {
  await sys.object.create({ name: "context", type: "context", list: true });
  for (const text of turns) await user(sys, text);
}

async function user(sys: Sys, text: string): Promise<void> {
  await sys.object.append({ object: "context", item: { role: "user", text } as never });
}

type Reply = Record<string, unknown> & { readonly context: Record<string, unknown> };

async function ask(sys: Sys, options: Record<string, unknown> = {}): Promise<Reply> {
  return await sys.model.generate({
    model: "test/keeping",
    context: "context",
    window: 4_000,
    tools: false,
    ...options,
  }) as unknown as Reply;
}

Deno.test("A pinned object's last value is in the prompt, and the one before is marked", () =>
  inWorld(async (world) => {
    const asked = model();
    await run(world, asked, async ({ sys }) => {
      await keep(sys, "limit", "At most 5 files.");
      await sys.context.pin({ object: "limit", kind: "constraint" });
      await begin(sys, ["One.", "Two.", "Three."]);
      await ask(sys);
      await sys.object.write({ object: "limit", value: "At most 9 files.", from: 1 });
      await ask(sys);
      await sys.context.compact({ to: 2, window: 4_000 });
      await ask(sys);
    });
    const [before, after, compacted] = asked.prompts.map(promptText);
    assert.ok(before!.includes("At most 5 files.") && !before!.includes("supersedes"));
    assert.ok(after!.includes("(version 2), supersedes version 1, which stands above"));
    assert.ok(after!.indexOf("At most 9") > after!.indexOf("At most 5"));
    assert.ok(compacted!.includes("At most 9 files.") && !compacted!.includes("At most 5"));
    assert.deepEqual(asked.prompts[1]!.slice(0, 4), asked.prompts[0], "the front is the same");
  }));

Deno.test("A pin that supersedes another takes its place, and links to it", () =>
  inWorld(async (world) => {
    const asked = model();
    await run(world, asked, async ({ sys }) => {
      await keep(sys, "db-1", "We use Postgres for storage.");
      await keep(sys, "db-2", "We use SQLite for storage.");
      await sys.context.pin({ object: "db-1", kind: "decision" });
      await begin(sys);
      const { pins } = await sys.context.pin({
        object: "db-2",
        kind: "decision",
        supersedes: "db-1",
      });
      assert.equal(pins, 1);
      await user(sys, "Which storage do we use?");
      const { context } = await ask(sys);
      assert.deepEqual(context["left"], { superseded: 1, pinned: 1 });
      await sys.context.compact({ window: 4_000 });
      await ask(sys);
    });
    const [object] = Object.values((await world.tree()).state.objects)
      .filter(({ name }) => name.endsWith("db-2"));
    assert.deepEqual(object!.links.map(({ relation }) => relation), ["supersedes"]);
    const [marked, gone] = asked.prompts.map(promptText);
    assert.ok(marked!.includes('decision "db-1" above no longer holds: superseded by "db-2".'));
    assert.ok(gone!.includes("SQLite") && !gone!.includes("Postgres"));
  }));

const WAYS: readonly (readonly [string, (sys: Sys) => Promise<unknown>])[] = [
  ["deleted", (sys) => sys.object.delete({ object: "/shared/spec" })],
  ["revoked", async (sys) => {
    const { capabilities } = await sys.capability.list({});
    const held = capabilities.find(({ rule }) => rule === "object.*(shared/**)")!;
    await sys.capability.revoke({ capability: held.id });
  }],
];

for (const [how, doIt] of WAYS) {
  Deno.test(`A ${how} object is in no later prompt, pinned in front or after it`, () =>
    inWorld(async (world) => {
      const asked = model();
      await run(world, asked, async ({ sys }) => {
        await sys.namespace.create({ name: "shared" });
        await keep(sys, "/shared/spec", "The spec says 41.");
        await sys.context.pin({ object: "/shared/spec", kind: "fact" });
        await begin(sys, ["One.", "Two."]);
        await ask(sys);
        await sys.object.write({ object: "/shared/spec", value: "The spec says 42.", from: 1 });
        await ask(sys);
        await doIt(sys);
        const { context } = await ask(sys);
        const expected = how === "deleted" ? "absent" : "denied";
        assert.deepEqual(context["lost"], [`/shared/spec: ${expected}`]);
        await sys.context.compact({ to: 1, window: 4_000 });
        await ask(sys);
      }, { grants: [allow("object.*", "shared/**"), allow("namespace.create", "shared")] });
      const texts = asked.prompts.map(promptText);
      assert.deepEqual(texts.map((text) => text.includes("The spec says")), [
        true,
        true,
        false,
        false,
      ]);
    }));
}

Deno.test("What is deleted between the plan and the sending is not sent", () =>
  inWorld(async (world) => {
    const asked = model();
    let tries = 0;
    const generate = asked.generate.bind(asked);
    const other = imageOf(async ({ sys }) => {
      // Not a call: it passes while the other waits for its model.
      await world.clock.sleep(500);
      await sys.object.delete({ object: "/shared/spec" });
    });
    asked.generate = async (request) => {
      const reply = await generate(request);
      tries += 1;
      if (tries > 1) return reply;
      // Busy: it is asked again, after the other has deleted what was pinned.
      const { SysError } = await import("../mod.ts");
      throw new SysError("EAGAIN", "Cannot answer: busy", { retryAfterMs: 1_000 });
    };
    const grants = [allow("object.*", "shared/**"), allow("namespace.create", "shared")];
    const process = await world.os.spawn(
      imageOf(async ({ sys }) => {
        await sys.namespace.create({ name: "shared" });
        await keep(sys, "/shared/spec", "The spec says 41.");
        await sys.context.pin({ object: "/shared/spec", kind: "fact" });
        await begin(sys);
        await sys.process.spawn({
          image: other.ref,
          goal: "delete",
          grants: ["object.delete(shared/**)"],
        });
        const { context } = await ask(sys);
        assert.deepEqual(context["left"], { withdrawn: 1 });
      }, { model: asked }),
      { goal: "test", images: [other], grants: [...grants, allow("process.spawn")] },
    );
    let over = false;
    void process.wait().then(() => over = true);
    const idle = world.os.runUntilIdle();
    for (let i = 0; i < 200 && !over; i++) await world.clock.advance(100);
    await idle;
    const { outcome } = await world.ended(process);
    assert.equal(outcome.kind, "exited", JSON.stringify(outcome));
    const texts = asked.prompts.map(promptText);
    assert.deepEqual(texts.map((text) => text.includes("The spec says")), [true, false]);
  }));

Deno.test("A summary has the labels of what it is made from, and the prompt hands them on", () =>
  inWorld(async (world) => {
    const asked = model();
    world.files!.put("secret.txt", "the moon is made of tin");
    await run(world, asked, async ({ sys }) => {
      await begin(sys, ["One.", "Two."]);
      const { text } = await sys.file.read({ path: "./secret.txt" });
      await user(sys, String(text));
      await sys.context.compact({ to: 3, window: 4_000 });
    }, { grants: [allow("file.read", "./**")] });
    const tree = await world.tree();
    const objects = Object.values(tree.state.objects);
    const summary = objects.find(({ name }) => name.endsWith("/.summaries/1"))!;
    const origin = ["file:."];
    assert.deepEqual(summary.label, { sensitivity: "internal", trust: "untrusted", origin });
    const talk = objects.find(({ name }) => name.endsWith("/context"))!;
    assert.deepEqual(summary.links, [{ relation: "summarizes", to: talk.id }]);
    assert.deepEqual(summary.from.sources, [`${talk.id}@3`]);
  }));

Deno.test("What nobody read raises no label: an imported file is recalled only afterwards", () =>
  inWorld(async (world) => {
    const asked = model();
    world.files!.put("notes.txt", "the heron nests in Ghent");
    await run(world, asked, async ({ sys }) => {
      await begin(sys);
      await sys.object.import({ path: "./notes.txt", name: "notes" });
      await user(sys, "Where does the heron nest?");
      assert.deepEqual((await ask(sys)).context["left"], { label: 1 });
      await sys.object.read({ object: "notes" });
      assert.deepEqual((await ask(sys)).context["recalled"], ["notes@1"]);
    }, { grants: [allow("file.read", "./**")] });
    const texts = asked.prompts.map(promptText);
    assert.deepEqual(texts.map((text) => text.includes("Ghent")), [false, true]);
  }));

Deno.test("No process recalls what another keeps", () =>
  inWorld(async (world) => {
    const asked = model();
    const reader = defineImage({
      name: "reader",
      model: asked,
      program: exiting(async ({ sys }) => {
        await begin(sys);
        await user(sys, "What is the heron's code?");
        const { context } = await ask(sys);
        return context["recalled"] as never;
      }),
    });
    await run(world, asked, async ({ sys }) => {
      await keep(sys, "notes", "The heron's code is 7281.");
      const { pid } = await sys.process.spawn({ image: "reader", goal: "read" });
      const { ended } = await sys.process.wait({ pids: [pid] });
      assert.deepEqual(ended!.outcome["result"], []);
      await begin(sys, ["What is the heron's code?"]);
      await ask(sys);
    }, { images: [reader], grants: [allow("process.spawn")] });
    const texts = asked.prompts.map(promptText);
    assert.deepEqual(texts.map((text) => text.includes("7281")), [false, true]);
  }));

Deno.test("Pins alone over the window are refused with ELIMIT, which says what to do", () =>
  inWorld(async (world) => {
    const asked = model();
    await run(world, asked, async ({ sys }) => {
      await keep(sys, "long", filler(1, 200));
      await sys.context.pin({ object: "long", kind: "fact" });
      await begin(sys);
      const error = await errorOf(ask(sys, { window: 500 }));
      assert.equal(error?.code, "ELIMIT");
      assert.match(error.message, /pinned takes \d+ tokens.*window of 500.*context\.unpin/);
      await sys.context.unpin({ object: "long" });
      assert.equal(await codeOf(sys.context.unpin({ object: "long" })), "ENOENT");
      await ask(sys, { window: 500 });
    });
    assert.equal(asked.prompts.length, 1, "a prompt over its window is never sent");
  }));

Deno.test("context.inspect tells the next prompt, and asks no model", () =>
  inWorld(async (world) => {
    const asked = model();
    let shown: unknown;
    await run(world, asked, async ({ sys }) => {
      await keep(sys, "limit", "At most 5 files.");
      await sys.context.pin({ object: "limit", kind: "constraint" });
      await begin(sys);
      const { messages, manifest, pins } = await sys.context.inspect({
        model: "test/keeping",
        context: "context",
        window: 4_000,
        messages: true,
      });
      shown = messages;
      assert.equal(asked.prompts.length, 0);
      assert.deepEqual(pins, [{ object: "limit", kind: "constraint" }]);
      assert.equal(manifest.tokens, totalOf(messages as never, countChars));
      await ask(sys);
    });
    assert.deepEqual(shown, asked.prompts[0]);
  }));

Deno.test("Open requests of a process and those below it are in the prompt until answered", () =>
  inWorld(async (world) => {
    const asked = model();
    const shy = imageOf(async ({ sys }) => {
      await sys.human.ask({ prompt: "May the heron be fed?" });
    });
    const process = await world.start(
      imageOf(async ({ sys }) => {
        await begin(sys);
        const grants = ["human.ask(owner)"];
        const { pid } = await sys.process.spawn({ image: shy.ref, goal: "ask", grants });
        await sys.clock.sleep({ ms: 1_000 });
        await ask(sys);
        await sys.process.wait({ pids: [pid] });
        await ask(sys);
      }, { model: asked }),
      { images: [shy], grants: [allow("human.ask", "owner"), allow("process.spawn")] },
    );
    await world.untilDone();
    assert.equal((await world.ended(process)).ok, true);
    const [open, over] = asked.prompts.map(promptText);
    assert.match(open!, /req_\S+ of p_\S+ \(question, not answered yet\): May the heron be fed\?/);
    assert.ok(!over!.includes("heron"), "its time is over");
  }));

Deno.test("A fork has its parent's pins, and what it writes is its own", () =>
  inWorld(async (world) => {
    const asked = model();
    await run(world, asked, async ({ sys, goal }) => {
      if (goal === "try") {
        await sys.object.write({ object: "limit", value: "At most 9 files.", from: 1 });
        await ask(sys);
        return;
      }
      await keep(sys, "limit", "At most 5 files.");
      await sys.context.pin({ object: "limit", kind: "constraint" });
      await begin(sys);
      const { pid } = await sys.process.fork({ goal: "try" });
      await sys.process.wait({ pids: [pid] });
      await ask(sys);
    }, { grants: [allow("process.fork")] });
    const [forked, own] = asked.prompts.map(promptText);
    assert.ok(forked!.includes("At most 9 files.") && forked!.includes("supersedes version 1"));
    assert.ok(own!.includes("At most 5 files.") && !own!.includes("At most 9"));
  }));
