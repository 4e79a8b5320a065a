/**
 * Trying an endpoint of models: what it lists, and what a model behind it can do. Each try is one
 * request that costs a few tokens.
 * @module
 */

import { SysError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { mediaOf } from "../../kernel/media.ts";
import { parseJson } from "../../kernel/parse.ts";
import type { Model, ModelReply, ModelRequest } from "../../kernel/world.ts";
import { toFailure } from "./ai_sdk_failure.ts";
import { keyHider } from "./key.ts";

const LIST_BYTES_MAX = 2 ** 20;
const LIST_MS_MAX = 15_000;
const NAME_CHARS_MAX = 200;
const TOOL = {
  name: "look_up_code",
  description: "Returns the code of a city. Call it; do not guess.",
  inputSchema: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
} as const;
/** A red dot of one pixel. */
const DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJ" +
  "RU5ErkJggg==";

/** What was tried, and what came of it. */
export interface Probe {
  readonly what: "connect" | "completion" | "streaming" | "tool call" | "parallel calls" | "image";
  /** "no": the model or its endpoint does not do it. "bad": it failed. */
  readonly state: "ok" | "no" | "bad";
  /** The code of a failure. */
  readonly code: string | null;
  readonly detail: string;
}

/** Where the models of an endpoint are listed. */
export interface Listing {
  /** What `/models` is put behind. */
  readonly url: string;
  readonly apiKey?: string;
  /** Whose headers it wants. */
  readonly kind: "openai" | "anthropic";
  /** Instead of the global one. */
  readonly fetch?: typeof globalThis.fetch;
}

/** The names of the models of an endpoint, as it says them. Errors: as of a model's. */
export async function listModels(from: Listing): Promise<readonly string[]> {
  const signal = AbortSignal.timeout(LIST_MS_MAX);
  const url = `${from.url.replace(/\/+$/, "")}/models`;
  const hide = keyHider(from.apiKey);
  try {
    const response = await (from.fetch ?? globalThis.fetch)(url, {
      headers: headersOf(from),
      redirect: "manual",
      signal,
    });
    const text = await bounded(response);
    if (!response.ok) {
      const error = new Error(`it answered ${hide(text).slice(0, 200)}`);
      const location = response.headers.get("location");
      const responseHeaders = location === null ? {} : { location: absolute(location, url) };
      throw Object.assign(error, { statusCode: response.status, responseHeaders });
    }
    return namesIn(text);
  } catch (thrown) {
    const failure = toFailure(thrown, url, signal, hide);
    if (!(failure instanceof SysError)) throw failure;
    const said = failure.message.replace("Cannot generate with model", "Cannot list models of");
    throw new SysError(failure.code, hide(said), failure.detail);
  }
}

/** A location may be said from where it was asked. */
function absolute(location: string, from: string): string {
  return URL.parse(location, from)?.href ?? location;
}

function headersOf({ kind, apiKey }: Listing): Record<string, string> {
  if (kind === "openai") return apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  return {
    "anthropic-version": "2023-06-01",
    ...(apiKey === undefined ? {} : { "x-api-key": apiKey }),
  };
}

async function bounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length <= LIST_BYTES_MAX) continue;
    const found = `more than ${LIST_BYTES_MAX} bytes`;
    throw new SysError("ELIMIT", `Cannot list models: ${found}, expected less`);
  }
  return text;
}

function namesIn(text: string): readonly string[] {
  let said: unknown;
  try {
    said = parseJson(text);
  } catch {
    said = null;
  }
  const data = (said as { readonly data?: unknown } | null)?.data;
  if (!Array.isArray(data)) {
    throw new SysError("EIO", "Cannot list models: the answer is no list, expected { data: […] }");
  }
  const ids = data.map((one) => (one as { readonly id?: unknown } | null)?.id);
  return ids.filter((id) => typeof id === "string")
    .map((id) => id.slice(0, NAME_CHARS_MAX).toWellFormed()).sort();
}

