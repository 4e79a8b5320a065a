/**
 * Turns of processes beside a gate: what only waits there keeps nobody from running.
 * @module
 */

import assert from "node:assert/strict";
import { createRuntime, defineImage, Gate, gated, SysError } from "../mod.ts";
import type { Model, Runtime, Sys } from "../mod.ts";
import { VirtualClock } from "../testing.ts";

const REPLY = { text: "ok", calls: [], finish: "stop", inputTokens: 1, outputTokens: 1 } as const;

/** A model that answers when it is let. */
function handModel(id: string) {
  const out: (() => void)[] = [];
  const model: Model = {
    id,
    generate: () => new Promise((resolve) => out.push(() => resolve(REPLY))),
  };
  return { model, out };
}

const plain = defineImage({
  name: "plain",
  program: async ({ sys }) => {
    await sys.process.exit({ result: "ran" });
  },
});

interface World extends AsyncDisposable {
  readonly os: Runtime;
  readonly clock: VirtualClock;
}

async function world(concurrency: number, models: readonly Model[] = []): Promise<World> {
  const clock = new VirtualClock(1_000);
  const os = await createRuntime({
    store: ":memory:",
    workspace: null,
    clock,
    models,
    concurrency,
  });
  // Who waits for a model is not waited for.
  return { os, clock, [Symbol.asyncDispose]: () => os.close({ drain: false }) };
}

/** Whether a process has ended, once all has happened that happens without time. */
async function hasEnded({ os, clock }: World, pid: string): Promise<boolean> {
  await clock.settle();
  return (await (await os.get(pid))!.info()).state === "ended";
}

Deno.test("However many calls wait at a gate, a process that is ready runs beside them", async () => {
  const { model, out } = handModel("test/narrow");
  const gate = new Gate({ concurrency: 1, concurrencyMax: 1 });
  await using at = await world(2);
  const { os } = at;
  const image = defineImage({ name: "asker", model: gated(model, gate), instructions: "Answer." });
  const askers = await Promise.all(
    Array.from({ length: 20 }, () => os.spawn(image, { goal: "ask" })),
  );
  await at.clock.settle();
  assert.deepEqual([out.length, gate.state().waiting], [1, 19], "all came to the gate");
  const { pid } = await os.spawn(plain, { goal: "run" });
  assert.equal(await hasEnded(at, pid), true);
  for (let n = 0; n < askers.length; n++) {
    out[n]!();
    await at.clock.settle();
  }
  for (const asker of askers) assert.equal((await asker.wait()).result, "ok");
});

Deno.test("A step that does something else beside its waiting call counts, until that is over", async () => {
  const [narrow, wide] = [handModel("test/narrow"), handModel("test/wide")];
  const gate = new Gate({ concurrency: 1, concurrencyMax: 1 });
  await using at = await world(2, [gated(narrow.model, gate), wide.model]);
  const { os } = at;
  const ask = (sys: Sys, model: string) =>
    sys.model.generate({ model, messages: [{ role: "user", text: "-" }], tools: false });
  const image = (name: string, models: readonly string[]) =>
    defineImage({
      name,
      program: async ({ sys }) => {
        await Promise.all(models.map((model) => ask(sys, model)));
        await sys.process.exit({ result: "done" });
      },
    });
  const grants = [{ effect: "allow" as const, right: "model.generate", resource: "test/*" }];
  const first = await os.spawn(image("first", ["test/narrow"]), { goal: "-", grants });
  await at.clock.settle();
  const both = await os.spawn(image("both", ["test/narrow", "test/wide"]), { goal: "-", grants });
  await at.clock.settle();
  assert.deepEqual([narrow.out.length, wide.out.length, gate.state().waiting], [1, 1, 1]);
  const { pid } = await os.spawn(plain, { goal: "run" });
  assert.equal(await hasEnded(at, pid), false, "two steps act");
  wide.out[0]!();
  assert.equal(await hasEnded(at, pid), true, "one of them only waits now");
  narrow.out[0]!();
  await at.clock.settle();
  narrow.out[1]!();
  for (const one of [first, both]) assert.equal((await one.wait()).result, "done");
});

Deno.test("A step whose call is sent acts, and counts", async () => {
  const { model, out } = handModel("test/narrow");
  const gate = new Gate({ concurrency: 1, concurrencyMax: 1 });
  await using at = await world(1);
  const { os } = at;
  const image = defineImage({ name: "asker", model: gated(model, gate), instructions: "Answer." });
  const sent = await os.spawn(image, { goal: "ask" });
  const { pid } = await os.spawn(plain, { goal: "run" });
  assert.equal(await hasEnded(at, pid), false, "the one step there may be asks a model");
  out[0]!();
  assert.equal(await hasEnded(at, pid), true);
  assert.equal((await sent.wait()).result, "ok");
});

Deno.test("Who pauses before a model is asked again keeps nobody from running", async () => {
  const model: Model = {
    id: "test/busy",
    generate: () => {
      const busy = "Cannot ask: too many requests";
      return Promise.reject(new SysError("EAGAIN", busy, { retryAfterMs: 1_000 }));
    },
  };
  await using at = await world(1);
  const { os } = at;
  const image = defineImage({ name: "asker", model, instructions: "Answer." });
  const asker = await os.spawn(image, { goal: "ask" });
  await at.clock.settle();
  const { pid } = await os.spawn(plain, { goal: "run" });
  assert.equal(await hasEnded(at, pid), true);
  await asker.signal("kill");
});
