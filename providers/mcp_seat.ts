/**
 * A mount, with what is known of its server while the runtime lives.
 * @module
 */

import { LIMITS } from "../kernel/limits.ts";
import type { McpServer, McpTool } from "../kernel/mcp.ts";
import { parseBinding } from "../kernel/mcp_binding.ts";
import { checkMount, type McpMount, pinnedTools } from "../kernel/mcp_lock.ts";
import { mountReach } from "../kernel/mcp_reach.ts";
import type { Reach } from "../kernel/reach.ts";

/** One mount, with what is known of it. */
export class Seat {
  readonly mount: McpMount;
  readonly bindings: McpServer["bindings"];
  readonly reach: Reach;
  tools: readonly McpTool[];
  version: string;
  protocol = "";
  why = "";
  /** For which reach it failed: what it says of that is for those alone who may see the same. */
  whose = "";
  faults = 0;
  restMs = 0;

  constructor(mount: McpMount) {
    checkMount(mount);
    this.mount = mount;
    this.bindings = Object.fromEntries(
      Object.entries(mount.bindings).map(([tool, texts]) => [tool, texts.map(parseBinding)]),
    );
    this.reach = mountReach(mount);
    this.tools = pinnedTools(mount);
    this.version = mount.version;
  }
}

/** A failure: it is left alone for longer each time. */
export function fault(seat: Seat, nowMs: number, failed: {
  readonly key: string;
  readonly why: string;
}): void {
  seat.faults = Math.min(seat.faults + 1, LIMITS.mcpRestartsMax);
  seat.why = failed.why;
  seat.whose = failed.key;
  const restMs = LIMITS.mcpRestartMsMin * 2 ** (seat.faults - 1);
  seat.restMs = seat.faults === 1 ? 0 : nowMs + Math.min(restMs, LIMITS.mcpRestartMsMax);
}
