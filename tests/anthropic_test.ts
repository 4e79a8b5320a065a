/**
 * Models behind an endpoint that speaks Anthropic's Messages, against a real server.
 * @module
 */

import assert from "node:assert/strict";
import { anthropicModel, type AnthropicOptions } from "../providers/models/anthropic.ts";
import type { ModelMessage } from "../kernel/world.ts";
import { mediaOf } from "../kernel/media.ts";
import {
  after,
  CODE,
  LOOKUP,
  refusal,
  request,
  testConversation,
  user,
} from "./conversation_suite.ts";
import {
  calling,
  ended,
  type FakeAnthropic,
  fakeAnthropic,
  type Met,
  piece,
  said,
  started,
} from "./fake_anthropic_server.ts";
import { PNG } from "./media_samples.ts";

const { signal } = new AbortController();

function modelOf(server: FakeAnthropic, more: Partial<AnthropicOptions> = {}) {
  return anthropicModel({ url: server.url, modelId: "m1", ...more });
}

async function replyTo(met: Met, more: Partial<AnthropicOptions> = {}) {
  await using server = fakeAnthropic(() => met);
  return await modelOf(server, more).generate(request([user("Go")]), { signal });
}

/** Does what the suite asks for, as a model would. */
function planned(
  body: { messages: { content: unknown }[]; max_tokens: number; tools?: unknown[] },
) {
  const last = JSON.stringify(body.messages.at(-1)?.content);
  if (body.max_tokens === 8) return { text: "one two", stop: "max_tokens" };
  if (last.includes("tool_result")) return { text: `The code is ${CODE}, or it failed.` };
  if (body.tools !== undefined && !last.includes("bye")) {
    return { calls: [{ name: LOOKUP.name, input: { city: "Oslo" } }] };
  }
  return { text: "hello one two three four five" };
}