/** Tries a model, one thing after the other; what follows from a failure is not tried. */
export async function* probeModel(
  model: Model,
  signal: AbortSignal,
): AsyncGenerator<Probe, void, void> {
  const chunks: string[] = [];
  const first = await attempt(model, {
    messages: [{ role: "user", text: "Count from one to five in words, and say no more." }],
  }, { signal, onText: (chunk) => void chunks.push(chunk) });
  yield "reply" in first
    ? ok("completion", `${first.reply.inputTokens}→${first.reply.outputTokens} tokens`)
    : bad("completion", first.error);
  if (!("reply" in first)) return;
  yield chunks.length > 1
    ? ok("streaming", `${chunks.length} pieces`)
    : no("streaming", `${chunks.length} piece: it came whole`);
  yield* toolProbes(model, signal);
  yield await imageProbe(model, signal);
}

async function* toolProbes(model: Model, signal: AbortSignal): AsyncGenerator<Probe, void, void> {
  const text = "Look up the codes of Oslo and of Rome. Call the tool for each, in one turn.";
  const asked = await attempt(model, { messages: [{ role: "user", text }], tools: [TOOL] }, {
    signal,
  });
  if (!("reply" in asked)) {
    yield refused("tool call", asked.error);
    return;
  }
  const { calls } = asked.reply;
  const good = calls.filter(({ name, input }) =>
    name === TOOL.name && typeof (input as { city?: unknown } | undefined)?.city === "string"
  );
  if (good.length === 0) {
    const found = calls.length === 0 ? "it answered without a call" : "its call cannot be read";
    yield no("tool call", found);
    return;
  }
  yield ok("tool call", `${TOOL.name}(${JSON.stringify(good[0]!.input)})`);
  yield good.length > 1
    ? ok("parallel calls", `${good.length} in one turn`)
    : no("parallel calls", "one call in a turn");
}

async function imageProbe(model: Model, signal: AbortSignal): Promise<Probe> {
  const media = mediaOf(Uint8Array.fromBase64(DOT))!;
  const text = "Which colour is this image? Answer with one word.";
  const shown = await attempt(model, {
    messages: [{ role: "user", text, parts: [{ object: "dot", media }] }],
  }, { signal });
  if ("reply" in shown) {
    const said = shown.reply.text.trim().slice(0, 40).toWellFormed();
    const isSeen = /red|rot|rouge|pink|orange/i.test(said);
    return isSeen ? ok("image", `it says ${JSON.stringify(said)}`) : no(
      "image",
      `taken, but it says ${JSON.stringify(said)} of a red dot`,
    );
  }
  return refused("image", shown.error);
}

async function attempt(
  model: Model,
  asked: Pick<ModelRequest, "messages"> & Partial<ModelRequest>,
  how: { readonly signal: AbortSignal; readonly onText?: (chunk: string) => void },
): Promise<{ readonly reply: ModelReply } | { readonly error: SysError }> {
  try {
    const request = { model: model.id, tools: [], idempotencyKey: crypto.randomUUID(), ...asked };
    const signal = AbortSignal.any([how.signal, AbortSignal.timeout(LIMITS.modelTimeoutMsDefault)]);
    return { reply: await model.generate(request, { ...how, signal }) };
  } catch (error) {
    if (error instanceof SysError) return { error };
    throw error;
  }
}

function ok(what: Probe["what"], detail: string): Probe {
  return { what, state: "ok", code: null, detail };
}

/** A refusal of what is asked is an answer: it takes no tools, or no images. */
function refused(what: "tool call" | "image", error: SysError): Probe {
  const isAnswer = error.code === "EINVAL" && Number(error.detail?.["status"] ?? 400) >= 400;
  if (!isAnswer) return bad(what, error);
  const takes = what === "image" ? "images" : "tools";
  return { ...bad(what, error), state: "no", detail: `it takes no ${takes}: ${error.message}` };
}

function no(what: Probe["what"], detail: string): Probe {
  return { what, state: "no", code: null, detail };
}

/** What went wrong, as one probe says it. */
export function bad(what: Probe["what"], { code, message }: SysError): Probe {
  return { what, state: "bad", code, detail: message };
}
