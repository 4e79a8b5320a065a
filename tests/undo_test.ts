/**
 * Going back with files: byte for byte, unless somebody else was there meanwhile.
 * @module
 */

import assert from "node:assert/strict";
import { allow } from "../mod.ts";
import type { Body } from "./world_fixture.ts";
import { CountedFiles, imageOf, inWorld, type World } from "./world_fixture.ts";
import type { AgentProcess } from "../runtime/process.ts";

const GRANTS = [allow("file.*", "./**"), allow("object.*", "**")];

/** Waits at a checkpoint, then does something to files, then waits for ever. */
async function after(world: World, body: Body): Promise<AgentProcess> {
  const agent = await world.start(
    imageOf(async (context) => {
      await context.sys.message.receive({});
      await body(context);
      await context.sys.message.receive({});
    }),
    { grants: GRANTS },
  );
  await agent.checkpoint("start");
  await agent.send("go");
  await world.os.runUntilIdle();
  return agent;
}

function contents(files: CountedFiles): Record<string, string> {
  const all = [...files.contents].map(([path, bytes]) => [path, bytes.toBase64()]);
  return Object.fromEntries(all.sort());
}

const DEEDS: readonly (readonly [string, Body])[] = [
  ["written anew", ({ sys }) => sys.file.write({ path: "new.txt", text: "new" })],
  ["overwritten", ({ sys }) => sys.file.write({ path: "a.txt", text: "other" })],
  ["overwritten twice", async ({ sys }) => {
    await sys.file.write({ path: "a.txt", text: "one" });
    await sys.file.write({ path: "a.txt", text: "two" });
  }],
  ["of bytes that are no text", ({ sys }) => sys.file.write({ path: "bytes.bin", text: "x" })],
  ["removed", ({ sys }) => sys.file.remove({ path: "a.txt" })],
  ["removed and made again", async ({ sys }) => {
    await sys.file.remove({ path: "a.txt" });
    await sys.file.write({ path: "a.txt", text: "again" });
  }],
  ["moved", ({ sys }) => sys.file.move({ from: "a.txt", to: "b.txt" })],
  ["moved and overwritten where it was", async ({ sys }) => {
    await sys.file.move({ from: "a.txt", to: "b.txt" });
    await sys.file.write({ path: "a.txt", text: "squatter" });
  }],
  ["exported from an object", async ({ sys }) => {
    await sys.object.create({ name: "o", value: "from an object" });
    await sys.object.export({ object: "o", path: "a.txt" });
  }],
];

for (const [what, body] of DEEDS) {
  Deno.test(`Going back undoes a file ${what}, byte for byte`, async () => {
    const files = new CountedFiles();
    files.put("a.txt", "a\r\nbefore\u{feff}");
    files.contents.set("bytes.bin", new Uint8Array([0xff, 0, 0xfe, 0x80]));
    const before = contents(files);
    await inWorld(async (world) => {
      const agent = await after(world, body);
      assert.notDeepEqual(contents(files), before);
      const preview = await agent.undoPreview("start");
      assert.ok(preview.length > 0 && preview.every(({ state }) => state === "ready"));
      assert.notDeepEqual(contents(files), before);
      const { files: done } = await agent.restore("start", { files: true });
      assert.ok(done.every(({ state }) => state === "done"), JSON.stringify(done));
      assert.deepEqual(contents(files), before);
    }, { files });
  });
}

Deno.test("A file that somebody else changed since is left alone, and said", async () => {
  const files = new CountedFiles();
  files.put("a.txt", "before");
  files.put("b.txt", "before");
  await inWorld(async (world) => {
    const agent = await after(world, async ({ sys }) => {
      await sys.file.write({ path: "a.txt", text: "mine" });
      await sys.file.write({ path: "b.txt", text: "mine" });
    });
    files.put("a.txt", "theirs");
    const { files: done } = await agent.restore("start", { files: true });
    assert.deepEqual(done.map(({ path, state }) => [path, state]).sort(), [
      ["a.txt", "conflict"],
      ["b.txt", "done"],
    ]);
    assert.equal(files.text("a.txt"), "theirs");
    assert.equal(files.text("b.txt"), "before");
  }, { files });
});

Deno.test("Without being told to, going back leaves files and says what could be done", async () => {
  const files = new CountedFiles();
  files.put("a.txt", "before");
  await inWorld(async (world) => {
    const agent = await after(
      world,
      ({ sys }) => sys.file.write({ path: "a.txt", text: "after" }),
    );
    const { files: could, effects } = await agent.restore("start");
    assert.deepEqual(could.map(({ path, action, state }) => [path, action, state]), [
      ["a.txt", "write", "ready"],
    ]);
    assert.equal(effects.length, 1);
    assert.equal(files.text("a.txt"), "after");
    // It can still be done later: the log knows.
    await agent.restore("start", { files: true });
    assert.equal(files.text("a.txt"), "before");
  }, { files });
});

Deno.test("What was put back is not put back again over what came later", async () => {
  const files = new CountedFiles();
  files.put("a.txt", "zero");
  await inWorld(async (world) => {
    const agent = await world.start(
      imageOf(async ({ sys }) => {
        for (;;) {
          const { messages } = await sys.message.receive({});
          const { data } = messages[0] as unknown as { data: string };
          await sys.file.write({ path: "a.txt", text: data });
        }
      }),
      { grants: GRANTS },
    );
    await agent.checkpoint("zero");
    await agent.send("one");
    await world.os.runUntilIdle();
    await agent.checkpoint("one");
    await agent.send("two");
    await world.os.runUntilIdle();
    await agent.restore("one", { files: true });
    assert.equal(files.text("a.txt"), "one");
    await agent.restore("zero", { files: true });
    assert.equal(files.text("a.txt"), "zero");
  }, { files });
});

Deno.test("A place in a step that was taken twice hides no effect from a second going back", async () => {
  const files = new CountedFiles();
  await inWorld(async (world) => {
    const agent = await world.start(
      imageOf(async ({ sys }) => {
        const { messages } = await sys.message.receive({});
        const { data } = messages[0] as unknown as { data: string };
        await sys.file.write({ path: data, text: data });
        await sys.message.receive({});
      }),
      { grants: GRANTS },
    );
    await agent.checkpoint("start");
    for (const name of ["one.txt", "two.txt"]) {
      await agent.send(name);
      await world.os.runUntilIdle();
      if (name === "one.txt") await agent.restore("start");
    }
    const { effects } = await agent.restore("start", { files: true });
    assert.deepEqual(effects.map(({ args }) => (args as { path: string }).path), [
      "one.txt",
      "two.txt",
    ]);
    assert.deepEqual(contents(files), {});
  }, { files });
});
