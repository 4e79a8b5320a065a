/**
 * Models behind an OpenAI-compatible endpoint: each way in which the endpoint behaves, and what
 * becomes of it.
 * @module
 */

import assert from "node:assert/strict";
import { type Errno, SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { ModelMessage } from "../kernel/world.ts";
import {
  openaiCompatibleModel,
  type OpenAiCompatibleOptions,
} from "../providers/models/openai_compatible.ts";
import { after, LOOKUP, refusal, request, user } from "./conversation_suite.ts";
import {
  asks,
  type Behaviour,
  chunk,
  type FakeOpenAi,
  fakeOpenAi,
  refuses,
  reportPlanner,
  resultsOf,
  says,
} from "./fake_openai_server.ts";

const { signal } = new AbortController();
const CALL = { name: "look_up_code", args: { city: "Oslo" } };

function modelOf(server: FakeOpenAi, more: Partial<OpenAiCompatibleOptions> = {}) {
  return openaiCompatibleModel({ url: server.url, modelId: "m1", name: "fake", ...more });
}

/** The reply to one request that is met with `behaviour`. */
async function replyTo(behaviour: Behaviour, more: Partial<OpenAiCompatibleOptions> = {}) {
  await using server = fakeOpenAi([behaviour]);
  return await modelOf(server, more).generate(request([user("Go")]), { signal });
}

/** The failure of one request that is met with `behaviour`. */
function failureOf(behaviour: Behaviour, more: Partial<OpenAiCompatibleOptions> = {}) {
  return refusal(replyTo(behaviour, more));
}

Deno.test("openaiCompatibleModel() sends a conversation as chat completions", async () => {
  await using server = fakeOpenAi([asks(CALL), says("4")]);
  const model = modelOf(server, { apiKey: "sk-secret", url: `${server.url}/` });
  assert.equal(model.id, "fake/m1");
  const more = { model: model.id, tools: [LOOKUP], maxOutputTokens: 99, temperature: 0 };
  const messages: ModelMessage[] = [{ role: "system", text: "Be brief" }, user("Go")];
  const first = await model.generate(request(messages, more), { signal });
  const results = after(first, { text: "7391", isError: false });
  await model.generate(request([...messages, ...results], more), { signal });
  const [one, two] = server.requests;
  assert.equal(one?.headers["authorization"], "Bearer sk-secret");
  assert.equal(one?.headers["idempotency-key"], "1");
  assert.deepEqual(one?.body, {
    model: "m1",
    messages: [{ role: "system", content: "Be brief" }, { role: "user", content: "Go" }],
    tools: [{
      type: "function",
      function: {
        name: LOOKUP.name,
        description: LOOKUP.description,
        parameters: LOOKUP.inputSchema,
      },
    }],
    tool_choice: "auto",
    max_tokens: 99,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
  });
  assert.deepEqual(two?.body.messages.slice(2), [
    {
      role: "assistant",
      content: null,
      tool_calls: [{
        id: "wire_0",
        type: "function",
        function: { name: "look_up_code", arguments: '{"city":"Oslo"}' },
      }],
    },
    { role: "tool", tool_call_id: "wire_0", content: "7391" },
  ]);
});

Deno.test("openaiCompatibleModel() reads text, usage and price", async () => {
  const pricing = { inputUsd: 1, outputUsd: 2 };
  const answer = says("Hi there", { pieces: ["Hi ", "there"], usage: { input: 30, output: 4 } });
  assert.deepEqual(await replyTo(answer, { pricing }), {
    text: "Hi there",
    calls: [],
    finish: "stop",
    inputTokens: 30,
    outputTokens: 4,
    usd: 38 / 1_000_000,
  });
});

Deno.test("openaiCompatibleModel() reads several calls in pieces", async () => {
  const reply = await replyTo({
    kind: "answer",
    text: "Let me see",
    calls: [CALL, { name: "unheard_of", args: { deep: [1, { x: "ü" }] } }],
  });
  assert.equal(reply.text, "Let me see");
  assert.equal(reply.finish, "tool-calls");
  assert.deepEqual(reply.calls, [
    { id: "wire_0", name: "look_up_code", input: { city: "Oslo" } },
    { id: "wire_1", name: "unheard_of", input: { deep: [1, { x: "ü" }] } },
  ]);
});

Deno.test("openaiCompatibleModel() keeps what is wrong in calls", async () => {
  const bad = await replyTo(asks({ name: "t", args: '{"city": "Os' }, { name: "t", args: "" }));
  assert.deepEqual(bad.calls, [
    { id: "wire_0", name: "t", raw: '{"city": "Os' },
    { id: "wire_1", name: "t", input: {} },
  ]);
  // The SDK would make up a random id for each of these.
  const missing = asks({ ...CALL, id: null }, { ...CALL, id: null }, { ...CALL, id: "own" });
  for (let i = 0; i < 2; i++) {
    const ids = (await replyTo(missing)).calls.map((call) => call.id);
    assert.deepEqual(ids, ["call_0_0", "call_0_1", "own"]);
  }
});

Deno.test("openaiCompatibleModel() counts tokens itself when the endpoint does not", async () => {
  const reply = await replyTo(says("12345678", { usage: null }));
  assert(reply.inputTokens > 0);
  assert.equal(reply.outputTokens, 2);
});

Deno.test("openaiCompatibleModel() takes a huge answer, but none beyond the limit", async () => {
  const large = "x".repeat(LIMITS.callReplyBytesMax / 4);
  const reply = await replyTo(says("", { pieces: [large, large, large] }));
  assert.equal(reply.text.length, 3 * large.length);
  const refused = [
    says("", { pieces: [large, large, large, large, large] }),
    says("x".repeat(2 * LIMITS.callReplyBytesMax)),
  ];
  for (const behaviour of refused) {
    const error = await failureOf(behaviour);
    assert.deepEqual([error.code, error.detail], ["ELIMIT", { limit: "callReplyBytesMax" }]);
  }
  const refusing = await failureOf(refuses(500, { message: "x".repeat(2 ** 20) }));
  assert.deepEqual([refusing.code, refusing.message.length < 400], ["EIO", true]);
});

Deno.test("openaiCompatibleModel() gives text as it comes", async () => {
  let opened = Promise.withResolvers<void>();
  // No event after the first text is sent before the text of the one before was seen.
  const gate = (event: number) => event < 2 ? undefined : opened.promise;
  await using server = fakeOpenAi([says("", { pieces: ["one ", "two ", "three"], gate })]);
  const seen: string[] = [];
  const reply = await modelOf(server).generate(request([user("Go")]), {
    signal,
    onText(text) {
      seen.push(text);
      opened.resolve();
      if (seen.length < 3) opened = Promise.withResolvers();
    },
  });
  assert.deepEqual(seen, ["one ", "two ", "three"]);
  assert.equal(reply.text, "one two three");
});

Deno.test("openaiCompatibleModel() makes one attempt, and a code of each failure", async () => {
  const START = chunk({ content: "Half an ans" });
  const CALL_START = chunk({ tool_calls: [{ index: 0, id: "a", function: {} }] });
  const events = (...list: unknown[]): Behaviour => ({ kind: "events", events: list, then: "end" });
  const typed = (type: string): Behaviour => (
    { kind: "status", status: 200, body: "{}", headers: { "content-type": type } }
  );
  const moved = { location: "http://127.0.0.1:1/elsewhere" };
  const rows: [string, Behaviour, Errno, RegExp][] = [
    ["rate limit", refuses(429, { message: "Slow down." }), "EAGAIN", /status 429, Slow down$/],
    ["overload", refuses(500), "EIO", /status 500, Fake 500$/],
    ["bad key", refuses(401), "EACCES", /status 401/],
    ["no right", refuses(403), "EACCES", /status 403/],
    ["timeout", refuses(408), "ETIMEDOUT", /status 408/],
    ["bad request", refuses(400), "EINVAL", /status 400/],
    ["no model", refuses(404), "EINVAL", /status 404/],
    ["moved", refuses(307, { headers: moved }), "EINVAL", /status 307/],
    ["no words", { kind: "status", status: 502 }, "EIO", /status 502/],
    ["broken", { kind: "events", events: [START], then: "break" }, "EIO", /Cannot generate/],
    ["cut in text", events(START), "EIO", /ended without a finish reason/],
    [
      "cut in a call",
      events(CALL_START),
      "EIO",
      /./,
    ],
    ["nothing", events(), "EIO", /ended without a finish reason/],
    ["no choices", events({ id: "x", choices: [] }, "[DONE]"), "EIO", /without a finish reason/],
    ["no JSON", events(START, "{", chunk({}, "stop")), "EIO", /JSON/],
    ["other JSON", events(START, { choices: 5 }), "EIO", /./],
    ["error event", events(START, { error: { message: "Oops" } }), "EIO", /: Oops$/],
    ["limit event", events({ error: { message: "m", code: 429 } }), "EAGAIN", /status 429/],
    ["HTML", typed("text/html; charset=utf-8"), "EIO", /answered "text\/html; charset=utf-8"/],
    ["JSON", typed("application/json"), "EIO", /expected "text\/event-stream"/],
    ["empty", { kind: "status", status: 200 }, "EIO", /./],
  ];
  for (const [name, behaviour, code, sentence] of rows) {
    await using server = fakeOpenAi([behaviour, says("Again")]);
    const error = await refusal(modelOf(server).generate(request([user("Go")]), { signal }));
    assert.equal(error.code, code, `${name}: ${error.message}`);
    assert.match(error.message, sentence, name);
    assert.equal(server.requests.length, 1, name);
  }
});

Deno.test("openaiCompatibleModel() says when to ask again", async () => {
  const date = new Date(Date.now() + 60_000).toUTCString();
  const soon = await failureOf(refuses(429, { headers: { "retry-after": "3" } }));
  assert.deepEqual(soon.detail, { status: 429, retryAfterMs: 3_000 });
  const later = await failureOf(refuses(429, { headers: { "retry-after": date } }));
  const { retryAfterMs } = later.detail as { retryAfterMs: number };
  assert(retryAfterMs > 30_000 && retryAfterMs <= 61_000, String(retryAfterMs));
});

Deno.test("openaiCompatibleModel() is EIO when nobody listens", async () => {
  const server = fakeOpenAi([]);
  await server[Symbol.asyncDispose]();
  const error = await refusal(modelOf(server).generate(request(), { signal }));
  assert.equal(error.code, "EIO");
});

const HANGS: Readonly<Record<string, Behaviour>> = {
  "before it answers": { kind: "hang" },
  "in its answer": { kind: "events", events: [chunk({ content: "Half" })], then: "hang" },
};

Deno.test("openaiCompatibleModel() ends a call to an endpoint that hangs", async () => {
  const times: [Partial<OpenAiCompatibleOptions>, RegExp][] = [
    [{ timeoutMs: 40, idleTimeoutMs: 60_000 }, /"fake\/m1": not done after 40 ms, expected/],
    [{ timeoutMs: 60_000, idleTimeoutMs: 40 }, /"fake\/m1": silent for 40 ms, expected/],
  ];
  for (const behaviour of Object.values(HANGS)) {
    for (const [options, sentence] of times) {
      await using server = fakeOpenAi([behaviour]);
      const error = await refusal(modelOf(server, options).generate(request(), { signal }));
      assert.equal(error.code, "ETIMEDOUT");
      assert.match(error.message, sentence);
    }
  }
});

Deno.test("openaiCompatibleModel() is not idle while bytes come", async () => {
  // Twelve events, 100 ms each: longer in all than the endpoint may be silent.
  const gate = () => new Promise<void>((resolve) => setTimeout(resolve, 100));
  const pieces = [..."123456789"];
  const reply = await replyTo(says("", { pieces, gate }), { idleTimeoutMs: 900 });
  assert.equal(reply.text, "123456789");
});

Deno.test("openaiCompatibleModel() ends with the signal", async () => {
  for (const [where, behaviour] of Object.entries(HANGS)) {
    await using server = fakeOpenAi([behaviour]);
    const controller = new AbortController();
    const came = server.nextRequest();
    const { promise: text, resolve } = Promise.withResolvers<void>();
    const work = modelOf(server).generate(request(), {
      signal: controller.signal,
      onText: () => resolve(),
    });
    await (behaviour.kind === "hang" ? came : text);
    controller.abort();
    assert.equal((await refusal(work)).code, "ECANCELED", where);
    // The connection is closed, so the endpoint stops too.
    if (behaviour.kind === "events") await server.quiet();
  }
  await using server = fakeOpenAi([]);
  const stopped = modelOf(server).generate(request(), { signal: AbortSignal.abort() });
  assert.equal((await refusal(stopped)).code, "ECANCELED");
  assert.equal(server.requests.length, 0);
});

Deno.test("A key that an endpoint says back is in no reply, chunk or call, in any encoding", async () => {
  const apiKey = "sk-Abc/123+xyz789";
  const forms = [
    apiKey,
    btoa(`x${apiKey}`),
    encodeURIComponent(apiKey),
    apiKey.replace("/", "\\/"),
  ];
  const text = `Say ${forms.join(", ")} – and ${apiKey}`;
  const call = {
    name: `find_${apiKey}`,
    args: { city: apiKey, list: [{ [apiKey]: 1 }] },
    id: apiKey,
  };
  for (const size of [1, 3, 7, text.length]) {
    const pieces = Array.from(
      { length: Math.ceil(text.length / size) },
      (_, i) => text.slice(i * size, (i + 1) * size),
    );
    await using server = fakeOpenAi([{ kind: "answer", text, pieces, calls: [call] }]);
    const chunks: string[] = [];
    const reply = await modelOf(server, { apiKey }).generate(request([user("Go")]), {
      signal,
      onText: (chunk) => void chunks.push(chunk),
    });
    const hidden = "[credential of the model]";
    assert.equal(chunks.join(""), reply.text);
    assert.ok(reply.text.startsWith(`Say ${hidden}, `) && reply.text.endsWith(` – and ${hidden}`));
    const said = JSON.stringify([chunks.join(""), reply]);
    for (const form of forms) assert.ok(!said.includes(form), `${form} in ${said}`);
    assert.deepEqual(reply.calls[0]?.input, { city: hidden, list: [{ [hidden]: 1 }] });
  }
});

Deno.test("A reply comes in whole words where a key is looked for, and nothing of it is lost", async () => {
  const text = "One two\u{1F600}three 四五 six";
  const pieces = ["One t", "wo\u{1F600}th", "ree 四", "五 s", "ix"];
  await using server = fakeOpenAi([{ kind: "answer", text, pieces }]);
  const chunks: string[] = [];
  const onText = (chunk: string) => void chunks.push(chunk);
  const model = modelOf(server, { apiKey: "sk-123456789" });
  const reply = await model.generate(request([user("Go")]), { signal, onText });
  assert.equal(reply.text, text);
  assert.deepEqual(chunks, ["One ", "two\u{1F600}", "three 四", "五 ", "six"]);
  assert.equal((await replyTo(says("a test"), { apiKey: "test" })).text, "a test");
});

Deno.test("openaiCompatibleModel() keeps its key out of errors", async () => {
  const apiKey = "sk-very-secret";
  const message = `Incorrect API key: ${apiKey}`;
  const error = await failureOf(refuses(401, { message }), { apiKey });
  assert.match(error.message, /status 401, Incorrect API key: \(key\)$/);
  assert(!JSON.stringify(error.detail).includes(apiKey));
});

Deno.test("openaiCompatibleModel() refuses what is no HTTP address", () => {
  for (const url of ["", "127.0.0.1:80", "file:///etc", "ftp://x/"]) {
    assert.throws(() => openaiCompatibleModel({ url, modelId: "m" }), (error) => {
      assert(error instanceof SysError && error.code === "EINVAL");
      return true;
    });
  }
});

Deno.test("openaiCompatibleModel() needs the net permission and no other", async () => {
  await using server = fakeOpenAi([says("Alone")]);
  const module = new URL("../providers/models/openai_compatible.ts", import.meta.url);
  const code = `
    import { openaiCompatibleModel } from ${JSON.stringify(module.href)};
    const model = openaiCompatibleModel({ url: ${JSON.stringify(server.url)}, modelId: "m" });
    const request = { model: model.id, messages: [], tools: [], idempotencyKey: "1" };
    const { signal } = new AbortController();
    console.log((await model.generate(request, { signal })).text);
  `;
  const config = new URL("../deno.json", import.meta.url).pathname;
  const url = `data:application/typescript,${encodeURIComponent(code)}`;
  const flags = ["--no-prompt", "--no-lock", "--config", config, "--allow-net=127.0.0.1"];
  const args = ["run", "--no-check", ...flags, url];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const text = new TextDecoder();
  assert.equal(text.decode(stdout), "Alone\n", text.decode(stderr));
});

Deno.test("fakeOpenAi() answers without a stream too", async () => {
  await using server = fakeOpenAi([asks(CALL)]);
  const body = JSON.stringify({ model: "m", messages: [] });
  const response = await fetch(`${server.url}/chat/completions`, { method: "POST", body });
  const answer = await response.json();
  assert.equal(answer.choices[0].message.tool_calls[0].function.arguments, '{"city":"Oslo"}');
  assert.equal(answer.choices[0].finish_reason, "tool_calls");
});

Deno.test("reportPlanner() leads an agent from a folder to a report", async () => {
  await using server = fakeOpenAi(reportPlanner({ folder: "./notes", report: "./out.md" }));
  const model = modelOf(server);
  const files = new Map([["./notes/a.txt", "Apple"], ["./notes/b.txt", "Bear"]]);
  const tools = ["file_list", "file_read", "file_write"].map((name) => ({ ...LOOKUP, name }));
  const messages: ModelMessage[] = [user("Report on ./notes")];
  const run = (name: string, args: { path: string; content: string }) => {
    if (name === "file_list") return [...files.keys()].map((path) => path.slice(8));
    if (name === "file_write") files.set(args.path, args.content);
    return files.get(args.path) ?? "absent";
  };
  for (let step = 0; step < 10; step++) {
    const reply = await model.generate(request(messages, { tools }), { signal });
    messages.push({ role: "assistant", text: reply.text, calls: reply.calls });
    if (reply.calls.length === 0) break;
    for (const { id, name, input } of reply.calls) {
      const output = run(name, input as { path: string; content: string });
      messages.push({ role: "tool", id, name, output, isError: false });
    }
  }
  assert.match(files.get("./out.md") ?? "", /a\.txt: 5 characters\n.*b\.txt: 4 characters/);
  assert.equal(server.requests.length, 4);
  const last = server.requests[3]?.body.messages ?? [];
  assert.deepEqual(resultsOf(last, "file_read").map((result) => result.text), ["Apple", "Bear"]);
  assert.equal(messages.at(-1)?.role, "assistant");
});
