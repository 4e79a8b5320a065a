/**
 * The client of servers of tools before `@modelcontextprotocol/conformance`: `deno task
 * conformance:client`. The suite starts this program again, with the URL of its server.
 * @module
 */

import { fileURLToPath } from "node:url";
import type { JsonObject } from "../kernel/json.ts";
import type { McpAnswer, McpCall } from "../kernel/mcp.ts";
import { trusted } from "../kernel/mcp_lock.ts";
import { mountReach } from "../kernel/mcp_reach.ts";
import { mountMcp } from "../providers/mcp_host.ts";
import { conformance, type Scenario } from "./conformance.ts";
import { mountAt } from "./mcp_url_place.ts";

/** Scenarios that are about this client. */
const SCENARIOS: readonly Scenario[] = [
  { version: "2025-11-25", name: "initialize" },
  { version: "2025-11-25", name: "tools_call" },
  {
    version: "2025-11-25",
    name: "elicitation-sep1034-client-defaults",
    not: {
      "client-elicitation-sep1034-general":
        "who asks in the middle of a call hears that nobody answers, and is called again",
    },
  },
  { version: "2025-11-25", name: "sse-retry" },
  { version: "2026-07-28", name: "tools_call" },
  { version: "2026-07-28", name: "request-metadata" },
  { version: "2026-07-28", name: "sep-2322-client-request-state" },
  { version: "2026-07-28", name: "http-standard-headers" },
  { version: "2026-07-28", name: "http-custom-headers" },
  { version: "2026-07-28", name: "http-invalid-tool-headers" },
  { version: "2026-07-28", name: "json-schema-ref-no-deref" },
];

const url = Deno.args.at(-1) ?? "";
if (/^https?:/.test(url)) await visit(url);
else {
  const self = fileURLToPath(import.meta.url);
  const command = `${Deno.execPath()} run -A --no-check --quiet ${self}`;
  const failed = await conformance("client", ["--command", command], SCENARIOS);
  Deno.exit(failed === 0 ? 0 : 1);
}

/** Mounts the suite's server, trusts what it offers, and calls all of it. */
async function visit(at: string): Promise<void> {
  const mount = mountAt(at);
  const signal = AbortSignal.timeout(25_000);
  await using first = mountMcp([mount], { root: null });
  const { tools, version } = await first.look("box", signal);
  await using host = mountMcp([trusted(mount, { tools, version }, null)], { root: null });
  const reach = mountReach(mount);
  const { toolCalls } = JSON.parse(Deno.env.get("MCP_CONFORMANCE_CONTEXT") ?? "{}") as {
    readonly toolCalls?: readonly { readonly name: string; readonly arguments: JsonObject }[];
  };
  const calls = toolCalls ?? tools.filter(({ state }) => state !== "refused")
    .map(({ definition: { name, inputSchema } }) => ({ name, arguments: sampleOf(inputSchema) }));
  for (const { name, arguments: args } of calls) {
    const pin = tools.find(({ definition }) => definition.name === name)?.pin ?? "";
    let state: string | null = null;
    let replies: McpCall["replies"] = {};
    for (let round = 0; round < 8; round++) {
      const given: Omit<McpCall, "timeoutMs"> = {
        server: "box",
        tool: name,
        pin,
        args,
        replies,
        state,
        reach,
      };
      const answer: McpAnswer | null = await host.call({ ...given, timeoutMs: 20_000 }, signal)
        .catch((error) => {
          console.error(`${name}: ${error.message}`);
          return null;
        });
      if (answer?.kind !== "asks") break;
      state = answer.state;
      replies = Object.fromEntries(answer.questions.map(({ key, schema }) => [
        key,
        { action: "accept", content: sampleOf(schema) },
      ]));
    }
  }
}

/** An object that a schema takes, with the defaults where it names some. */
function sampleOf({ properties = {} }: { readonly properties?: unknown }): Record<string, never> {
  const fields = Object.entries(properties as Record<string, Record<string, unknown>>);
  return Object.fromEntries(fields.map(([name, schema]) => [name, valueOf(schema)])) as never;
}

function valueOf(schema: Record<string, unknown>): unknown {
  if (schema["default"] !== undefined) return schema["default"];
  if (Array.isArray(schema["enum"])) return schema["enum"][0];
  switch (schema["type"]) {
    case "number":
    case "integer":
      return 5;
    case "boolean":
      return true;
    case "object":
      return sampleOf(schema);
    case "array":
      return [];
    default:
      return "text";
  }
}
