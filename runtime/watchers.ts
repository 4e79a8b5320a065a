/**
 * Watchers: what stands beside a kernel and tells others what it does. None is loaded unless asked.
 * @module
 */

import type { NodeOptions } from "./node_options.ts";
import type { RuntimeOptions } from "./runtime_options.ts";
import type { Telemetry } from "./telemetry.ts";

/** The watchers of a runtime. */
export interface Watchers {
  readonly telemetry?: Telemetry;
  /** What the node is made with for them. */
  readonly node?: Pick<NodeOptions, "around">;
}

/** Opens those that were asked for. */
export async function openWatchers(options: RuntimeOptions): Promise<Watchers> {
  if (options.telemetry === undefined) return {};
  const [{ Telemetry }, { openSignals }] = await Promise.all([
    import("./telemetry.ts"),
    import("../providers/telemetry.ts"),
  ]);
  const telemetry = new Telemetry(await openSignals(), options.telemetry);
  return {
    telemetry,
    node: { around: (tree, process, job) => telemetry.around(tree, process, job) },
  };
}
