/**
 * The conversation suite, against the fake endpoint always, and against a real one where there is
 * one: `LIBOS_REAL_MODEL_URL` is its address (ending in `/v1`), `LIBOS_REAL_MODEL_ID` its model,
 * `LIBOS_REAL_MODEL_KEY` its key, if it needs one.
 * @module
 */

import { openaiCompatibleModel } from "../providers/models/openai_compatible.ts";
import { type Candidate, CODE, LOOKUP, testConversation } from "./conversation_suite.ts";
import {
  asks,
  type Behaviour,
  chunk,
  fakeOpenAi,
  says,
  type WireMessage,
  type WireRequest,
  type WireTool,
} from "./fake_openai_server.ts";

const url = Deno.env.get("LIBOS_REAL_MODEL_URL") ?? "";
const modelId = Deno.env.get("LIBOS_REAL_MODEL_ID") ?? "";
const apiKey = Deno.env.get("LIBOS_REAL_MODEL_KEY");
const noRealModelIsConfigured = url === "" || modelId === "";

testConversation("Fake endpoint", { open: openFake });

testConversation(
  noRealModelIsConfigured
    ? "Real model (skipped: LIBOS_REAL_MODEL_URL and LIBOS_REAL_MODEL_ID are not set)"
    : `Real model "${modelId}"`,
  { open: openReal, ignore: noRealModelIsConfigured },
);

function openFake(): Candidate {
  const server = fakeOpenAi(talk);
  const model = openaiCompatibleModel({ url: server.url, modelId: "talker", name: "fake" });
  return { model, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function openReal(): Candidate {
  const key = apiKey === undefined ? {} : { apiKey };
  const model = openaiCompatibleModel({ url, modelId, name: "real", ...key });
  return { model, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Talks as far as the suite needs it. */
function talk(
  messages: readonly WireMessage[],
  _tools: readonly WireTool[],
  body: WireRequest["body"],
): Behaviour {
  const last = messages.at(-1);
  const text = last?.content ?? "";
  if (last?.role === "tool") {
    return text === CODE ? says(`The code is ${CODE}.`) : asks(lookUp("Oslo"));
  }
  if (text.includes("secret code")) return asks(lookUp("Oslo"));
  if (text.includes("one hundred")) {
    const start = "one, two, three";
    if (body.max_tokens !== undefined) return says(start, { finish: "length" });
    return { kind: "events", events: [chunk({ content: start })], then: "hang" };
  }
  if (text.includes("one to five")) return says("", { pieces: ["one, ", "two, ", "five"] });
  return says(text.includes("hello") ? "Hello!" : "Bye!");
}

function lookUp(city: string) {
  return { name: LOOKUP.name, args: { city } };
}
