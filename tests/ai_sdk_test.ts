/**
 * The AI SDK adapter, with minimal objects of each specification.
 * @module
 */

import assert from "node:assert/strict";
import { type Errno, Panic, SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Model, ModelMessage, ModelReply } from "../kernel/world.ts";
import { aiSdkModel, type LanguageModel } from "../providers/models/ai_sdk.ts";
import { refusal, request, user } from "./conversation_suite.ts";

const { signal } = new AbortController();

/** A minimal AI SDK object, which gives `parts` and keeps what it was asked. */
function provider(version: string, parts: readonly unknown[]) {
  const asked: Record<string, unknown>[] = [];
  const model = {
    specificationVersion: version,
    provider: "acme.chat",
    modelId: "m1",
    doStream(options: never) {
      asked.push(options);
      return Promise.resolve({ stream: ReadableStream.from(parts) });
    },
  };
  return { model, asked };
}

const TEXT = { type: "text-delta", id: "1", delta: "Hi" };
const CALL = { type: "tool-call", toolCallId: "c1", toolName: "t", input: '{"a":1}' };
const USED = { inputTokens: { total: 8, cacheRead: 4 }, outputTokens: { total: 2 } };

function finish(unified = "stop", usage: unknown = USED) {
  return { type: "finish", finishReason: { unified, raw: unified }, usage };
}

function generate(parts: readonly unknown[], asked = request()): Promise<ModelReply> {
  return aiSdkModel(provider("v4", parts).model).generate(asked, { signal });
}

Deno.test("aiSdkModel() reads replies of v2, v3 and v4 alike", async () => {
  const usageV2 = { inputTokens: 8, outputTokens: 2, totalTokens: 10, cachedInputTokens: 4 };
  const endV2 = { type: "finish", finishReason: "tool-calls", usage: usageV2 };
  const rows: [string, unknown][] = [
    ["v2", endV2],
    ["v3", finish("tool-calls")],
    ["v4", finish("tool-calls")],
  ];
  const pricing = { inputUsd: 10, cachedInputUsd: 5, outputUsd: 100 };
  for (const [version, end] of rows) {
    const start = { type: "stream-start", warnings: [] };
    const { model } = provider(version, [start, TEXT, { type: "text-end", id: "1" }, CALL, end]);
    const reply = await aiSdkModel(model, { pricing }).generate(request(), { signal });
    assert.deepEqual(reply, {
      text: "Hi",
      calls: [{ id: "c1", name: "t", input: { a: 1 } }],
      finish: "tool-calls",
      inputTokens: 8,
      outputTokens: 2,
      cachedTokens: 4,
      usd: (4 * 10 + 4 * 5 + 2 * 100) / 1_000_000,
    });
  }
});

Deno.test("aiSdkModel() takes its id from the provider and refuses other specifications", () => {
  assert.equal(aiSdkModel(provider("v3", []).model).id, "acme/m1");
  assert.equal(aiSdkModel(provider("v3", []).model, { id: "x/y" }).id, "x/y");
  for (const version of ["v1", "v5", ""]) {
    assert.throws(() => aiSdkModel(provider(version, []).model), { code: "EINVAL" });
  }
});

