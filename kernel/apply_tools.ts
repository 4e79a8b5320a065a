/**
 * Apply, for generated tools.
 * @module
 */

import type { Handlers } from "./apply_memory.ts";
import { keep } from "./trail.ts";
import { momentOf } from "./state.ts";

/** What events of generated tools do to state. */
export const TOOLS = {
  "tool.proposed": ({ state }, data, line) => {
    keep(state, "tools", data.hash);
    const known = Object.hasOwn(state.tools, data.hash) ? state.tools[data.hash] : undefined;
    if (known === undefined) {
      state.tools[data.hash] = { ...data, also: [], atMs: line.atMs, tested: null, revoked: null };
    } else known.also = [...known.also, data.by];
  },
  "tool.tested": ({ state }, data) => {
    const record = state.tools[data.hash];
    keep(state, "tools", data.hash);
    if (record !== undefined) record.tested = { passed: data.passed, failed: data.failed };
  },
  "tool.registered": ({ state }, data) => {
    keep(state, "processes", data.pid);
    const process = state.processes[data.pid]!;
    const { name, hash, rights, limits } = data;
    const held = Object.hasOwn(process.generated, name) ? process.generated[name] : undefined;
    // Since when this version stands: a run that began before goes on with it.
    const seq = held?.hash === hash ? held.seq : momentOf(state);
    process.generated[name] = { hash, rights, limits, seq };
    if (!data.reviewed) return;
    process.approved = [...new Set([...process.approved, ...rights])];
  },
  "tool.unregistered": ({ state }, data) => {
    keep(state, "processes", data.pid);
    delete state.processes[data.pid]!.generated[data.name];
  },
  "tool.revoked": ({ state }, data) => {
    const record = state.tools[data.hash];
    keep(state, "tools", data.hash);
    if (record !== undefined) record.revoked = { by: data.by, reason: data.reason };
    for (const process of Object.values(state.processes)) {
      for (const [name, { hash }] of Object.entries(process.generated)) {
        if (hash !== data.hash) continue;
        keep(state, "processes", process.pid);
        delete process.generated[name];
      }
    }
  },
} satisfies Partial<Handlers>;
