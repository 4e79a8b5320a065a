/**
 * Shapes that many answers are made of: ids, times, pages, problems.
 * @module
 */

import { z } from "@hono/zod-openapi";
import { ERRORS } from "../../kernel/errors.ts";

/** A time as text: RFC 3339, UTC. */
export const timeShape = z.iso.datetime().openapi({ example: "2026-11-21T10:00:00.000Z" });
/** A process: `p_3`, `p_3.2`. */
export const pidShape = z.string().max(40).regex(/^p_[1-9]\d*(\.[1-9]\d*)?$/).openapi({
  example: "p_3.2",
});
/** A tree: `t_3`. */
export const treeShape = z.string().max(24).regex(/^t_[1-9]\d*$/).openapi({ example: "t_3" });
/** A request: `req_3.1`. */
export const requestIdShape = z.string().max(40).regex(/^req_[1-9]\d*\.[1-9]\d*$/).openapi({
  example: "req_3.1",
});
/** A capability: `cap_3.17`. */
export const capIdShape = z.string().max(40).regex(/^cap_[1-9]\d*\.[1-9]\d*$/).openapi({
  example: "cap_3.17",
});
/** An object: `obj_3.2`. */
export const objectIdShape = z.string().max(40).regex(/^obj_[1-9]\d*\.[1-9]\d*$/).openapi({
  example: "obj_3.2",
});
/** A SHA-256 in hexadecimal. */
export const hashShape = z.string().regex(/^[0-9a-f]{64}$/);
/** Any JSON. */
export const jsonShape = z.any().openapi({ description: "Any JSON" });
/** Words for people, by key. */
export const labelsShape = z.record(z.string().max(128), z.string().max(512));

/** What a value or a process has seen. */
export const labelShape = z.object({
  sensitivity: z.string(),
  trust: z.string(),
  /** Where it came from, such as `file:./hr`; absent where nobody knows. */
  origin: z.array(z.string()).readonly().optional(),
}).openapi("Label");

/** The codes of the kernel, and those which only the API has. */
export const PROBLEM_CODES = [
  ...Object.keys(ERRORS) as (keyof typeof ERRORS)[],
  "unauthenticated",
  "role_too_low",
  "origin_refused",
  "host_refused",
  "csrf_refused",
  "too_many_requests",
  "too_many_streams",
  "body_too_large",
  "body_too_slow",
  "key_reused",
  "precondition_failed",
  "own_request",
] as const;

/** What goes wrong, as RFC 9457 says it. */
export const problemShape = z.object({
  type: z.string().openapi({ example: "urn:agent-libos:error:ESTALE" }),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.enum(PROBLEM_CODES),
  /** What may be changed for the same request to succeed. */
  blame: z.enum(["caller", "policy", "world", "kernel"]).optional(),
  retry: z.boolean().optional(),
  more: z.record(z.string(), jsonShape).optional(),
}).openapi("Problem");
/** What goes wrong. */
export type ProblemView = z.infer<typeof problemShape>;

/** A page of a list: `next` goes into `after` for the following one; null at the end. */
export function pageShape<T extends z.ZodType>(item: T, name: string) {
  return z.object({ items: z.array(item), next: z.string().nullable() }).openapi(name);
}

/** What every list takes. */
export const pageQuery = z.object({
  after: z.string().max(256).optional().openapi({ description: "`next` of the page before" }),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});