Deno.test("aiSdkModel() says a conversation in the SDK's form", async () => {
  const { model, asked } = provider("v3", [TEXT, finish()]);
  const tool = (id: string, output: unknown, isError: boolean) => (
    { role: "tool", id, name: "t", output, isError } as ModelMessage
  );
  const messages: ModelMessage[] = [
    { role: "system", text: "Be brief" },
    user("Go"),
    {
      role: "assistant",
      text: "",
      calls: [
        { id: "a", name: "t", input: { x: 1 } },
        { id: "b", name: "t", raw: "{bad" },
        { id: "c", name: "t", input: [1] },
      ],
    },
    tool("a", "text", false),
    tool("b", { why: 1 }, true),
    tool("c", "no", true),
    { role: "assistant", text: "So", calls: [] },
  ];
  const tools = [{ name: "t", description: "d", inputSchema: { type: "object" } }];
  const more = { tools, maxOutputTokens: 9, temperature: 0.5, idempotencyKey: "key" };
  await aiSdkModel(model).generate(request(messages, more), { signal });
  const { abortSignal, ...question } = asked[0] ?? {};
  assert.equal(abortSignal, signal);
  const calls = [["a", { x: 1 }], ["b", { malformed: "{bad" }], ["c", { malformed: [1] }]];
  const outputs = [
    ["a", { type: "text", value: "text" }],
    ["b", { type: "error-json", value: { why: 1 } }],
    ["c", { type: "error-text", value: "no" }],
  ];
  assert.deepEqual(question, {
    prompt: [
      { role: "system", content: "Be brief" },
      { role: "user", content: [{ type: "text", text: "Go" }] },
      {
        role: "assistant",
        content: calls.map(([toolCallId, input]) => (
          { type: "tool-call", toolCallId, toolName: "t", input }
        )),
      },
      {
        role: "tool",
        content: outputs.map(([toolCallId, output]) => (
          { type: "tool-result", toolCallId, toolName: "t", output }
        )),
      },
      { role: "assistant", content: [{ type: "text", text: "So" }] },
    ],
    tools: [{ type: "function", name: "t", description: "d", inputSchema: { type: "object" } }],
    toolChoice: { type: "auto" },
    maxOutputTokens: 9,
    temperature: 0.5,
    headers: { "idempotency-key": "key" },
  });
});

Deno.test("aiSdkModel() keeps arguments that are no plain JSON as raw", async () => {
  const rows: [string, object][] = [
    ["", { input: {} }],
    ["5", { input: 5 }],
    ['{"a":', { raw: '{"a":' }],
    ['{"__proto__":1}', { raw: '{"__proto__":1}' }],
    ["12345678901234567890", { raw: "12345678901234567890" }],
    ["[".repeat(99) + "]".repeat(99), { raw: "[".repeat(99) + "]".repeat(99) }],
  ];
  for (const [input, expected] of rows) {
    const reply = await generate([{ ...CALL, input }, finish()]);
    assert.deepEqual(reply.calls, [{ id: "c1", name: "t", ...expected }]);
    assert.equal(reply.finish, "tool-calls");
  }
});

Deno.test("aiSdkModel() makes ids of calls unique in a conversation", async () => {
  const used: ModelMessage = {
    role: "assistant",
    text: "",
    calls: [{ id: "c1", name: "t", input: {} }, { id: "call_1_3", name: "t", input: {} }],
  };
  const ids = ["", "c1", "c2", "c2", "  "];
  const parts = [...ids.map((toolCallId) => ({ ...CALL, toolCallId })), finish()];
  const reply = await generate(parts, request([used]));
  const given = reply.calls.map((call) => call.id);
  assert.deepEqual(given, ["call_1_0", "call_1_1", "c2", "call_1_3_", "call_1_4"]);
});

Deno.test("aiSdkModel() leaves out reasoning and calls which the provider ran itself", async () => {
  const thought = { type: "reasoning-delta", id: "r", delta: "Hm" };
  const reply = await generate([thought, { ...CALL, providerExecuted: true }, TEXT, finish()]);
  assert.deepEqual([reply.text, reply.calls, reply.finish], ["Hi", [], "stop"]);
});

Deno.test("aiSdkModel() gives well-formed text when chunks split a character", async () => {
  const deltas = ["a\ud83d", "\ude00b", "\ude00", "c\ud83d"];
  const parts = deltas.map((delta) => ({ type: "text-delta", id: "1", delta }));
  const chunks: string[] = [];
  const model = aiSdkModel(provider("v4", [...parts, finish()]).model);
  const onText = (chunk: string) => chunks.push(chunk);
  const reply = await model.generate(request(), { signal, onText });
  assert.equal(reply.text, "a😀b\ufffdc\ufffd");
  assert.equal(chunks.join(""), reply.text);
  assert(chunks.every((chunk) => chunk.isWellFormed()));
});

