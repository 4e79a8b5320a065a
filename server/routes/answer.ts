/**
 * Answers of routes, as the document says them.
 * @module
 */

import { z } from "@hono/zod-openapi";
import { problemShape } from "../schema/shape.ts";

/** A JSON answer. */
export function json<T extends z.ZodType>(schema: T, description: string) {
  return { content: { "application/json": { schema } }, description };
}

/** A JSON body that must be there. */
export function body<T extends z.ZodType>(schema: T) {
  return { content: { "application/json": { schema } }, required: true };
}

/** What every route may refuse with. */
export const REFUSALS = {
  default: {
    content: { "application/problem+json": { schema: problemShape } },
    description: "A problem, as RFC 9457 says it; `code` tells programs which",
  },
} as const;

/** Lines of JSON: many values, which no schema of one describes. */
export const LINES: string = "application/jsonl";

/** An answer of many lines. */
export function jsonLines(description: string) {
  return { content: { [LINES]: { schema: z.string() } }, description };
}

/**
 * Records as a body; `begin` is run when there is a first, and before anybody has it. Where
 * `mayGoOn` says no there are no more: what is cut off so has no record that it is whole.
 */
export async function linesBody(records: AsyncIterable<string>, { begin, mayGoOn }: {
  readonly begin: () => Promise<void>;
  readonly mayGoOn: () => boolean;
}): Promise<ReadableStream<Uint8Array>> {
  const encoder = new TextEncoder();
  const iterator = records[Symbol.asyncIterator]();
  // What refuses the whole of it is said in an answer, and not by breaking off.
  let first: IteratorResult<string> | null = await iterator.next();
  await begin();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = first ?? await iterator.next();
      first = null;
      const isCut = !mayGoOn();
      if (isCut) await iterator.return?.();
      if (done === true || isCut) controller.close();
      else controller.enqueue(encoder.encode(`${value}\n`));
    },
    cancel: async () => void await iterator.return?.(),
  });
}
