/**
 * Scripted and recorded models.
 * @module
 */

import assert from "node:assert/strict";
import type { SysError } from "../kernel/errors.ts";
import type { ModelMessage, ModelReply, ModelRequest } from "../kernel/world.ts";
import { memoryTape, recordModel, replayModel } from "../providers/models/recorded.ts";
import { scriptedModel, type ScriptedTurn } from "../providers/models/scripted.ts";
import { after, refusal, request, user } from "./conversation_suite.ts";

const { signal } = new AbortController();
const READ = { tool: "file_read", input: { path: "./a" } };

/** A conversation in which `replies` were given. */
function given(...replies: readonly ModelReply[]): readonly ModelMessage[] {
  return replies.flatMap((reply) => after(reply));
}

Deno.test("scriptedModel() plays the turn after the replies that a request holds", async () => {
  const script: ScriptedTurn[] = [READ, [READ, { ...READ, id: "mine" }], "Done"];
  const first = await scriptedModel(script).generate(request(), { signal });
  assert.deepEqual(first.calls, [{ id: "call_0_0", name: "file_read", input: { path: "./a" } }]);
  assert.equal(first.finish, "tool-calls");
  // Another object: nothing of the first one is needed to go on.
  const second = await scriptedModel(script).generate(request(given(first)), { signal });
  assert.deepEqual(second.calls.map((call) => call.id), ["call_1_0", "mine"]);
  const third = await scriptedModel(script).generate(request(given(first, second)), { signal });
  assert.deepEqual([third.text, third.calls, third.finish], ["Done", [], "stop"]);
});

Deno.test("scriptedModel() gives equal replies for equal requests", async () => {
  const model = scriptedModel([{ text: "One", calls: [READ] }, "Two"]);
  const first = await model.generate(request(), { signal });
  await model.generate(request(given(first)), { signal });
  assert.deepEqual(await model.generate(request(), { signal }), first);
});

Deno.test("scriptedModel() calls a function with the request and the turn", async () => {
  const model = scriptedModel([
    "One",
    (asked, n) => `${asked.messages.length} messages, turn ${n}`,
  ]);
  const first = await model.generate(request(), { signal });
  const reply = await model.generate(request(given(first)), { signal });
  assert.equal(reply.text, "1 messages, turn 1");
});

Deno.test("scriptedModel() streams its text in chunks that make it up", async () => {
  const chunks: string[] = [];
  const text = " one two\n\nthree ";
  const reply = await scriptedModel([text]).generate(request(), {
    signal,
    onText: (chunk) => chunks.push(chunk),
  });
  assert.equal(chunks.join(""), text);
  assert(chunks.length > 1);
  assert.equal(reply.text, text);
});

Deno.test("scriptedModel() counts tokens from the text", async () => {
  const model = scriptedModel(["12345678"]);
  const short = await model.generate(request([user("a")]), { signal });
  const long = await model.generate(request([user("a".repeat(41))]), { signal });
  assert.equal(short.outputTokens, 2);
  assert.equal(long.inputTokens - short.inputTokens, 10);
});

Deno.test("scriptedModel() keeps a badly written call as raw", async () => {
  const reply = await scriptedModel([{ tool: "t", raw: "{bad" }]).generate(request(), { signal });
  assert.deepEqual(reply.calls, [{ id: "call_0_0", name: "t", raw: "{bad" }]);
});

Deno.test("scriptedModel() fails as its turn says, every time or a number of times", async () => {
  const always = scriptedModel([{ error: "EAGAIN", retryAfterMs: 7 }]);
  for (let i = 0; i < 2; i++) {
    const error = await refusal(always.generate(request(), { signal }));
    assert.deepEqual([error.code, error.detail], ["EAGAIN", { retryAfterMs: 7 }]);
  }
  const twice = scriptedModel([{ error: "EIO", message: "Cannot x: y", times: 2, then: "Well" }]);
  for (let i = 0; i < 2; i++) {
    const error = await refusal(twice.generate(request(), { signal }));
    assert.deepEqual([error.code, error.message], ["EIO", "Cannot x: y"]);
  }
  assert.equal((await twice.generate(request(), { signal })).text, "Well");
});

Deno.test("scriptedModel() refuses a turn beyond its script and a stopped call", async () => {
  const over = await refusal(scriptedModel([]).generate(request(), { signal }));
  assert.equal(over.code, "EINVAL");
  assert.match(over.message, /turn 0 of 0 asked, expected a script with more turns$/);
  const stopped = scriptedModel(["x"]).generate(request(), { signal: AbortSignal.abort() });
  assert.equal((await refusal(stopped)).code, "ECANCELED");
});

