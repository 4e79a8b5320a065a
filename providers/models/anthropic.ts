/**
 * Models behind an endpoint that speaks Anthropic's Messages.
 *
 * Invariants:
 *   O1. A reply is what its events say: without `message_stop` it is cut, whatever came before.
 *   O6. Calls of one turn may be written interleaved; they come out in the order they began.
 *
 * Times, bounds and what becomes of the key: `providers/models/endpoint.ts`.
 * @module
 */

import { SysError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/parse.ts";
import type { Model } from "../../kernel/world.ts";
import type { LanguageModel } from "./ai_sdk.ts";
import { messagesOf, type Question } from "./anthropic_messages.ts";
import { type EndpointOptions, guarded, modelAt, refuseUrl, type Watch } from "./endpoint.ts";
import { eventsOf } from "./server_events.ts";

const VERSION = "2023-06-01";
/** The API wants a bound; this is one that every model of it takes. */
const OUTPUT_TOKENS_DEFAULT = 4_096;
/** What all its models take. */
const TAKES = ["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"];

/** Where a model is and how to ask it. */
export interface AnthropicOptions extends EndpointOptions {
  /** What `/messages` is put behind; `https://api.anthropic.com/v1` when absent. */
  readonly url?: string;
  /** Sent as `x-api-key`. */
  readonly apiKey?: string;
  /** First part of the model's id; "anthropic" when absent. */
  readonly name?: string;
  /** Lets the endpoint keep the prompt's beginning for the next turn; what it kept costs less. */
  readonly cache?: boolean;
  /** Most tokens of a reply, where a request says none; 4,096 when absent. */
  readonly maxOutputTokens?: number;
}

/**
 * Makes a model, `<name>/<modelId>`, of an endpoint that speaks Messages. Needs the permission to
 * connect to the endpoint, and no other.
 *
 * Throws `EINVAL` for a `url` that is no HTTP address. Errors of `generate`: those of `aiSdkModel`
 * (an endpoint that is overloaded, 529, is `EIO` with `retryAfterMs`), `ETIMEDOUT` when a time has
 * passed.
 *
 * @example
 * ```ts
 * import { anthropicModel } from "@agent-libos/core";
 * const model = anthropicModel({ modelId: "claude-sonnet-4-5" });
 * console.assert(model.id === "anthropic/claude-sonnet-4-5");
 * console.assert(model.takes?.includes("image/png") === true);
 * ```
 */
export function anthropicModel(options: AnthropicOptions): Model {
  const name = options.name ?? "anthropic";
  const id = `${name}/${options.modelId}`;
  const url = options.url ?? "https://api.anthropic.com/v1";
  refuseUrl(id, url);
  const how = { ...options, takes: options.takes ?? TAKES };
  return modelAt(id, how, (watch) => languageModel(name, url, { options, watch }));
}

function languageModel(name: string, url: string, given: {
  readonly options: AnthropicOptions;
  readonly watch: Watch;
}): LanguageModel {
  const { options, watch } = given;
  const fetch = guarded(options.fetch ?? globalThis.fetch, watch);
  return {
    specificationVersion: "v4",
    provider: name,
    modelId: options.modelId,
    async doStream(question: Question) {
      const response = await fetch(`${url.replace(/\/+$/, "")}/messages`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "accept": "text/event-stream",
          "anthropic-version": VERSION,
          ...question.headers,
          ...(options.apiKey === undefined ? {} : { "x-api-key": options.apiKey }),
        },
        body: JSON.stringify(messagesOf(question, {
          modelId: options.modelId,
          maxOutputTokens: options.maxOutputTokens ?? OUTPUT_TOKENS_DEFAULT,
          isCached: options.cache === true,
        })),
        signal: question.abortSignal,
      });
      if (!response.ok || response.body === null) throw await refusalOf(response);
      return {
        stream: response.body.pipeThrough(eventsOf()).pipeThrough(partsOf()),
        response: { headers: Object.fromEntries(response.headers) },
      };
    },
  } as LanguageModel;
}