Deno.test("aiSdkModel() counts tokens itself when the provider does not", async () => {
  const none = { inputTokens: { total: undefined }, outputTokens: { total: undefined } };
  for (const usage of [none, {}, null, { inputTokens: -1, outputTokens: "5" }]) {
    const reply = await generate([TEXT, finish("stop", usage)], request([user("a".repeat(40))]));
    assert(reply.inputTokens > 10);
    assert.equal(reply.outputTokens, 1);
  }
});

Deno.test("aiSdkModel() reads reasons why a reply ended", async () => {
  const same = ["stop", "length", "tool-calls", "content-filter", "error", "other"];
  for (const reason of same) assert.equal((await generate([TEXT, finish(reason)])).finish, reason);
  assert.equal((await generate([TEXT, finish("unknown")])).finish, "other");
  const cut = [[], [TEXT], [TEXT, CALL], [finish("unknown")], [TEXT, finish("interrupted")]];
  for (const parts of cut) {
    const error = await refusal(generate(parts));
    assert.equal(error.code, "EIO");
    assert.match(error.message, /: cut, expected a stream to its end$/);
  }
});

Deno.test("aiSdkModel() refuses a reply beyond the limit and cancels the rest", async () => {
  let canceled = false;
  const delta = "x".repeat(LIMITS.callReplyBytesMax / 4);
  const stream = new ReadableStream({
    pull: (controller) => controller.enqueue({ type: "text-delta", id: "1", delta }),
    cancel: () => void (canceled = true),
  });
  const { model } = provider("v4", []);
  const endless = { ...model, doStream: () => Promise.resolve({ stream }) };
  const error = await refusal(aiSdkModel(endless).generate(request(), { signal }));
  assert.deepEqual([error.code, error.detail], ["ELIMIT", { limit: "callReplyBytesMax" }]);
  assert(canceled);
});

/** Fails by throwing from doStream, and by an error part of the stream. */
function failing(thrown: unknown): readonly Model[] {
  const { model } = provider("v4", [TEXT, { type: "error", error: thrown }, finish("error")]);
  const early: LanguageModel = { ...model, doStream: () => Promise.reject(thrown) };
  return [aiSdkModel(early), aiSdkModel(model)];
}

function apiError(statusCode: number | undefined, headers: Record<string, string> = {}): Error {
  const error = Object.assign(new Error("It said\nno."), { statusCode, responseHeaders: headers });
  error.name = "AI_APICallError";
  return error;
}