/** Records a conversation of the turns of a script. */
async function record(
  turns: readonly ScriptedTurn[],
): Promise<{ tape: string; asked: ModelRequest[] }> {
  const tape = memoryTape();
  const model = recordModel(scriptedModel(turns), tape);
  const asked: ModelRequest[] = [];
  const replies: ModelReply[] = [];
  for (let i = 0; i < turns.length; i++) {
    const next = request([user("Go"), ...given(...replies)]);
    asked.push(next);
    replies.push(await model.generate(next, { signal }));
  }
  return { tape: tape.text(), asked };
}

Deno.test("replayModel() answers what was recorded, whatever the idempotency key", async () => {
  const { tape, asked } = await record([READ, "Done"]);
  const model = replayModel(tape);
  assert.equal(model.id, "any/model");
  const chunks: string[] = [];
  const replies: ModelReply[] = [];
  for (const one of asked) {
    const again = { ...one, idempotencyKey: "another" };
    replies.push(await model.generate(again, { signal, onText: (chunk) => chunks.push(chunk) }));
  }
  assert.deepEqual(replies[0]?.calls[0]?.input, { path: "./a" });
  assert.deepEqual([replies[1]?.text, chunks.join("")], ["Done", "Done"]);
});

Deno.test("replayModel() gives the replies to one request in their order", async () => {
  const tape = memoryTape();
  const turn: ScriptedTurn = { error: "EAGAIN", retryAfterMs: 5, times: 1, then: "Yes" };
  const model = recordModel(scriptedModel([turn]), tape);
  await refusal(model.generate(request(), { signal }));
  await model.generate(request(), { signal });
  const replayed = replayModel(tape.text());
  const error = await refusal(replayed.generate(request(), { signal }));
  assert.deepEqual([error.code, error.detail], ["EAGAIN", { retryAfterMs: 5 }]);
  assert.equal((await replayed.generate(request(), { signal })).text, "Yes");
  const third = await refusal(replayed.generate(request(), { signal }));
  assert.equal(third.code, "EREPLAY");
  assert.match(third.message, /^Cannot replay model call 2: all of its 2 recorded replies/);
});

Deno.test("recordModel() leaves no record of a call that was stopped", async () => {
  const tape = memoryTape();
  const model = recordModel(scriptedModel(["x"]), tape);
  await refusal(model.generate(request(), { signal: AbortSignal.abort() }));
  assert.equal(tape.text(), "");
});

Deno.test("replayModel() says where a request leaves the tape", async () => {
  const { tape, asked } = await record([READ, "Done"]);
  const [first, second] = asked;
  assert(first !== undefined && second !== undefined);
  const result = second.messages[2];
  assert(result?.role === "tool");
  const changed = { ...result, output: "something else" };
  const tools = [{ name: "x", description: "", inputSchema: {} }];
  const rows: [ModelRequest, RegExp][] = [
    [request([user("Stop")]), /first difference at message 0 \(user\), expected message 0 of rec/],
    [
      { ...second, messages: [...second.messages.slice(0, 2), changed] },
      /call 0: first difference at message 2 \(tool "file_read"\), expected message 2 of record 1/,
    ],
    [
      { ...second, messages: [...second.messages, user("More")] },
      /at message 3 \(user\), expected the conversation of record 1 to end there/,
    ],
    [{ ...second, messages: second.messages.slice(0, 2) }, /at message 2 \(absent\), expected/],
    [{ ...first, tools }, /: its tools differ, expected those of record 0$/],
    [{ ...first, temperature: 1 }, /: its settings differ/],
    [{ ...first, model: "a/b" }, /: the model is "a\/b"/],
  ];
  for (const [asked, sentence] of rows) {
    const error = await refusal(replayModel(tape).generate(asked, { signal }));
    assert.equal(error.code, "EREPLAY");
    assert.match(error.message, sentence);
  }
  const empty = await refusal(replayModel("").generate(first, { signal }));
  assert.match(empty.message, /call 0: the tape ended/);
});

Deno.test("replayModel() refuses a text that is no tape", () => {
  for (const text of ["{", "{}", "null", '{"requestHash":"x"}']) {
    assert.throws(() => replayModel(`\n${text}\n`), (error: SysError) => {
      assert.equal(error.code, "EINTEGRITY");
      assert.match(error.message, /^Cannot read tape: line 2 is no record/);
      return true;
    });
  }
});