/** A failure in the form in which the SDK's are: status, headers, what the endpoint wrote. */
async function refusalOf(response: Response): Promise<Error> {
  const text = await response.text();
  const said = failureIn(parsed(text));
  const words = said ?? (text.slice(0, 300) || response.statusText);
  return Object.assign(new Error(words === "" ? "no reason given" : words), {
    statusCode: response.status,
    responseHeaders: Object.fromEntries(response.headers),
  });
}

type Fields = Readonly<Record<string, unknown>>;

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? value as Fields : {};
}

function failureIn(body: unknown): string | undefined {
  const { message } = fields(fields(body)["error"]);
  return typeof message === "string" ? message : undefined;
}

/** A call that is being written. */
interface Writing {
  readonly id: unknown;
  readonly name: unknown;
  /** What it begins with, where the endpoint sends the arguments whole. */
  readonly input: unknown;
  text: string;
}

/** Turns the endpoint's events into the parts of a reply. */
function partsOf(): TransformStream<string, Fields> {
  const calls = new Map<unknown, Writing>();
  const usage: Record<string, number> = {};
  let reason: unknown;
  return new TransformStream({
    transform(line, controller) {
      const event = fields(parsed(line));
      count(usage, fields(fields(event["message"])["usage"]));
      count(usage, fields(event["usage"]));
      switch (event["type"]) {
        case "content_block_start": {
          const block = fields(event["content_block"]);
          const { type, id, name, input } = block;
          if (type === "tool_use") calls.set(event["index"], { id, name, input, text: "" });
          if (type === "text" && typeof block["text"] === "string") {
            controller.enqueue({ type: "text-delta", delta: block["text"] });
          }
          return;
        }
        case "content_block_delta":
          return added(fields(event["delta"]), calls.get(event["index"]), controller);
        case "message_delta":
          reason = fields(event["delta"])["stop_reason"] ?? reason;
          return;
        case "error":
          controller.enqueue({ type: "error", error: failed(event) });
          return;
        case "message_stop":
          for (const call of calls.values()) controller.enqueue(written(call));
          controller.enqueue({
            type: "finish",
            finishReason: { unified: FINISHES[String(reason)] ?? "other" },
            usage: totals(usage),
          });
      }
    },
  });
}

const FINISHES: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  tool_use: "tool-calls",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  refusal: "content-filter",
};

function added(
  delta: Fields,
  call: Writing | undefined,
  controller: TransformStreamDefaultController<Fields>,
): void {
  if (delta["type"] === "text_delta") {
    controller.enqueue({ type: "text-delta", delta: delta["text"] });
  }
  if (delta["type"] === "input_json_delta" && call !== undefined) {
    call.text += typeof delta["partial_json"] === "string" ? delta["partial_json"] : "";
    // Bounded with all else that comes: the reader counts what each part holds.
    controller.enqueue({ type: "tool-input-delta", delta: delta["partial_json"] });
  }
}

function written({ id, name, input, text }: Writing): Fields {
  const whole = text === "" ? JSON.stringify(input ?? {}) : text;
  return { type: "tool-call", toolCallId: id, toolName: name, input: whole };
}

/** A failure in the middle of a stream, with the code that its kind would have had before it. */
function failed(event: Fields): Error {
  const kind = String(fields(event["error"])["type"]);
  const words = failureIn(event) ?? kind;
  const code = /rate_limit/.test(kind)
    ? "EAGAIN"
    : /authentication|permission|billing/.test(kind)
    ? "EACCES"
    : /invalid_request|not_found|too_large/.test(kind)
    ? "EINVAL"
    : "EIO";
  return new SysError(code, `Cannot use the model's reply: ${words.slice(0, 300)}`);
}

function count(usage: Record<string, number>, said: Fields): void {
  for (const [name, value] of Object.entries(said)) {
    if (typeof value === "number") usage[name] = value;
  }
}

/** What is written to and read from the endpoint's cache is input, too. */
function totals(usage: Readonly<Record<string, number>>): Fields {
  const { input_tokens, output_tokens } = usage;
  const cacheRead = usage["cache_read_input_tokens"] ?? 0;
  const cacheWrite = usage["cache_creation_input_tokens"] ?? 0;
  const total = input_tokens === undefined ? undefined : input_tokens + cacheRead + cacheWrite;
  return {
    inputTokens: { total, cacheRead, cacheWrite },
    outputTokens: { total: output_tokens },
  };
}
