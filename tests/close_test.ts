/**
 * Closing is bounded: nothing that runs can keep a runtime, its store and its lock open for ever.
 * @module
 */

import assert from "node:assert/strict";
import { allow, createRuntime, type Runtime } from "../mod.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Net, NetAnswer } from "../kernel/net.ts";
import type { Clock, Model, ModelReply } from "../kernel/world.ts";
import { realClock } from "../providers/clock.ts";
import { readLines } from "../runtime/load.ts";
import type { Program } from "../runtime/program.ts";
import { imageOf } from "./world_fixture.ts";

/** Time as it is, but for the waits of closing, of which it tells. */
function hurried(): { readonly clock: Clock; readonly waits: number[] } {
  const waits: number[] = [];
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    const isClosing = ms === LIMITS.closeDrainMsMax || ms === LIMITS.closeMsMax;
    if (isClosing) waits.push(ms);
    return realClock.sleep(isClosing ? 20 : ms, signal);
  };
  return {
    clock: { now: () => realClock.now(), soon: (job) => realClock.soon(job), sleep },
    waits,
  };
}

/** Closes a runtime while a program is at `asked`; the lines of its log and how it was waited for. */
async function closedAmid(
  program: Program,
  given: { readonly asked: Promise<void>; readonly models?: Model[]; readonly net?: Net },
  then: { readonly drain: boolean; readonly late?: () => void },
) {
  const folder = await Deno.makeTempDir({ prefix: "libos-close-" });
  try {
    const { clock, waits } = hurried();
    const { models = [], net = null } = given;
    const options = { store: `${folder}/libos.db`, workspace: null, models, net } as const;
    const os = await createRuntime({ ...options, clock, approvals: "queue" });
    const grants = [allow("model.generate"), allow("net.fetch", "https://example.com/**")];
    const { pid } = await os.spawn(imageOf(program), { goal: "hang", grants });
    await given.asked;
    await os.close({ drain: then.drain });
    // It comes too late: nobody listens, and nothing breaks.
    then.late?.();
    await using next = await createRuntime({ ...options, approvals: "queue", autorun: false });
    const { store } = next.node.options;
    const tree = next.node.trees[0]!.state.tree;
    const lines = await Array.fromAsync(readLines(store, tree, 0));
    assert.equal(next.node.trees[0]!.state.processes[pid]?.life.state, "ready");
    return { types: lines.map(({ type }) => type), waits };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const drain of [true, false]) {
  Deno.test(`close({ drain: ${drain} }) ends though a model ignores its signal`, async () => {
    const asked = Promise.withResolvers<void>();
    const reply = Promise.withResolvers<ModelReply>();
    const model: Model = {
      id: "deaf/one",
      generate() {
        asked.resolve();
        return reply.promise;
      },
    };
    const messages = [{ role: "user", text: "Go" }] as const;
    const program: Program = async ({ sys }) => {
      await sys.model.generate({ model: model.id, messages: [...messages] });
    };
    const late = () =>
      reply.resolve({ text: "late", calls: [], finish: "stop", inputTokens: 1, outputTokens: 1 });
    const given = { asked: asked.promise, models: [model] };
    const { types, waits } = await closedAmid(program, given, { drain, late });
    const { closeDrainMsMax, closeMsMax } = LIMITS;
    assert.deepEqual(waits, drain ? [closeDrainMsMax, closeMsMax] : [closeMsMax]);
    assert.ok(types.includes("call.intent"));
  });

  Deno.test(`close({ drain: ${drain} }) leaves an act that never ends, in doubt`, async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<NetAnswer>();
    const net: Net = {
      credentials: { headerFor: () => undefined } as never,
      resolve: () => Promise.resolve(["93.184.216.34"]),
      send() {
        asked.resolve();
        return answer.promise;
      },
    };
    const program: Program = async ({ sys }) => {
      await sys.net.fetch({ url: "https://example.com/", method: "POST", body: "x" });
    };
    const late = () => answer.reject(new Error("far too late"));
    const given = { asked: asked.promise, net };
    const { types } = await closedAmid(program, given, { drain, late });
    assert.ok(types.includes("call.intent") && !types.includes("call.outcome"), types.join());
  });
}

Deno.test("close() ends though a program waits for what never comes", async () => {
  const asked = Promise.withResolvers<void>();
  const program: Program = async () => {
    asked.resolve();
    await new Promise<never>(() => {});
  };
  await closedAmid(program, { asked: asked.promise }, { drain: true });
});

/** A process that waits for a message, and whoever waits for it, its text and its requests. */
async function waitedFor(os: Runtime) {
  const process = await os.spawn(
    imageOf(async ({ sys }) => {
      await sys.human.ask({ prompt: "Which?" });
    }),
    { goal: "wait", grants: [allow("human.ask")] },
  );
  await os.runUntilIdle();
  const ended = assert.rejects(process.wait(), {
    code: "ESTATE",
    message: /^Cannot wait for process "p_1":.* closed/,
  });
  const requests = os.approvals.watch()[Symbol.asyncIterator]();
  assert.equal((await requests.next()).value?.kind, "question");
  return [ended, Array.fromAsync(process.text()), requests.next()] as const;
}

Deno.test("Nobody waits for ever for a runtime that is closed", async () => {
  const options = { store: ":memory:", workspace: null, approvals: "queue" } as const;
  const os = await createRuntime({ ...options, autorun: false });
  const [ended, text, request] = await waitedFor(os);
  await os.close();
  await ended;
  assert.deepEqual(await text, []);
  assert.equal((await request).done, true);
});

Deno.test("What ends while a runtime closes is told to who waits for it", async () => {
  const [asked, told] = [Promise.withResolvers<void>(), Promise.withResolvers<ModelReply>()];
  const model: Model = {
    id: "slow/one",
    generate() {
      asked.resolve();
      return told.promise;
    },
  };
  const os = await createRuntime({
    ...{ store: ":memory:", workspace: null, approvals: "queue", models: [model] },
  });
  const program: Program = async ({ sys }) => {
    const messages = [{ role: "user", text: "Go" }] as const;
    const { text } = await sys.model.generate({ model: model.id, messages: [...messages] });
    await sys.process.exit({ result: text });
  };
  const process = await os.spawn(imageOf(program), {
    goal: "-",
    grants: [allow("model.generate")],
  });
  const ended = process.wait();
  await asked.promise;
  const closed = os.close();
  told.resolve({ text: "done", calls: [], finish: "stop", inputTokens: 1, outputTokens: 1 });
  assert.equal((await ended).result, "done");
  await closed;
});
