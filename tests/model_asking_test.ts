/**
 * How a model is asked: what it hears of its asker, what it tells of waits and of headers.
 * @module
 */

import assert from "node:assert/strict";
import {
  createRuntime,
  defineImage,
  type Model,
  type ModelAsking,
  openaiCompatibleModel,
  SysError,
} from "../mod.ts";
import { VirtualClock } from "../testing.ts";
import { fakeOpenAi, refuses, says } from "./fake_openai_server.ts";

const REPLY = { text: "ok", calls: [], finish: "stop", inputTokens: 1, outputTokens: 1 } as const;

/** Runs one turn of a model on a virtual clock, advanced to whatever is due until it has ended. */
async function turn(generate: (asking: ModelAsking, clock: VirtualClock) => Promise<void>) {
  const clock = new VirtualClock(1_000);
  let attempts = 0;
  const model: Model = {
    id: "test/model",
    async generate(_, asking) {
      attempts += 1;
      await generate(asking, clock);
      return REPLY;
    },
  };
  const image = defineImage({ name: "asker", model, instructions: "Answer." });
  const open = { store: ":memory:", workspace: null, clock, autorun: false };
  await using os = await createRuntime(open);
  const process = await os.spawn(image, { goal: "ask", priority: 30 });
  let over = false;
  const ended = os.runUntilIdle().then(() => process.wait()).finally(() => over = true);
  while (!over && await clock.advanceToNext());
  const status = await ended;
  return { status, attempts, pid: process.pid };
}

Deno.test("A wait that a model tells of takes nothing of its time, however long", async () => {
  const { status, attempts } = await turn(async ({ onWait }, clock) => {
    onWait?.(true);
    await clock.sleep(3_600_000);
    onWait?.(false);
  });
  assert.deepEqual([status.ok, status.result, attempts], [true, "ok", 1]);
});

Deno.test("After a wait the time runs anew, and ends an attempt that hangs", async () => {
  const { status, attempts } = await turn(async ({ onWait, signal }, clock) => {
    onWait?.(true);
    await clock.sleep(3_600_000);
    onWait?.(false);
    await clock.sleep(3_600_000, signal);
  });
  assert.equal(status.ok, false);
  assert.ok(attempts > 1, "a time that is over is tried again");
});

Deno.test("A failure that says it was tried again already is not tried again", async () => {
  const failing = (detail?: { attempts: number }) =>
    turn(() => Promise.reject(new SysError("EIO", "Cannot ask: down", detail)));
  assert.equal((await failing({ attempts: 8 })).attempts, 1);
  assert.ok((await failing()).attempts > 1);
});

Deno.test("A model hears for which tree and process it is asked, and how much that counts", async () => {
  let heard: ModelAsking["asker"];
  const { pid } = await turn(({ asker }) => {
    heard = asker;
    return Promise.resolve();
  });
  assert.deepEqual([heard?.pid, heard?.priority], [pid, 30]);
  assert.ok(heard?.tree.startsWith("t_"));
});

Deno.test("The headers of an answer and of a refusal are told", async () => {
  const busy = refuses(429, { headers: { "Retry-After": "7" } });
  await using server = fakeOpenAi([busy, says("hi")]);
  const model = openaiCompatibleModel({ url: server.url, modelId: "m" });
  const heads: Readonly<Record<string, string>>[] = [];
  const ask = () =>
    model.generate({ model: model.id, messages: [], tools: [], idempotencyKey: "1" }, {
      signal: new AbortController().signal,
      onHead: (head) => heads.push(head),
    });
  await assert.rejects(ask(), { code: "EAGAIN" });
  assert.equal((await ask()).text, "hi");
  assert.deepEqual(heads.map((head) => head["retry-after"]), ["7", undefined]);
  assert.ok(heads[1]?.["content-type"]?.startsWith("text/event-stream"));
});
