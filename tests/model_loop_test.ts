/**
 * The model loop against a real HTTP endpoint that answers badly in every way.
 * @module
 */

import assert from "node:assert/strict";
import {
  type AgentImage,
  allow,
  createRuntime,
  defineImage,
  defineTool,
  deny,
  type Model,
  openaiCompatibleModel,
  type Rule,
} from "../mod.ts";
import { bounded } from "../agents/model_loop.ts";
import { LIMITS } from "../kernel/limits.ts";
import { MemoryStore, scriptedModel, VirtualClock } from "../testing.ts";
import { z } from "zod";
import { asks, type Behaviour, fakeOpenAi, refuses, says } from "./fake_openai_server.ts";
import type { ExitStatus } from "../runtime/process.ts";

const echo = defineTool({
  name: "echo",
  description: "Answer what was said",
  inputSchema: z.object({ text: z.string() }),
  execute: ({ text }) => ({ heard: text }),
});

async function converse(script: readonly Behaviour[], options: {
  readonly timeoutMs?: number;
  readonly grants?: readonly Rule[];
} = {}): Promise<{ status: ExitStatus; requests: number; asked: string }> {
  await using server = fakeOpenAi(script);
  const model = openaiCompatibleModel({
    url: server.url,
    modelId: "test",
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
  });
  const image = defineImage({ name: "talker", instructions: "Be brief.", model, tools: [echo] });
  await using os = await createRuntime({ store: ":memory:", workspace: null, approvals: "queue" });
  const process = await os.spawn(image, { goal: "Talk", grants: options.grants ?? [] });
  const status = await process.wait();
  assert.deepEqual((await os.verify()).map(({ broken }) => broken), [null]);
  const last = server.requests.at(-1);
  return { status, requests: server.requests.length, asked: JSON.stringify(last) };
}

Deno.test("The model loop runs a conversation with a tool to its result", async () => {
  const { status, requests, asked } = await converse([
    asks({ name: "echo", args: '{"text":"hi"}' }),
    says("done"),
  ]);
  assert.deepEqual([status.ok, status.result, requests], [true, "done", 2]);
  assert.ok(asked.includes("Be brief."), "the instructions are in each prompt");
  assert.ok(asked.includes("heard"), "the tool's answer is in the next prompt");
  assert.equal(status.spent.modelCalls, 2);
  assert.ok(status.spent.tokens > 0);
});

const REPAIRED: readonly (readonly [string, Behaviour, string])[] = [
  ["arguments that are no JSON", asks({ name: "echo", args: '{"text":' }), "not valid JSON"],
  ["a tool that is not there", asks({ name: "ecko", args: "{}" }), 'did you mean \\"echo\\"'],
  ["arguments of another shape", asks({ name: "echo", args: '{"txt":1}' }), "EINVAL"],
  ["nothing at all", says(""), "You said nothing"],
];

for (const [what, behaviour, told] of REPAIRED) {
  Deno.test(`The model loop lets a model repair ${what}`, async () => {
    const { status, asked } = await converse([behaviour, says("mended")]);
    assert.deepEqual([status.ok, status.result], [true, "mended"]);
    assert.ok(asked.replaceAll('\\\\\\"', '\\"').includes(told), `${told} in ${asked}`);
  });

  Deno.test(`The model loop gives up on a model that repeats ${what}`, async () => {
    const script = Array.from({ length: LIMITS.modelRepairsMax + 1 }, () => behaviour);
    const { status, requests } = await converse(script);
    assert.equal(status.outcome.kind, "failed");
    assert.ok(status.outcome.kind === "failed" && status.outcome.code === "EINVAL");
    assert.equal(requests, LIMITS.modelRepairsMax + 1);
  });
}

Deno.test("The model loop waits as long as a 429 says, and goes on", async () => {
  const { status, requests } = await converse([
    refuses(429, { headers: { "retry-after": "0" } }),
    says("later"),
  ]);
  assert.deepEqual([status.ok, requests], [true, 2]);
});

Deno.test("The model loop fails with EACCES, told why, when the key is refused", async () => {
  const { status, requests } = await converse([refuses(401)]);
  assert.ok(status.outcome.kind === "failed" && status.outcome.code === "EACCES");
  assert.equal(requests, 1);
});

Deno.test("The model loop tries a failing endpoint a bounded number of times", async () => {
  const script = Array.from({ length: LIMITS.modelRetriesMax }, () => refuses(500));
  const { status, requests } = await converse(script);
  assert.ok(status.outcome.kind === "failed" && status.outcome.code === "EIO");
  assert.equal(requests, LIMITS.modelRetriesMax);
});

Deno.test("model.generate ends with ETIMEDOUT when a model hangs, whatever it does", async () => {
  const hanging: Model = { id: "test/hang", generate: () => new Promise(() => {}) };
  const clock = new VirtualClock(1_700_000_000_000);
  const image = defineImage({ name: "waiter", model: hanging });
  await using os = await createRuntime({
    store: ":memory:",
    workspace: null,
    approvals: "queue",
    clock,
    autorun: false,
  });
  const process = await os.spawn(image, { goal: "Wait" });
  const ended = os.runUntilIdle();
  const done = process.wait();
  let over = false;
  void done.then(() => over = true);
  for (let i = 0; i < 40 && !over; i++) await clock.advance(LIMITS.modelTimeoutMsDefault);
  const status = await done;
  await ended;
  assert.ok(status.outcome.kind === "failed" && status.outcome.code === "ETIMEDOUT");
});

Deno.test("A model sees no tool whose call a bare rule denies", async () => {
  const seen: string[] = [];
  const image = defineImage({
    name: "looker",
    model: scriptedModel([({ tools }) => {
      seen.push(...tools.map(({ name }) => name));
      return "seen";
    }]),
  });
  await using os = await createRuntime({ store: ":memory:", workspace: null, approvals: "queue" });
  const grants = [deny("file.write"), deny("file.read", "./secret/**"), allow("human.tell")];
  await (await os.spawn(image, { goal: "Look", grants })).wait();
  assert.deepEqual([seen.includes("file_write"), seen.includes("file_read")], [false, true]);
});

Deno.test("A result beyond the limit is cut, and says so", () => {
  const cut = bounded("x".repeat(LIMITS.toolResultBytesMax + 1)) as Record<string, unknown>;
  assert.equal(cut["truncated"], true);
  assert.equal(cut["characters"], LIMITS.toolResultBytesMax + 1);
  assert.equal(bounded("short"), "short");
});

Deno.test("A conversation goes on after the kernel is thrown away between turns", async () => {
  const turns: string[] = [];
  const image = (): AgentImage =>
    defineImage({
      name: "survivor",
      tools: [echo],
      model: scriptedModel([
        { tool: "echo", input: { text: "one" } },
        { tool: "clock_sleep", input: { ms: 60_000 } },
        ({ messages }) => {
          turns.push(messages.map(({ role }) => role).join(" "));
          return "whole";
        },
      ]),
    });
  const store = new MemoryStore();
  const clock = new VirtualClock(1_700_000_000_000);
  const open = { store, workspace: null, approvals: "queue", clock, autorun: false } as const;
  const first = await createRuntime(open);
  const { pid } = await first.spawn(image(), { goal: "Go on" });
  await first.runUntilIdle();
  // Thrown away, not closed: as after a kill.
  await clock.advance(120_000);
  await using second = await createRuntime({ ...open, images: [image()] });
  await second.runUntilIdle();
  const status = await (await second.get(pid))!.wait();
  assert.equal(status.result, "whole");
  assert.deepEqual(turns, ["user assistant tool assistant tool"]);
});
