/**
 * Models behind an endpoint that speaks OpenAI's chat completions: Ollama, vLLM, llama.cpp, and
 * most hosted services.
 *
 * Invariants:
 *   O1. The SDK is loaded by the first call, not by importing this file.
 *   O2. A call ends: after `timeoutMs` in all, or after `idleTimeoutMs` without a byte.
 *   O3. A conversation and its key go to `url` only: redirects are not followed.
 *   O4. The key is in no error.
 *   O5. No timer and no open response is left when a call has ended.
 * @module
 */

import type { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { SysError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Model } from "../../kernel/world.ts";
import { aiSdkModel, type LanguageModel, type Pricing } from "./ai_sdk.ts";

const IDLE_MS_DEFAULT = 120_000;
const REFUSAL_BYTES_MAX = 65_536;
/** A reply that comes in one piece fits, with what is around it. */
const LINE_BYTES_MAX = LIMITS.callReplyBytesMax + 65_536;

/** Where a model is and how to ask it. */
export interface OpenAiCompatibleOptions {
  /** What `/chat/completions` is put behind, like `http://127.0.0.1:11434/v1`. */
  readonly url: string;
  /** What the endpoint calls the model. */
  readonly modelId: string;
  /** Sent as a bearer token. */
  readonly apiKey?: string;
  /** First part of the model's id; "openai-compatible" when absent. */
  readonly name?: string;
  /** How long a call may take; `LIMITS.modelTimeoutMsDefault` when absent. */
  readonly timeoutMs?: number;
  /** How long an endpoint may be silent, which includes its thinking; two minutes when absent. */
  readonly idleTimeoutMs?: number;
  /** Makes replies say `usd`. */
  readonly pricing?: Pricing;
  /** Instead of the global one. It gets the signal that ends the call. */
  readonly fetch?: typeof globalThis.fetch;
}

/**
 * Makes a model, `<name>/<modelId>`, of an OpenAI-compatible endpoint. Needs the permission to
 * connect to the endpoint, and no other.
 *
 * Throws `EINVAL` for a `url` that is no HTTP address. Errors of `generate`: those of `aiSdkModel`,
 * `ETIMEDOUT` when one of the two times has passed.
 *
 * @example
 * ```ts
 * import { openaiCompatibleModel } from "@agent-libos/core";
 * const url = "http://127.0.0.1:11434/v1";
 * const model = openaiCompatibleModel({ url, modelId: "qwen3:4b", name: "ollama" });
 * console.assert(model.id === "ollama/qwen3:4b");
 * ```
 */
export function openaiCompatibleModel(options: OpenAiCompatibleOptions): Model {
  const name = options.name ?? "openai-compatible";
  const id = `${name}/${options.modelId}`;
  if (!/^https?:$/.test(URL.parse(options.url)?.protocol ?? "")) {
    throw new SysError("EINVAL", `Cannot use model "${id}": no HTTP address, expected a URL`);
  }
  return {
    id,
    async generate(request, { signal, ...asking }) {
      const watch = startWatch(id, options);
      try {
        const languageModel = await connect(name, options, watch);
        const { pricing } = options;
        const model = aiSdkModel(languageModel, pricing === undefined ? { id } : { id, pricing });
        const both = AbortSignal.any([signal, watch.signal]);
        return await model.generate(request, { ...asking, signal: both });
      } catch (thrown) {
        throw withoutKey(thrown, options.apiKey);
      } finally {
        watch.stop();
      }
    },
  };
}

/** The times of one call. */
interface Watch {
  /** Aborted, with the failure as its reason, when a time has passed. */
  readonly signal: AbortSignal;
  /** Something has come. */
  touch(): void;
  stop(): void;
}

function startWatch(id: string, options: OpenAiCompatibleOptions): Watch {
  const timeoutMs = options.timeoutMs ?? LIMITS.modelTimeoutMsDefault;
  const idleMs = options.idleTimeoutMs ?? IDLE_MS_DEFAULT;
  const controller = new AbortController();
  const end = (found: string) => {
    const sentence = `Cannot generate with model "${id}": ${found}, expected a faster reply`;
    controller.abort(new SysError("ETIMEDOUT", sentence));
  };
  const total = setTimeout(() => end(`not done after ${timeoutMs} ms`), timeoutMs);
  const silent = () => setTimeout(() => end(`silent for ${idleMs} ms`), idleMs);
  let idle = silent();
  let stopped = false;
  return {
    signal: controller.signal,
    touch() {
      clearTimeout(idle);
      if (!stopped) idle = silent();
    },
    stop() {
      stopped = true;
      clearTimeout(total);
      clearTimeout(idle);
    },
  };
}

type Provided = ReturnType<ReturnType<typeof createOpenAICompatible>>;
type Question = Parameters<Provided["doStream"]>[0];
type Part = Awaited<ReturnType<Provided["doStream"]>>["stream"] extends ReadableStream<infer P> ? P
  : never;

async function connect(
  name: string,
  options: OpenAiCompatibleOptions,
  watch: Watch,
): Promise<LanguageModel> {
  const sdk = await import("@ai-sdk/openai-compatible");
  const provider = sdk.createOpenAICompatible({
    name,
    baseURL: options.url,
    // Without it most endpoints count no tokens for a stream.
    includeUsage: true,
    fetch: guarded(options.fetch ?? globalThis.fetch, watch),
    ...(options.apiKey === undefined ? {} : { apiKey: options.apiKey }),
  });
  const provided = provider(options.modelId);
  return {
    specificationVersion: provided.specificationVersion,
    provider: provided.provider,
    modelId: provided.modelId,
    async doStream(question: Question) {
      const result = await provided.doStream({ ...question, includeRawChunks: true });
      const { headers } = result.response ?? {};
      return {
        stream: result.stream.pipeThrough(withoutInventedIds()),
        response: headers === undefined ? {} : { headers },
      };
    },
  };
}

/**
 * Takes away ids of calls that the endpoint did not send. The SDK makes random ones up in their
 * place, and the same reply is to have the same ids.
 */
function withoutInventedIds(): TransformStream<Part, Part> {
  const sent = new Set<unknown>();
  return new TransformStream({
    transform(part, controller) {
      if (part.type === "raw") {
        for (const id of idsOf(part.rawValue)) sent.add(id);
        return;
      }
      const invented = part.type === "tool-call" && !sent.has(part.toolCallId);
      controller.enqueue(invented ? { ...part, toolCallId: "" } : part);
    },
  });
}

function idsOf(chunk: unknown): readonly unknown[] {
  const delta = field(field(field(chunk, "choices"), 0), "delta");
  const calls = field(delta, "tool_calls");
  return Array.isArray(calls) ? calls.map((call) => field(call, "id")) : [];
}

function field(value: unknown, name: string | number): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Readonly<Record<string | number, unknown>>)[name];
}

