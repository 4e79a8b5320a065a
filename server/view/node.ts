/**
 * Nodes as the API shows them.
 * @module
 */

import type { z } from "@hono/zod-openapi";
import type { FleetNode } from "../../kernel/fleet.ts";
import type { nodeShape } from "../schema/process.ts";

/** A node as others see it; how much memory it has is known to itself alone. */
export function nodeView(node: FleetNode): z.infer<typeof nodeShape> {
  const { id, name, state, labels, version, owned, active } = node;
  const { capacity, held, steps, layout, beatAgeMs, skewMs, leaseMs, taken, freed, lapses } = node;
  return {
    id,
    name,
    state,
    labels: { ...labels },
    version,
    startedAt: new Date(node.startedMs).toISOString(),
    trees: owned,
    running: active,
    residentBytes: null,
    fleet: { capacity, held, steps, layout, leaseMs, beatAgeMs, skewMs, taken, freed, lapses },
  };
}
