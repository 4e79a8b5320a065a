/**
 * How long tools and processes took, from the first time they were run to their end.
 * @module
 */

import type { Pid } from "../kernel/ids.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Meters } from "./telemetry_meters.ts";

/** How many things are remembered of each kind; the oldest go first. */
const KEPT_MAX = 10_000;

/** Where and when something ended. */
interface Place {
  readonly tree: Tree | undefined;
  readonly atMs: number;
}

/** Knows when calls of tools began, over all the runs of their steps. */
export class Lengths {
  readonly #begun = new Map<string, number>();

  /** A call that makes others begins, or is run again. */
  begin(call: string, nowMs: number): void {
    if (!this.#begun.has(call)) keep(this.#begun, call, nowMs);
  }

  /** A call of a tool has ended. Of one that a restart came between, nothing is said. */
  tool(meters: Meters | null, { id, name, failure }: {
    readonly id: string;
    readonly name: string;
    readonly failure: string | null;
  }, { tree, atMs }: Place): void {
    const begunMs = this.#begun.get(id);
    this.#begun.delete(id);
    if (begunMs === undefined) return;
    const pid = id.slice(0, id.indexOf("#")) as Pid;
    const generated = tree?.state.processes[pid]?.generated;
    const isGenerated = generated !== undefined && Object.hasOwn(generated, name);
    const agent = agentOf(tree, pid);
    meters?.tool({ name, isGenerated, failure, ms: atMs - begunMs, agent });
  }

  /** A process has ended. */
  life(
    meters: Meters | null,
    failure: string | null,
    { tree, pid, atMs }: Place & { readonly pid: Pid },
  ): void {
    const process = tree?.state.processes[pid];
    if (process === undefined) return;
    meters?.life(atMs - process.startedMs, { agent: agentOf(tree, pid), failure });
  }
}

/** The name of the image that a process is of. */
function agentOf(tree: Tree | undefined, pid: Pid): string {
  const image = tree?.state.processes[pid]?.image;
  return image === undefined ? "unknown" : tree?.state.images[image]?.name ?? "unknown";
}

/** Remembers, and forgets the oldest. */
export function keep<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > KEPT_MAX) map.delete(map.keys().next().value!);
}
