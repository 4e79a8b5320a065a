/**
 * Models behind an endpoint that speaks OpenAI's chat completions: Ollama, vLLM, llama.cpp, and
 * most hosted services.
 *
 * Invariants:
 *   O1. The SDK is loaded by the first call, not by importing this file.
 *
 * Times, bounds and what becomes of the key: `providers/models/endpoint.ts`.
 * @module
 */

import type { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { Model } from "../../kernel/world.ts";
import type { LanguageModel } from "./ai_sdk.ts";
import { type EndpointOptions, guarded, modelAt, refuseUrl, type Watch } from "./endpoint.ts";

/** Where a model is and how to ask it. */
export interface OpenAiCompatibleOptions extends EndpointOptions {
  /** What `/chat/completions` is put behind, like `http://127.0.0.1:11434/v1`. */
  readonly url: string;
  /** Sent as a bearer token. */
  readonly apiKey?: string;
  /** First part of the model's id; "openai-compatible" when absent. */
  readonly name?: string;
  /** Media types that the model takes, such as `image/*` and `audio/wav`; none when absent. */
  readonly takes?: readonly string[];
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
  refuseUrl(id, options.url);
  return modelAt(id, options, (watch) => connect(name, options, watch));
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