Deno.test("aiSdkModel() maps failures to codes", async () => {
  const date = "Wed, 21 Oct 2015 07:28:00 GMT";
  const later = "Wed, 21 Oct 2015 07:28:30 GMT";
  const timeout = Object.assign(new Error("late"), { code: "UND_ERR_HEADERS_TIMEOUT" });
  const noKey = Object.assign(new Error("no key"), { name: "AI_LoadAPIKeyError" });
  const rows: [unknown, Errno, object?][] = [
    [apiError(429), "EAGAIN", { status: 429 }],
    [apiError(429, { "retry-after": "2" }), "EAGAIN", { status: 429, retryAfterMs: 2_000 }],
    [apiError(429, { "retry-after": later, date }), "EAGAIN", {
      status: 429,
      retryAfterMs: 30_000,
    }],
    [apiError(429, { "retry-after": date }), "EAGAIN", { status: 429, retryAfterMs: 0 }],
    [apiError(429, { "retry-after": "soon" }), "EAGAIN", { status: 429 }],
    [apiError(429, { "retry-after-ms": "12.5" }), "EAGAIN", { status: 429, retryAfterMs: 13 }],
    [apiError(503, { "retry-after": "1" }), "EIO", { status: 503, retryAfterMs: 1_000 }],
    [apiError(500), "EIO", { status: 500 }],
    [apiError(529), "EIO", { status: 529 }],
    [apiError(408), "ETIMEDOUT", { status: 408 }],
    [apiError(401), "EACCES", { status: 401 }],
    [apiError(403), "EACCES", { status: 403 }],
    [apiError(400), "EINVAL", { status: 400 }],
    [apiError(404), "EINVAL", { status: 404 }],
    [apiError(307), "EINVAL", { status: 307 }],
    [apiError(200), "EIO"],
    [apiError(undefined), "EIO"],
    [new TypeError("error sending request", { cause: timeout }), "ETIMEDOUT"],
    [new DOMException("late", "TimeoutError"), "ETIMEDOUT"],
    [new DOMException("not ours", "AbortError"), "EIO"],
    [noKey, "EACCES"],
    [{ message: "slow down", type: "rate_limit_error" }, "EAGAIN"],
    [{ message: "over", code: 503 }, "EIO", { status: 503 }],
    [{ error: { message: "bad key", code: "401" } }, "EACCES", { status: 401 }],
    ["text", "EIO"],
    [undefined, "EIO"],
    [new Error("wrapped", { cause: new SysError("ENOSPC", "Cannot x: y") }), "ENOSPC"],
  ];
  for (const [thrown, code, detail] of rows) {
    for (const model of failing(thrown)) {
      const error = await refusal(model.generate(request(), { signal }));
      assert.deepEqual([error.code, error.detail], [code, detail], String(thrown));
      assert.match(error.message, /^Cannot [^\n]+$/);
    }
  }
});

Deno.test("aiSdkModel() says in one line what the endpoint said", async () => {
  const [early] = failing(apiError(404));
  assert(early !== undefined);
  const error = await refusal(early.generate(request(), { signal }));
  assert.equal(error.message, 'Cannot generate with model "acme/m1": status 404, It said no');
});

Deno.test("aiSdkModel() lets a panic through", async () => {
  for (const model of failing(new Panic("Broken"))) {
    await assert.rejects(model.generate(request(), { signal }), Panic);
  }
});

Deno.test("aiSdkModel() ends with the signal, even if the provider does not listen", async () => {
  const reasons: [unknown, Errno][] = [
    [undefined, "ECANCELED"],
    [new DOMException("late", "TimeoutError"), "ETIMEDOUT"],
    [new SysError("EBUDGET", "Cannot go on: no budget"), "EBUDGET"],
  ];
  for (const [reason, code] of reasons) {
    for (const where of ["before", "opening", "reading", "late"]) {
      const deaf = deafModel(where);
      const controller = new AbortController();
      if (where === "before") controller.abort(reason);
      const work = aiSdkModel(deaf.model).generate(request(), { signal: controller.signal });
      if (where !== "before") {
        await deaf.asked;
        controller.abort(reason);
      }
      assert.equal((await refusal(work)).code, code, where);
      deaf.open();
      if (where !== "before") await deaf.canceled;
    }
  }
});

/** A provider that ignores its signal; it opens its stream when told, and sends nothing. */
function deafModel(where: string) {
  const asked = Promise.withResolvers<void>();
  const canceled = Promise.withResolvers<void>();
  const opening = Promise.withResolvers<{ stream: ReadableStream<unknown> }>();
  const stream = new ReadableStream({
    pull: () => (where === "reading" ? asked.resolve() : undefined, new Promise(() => {})),
    cancel: () => canceled.resolve(),
  }, { highWaterMark: 0 });
  if (where === "reading") opening.resolve({ stream });
  const model: LanguageModel = {
    ...provider("v4", []).model,
    doStream() {
      if (where !== "reading") asked.resolve();
      return opening.promise;
    },
  };
  return {
    model,
    asked: asked.promise,
    canceled: canceled.promise,
    open: () => opening.resolve({ stream }),
  };
}
