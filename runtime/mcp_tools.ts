/**
 * Tools of mounted servers, by the names that models know: made when they are asked for, from what
 * was pinned.
 * @module
 */

import type { Tool } from "../broker/tool.ts";
import type { JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import {
  type Mcp,
  type McpDefinition,
  MOUNTED_PREFIX,
  shownDescription,
  toolNameFor,
  toolRight,
} from "../kernel/mcp.ts";
import { shownSchema } from "../kernel/mcp_text.ts";
import { mcpTool } from "../tools/mcp.ts";

/** Looks tools of mounted servers up. */
export class McpTools {
  readonly #mcp: Mcp | null;
  /** By definition: one that is trusted anew is another. */
  readonly #made = new WeakMap<McpDefinition, Tool>();

  /** Over mounted servers, or none. */
  constructor(mcp: Mcp | null) {
    this.#mcp = mcp;
  }

  /** The tool that models know by this name; undefined when there is none. */
  get(name: string): Tool | undefined {
    if (this.#mcp === null || !name.startsWith(MOUNTED_PREFIX)) return undefined;
    for (const { name: server, tools } of this.#mcp.servers()) {
      const found = tools.find(({ definition }) => toolNameFor(server, definition.name) === name);
      if (found !== undefined) return this.#toolOf(server, found.definition);
    }
    return undefined;
  }

  #toolOf(server: string, definition: McpDefinition): Tool {
    const known = this.#made.get(definition);
    if (known !== undefined) return known;
    const { name: tool, inputSchema } = definition;
    const made = mcpTool({
      server,
      tool,
      name: toolNameFor(server, tool),
      description: shownDescription(server, definition),
      inputSchema: shownSchema(inputSchema, LIMITS.mcpDescriptionCharsMax) as JsonObject,
      right: toolRight(server, tool),
    });
    this.#made.set(definition, made);
    return made;
  }
}