/** Asks without following redirects, watches each byte, and bounds what is kept of an answer. */
function guarded(fetch: typeof globalThis.fetch, watch: Watch): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, { ...init, redirect: "manual" });
    watch.touch();
    const { status, statusText, headers, body } = response;
    const kind = headers.get("content-type") ?? "";
    if (response.ok && /^(text\/html|application\/json)\b/i.test(kind)) {
      await body?.cancel();
      const found = `answered "${kind}", expected "text/event-stream"`;
      throw new SysError("EIO", `Cannot use the model's reply: ${found}`);
    }
    const metered = body?.pipeThrough(meter(watch, response.ok)) ?? null;
    return new Response(metered, { status, statusText, headers });
  };
}

/** Bounds what the SDK keeps: a line of a stream, which is an error, or a refusal, which is cut. */
function meter(watch: Watch, isStream: boolean): TransformStream<Uint8Array, Uint8Array> {
  let kept = 0;
  return new TransformStream({
    transform(bytes, controller) {
      watch.touch();
      const newline = isStream ? bytes.indexOf(10) : -1;
      const longest = kept + (newline === -1 ? bytes.length : newline);
      if (isStream && longest > LINE_BYTES_MAX) {
        const found = `one line is larger than ${LINE_BYTES_MAX} bytes, expected less`;
        const limit = { limit: "callReplyBytesMax" };
        throw new SysError("ELIMIT", `Cannot use the model's reply: ${found}`, limit);
      }
      kept = newline === -1 ? longest : bytes.length - bytes.lastIndexOf(10) - 1;
      controller.enqueue(bytes);
      if (!isStream && kept > REFUSAL_BYTES_MAX) controller.terminate();
    },
  });
}

function withoutKey(thrown: unknown, apiKey: string | undefined): unknown {
  if (!(thrown instanceof SysError) || apiKey === undefined || apiKey === "") return thrown;
  if (!thrown.message.includes(apiKey)) return thrown;
  return new SysError(thrown.code, thrown.message.replaceAll(apiKey, "(key)"), thrown.detail);
}
