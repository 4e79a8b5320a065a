/**
 * Tokens as the API shows them.
 * @module
 */

import type { z } from "@hono/zod-openapi";
import type { tokenShape } from "../schema/evidence.ts";
import type { TokenRecord } from "../tokens.ts";
import { timeText } from "./process.ts";

/** A token, without its secret. */
export function tokenView(record: TokenRecord): z.infer<typeof tokenShape> {
  const { id, name, role, labels, createdMs, expiresMs } = record;
  return {
    id,
    name,
    role,
    labels: { ...labels },
    createdAt: timeText(createdMs),
    expiresAt: expiresMs === null ? null : timeText(expiresMs),
  };
}
