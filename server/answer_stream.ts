/**
 * Answers of a server as they come: text, and events.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type * as wire from "./wire.ts";

/** An answer as text, as it comes. */
export async function* textOf(answer: Response): AsyncGenerator<string> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const part = await reader.read().catch((thrown: unknown) => {
        const why = thrown instanceof Error ? thrown.message : String(thrown);
        throw new SysError("EIO", `Cannot read the answer: it broke off (${why})`);
      });
      if (part.done) return;
      yield part.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Events of a stream as they come; ends when the server closes it, or it is lost. */
export async function* eventsOf(
  answer: Response,
): AsyncGenerator<wire.StreamEvent | { readonly kind: "reset"; readonly id: string }> {
  let text = "";
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const part = await reader.read().catch(() => undefined);
      if (part === undefined || part.done) return;
      text += part.value;
      for (let at = text.indexOf("\n\n"); at >= 0; at = text.indexOf("\n\n")) {
        const event = eventOf(text.slice(0, at));
        text = text.slice(at + 2);
        if (event !== undefined) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function eventOf(
  text: string,
): wire.StreamEvent | { readonly kind: "reset"; readonly id: string } | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf(": ");
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2));
  }
  const data = fields.get("data");
  if (data === undefined) return undefined;
  if (fields.get("event") === "reset") return { kind: "reset", id: fields.get("id") ?? "" };
  return JSON.parse(data) as wire.StreamEvent;
}
