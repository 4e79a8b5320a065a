/**
 * Any language model of the AI SDK as a model of this system: specifications v2, v3 and v4.
 *
 * The three differ here only in how a reply says its usage and why it ended; what is asked has one
 * shape. The SDK itself is not loaded: its objects are taken by their form.
 *
 * Invariants:
 *   A1. One call is one attempt: nothing is tried again here.
 *   A2. A reply is whole. A stream that ends without saying why, or says that it was interrupted,
 *       is `EIO`, whatever came before.
 *   A3. All text is well-formed Unicode, in `onText` as in the reply; the chunks make the text.
 *   A4. Ids of calls are unique in their conversation. One that is missing or was used before is
 *       `call_<turn>_<index>`, the same for the same reply.
 *   A5. A call whose arguments are no plain JSON keeps them as `raw`; it is not an error.
 *   A6. Every wait ends when the signal is aborted, and the stream is canceled, even if the
 *       provider does not listen to the signal.
 *   A7. A secret that is redacted is in no chunk either, wherever the stream cuts it; so chunks end
 *       with a word then. Only one that is folded over lines is found no sooner than in the whole.
 * @module
 */

import { SysError } from "../../kernel/errors.ts";
import { type Json, plain } from "../../kernel/json.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { parseJson } from "../../kernel/parse.ts";
import { priceOf, type Pricing } from "../../kernel/price.ts";
import type {
  Model,
  ModelAsking,
  ModelCall,
  ModelReply,
  ModelRequest,
} from "../../kernel/world.ts";
import { countRequestTokens, countTokens, turnOf } from "./scripted.ts";
import { redacted, wholeWords } from "./reply_words.ts";
import { tellHead, toFailure } from "./ai_sdk_failure.ts";
import { promptOf } from "./ai_sdk_prompt.ts";

export type { Pricing };

const SPECIFICATIONS: readonly string[] = ["v2", "v3", "v4"];
const FINISHES: readonly string[] = [
  "stop",
  "length",
  "tool-calls",
  "content-filter",
  "error",
  "other",
] satisfies readonly ModelReply["finish"][];

/** A language model object of the AI SDK, as far as it is used here. */
export interface LanguageModel {
  /** "v2", "v3" or "v4". */
  readonly specificationVersion: string;
  /** Like "openai.chat". */
  readonly provider: string;
  /** What the provider calls the model. */
  readonly modelId: string;
  /** Starts one attempt. */
  doStream(options: never): PromiseLike<{
    readonly stream: ReadableStream<unknown>;
    readonly response?: { readonly headers?: Readonly<Record<string, string>> };
  }>;
}

/** How an AI SDK model is used. */
export interface AiSdkOptions {
  /** Makes replies say `usd`. */
  readonly pricing?: Pricing;
  /** `<provider>/<model>` when absent, without what follows a dot in the provider's name. */
  readonly id?: string;
  /** Media types that the model takes, such as `image/*`; none when absent. */
  readonly takes?: readonly string[];
  /** Takes what must not be told out of what errors say. */
  readonly hide?: (text: string) => string;
  /** Takes secrets out of a reply: its text and its calls, before anybody hears of them. */
  readonly redact?: (text: string) => string;
}

/**
 * Makes a model of an AI SDK language model.
 *
 * Throws `EINVAL` for a specification other than v2, v3 and v4. Errors of `generate`: `EAGAIN`
 * (rate limit), `ETIMEDOUT`, `EIO` (5xx, network, cut stream), `EACCES` (401, 403), `EINVAL` (other
 * 4xx), `ELIMIT` (a reply beyond `callReplyBytesMax`), `ECANCELED` (the signal; when its reason is
 * a `SysError`, that). `EAGAIN` and `EIO` carry `detail.retryAfterMs` where the provider says.
 * Usage which the provider does not report is counted roughly.
 *
 * @example
 * ```ts
 * import { aiSdkModel } from "@agent-libos/core";
 * const stream = ReadableStream.from([
 *   { type: "text-delta", id: "1", delta: "Hello" },
 *   { type: "finish", finishReason: "stop", usage: { inputTokens: 2, outputTokens: 1 } },
 * ]);
 * const doStream = () => Promise.resolve({ stream });
 * const base = { specificationVersion: "v2", provider: "my", modelId: "echo" };
 * const model = aiSdkModel({ ...base, doStream });
 * const request = { model: model.id, messages: [], tools: [], idempotencyKey: "1" };
 * const reply = await model.generate(request, { signal: new AbortController().signal });
 * console.assert(model.id === "my/echo" && reply.text === "Hello");
 * ```
 */
