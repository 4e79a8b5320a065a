/**
 * Freezing: what the log holds and a caller was given can be changed by neither.
 * @module
 */

import type { Json } from "../kernel/json.ts";

/** Freezes a value all the way down. */
export function freeze<T extends Json>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const field of Object.values(value)) freeze(field as Json);
  return Object.freeze(value);
}
