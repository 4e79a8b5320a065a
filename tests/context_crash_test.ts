/**
 * Contexts and crashes: the same prompt after `kill -9`, and a compaction that was under way.
 * @module
 */

import assert from "node:assert/strict";
import { MemoryStore } from "../testing.ts";
import { filler, KeepingModel, promptText } from "./context_fixture.ts";
import { exiting, World } from "./world_fixture.ts";
import { defineImage } from "../mod.ts";

const CHILD = new URL("./context_crash_child.ts", import.meta.url).pathname;

/** Runs the child until it hangs, kills it, and gives the prompts it sent, by call. */
async function prompts(store: string, hang: number): Promise<Map<string, string>> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, store, String(hang)],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const sent = new Map<string, string>();
  let rest = "";
  let isKilled = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const [key, hash] = line.split(" ") as [string, string];
      sent.set(key, hash);
    }
    if (isKilled || hang === 0 || sent.size < hang) continue;
    isKilled = true;
    child.kill("SIGKILL");
  }
  await child.status;
  return sent;
}

Deno.test("The same prompts are sent after kill -9, byte for byte", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const whole = await prompts(`${folder}/whole.db`, 0);
    assert.equal(whole.size, 30);
    const killed = `${folder}/killed.db`;
    const seen = new Map<string, Set<string>>();
    let sentTwice = 0;
    for (const hang of [9, 8, 0]) {
      for (const [key, hash] of await prompts(killed, hang)) {
        const hashes = seen.get(key) ?? new Set();
        if (hashes.size > 0) sentTwice += 1;
        seen.set(key, hashes.add(hash));
      }
    }
    assert.equal(sentTwice, 2, "a prompt that was under way is sent again");
    assert.deepEqual([...seen.values()].map(({ size }) => size), Array(30).fill(1));
    // Another tree has another nonce, and the same prompts.
    assert.deepEqual([...seen.values()].map((set) => [...set][0]), [...whole.values()]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("A compaction that was under way when the kernel died is made once", async () => {
  const store = new MemoryStore();
  const hanging = new KeepingModel();
  const generate = hanging.generate.bind(hanging);
  const hung = Promise.withResolvers<void>();
  hanging.generate = (request) => {
    if (!promptText(request.messages).includes("Summarize")) return generate(request);
    hung.resolve();
    return new Promise(() => {});
  };
  const imageWith = (model: KeepingModel) =>
    defineImage({
      name: "talker",
      model,
      program: exiting(async ({ sys }) => {
        await sys.object.create({ name: "context", type: "context", list: true });
        for (let n = 0; n < 8; n++) {
          await sys.object.append({
            object: "context",
            item: { role: "user", text: filler(n) } as never,
          });
        }
        const { compactWhenDue } = await import("../agents/compaction.ts");
        const due = { context: { tokens: 1, window: 2_000, compact: 6 } };
        await compactWhenDue(sys, { model: model.id, context: "context" }, due);
        return (await sys.object.list({ prefix: "context/.summaries" })).objects.length;
      }),
    });
  const first = new World({ store });
  const { pid } = await first.os.spawn(imageWith(hanging), { goal: "talk" });
  const stopped = first.os.runUntilIdle();
  stopped.catch(() => {});
  // Thrown away in the model's call, when all before it is durable.
  await hung.promise;
  const kept = new KeepingModel();
  kept.say = () => "All was said.";
  const second = new World({ store, images: [imageWith(kept)] });
  await second.os.runUntilIdle();
  const process = (await second.os.get(pid))!;
  assert.equal((await second.ended(process)).result, 1);
  assert.equal(kept.prompts.length, 1);
  const objects = Object.values((await second.tree()).state.objects);
  const summary = objects.find(({ name }) => name.endsWith(".summaries/1"))!;
  assert.deepEqual((summary.versions[0]!.value as { value: unknown }).value, {
    from: 0,
    to: 6,
    text: "All was said.",
  });
  await second.close();
});
