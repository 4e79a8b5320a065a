/**
 * Answers of routes, as the document says them.
 * @module
 */

import type { z } from "@hono/zod-openapi";
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