export function aiSdkModel(languageModel: LanguageModel, options: AiSdkOptions = {}): Model {
  const { specificationVersion, provider, modelId } = languageModel;
  const id = options.id ?? `${provider.split(".")[0]}/${modelId}`;
  if (!SPECIFICATIONS.includes(specificationVersion)) {
    const found = `specification "${specificationVersion}"`;
    throw new SysError("EINVAL", `Cannot use model "${id}": ${found}, expected v2, v3 or v4`);
  }
  return {
    id,
    ...(options.takes === undefined ? {} : { takes: options.takes }),
    ...(options.pricing === undefined ? {} : { pricing: options.pricing }),
    async generate(request, asking) {
      const { signal, onHead } = asking;
      try {
        const parts = await ask(languageModel, request, { signal, onHead });
        const { redact } = options;
        if (redact === undefined) {
          return replyOf(await listen(parts, asking), request, options.pricing);
        }
        const words = wholeWords(redact, asking.onText ?? (() => {}));
        const answer = redacted(await listen(parts, { ...asking, onText: words.take }), redact);
        words.end();
        return replyOf(answer, request, options.pricing);
      } catch (thrown) {
        tellHead(thrown, onHead);
        throw toFailure(thrown, id, signal, options.hide);
      }
    },
  };
}

/** What has come so far. */
export interface Answer {
  text: string;
  /** A high surrogate whose other half is still to come. */
  half: string;
  readonly asked: { readonly id: string; readonly name: string; readonly input: string }[];
  finish: { readonly reason: string; readonly usage: unknown } | undefined;
}

type Part = Readonly<Record<string, unknown>>;

async function ask(
  languageModel: LanguageModel,
  request: ModelRequest,
  { signal, onHead }: Pick<ModelAsking, "signal"> & { readonly onHead: ModelAsking["onHead"] },
): Promise<ReadableStreamDefaultReader<unknown>> {
  signal.throwIfAborted();
  const question = {
    prompt: promptOf(request.messages, languageModel.specificationVersion),
    ...(request.tools.length === 0 ? {} : {
      tools: request.tools.map((tool) => ({ type: "function", ...tool })),
      toolChoice: { type: "auto" },
    }),
    ...(request.maxOutputTokens === undefined ? {} : { maxOutputTokens: request.maxOutputTokens }),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    headers: { "idempotency-key": request.idempotencyKey },
    abortSignal: signal,
  };
  const opening = Promise.resolve(languageModel.doStream(question as never));
  const late = () => opening.then(({ stream }) => stream.cancel(signal.reason)).catch(() => {});
  const { stream, response } = await untilAborted(opening, signal, late);
  tellHead(response, onHead);
  return stream.getReader();
}

/** Parts that hold a piece of the reply. */
const PIECES = new Set<unknown>(["text-delta", "reasoning-delta", "tool-input-delta"]);

async function listen(
  parts: ReadableStreamDefaultReader<unknown>,
  { signal, onText, onChunk }: ModelAsking,
): Promise<Answer> {
  const answer: Answer = { text: "", half: "", asked: [], finish: undefined };
  let left: number = LIMITS.callReplyBytesMax;
  try {
    for (;;) {
      const { done, value } = await untilAborted(parts.read(), signal);
      if (done) break;
      const part = value as Part;
      left -= sizeOf(part);
      if (left < 0) throw tooLarge();
      if (PIECES.has(part["type"])) onChunk?.();
      const chunk = take(part, answer);
      if (chunk !== "") onText?.(chunk);
    }
    if (answer.half !== "") {
      answer.text += "\ufffd";
      onText?.("\ufffd");
    }
    return answer;
  } finally {
    // Canceling a stream that has ended does nothing; one that does not end is left behind.
    await untilAborted(parts.cancel(), signal).catch(() => {});
  }
}

/** Adds a part to the answer and returns the text that is new. */
function take(part: Part, answer: Answer): string {
  switch (part["type"]) {
    case "text-delta":
      return takeText(textOf(part["delta"]), answer);
    case "tool-call":
      // What the provider runs itself is no call of ours.
      if (part["providerExecuted"] !== true) {
        const id = textOf(part["toolCallId"]).toWellFormed();
        const name = textOf(part["toolName"]).toWellFormed();
        answer.asked.push({ id, name, input: textOf(part["input"]) });
      }
      return "";
    case "error":
      throw part["error"];
    case "finish": {
      const said = part["finishReason"];
      const reason = textOf(typeof said === "object" ? field(said, "unified") : said);
      answer.finish = { reason, usage: part["usage"] };
      return "";
    }
    default:
      return "";
  }
}

