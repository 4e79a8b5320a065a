/**
 * Gates: models behind one, by themselves and in a runtime.
 * @module
 */

import assert from "node:assert/strict";
import {
  createRuntime,
  defineImage,
  Gate,
  gated,
  type Model,
  type ModelAsking,
  openaiCompatibleModel,
  SysError,
} from "../mod.ts";
import { VirtualClock } from "../testing.ts";
import { fakeOpenAi, refuses, says } from "./fake_openai_server.ts";

const CHILD = new URL("./gate_child.ts", import.meta.url).pathname;
const REPLY = { text: "ok", calls: [], finish: "stop", inputTokens: 3, outputTokens: 4 } as const;
const request = (model: Model) => ({
  model: model.id,
  messages: [{ role: "user" as const, text: "Say ok" }],
  tools: [],
  idempotencyKey: "key",
});
const forever = () => new AbortController().signal;

/** A model whose attempts are ended by hand. */
function handModel() {
  const out: {
    readonly asking: ModelAsking;
    readonly pass: () => void;
    readonly fail: (error: Error) => void;
  }[] = [];
  const model: Model = {
    id: "test/hand",
    generate(_, asking) {
      const { promise, resolve, reject } = Promise.withResolvers<typeof REPLY>();
      asking.signal.addEventListener("abort", () => reject(asking.signal.reason), { once: true });
      out.push({ asking, pass: () => resolve(REPLY), fail: reject });
      return promise;
    },
  };
  return { model, out };
}

const asker = (tree: string) => ({ tree, pid: `${tree}/1`, priority: 1 });

async function failure(job: Promise<unknown>): Promise<SysError> {
  try {
    await job;
  } catch (thrown) {
    if (thrown instanceof SysError) return thrown;
    throw thrown;
  }
  throw new Error("Nothing failed");
}

Deno.test("A gated model is asked in turn, and who waits says so", async () => {
  const clock = new VirtualClock();
  const { model, out } = handModel();
  const gate = new Gate({ concurrency: 1, concurrencyMax: 1, clock });
  const waits: string[] = [];
  const ask = (tree: string) =>
    gated(model, gate).generate(request(model), {
      signal: forever(),
      asker: asker(tree),
      onWait: (isWaiting) => waits.push(`${tree} ${isWaiting ? "waits" : "is sent"}`),
    });
  const replies = [ask("t_1"), ask("t_2"), ask("t_1")];
  for (let n = 0; n < 3; n++) {
    await clock.settle();
    assert.equal(out.length, n + 1);
    out[n]!.pass();
  }
  assert.deepEqual((await Promise.all(replies)).map(({ text }) => text), ["ok", "ok", "ok"]);
  assert.deepEqual(waits, ["t_2 waits", "t_1 waits", "t_2 is sent", "t_1 is sent"]);
  assert.deepEqual(gate.state().counts.passed, 3);
  assert.equal(clock.pending(), 0);
});

Deno.test("A gated model says of itself what the model says", () => {
  const given: Required<Omit<Model, "generate">> = {
    id: "test/rich",
    pricing: { inputUsd: 1, outputUsd: 2 },
    takes: ["image/png"],
  };
  const { generate: _, ...said } = gated(
    { ...given, generate: () => Promise.resolve(REPLY) },
    new Gate(),
  );
  assert.deepEqual(said, given);
});

Deno.test("A call that is stopped leaves the line at once, and the line goes on", async () => {
  const clock = new VirtualClock();
  const { model, out } = handModel();
  const gate = new Gate({ concurrency: 1, concurrencyMax: 1, clock });
  const stops = ["t_1", "t_2", "t_3"].map(() => new AbortController());
  const calls = stops.map(({ signal }, n) =>
    gated(model, gate).generate(request(model), { signal, asker: asker(`t_${n}`) })
  );
  const ends = calls.map((one) => failure(one));
  stops[1]!.abort();
  assert.equal((await ends[1]!).code, "ECANCELED");
  assert.equal(gate.state().waiting, 1);
  stops[0]!.abort(new SysError("ECANCELED", "Cannot go on: stopped"));
  assert.equal((await ends[0]!).code, "ECANCELED");
  await clock.settle();
  assert.equal(out.length, 2);
  stops[2]!.abort(new SysError("ECANCELED", "Cannot go on: stopped"));
  await ends[2];
  const { out: left, waiting } = gate.state();
  assert.deepEqual([left, waiting, clock.pending()], [0, 0, 0]);
  const late = await failure(
    gated(model, gate).generate(request(model), { signal: stops[2]!.signal }),
  );
  assert.deepEqual([late.code, out.length], ["ECANCELED", 2]);
});

Deno.test("A failure that no try helps says how often it was tried", async () => {
  const clock = new VirtualClock();
  let attempts = 0;
  const model: Model = {
    id: "test/down",
    generate: () => {
      attempts += 1;
      return Promise.reject(new SysError("EIO", "Cannot ask: status 502", { status: 502 }));
    },
  };
  const end = failure(
    gated(model, new Gate({ tries: 3, clock })).generate(request(model), { signal: forever() }),
  );
  while (await clock.advanceToNext());
  const { code, message, detail } = await end;
  assert.deepEqual([code, attempts, detail], ["EIO", 3, { status: 502, attempts: 3 }]);
  assert.equal(message, "Cannot ask: status 502 (tried 3 times)");
});

