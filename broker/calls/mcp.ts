/**
 * Servers of tools that are not ours: each tool is a right of its own, and what a server says is
 * untrusted.
 *
 * Invariants:
 *   V1. A call is judged on what its bindings say that it reaches, and the server is given exactly
 *       that.
 *   V2. A server sees no more of the workspace for a call than its caller may.
 *   V3. A call whose end nobody saw is sent again only where its server's hints are believed.
 * @module
 */

import { z } from "zod";
import { SysError } from "../../kernel/errors.ts";
import type { Json, JsonObject } from "../../kernel/json.ts";
import { LIMITS } from "../../kernel/limits.ts";
import {
  isRepeatable,
  type Mcp,
  type McpCall,
  type McpServer,
  type McpTool,
  resourceOf,
  riskOfTool,
  shownDescription,
  toolNameFor,
  toolRight,
} from "../../kernel/mcp.ts";
import { asJudged, boundTo, type Place } from "../../kernel/mcp_binding.ts";
import { checkable } from "../../kernel/mcp_schema.ts";
import { exposed } from "../../kernel/mcp_text.ts";
import { labelFor } from "../../kernel/policy.ts";
import { type Reach, reachOf } from "../../kernel/reach.ts";
import { checkAgainst } from "../../kernel/schema.ts";
import { jsonObjectShape, jsonShape, objectIdShape, objectShape } from "../shapes.ts";
import { type CallContext, type Need, type NeedContext, syscall } from "../syscall.ts";
import { ownedHere, refuseOwned } from "./file.ts";

const serverName = z.string().min(1).max(64);
const replyShape = z.union([
  z.strictObject({ action: z.literal("accept"), content: jsonShape }),
  z.strictObject({ action: z.enum(["decline", "cancel"]) }),
]);
const question = z.strictObject({
  key: z.string(),
  message: z.string(),
  schema: jsonObjectShape.describe("JSON Schema of the answer"),
});
const timeout = z.number().int().min(1).max(LIMITS.mcpCallMsMax).default(LIMITS.mcpCallMsDefault);
const reading = {
  server: serverName,
  uri: z.string().min(1).max(LIMITS.mcpResourceCharsMax)
    .describe("URI of a resource, or the name of a prompt"),
  prompt: z.record(z.string().max(256), z.string().max(65_536)).optional()
    .describe("Arguments of a prompt; leave out for a resource"),
};