testConversation("Fake Messages endpoint", {
  open() {
    const server = fakeAnthropic(planned);
    return { model: modelOf(server), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  },
});

Deno.test("anthropicModel() sends a conversation as Messages, with its key in one header", async () => {
  await using server = fakeAnthropic(planned);
  const model = modelOf(server, { apiKey: "sk-ant-secret", url: `${server.url}/`, cache: true });
  const more = { model: model.id, tools: [LOOKUP], maxOutputTokens: 99, temperature: 2 };
  const messages: ModelMessage[] = [{ role: "system", text: "Be brief" }, user("Go"), user("Now")];
  const first = await model.generate(request(messages, more), { signal });
  const results = after(first, { text: CODE, isError: true });
  await model.generate(request([...messages, ...results], more), { signal });
  const [one, two] = server.requests;
  assert.equal(one?.path, "/v1/messages");
  assert.equal(one?.headers["x-api-key"], "sk-ant-secret");
  assert.equal(one?.headers["anthropic-version"], "2023-06-01");
  const kept = { cache_control: { type: "ephemeral" } };
  assert.deepEqual(one?.body, {
    model: "m1",
    max_tokens: 99,
    stream: true,
    system: [{ type: "text", text: "Be brief", ...kept }],
    messages: [{
      role: "user",
      content: [{ type: "text", text: "Go" }, { type: "text", text: "Now", ...kept }],
    }],
    temperature: 1,
    tools: [{
      name: LOOKUP.name,
      description: LOOKUP.description,
      input_schema: LOOKUP.inputSchema,
    }],
  });
  assert.deepEqual(two?.body.messages.slice(1), [
    {
      role: "assistant",
      content: [{ type: "tool_use", id: "toolu_0", name: LOOKUP.name, input: { city: "Oslo" } }],
    },
    {
      role: "user",
      content: [{
        type: "tool_result",
        tool_use_id: "toolu_0",
        content: CODE,
        is_error: true,
        ...kept,
      }],
    },
  ]);
});

Deno.test("anthropicModel() reads calls that are written side by side", async () => {
  const reply = await replyTo({
    events: [
      started(),
      said("I look. "),
      calling(1, "a"),
      calling(2, "b"),
      piece(2, '{"x":'),
      piece(1, '{"y":1'),
      piece(2, "2}"),
      piece(1, "}"),
      calling(3, "c"),
      ...ended("tool_use"),
    ],
  });
  assert.equal(reply.text, "I look. ");
  assert.equal(reply.finish, "tool-calls");
  assert.deepEqual(reply.calls, [
    { id: "toolu_1", name: "a", input: { y: 1 } },
    { id: "toolu_2", name: "b", input: { x: 2 } },
    { id: "toolu_3", name: "c", input: {} },
  ]);
});

Deno.test("anthropicModel() counts what the endpoint kept as input, at its own price", async () => {
  const usage = {
    input_tokens: 100,
    cache_read_input_tokens: 1_000,
    cache_creation_input_tokens: 200,
    output_tokens: 50,
  };
  const pricing = { inputUsd: 1, outputUsd: 10, cachedInputUsd: 0.1, cacheWriteUsd: 2 };
  const reply = await replyTo({ text: "Hi", usage }, { pricing });
  assert.deepEqual([reply.inputTokens, reply.outputTokens], [1_300, 50]);
  assert.deepEqual([reply.cachedTokens, reply.cacheWriteTokens], [1_000, 200]);
  assert.equal(reply.usd, (100 * 1 + 1_000 * 0.1 + 200 * 2 + 50 * 10) / 1_000_000);
});

Deno.test("anthropicModel() takes a stream that is cut for no reply, whatever came before", async () => {
  for (
    const events of [[], [started()], [started(), said("Hel")], [started(), calling(0, "a")]]
  ) {
    assert.equal((await refusal(replyTo({ events }))).code, "EIO");
  }
});

Deno.test("anthropicModel() says how long an endpoint wants to be left alone", async () => {
  const headers = { "retry-after": "7" };
  const busy = await refusal(replyTo({ status: 429, headers, error: "Slow down" }));
  assert.deepEqual([busy.code, busy.detail?.["retryAfterMs"]], ["EAGAIN", 7_000]);
  assert.match(busy.message, /Slow down/);
  const over = await refusal(replyTo({ status: 529, headers }));
  assert.deepEqual([over.code, over.retry, over.detail?.["retryAfterMs"]], ["EIO", true, 7_000]);
});

Deno.test("anthropicModel() tells who is to blame for a refusal, before a stream and in it", async () => {
  const codes = { 400: "EINVAL", 401: "EACCES", 403: "EACCES", 404: "EINVAL", 500: "EIO" };
  for (const [status, code] of Object.entries(codes)) {
    assert.equal((await refusal(replyTo({ status: Number(status) }))).code, code, status);
  }
  const kinds = {
    overloaded_error: "EIO",
    rate_limit_error: "EAGAIN",
    api_error: "EIO",
    authentication_error: "EACCES",
    invalid_request_error: "EINVAL",
  };
  for (const [type, code] of Object.entries(kinds)) {
    const error = { type: "error", error: { type, message: "In the middle" } };
    const found = await refusal(replyTo({ events: [started(), said("He"), error] }));
    assert.equal(found.code, code, type);
    assert.match(found.message, /In the middle/);
  }
});

Deno.test("anthropicModel() has its key in no error", async () => {
  const apiKey = "sk-ant-verysecret";
  const met = { status: 401, error: `invalid x-api-key: ${apiKey}` };
  const found = await refusal(replyTo(met, { apiKey }));
  assert.match(found.message, /\(key\)/);
  assert.doesNotMatch(found.message, /verysecret/);
});

Deno.test("anthropicModel() sends media as what they are", async () => {
  await using server = fakeAnthropic(() => ({ text: "A dot" }));
  const media = mediaOf(PNG)!;
  const pdf = mediaOf(new TextEncoder().encode("%PDF-1.7\n"))!;
  const parts = [{ object: "dot", media }, { object: "page", media: pdf }];
  const messages: ModelMessage[] = [{ role: "user", text: "What is it?", parts }];
  await modelOf(server).generate(request(messages), { signal });
  assert.deepEqual(server.requests[0]?.body.messages[0].content, [
    { type: "text", text: "What is it?" },
    {
      type: "image",
      source: { type: "base64", media_type: "image/png", data: media.base64 },
    },
    {
      type: "document",
      source: { type: "base64", media_type: "application/pdf", data: pdf.base64 },
    },
  ]);
});
