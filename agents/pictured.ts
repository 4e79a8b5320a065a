/**
 * Media in a conversation: a model that reads an object with media gets words as the result of its
 * call, and the object itself by name in a message after it.
 * @module
 */

import type { Json } from "../kernel/json.ts";
import { isMediaKind, type Media, mediaText } from "../kernel/media.ts";
import type { ModelCall } from "../kernel/world.ts";

/** An object that a message brings with it. */
export interface Shown {
  readonly object: string;
  readonly version: number;
}

/** What a model is told and shown of media that it read; null for anything else. */
export function pictured(call: ModelCall, output: Json): {
  readonly output: Json;
  readonly part: Shown;
} | null {
  const { object } = (call.input ?? {}) as { readonly object?: unknown };
  const { type, version, value } = (output ?? {}) as { readonly [key: string]: unknown };
  const isRead = call.name === "object_read" && typeof object === "string" &&
    typeof version === "number" && typeof type === "string" && isMediaKind(type);
  if (!isRead) return null;
  const { base64: _, ...facts } = value as Media;
  const told = { ...output as object, value: facts, shown: `${mediaText(facts)}, below` };
  return { output: told as unknown as Json, part: { object, version } };
}