/** Calls to mounted servers. */
export const mcpCalls = {
  "mcp.list": syscall({
    about: "List what a mounted MCP server offers: tools, resources and prompts",
    effect: "observe",
    port: "closed",
    args: z.strictObject({ server: serverName }),
    reply: z.strictObject({
      server: z.string(),
      tools: z.array(z.strictObject({ tool: z.string(), name: z.string(), state: z.string() })),
      readables: z.array(z.looseObject({ kind: z.string(), name: z.string() })),
    }),
    needs: ({ server }) => [{ right: "mcp.list", resource: server }],
    async run(at, { server: name }) {
      const reach = reachNow(at, LIMITS.mcpStartMsMax);
      taint(at, { right: "mcp.list", resource: name }, reach);
      const { tools } = await mcpOf(at).ready(name, reach, at.signal);
      const readables = await mcpOf(at).readables(name, reach, at.signal);
      return {
        server: name,
        tools: tools.map(({ definition, state }) => ({
          tool: exposed(definition.name, LIMITS.mcpToolNameCharsMax),
          name: toolNameFor(name, exposed(definition.name, LIMITS.mcpToolNameCharsMax)),
          state,
        })),
        readables: readables.map((one) => ({ ...one })),
      };
    },
  }),
  "mcp.call": syscall({
    about: "Call a tool of a mounted MCP server",
    effect: "emit",
    port: "closed",
    risk: "low",
    args: z.strictObject({
      server: serverName,
      tool: z.string().min(1).max(LIMITS.mcpToolNameCharsMax),
      arguments: jsonObjectShape.default({}),
      replies: z.record(z.string().max(128), replyShape).default({})
        .describe("Answers to what the server asked when it was called before"),
      state: z.string().max(LIMITS.mcpDefinitionBytesMax).nullable().default(null)
        .describe("What the server wants back with them"),
      timeoutMs: timeout,
    }),
    reply: z.union([
      z.strictObject({
        kind: z.literal("done"),
        content: z.array(jsonShape),
        structured: jsonShape,
        isError: z.boolean(),
      }),
      z.strictObject({
        kind: z.literal("asks"),
        questions: z.array(question),
        state: z.string().nullable(),
      }),
    ]),
    needs: (args, at) => needsOf(args, at),
    preview: (at, { server, tool }) => Promise.resolve(previewOf(at.world.mcp, server, tool)),
    async prepare(at, args) {
      const reach = reachNow(at, args.timeoutMs);
      const server = await mcpOf(at).ready(args.server, reach, at.signal).catch((error) => {
        // Why it does not start is told in its words.
        taint(at, needsOf(args, at)[0]!, reach);
        throw error;
      });
      const tool = callable(server, args.tool);
      const wrong = checkAgainst(checkable(tool.definition.inputSchema), args.arguments);
      if (wrong !== null) {
        throw new SysError(
          "EINVAL",
          `Cannot call tool "${args.tool}" of "${server.name}": ${wrong}`,
        );
      }
      const { replies, state, timeoutMs } = args;
      const given = asJudged(bindingsOf(server, args.tool), args.arguments, placeOf(at, server));
      const head = { server: server.name, tool: args.tool, pin: tool.pin, args: given };
      const call: McpCall = { ...head, replies, state, timeoutMs, reach };
      return { call, repeatable: isRepeatable(server, args.tool) };
    },
    before: ({ repeatable }): Json => ({ repeatable }),
    async run(at, args, { call, repeatable }) {
      // Its errors are its words as well.
      taint(at, needsOf(args, at)[0]!, call.reach);
      try {
        return await mcpOf(at).call(call, at.signal);
      } catch (error) {
        if (!repeatable || !(error instanceof SysError) || error.code !== "EINDOUBT") throw error;
        throw new SysError("EIO", error.message);
      }
    },
    // V3
    lost: (_at, _args, before) =>
      Promise.resolve({
        state: (before as { readonly repeatable: boolean }).repeatable ? "not-done" : "unknown",
      }),
  }),
  "mcp.read": syscall({
    about: "Read a resource or a prompt of a mounted MCP server",
    effect: "observe",
    port: "closed",
    args: z.strictObject(reading),
    reply: z.strictObject({ contents: z.array(jsonShape) }),
    needs: (args) => [readNeed(args)],
    async run(at, { server, uri, prompt }) {
      const reach = reachNow(at, LIMITS.mcpCallMsDefault);
      taint(at, readNeed({ server, uri }), reach);
      const what = { server, uri, reach, ...(prompt === undefined ? {} : { prompt }) };
      return { contents: await mcpOf(at).read(what, at.signal) };
    },
  }),
  "mcp.import": syscall({
    about: "Keep a resource or a prompt of a mounted MCP server as an object",
    effect: "mutate",
    port: "closed",
    args: z.strictObject({ ...reading, name: objectShape }),
    reply: z.strictObject({ object: objectIdShape, version: z.number().int() }),
    needs: (args) => [readNeed(args)],
    async compose(at, { name, ...what }) {
      const { contents } = await at.sys("mcp.read", what) as { readonly contents: readonly Json[] };
      const value = soleText(contents);
      const made = { name, mutable: false, type: value === null ? "json" : "text" };
      return await at.sys("object.create", { ...made, value: value ?? contents });
    },
  }),
};

/** The mounted servers, or `ENOSYS` when this runtime has none. */
function mcpOf({ world }: Pick<CallContext, "world">): Mcp {
  if (world.mcp !== null) return world.mcp;
  const expected = "expected the option mcp of createRuntime, or libos mcp add";
  throw new SysError("ENOSYS", `Cannot use MCP servers: this runtime has none, ${expected}`);
}