Deno.test("A refusal that is the caller's fault is heard as it is, after one try", async () => {
  const refusal = new SysError("EINVAL", "Cannot ask: status 400", { status: 400 });
  const model: Model = { id: "test/picky", generate: () => Promise.reject(refusal) };
  const end = await failure(
    gated(model, new Gate()).generate(request(model), {
      signal: forever(),
    }),
  );
  assert.equal(end, refusal);
});

Deno.test("A failure that another gate tried again already is not tried again", async () => {
  const tried = new SysError("EIO", "Cannot ask: down", { attempts: 8 });
  let attempts = 0;
  const model: Model = {
    id: "test/inner",
    generate: () => {
      attempts += 1;
      return Promise.reject(tried);
    },
  };
  const behind = gated(model, new Gate());
  const end = await failure(behind.generate(request(model), { signal: forever() }));
  assert.deepEqual([end.detail, attempts], [{ attempts: 8 }, 1]);
});

Deno.test("An attempt that takes too long counts against the endpoint, and is heard", async () => {
  const clock = new VirtualClock();
  const { model, out } = handModel();
  const gate = new Gate({ concurrency: 1, clock });
  const limit = new AbortController();
  const end = failure(gated(model, gate).generate(request(model), { signal: limit.signal }));
  await clock.settle();
  assert.equal(out.length, 1);
  limit.abort(new SysError("ETIMEDOUT", "Cannot wait longer"));
  assert.equal((await end).code, "ETIMEDOUT");
  assert.equal(gate.state().counts.failed, 1);
  assert.equal(gate.state().out, 0);
});

Deno.test("A gate heeds what a real endpoint says: it waits for as long, and does not lose a call", async () => {
  const head = { "retry-after-ms": "20", "x-ratelimit-remaining-requests": "0" };
  await using server = fakeOpenAi([
    refuses(429, { headers: head }),
    refuses(502),
    refuses(529, { headers: { "retry-after": "0" } }),
    says("done"),
  ]);
  const gate = new Gate({ retryMs: 5 });
  const model = gated(openaiCompatibleModel({ url: server.url, modelId: "m" }), gate);
  const { text } = await model.generate(request(model), { signal: forever() });
  assert.equal(text, "done");
  const { sent, limited, failed, overloaded, passed } = gate.state().counts;
  assert.deepEqual([sent, limited, failed, overloaded, passed], [4, 1, 1, 1, 1]);
});

Deno.test("A runtime's option puts its models behind gates, where agents wait without time running", async () => {
  const clock = new VirtualClock(1_000);
  const model: Model = { id: "test/quick", generate: () => Promise.resolve(REPLY) };
  const image = defineImage({ name: "asker", model, instructions: "Answer." });
  const gate = { requestsPerMinute: 2 };
  await using os = await createRuntime({
    store: ":memory:",
    workspace: null,
    clock,
    gate,
    autorun: false,
  });
  const processes = await Promise.all(
    Array.from({ length: 10 }, () => os.spawn(image, { goal: "ask" })),
  );
  let over = false;
  const ended = os.runUntilIdle().then(() => Promise.all(processes.map((one) => one.wait())))
    .finally(() => over = true);
  while (!over && await clock.advanceToNext());
  assert.deepEqual((await ended).map(({ ok }) => ok), Array.from({ length: 10 }, () => true));
  assert.equal(clock.now(), 1_000 + 4 * 60_000, "two a minute, the first at once");
});

Deno.test("A runtime's gate that cannot be is refused, and nothing is left open", async () => {
  const open = { store: ":memory:", workspace: null, gate: { requestsPerMinute: 0 } };
  assert.equal((await failure(createRuntime(open))).code, "EINVAL");
});

/** Runs a kernel until it has said so many lines, and then kills it, or until it has ended. */
async function kernel(
  args: readonly string[],
  killAfter = Infinity,
  until: Promise<void> = Promise.resolve(),
): Promise<string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.split("\n").length <= killAfter) continue;
    await until;
    child.kill("SIGKILL");
    break;
  }
  await child.status;
  return text.trim().split("\n");
}

Deno.test("Calls that wait at a gate when a kernel is killed are sent again, in the order they came", async () => {
  const folder = await Deno.makeTempDir();
  const goals = ["goal-0", "goal-1", "goal-2", "goal-3", "goal-4"];
  let isKilled = false;
  const heard: string[] = [];
  const first = Promise.withResolvers<void>();
  await using server = fakeOpenAi((messages) => {
    if (!isKilled) {
      first.resolve();
      return { kind: "hang" };
    }
    heard.push(goals.find((goal) => JSON.stringify(messages).includes(goal)) ?? "?");
    return says("done");
  });
  try {
    const store = `${folder}/gate.db`;
    assert.deepEqual(await kernel([store, server.url, ...goals], 5, first.promise), goals);
    assert.equal(server.requests.length, 1, "the others waited");
    isKilled = true;
    assert.deepEqual(await kernel([store, server.url]), goals.map(() => "true"));
    assert.deepEqual(heard.toSorted(), goals, "none is lost, and none is sent twice");
    // One is sent as soon as the first has come back; from then on the line decides.
    assert.deepEqual(heard.slice(1), heard.slice(1).toSorted());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
