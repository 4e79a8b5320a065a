/**
 * Time travel: code run again over its log, another policy held against it, the least it needed.
 * @module
 */

import assert from "node:assert/strict";
import { allow, ask, defineTool } from "../mod.ts";
import { scriptedModel } from "../testing.ts";
import { z } from "zod";
import type { Body } from "./world_fixture.ts";
import { codeOf, CountedFiles, exiting, imageOf, inWorld, World } from "./world_fixture.ts";

function withFiles(): CountedFiles {
  const files = new CountedFiles();
  for (const name of ["a", "b", "docs/1", "docs/2", "docs/3", "docs/4"]) files.put(name, name);
  return files;
}

const GRANTS = [allow("file.*", "./**")];

/** Runs `body`, and then replays its log with `now` in its place. */
async function replayed(body: Body, now: Body): ReturnType<typeof replay> {
  return await replay(body, now);
}

async function replay(body: Body, now: Body) {
  const files = withFiles();
  const world = new World({ files });
  const image = imageOf(body);
  const agent = await world.start(image, { grants: GRANTS });
  await world.untilDone();
  const done = files.done.length;
  const { program, tool } = { program: exiting(now), tool: () => undefined };
  void tool;
  world.os.register({ ...image, program });
  const found = await agent.replay();
  assert.equal(files.done.length, done, "a replay touched a file");
  await world.close();
  return found;
}

const HONEST: Body = async ({ sys }) => {
  const { text } = await sys.file.read({ path: "a" });
  await sys.file.write({ path: "b", text: `${text}!` });
  await codeOf(sys.file.read({ path: "absent" }));
  await sys.clock.sleep({ ms: 1_000 });
  return text;
};

Deno.test("The same code over its own log does the same, and sends no effect", async () => {
  const { diverged, calls, steps, ended } = await replayed(HONEST, HONEST);
  assert.deepEqual({ diverged, calls, steps, ended }, {
    diverged: null,
    calls: 5,
    steps: 1,
    ended: "",
  });
});

const CHANGES: readonly (readonly [string, Body, string, RegExp])[] = [
  [
    "another argument",
    async ({ sys }) => {
      await sys.file.read({ path: "b" });
    },
    "1",
    /was file\.read\(.*"a".*and is file\.read\(.*"b".* now/,
  ],
  [
    "another call",
    async ({ sys }) => {
      await sys.file.stat({ path: "a" });
    },
    "1",
    /was file\.read\(.*and is file\.stat/,
  ],
  [
    "another use of an answer",
    async ({ sys }) => {
      const { text } = await sys.file.read({ path: "a" });
      await sys.file.write({ path: "b", text: `${text}?` });
    },
    "2",
    /was file\.write\(.*"a!".*and is file\.write\(.*"a\?"/,
  ],
  [
    "a call less",
    async ({ sys }) => {
      const { text } = await sys.file.read({ path: "a" });
      await sys.file.write({ path: "b", text: `${text}!` });
      return text;
    },
    "3",
    /was file\.read\(.*absent.*and is process\.exit/,
  ],
];

for (const [what, now, key, message] of CHANGES) {
  Deno.test(`A replay tells the first difference of code with ${what}`, async () => {
    const { diverged } = await replayed(HONEST, now);
    assert.equal(diverged!.key, key);
    assert.equal(diverged!.step, 1);
    assert.ok(diverged!.seq! > 0);
    assert.match(diverged!.message, message);
  });
}

Deno.test("A replay of a model's turns asks no model, and finds a changed tool", async () => {
  const world = new World({ files: withFiles() });
  const shout = (mark: string) =>
    defineTool({
      name: "shout",
      description: "Shout",
      inputSchema: z.object({ text: z.string() }),
      execute: ({ text }) => `${text}${mark}`,
    });
  const model = scriptedModel([{ tool: "shout", input: { text: "hey" } }, "done"]);
  const options = { name: "shouter", model, tools: [shout("!")], libc: [] };
  const image = imageOf(() => Promise.resolve(null), options);
  const { program: _, ...agentImage } = image;
  const looped = {
    ...agentImage,
    program: undefined,
    data: { ...image.data, program: "model-loop" },
  };
  const agent = await world.start(looped);
  await world.untilDone();
  assert.equal((await world.ended(agent)).result, "done");
  const same = await agent.replay();
  assert.deepEqual([same.diverged, same.steps], [null, 2]);
  const { store, clock, files } = world;
  void files;
  const now = new World({ store, clock });
  now.os.register({ ...looped, tools: [shout("?")] });
  const other = (await now.os.get(agent.pid))!;
  const { diverged } = await other.replay();
  assert.match(diverged!.message, /tool "shout" gave "hey!", and gives "hey\?" now/);
  await now.os.close({ drain: false });
});

Deno.test("A replay goes as far as it is told", async () => {
  const world = new World({ files: withFiles() });
  const agent = await world.start(imageOf(HONEST), { grants: GRANTS });
  await world.untilDone();
  const line = (await world.lines()).find(({ type }) => type === "call.intent")!;
  const { calls, ended, diverged } = await agent.replay({ until: line.seq });
  assert.deepEqual([calls, ended, diverged], [1, "the log ends in step 1", null]);
  await world.close();
});

Deno.test("Another policy held against a history tells what it would have refused or asked", async () => {
  const world = new World({ files: withFiles() });
  const agent = await world.start(imageOf(HONEST), { grants: GRANTS });
  await world.untilDone();
  const policy = "deny file.write(./b)\nask file.read(./a)\ndeny file.remove(./**)";
  const found = await agent.whatIf(policy);
  assert.deepEqual(found.map(({ right, resource, would }) => [right, resource, would]), [
    ["file.read", "./a", "ask"],
    ["file.write", "./b", "deny"],
  ]);
  const labelled = await agent.whatIf("deny file.write(./**) when trust<=untrusted");
  assert.deepEqual(labelled.map(({ right }) => right), ["file.write"]);
  assert.equal(await codeOf(agent.whatIf("deny nothing")), "EINVAL");
  await world.close();
});

Deno.test("The least authority of a history lets it through, and no more", async () => {
  const body: Body = async ({ sys }) => {
    for (const n of [1, 2, 3, 4]) await sys.file.read({ path: `docs/${n}` });
    await sys.file.write({ path: "b", text: "x" });
    await codeOf(sys.file.remove({ path: "a" }));
  };
  await inWorld(async (world) => {
    const agent = await world.start(imageOf(body), {
      grants: [allow("file.read", "./**"), ask("file.write", "./**")],
    });
    await world.os.approvals.decide(world.os.approvals.list()[0]!.id, { outcome: "approve" });
    await world.os.runUntilIdle();
    const least = await agent.leastAuthority();
    assert.deepEqual(least.map(({ rule, effect, calls }) => [rule, effect, calls]), [
      ["file.read(./docs/*)", "allow", 4],
      ["file.write(./b)", "ask", 1],
    ]);
  }, { files: withFiles() });
  // What it says is enough: the same code runs with it, and is refused the same.
  await inWorld(async (world) => {
    const grants = [allow("file.read", "./docs/*"), allow("file.write", "./b")];
    const agent = await world.start(imageOf(body), { grants });
    assert.equal((await world.ended(agent)).ok, true);
  }, { files: withFiles() });
});