type Asked = { readonly server: string; readonly tool: string; readonly arguments: JsonObject };

/** Rights on what the tool reaches; on the arguments where nothing is bound (V1). */
function needsOf(args: Asked, at: Pick<NeedContext, "cwd" | "world">): readonly Need[] {
  const server = at.world.mcp?.server(args.server);
  const right = toolRight(args.server, args.tool);
  const more = {
    args: args.arguments,
    binds: pinnedAs(server, args.tool),
    risk: riskOfTool(server, args.tool),
  };
  const bindings = server === undefined ? [] : bindingsOf(server, args.tool);
  const bound = boundTo(bindings, args.arguments, placeOf(at, server));
  if (bound.length === 0) return [{ right, resource: resourceOf(args.arguments), ...more }];
  const paths = [...new Set(bound.map(({ resource }) => resource))];
  for (const path of paths) refuseOwned(at, path);
  return [...paths.map((resource) => ({ right, resource, ...more })), ...bound];
}

function bindingsOf({ bindings }: McpServer, tool: string): McpServer["bindings"][string] {
  return Object.hasOwn(bindings, tool) ? bindings[tool]! : [];
}

function placeOf(at: { readonly cwd: string }, server: McpServer | undefined): Place {
  return { cwd: at.cwd, root: server?.root ?? null };
}

function pinnedAs(server: McpServer | undefined, tool: string): string {
  return server?.tools.find(({ definition }) => definition.name === tool)?.pin ?? "";
}

/** The tool, if it may be called: `ENOENT` or `EACCES`. */
function callable(server: McpServer, name: string): McpTool {
  const tool = server.tools.find(({ definition }) => definition.name === name);
  const what = `tool "${exposed(name, LIMITS.mcpToolNameCharsMax)}" of MCP server "${server.name}"`;
  if (tool === undefined) throw new SysError("ENOENT", `Cannot call ${what}: it offers none`);
  if (tool.state === "pinned") return tool;
  const expected = `expected what was pinned; libos mcp diff ${server.name} shows it`;
  throw new SysError("EACCES", `Cannot call ${what}: ${tool.why}, ${expected}`);
}

/** What a person is shown who is asked: whose the tool is, and what it says of itself. */
function previewOf(mcp: Mcp | null, name: string, toolName: string): string {
  const server = mcp?.server(name);
  const tool = server?.tools.find(({ definition }) => definition.name === toolName);
  if (server === undefined || tool === undefined) return "";
  const head = `MCP server ${name}: ${server.command}\n${server.confinement}`;
  return `${head}\n${shownDescription(name, tool.definition)}`;
}

function readNeed({ server, uri }: { readonly server: string; readonly uri: string }): Need {
  return { right: "mcp.read", resource: resourceOfUri(server, uri) };
}

/** A URI as a resource below its server; its hash where no pattern could name it. */
function resourceOfUri(server: string, uri: string): string {
  const plain = /^[\x21-\x29\x2b-\x7e]+$/.test(uri) && uri.split("/").length < 32;
  return plain ? `${server}/${uri}` : `${server}/${resourceOf(uri)}`;
}

/** V2. */
function reachNow(at: CallContext, forMs: number): Reach {
  const { pid, nowMs } = at;
  return reachOf(at.tree, { pid, nowMs, untilMs: nowMs + forMs, owned: ownedHere(at) });
}

/** What a server says carries what it could read, and nobody vouches for it. */
function taint(at: CallContext, { right, resource }: Need, reach: Reach): void {
  at.taint(
    labelFor(at.tree.policy, right, resource) ?? reach.label,
  );
}

/** The text, where there is one part and it is a text. */
function soleText(contents: readonly Json[]): string | null {
  const [only, ...others] = contents as readonly { readonly text?: unknown }[];
  return others.length === 0 && typeof only?.text === "string" ? only.text : null;
}
