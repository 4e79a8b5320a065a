/**
 * What every model behind an endpoint has to do in a conversation, be it real or fake; and the
 * small helpers that tests of models share.
 *
 * The claims are loose enough for a small real model: they are about the contract of `Model`, not
 * about how clever an answer is.
 * @module
 */

import assert from "node:assert/strict";
import { SysError } from "../kernel/errors.ts";
import type { Model, ModelMessage, ModelReply, ModelRequest } from "../kernel/world.ts";

/** A model under test, and the end of what it runs on. */
export interface Candidate extends AsyncDisposable {
  readonly model: Model;
}

/** How a suite is run. */
export interface SuiteOptions {
  readonly open: () => Candidate;
  /** Leaves the suite out; the name of the suite says why. */
  readonly ignore?: boolean;
}

/** The tool that the conversations use. */
export const LOOKUP = {
  name: "look_up_code",
  description: "Returns the secret code of a city.",
  inputSchema: {
    type: "object",
    properties: { city: { type: "string", description: "Name of the city" } },
    required: ["city"],
    additionalProperties: false,
  },
} as const;

/** What the tool answers. */
export const CODE = "7391";

/** A request with defaults for what a test does not speak of. */
export function request(
  messages: readonly ModelMessage[] = [],
  more: Partial<ModelRequest> = {},
): ModelRequest {
  return { model: "any/model", messages, tools: [], idempotencyKey: "1", ...more };
}

/** A message of the user. */
export function user(text: string): ModelMessage {
  return { role: "user", text };
}

/** What a reply and results of its calls add to a conversation. */
export function after(
  reply: ModelReply,
  output: { readonly text: string; readonly isError: boolean } = { text: "ok", isError: false },
): readonly ModelMessage[] {
  return [
    { role: "assistant", text: reply.text, calls: reply.calls },
    ...reply.calls.map(({ id, name }): ModelMessage => (
      { role: "tool", id, name, output: output.text, isError: output.isError }
    )),
  ];
}

/** The `SysError` that `work` fails with. */
export async function refusal(work: Promise<unknown>): Promise<SysError> {
  const thrown = await work.then(() => undefined, (error) => error);
  assert(thrown instanceof SysError, `Expected a SysError, got ${thrown}`);
  return thrown;
}

/** Registers the suite for a model. */
export function testConversation(name: string, options: SuiteOptions): void {
  for (const [claim, run] of Object.entries(CLAIMS)) {
    Deno.test({
      name: `${name}: ${claim}`,
      ignore: options.ignore ?? false,
      async fn() {
        await using candidate = options.open();
        await run(candidate.model);
      },
    });
  }
}

const { signal } = new AbortController();
const SYSTEM: ModelMessage = { role: "system", text: "You are a terse assistant." };
const QUESTION = user(`Use the tool to find the secret code of Oslo, then say the code.`);

const CLAIMS: Readonly<Record<string, (model: Model) => Promise<void>>> = {
  "answers a question with text and counts its tokens": async (model) => {
    const asked = request([SYSTEM, user("Say the word hello.")], { model: model.id });
    const reply = await model.generate(asked, { signal });
    assert.match(reply.text, /hello/i);
    assert.deepEqual([reply.calls, reply.finish], [[], "stop"]);
    assert(reply.inputTokens > 0 && reply.outputTokens > 0);
  },

  "streams chunks that make the text": async (model) => {
    const chunks: string[] = [];
    const asked = request([user("Count from one to five in words.")], { model: model.id });
    const onText = (chunk: string) => chunks.push(chunk);
    const reply = await model.generate(asked, { signal, onText });
    assert.equal(chunks.join(""), reply.text);
    assert(chunks.length > 1);
  },

  "calls a tool and uses what it returned": async (model) => {
    const more = { model: model.id, tools: [LOOKUP] };
    const first = await model.generate(request([SYSTEM, QUESTION], more), { signal });
    assert.equal(first.finish, "tool-calls");
    const [call] = first.calls;
    assert(call !== undefined && call.id !== "");
    assert.equal(call.name, LOOKUP.name);
    assert.match(JSON.stringify(call.input), /oslo/i);
    const results = after(first, { text: CODE, isError: false });
    const messages = [SYSTEM, QUESTION, ...results];
    const second = await model.generate(request(messages, more), { signal });
    assert.match(second.text, new RegExp(CODE));
    const more2 = [...messages, ...after(second), user("Thank you. Say bye.")];
    const third = await model.generate(request(more2, more), { signal });
    assert(third.text !== "" || third.calls.length > 0);
  },

  "goes on after a tool that failed": async (model) => {
    const more = { model: model.id, tools: [LOOKUP] };
    const first = await model.generate(request([SYSTEM, QUESTION], more), { signal });
    assert(first.calls.length > 0);
    const results = after(first, { text: "Cannot look up code: no such city", isError: true });
    const second = await model.generate(request([SYSTEM, QUESTION, ...results], more), { signal });
    assert(second.text !== "" || second.calls.length > 0);
  },

  "reads back a call that was written badly": async (model) => {
    const call = { id: "call_0_0", name: LOOKUP.name, raw: '{"city": "Os' };
    const bad: ModelMessage[] = [
      { role: "assistant", text: "", calls: [call] },
      { role: "tool", id: call.id, name: call.name, output: "Bad JSON, try again", isError: true },
    ];
    const asked = request([SYSTEM, QUESTION, ...bad], { model: model.id, tools: [LOOKUP] });
    const reply = await model.generate(asked, { signal });
    assert(reply.text !== "" || reply.calls.length > 0);
  },

  "stops at its limit of tokens": async (model) => {
    const messages = [user("Count from one to one hundred in words.")];
    const asked = request(messages, { model: model.id, maxOutputTokens: 8 });
    const reply = await model.generate(asked, { signal });
    assert.equal(reply.finish, "length");
  },

  "ends with the signal in the middle of a reply": async (model) => {
    const controller = new AbortController();
    const asked = request([user("Count from one to one hundred in words.")], { model: model.id });
    const work = model.generate(asked, {
      signal: controller.signal,
      onText: () => controller.abort(),
    });
    assert.equal((await refusal(work)).code, "ECANCELED");
  },
};