function takeText(delta: string, answer: Answer): string {
  const all = answer.half + delta;
  const splits = /[\ud800-\udbff]$/.test(all);
  answer.half = splits ? all.slice(-1) : "";
  const chunk = (splits ? all.slice(0, -1) : all).toWellFormed();
  answer.text += chunk;
  return chunk;
}

function sizeOf(part: Part): number {
  return textOf(part["delta"]).length + textOf(part["input"]).length;
}

function tooLarge(): SysError {
  const limit = LIMITS.callReplyBytesMax;
  const sentence = `Cannot use the model's reply: larger than ${limit} bytes, expected less`;
  return new SysError("ELIMIT", sentence, { limit: "callReplyBytesMax" });
}

function replyOf(
  answer: Answer,
  request: ModelRequest,
  pricing: Pricing | undefined,
): ModelReply {
  const { text, asked, finish } = answer;
  const empty = text === "" && asked.length === 0;
  // v2 says "unknown" both for a stream that broke off and for a reason it has no name for.
  const cut = finish === undefined || finish.reason === "interrupted" ||
    (finish.reason === "unknown" && empty);
  if (cut) {
    throw new SysError("EIO", "Cannot use the model's reply: cut, expected a stream to its end");
  }
  const calls = callsOf(asked, request);
  const usage = usageOf(finish.usage);
  const inputTokens = usage.input ?? countRequestTokens(request);
  const outputTokens = usage.output ?? countTokens(text + asked.map((call) => call.input).join());
  const counted = {
    inputTokens,
    outputTokens,
    ...(usage.cached === 0 ? {} : { cachedTokens: usage.cached }),
    ...(usage.put === 0 ? {} : { cacheWriteTokens: usage.put }),
  };
  return {
    text,
    calls,
    finish: finishOf(finish.reason, calls),
    ...counted,
    ...(pricing === undefined ? {} : { usd: priceOf(counted, pricing) }),
  };
}

function finishOf(reason: string, calls: readonly ModelCall[]): ModelReply["finish"] {
  if (reason === "stop" && calls.length > 0) return "tool-calls";
  return FINISHES.includes(reason) ? reason as ModelReply["finish"] : "other";
}

function callsOf(asked: Answer["asked"], request: ModelRequest): readonly ModelCall[] {
  const taken = new Set<string>();
  for (const message of request.messages) {
    if (message.role === "assistant") { for (const call of message.calls) taken.add(call.id); }
  }
  return asked.map(({ id: sent, name, input }, index) => {
    let id = sent.trim() === "" || taken.has(sent) ? `call_${turnOf(request)}_${index}` : sent;
    while (taken.has(id)) id += "_";
    taken.add(id);
    const value = argumentsOf(input);
    return value === undefined
      ? { id, name, raw: input.toWellFormed() }
      : { id, name, input: value };
  });
}

/** What a call's text says; undefined when it is no plain JSON. No text means no arguments. */
function argumentsOf(text: string): Json | undefined {
  if (text.trim() === "") return {};
  const bounds = { depthMax: LIMITS.jsonDepthMax, bytesMax: LIMITS.callArgumentBytesMax };
  try {
    return plain(parseJson(text), bounds, "a tool call");
  } catch {
    return undefined;
  }
}

/** Reads usage: a number each in v2, `{ total, … }` each since v3. */
function usageOf(usage: unknown): {
  readonly input?: number;
  readonly output?: number;
  readonly cached: number;
  readonly put: number;
} {
  const input = field(usage, "inputTokens");
  const output = field(usage, "outputTokens");
  const inputTotal = countOf(input) ?? countOf(field(input, "total"));
  const outputTotal = countOf(output) ?? countOf(field(output, "total"));
  const cached = countOf(field(usage, "cachedInputTokens")) ?? countOf(field(input, "cacheRead"));
  return {
    ...(inputTotal === undefined ? {} : { input: inputTotal }),
    ...(outputTotal === undefined ? {} : { output: outputTotal }),
    cached: cached ?? 0,
    put: countOf(field(input, "cacheWrite")) ?? 0,
  };
}

/** Waits for `work`, but no longer than the signal; `late` is then told to clean up after it. */
async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  late?: () => void,
): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => {
    late?.();
    reject(signal.reason);
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Part)[name];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function countOf(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? value as number : undefined;
}
