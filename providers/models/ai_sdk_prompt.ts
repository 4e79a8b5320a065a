/**
 * Conversations in the form of the AI SDK's specifications v2, v3 and v4.
 * @module
 */

import type { Media } from "../../kernel/media.ts";
import type { ModelCall, ModelMessage } from "../../kernel/world.ts";

type Part = Readonly<Record<string, unknown>>;

/** The conversation in the SDK's form; results which follow each other are one message there. */
export function promptOf(messages: readonly ModelMessage[], version: string): readonly Part[] {
  const prompt: Part[] = [];
  let results: Part[] | undefined;
  for (const message of messages) {
    if (message.role === "tool") {
      if (results === undefined) prompt.push({ role: "tool", content: results = [] });
      results.push(resultOf(message));
      continue;
    }
    results = undefined;
    prompt.push(messageOf(message, version));
  }
  return prompt;
}

function messageOf(
  message: Exclude<ModelMessage, { readonly role: "tool" }>,
  version: string,
): Part {
  switch (message.role) {
    case "system":
      return { role: "system", content: message.text };
    case "user": {
      const media = (message.parts ?? []).flatMap(({ media }) =>
        media === undefined ? [] : [fileOf(media, version)]
      );
      const hasText = message.text !== "" || media.length === 0;
      const text = hasText ? [{ type: "text", text: message.text }] : [];
      return { role: "user", content: [...text, ...media] };
    }
    case "assistant": {
      const text = message.text === "" ? [] : [{ type: "text", text: message.text }];
      const calls = message.calls.map((call) => ({
        type: "tool-call",
        toolCallId: call.id,
        toolName: call.name,
        input: inputOf(call),
      }));
      return { role: "assistant", content: [...text, ...calls] };
    }
  }
}

/** Media: v4 says what kind of data it is, the older ones take base64 as it is. */
function fileOf({ mediaType, base64 }: Media, version: string): Part {
  const data = version === "v4" ? { type: "data", data: base64 } : base64;
  return { type: "file", mediaType, data };
}

/** Arguments as they go back to a model: always an object, since many endpoints refuse others. */
function inputOf({ input, raw }: ModelCall): unknown {
  if (typeof input === "object" && input !== null && !Array.isArray(input)) return input;
  return { malformed: raw ?? input ?? null };
}

function resultOf(message: Extract<ModelMessage, { readonly role: "tool" }>): Part {
  const { output, isError } = message;
  const kind = typeof output === "string" ? "text" : "json";
  const type = isError ? `error-${kind}` : kind;
  return {
    type: "tool-result",
    toolCallId: message.id,
    toolName: message.name,
    output: { type, value: output },
  };
}
