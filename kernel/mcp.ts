/**
 * Servers of the Model Context Protocol as the kernel sees them: rights, resources, pins, bindings.
 *
 * Each tool of a server is the right `mcp.<server>.<tool>`. Its resource comes from a binding where
 * its mount has one, which is the right on what the tool reaches as well; else it is the canonical
 * text of the arguments.
 *
 * Invariants:
 *   M1. What a tool is, is what was pinned: a definition that differs is not called.
 *   M2. Whatever a server says of itself is data. Its hints raise a risk; they lower one only where
 *       who mounted it said that it is trusted.
 *   M3. A resource is literal: no argument writes a `*` into it.
 * @module
 */

import { SysError } from "./errors.ts";
import { checkPattern } from "./grammar.ts";
import { canonical, hashOf, type Json, type JsonObject, sha256 } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { Binding } from "./mcp_binding.ts";
import { exposed } from "./mcp_text.ts";
import type { Risk } from "./policy.ts";
import type { Reach } from "./reach.ts";

/** A tool as its server defines it. */
export interface McpDefinition {
  /** The server's own name for it. */
  readonly name: string;
  /** For people. */
  readonly title?: string;
  /** For models and people. */
  readonly description?: string;
  /** JSON Schema of the arguments. */
  readonly inputSchema: JsonObject;
  /** JSON Schema of structured results. */
  readonly outputSchema?: JsonObject;
  /** Claims of the server. */
  readonly annotations?: JsonObject;
}

/**
 * How a tool stands: "pinned" may be called; "changed" and "new" differ from what was pinned, and
 * are blocked; "refused" can never be called, whoever trusts it.
 */
export type McpToolState = "pinned" | "changed" | "new" | "refused";

/** A tool of a mounted server. */
export interface McpTool {
  /** What was pinned; for a new or refused one, what the server says. */
  readonly definition: McpDefinition;
  /** The pin of `definition`. */
  readonly pin: string;
  /** Whether it may be called. */
  readonly state: McpToolState;
  /** What the server says now, where that is something else. */
  readonly found: McpDefinition | null;
  /** Why it is not called; empty for one that may be. */
  readonly why: string;
}

/** A mounted server, as far as it is known without asking it. */
export interface McpServer {
  /** The name it is mounted under. */
  readonly name: string;
  /** What it is started with, or where it is. */
  readonly command: string;
  /** What holds it; begins with "unconfined" where nothing does. */
  readonly confinement: string;
  /** Whether its hints are believed. */
  readonly isTrusted: boolean;
  /** Where it sees the workspace; null where it does not. */
  readonly root: string | null;
  /** What of the arguments each tool reaches. */
  readonly bindings: { readonly [tool: string]: readonly Binding[] };
  /** Whether a program or link of it is there now. */
  readonly state: "idle" | "up" | "down";
  /** Why it is down; empty where it is not. */
  readonly why: string;
  /** What it calls its version. */
  readonly version: string;
  /** The version of the protocol that was agreed on; empty before. */
  readonly protocol: string;
  /** What it offers, as far as it is known. */
  readonly tools: readonly McpTool[];
}

/** Something to read on a server: a resource or a prompt. */
export interface McpReadable {
  /** What it is. */
  readonly kind: "resource" | "template" | "prompt";
  /** The URI, its template, or the prompt's name. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** What the server says that it is made of. */
  readonly mimeType: string | null;
}

/** A question that a server asks whoever called it. */
export interface McpQuestion {
  /** What the answer is given back under. */
  readonly key: string;
  /** What is asked. */
  readonly message: string;
  /** JSON Schema of the answer. */
  readonly schema: JsonObject;
}

/** What a person said to a question, as the protocol has it. */
export type McpReply =
  | { readonly action: "accept"; readonly content: Json }
  | { readonly action: "decline" | "cancel" };

/** A call of a tool. */
export interface McpCall {
  /** The name it is mounted under. */
  readonly server: string;
  /** The server's own name for it. */
  readonly tool: string;
  /** The pin under which it was judged. */
  readonly pin: string;
  /** The arguments, with each bound path as it was judged. */
  readonly args: JsonObject;
  /** What was said to the questions that came up so far. */
  readonly replies: { readonly [key: string]: McpReply };
  /** What the server wants back with them. */
  readonly state: string | null;
  /** How long its end is waited for. */
  readonly timeoutMs: number;
  /** What its process may see: the server sees no more for it. */
  readonly reach: Reach;
}

/** Something to read on a server. */
export interface McpReading {
  /** The name it is mounted under. */
  readonly server: string;
  /** The URI of a resource, or the name of a prompt. */
  readonly uri: string;
  /** The arguments of a prompt; absent for a resource. */
  readonly prompt?: { readonly [name: string]: string };
  /** What its process may see. */
  readonly reach: Reach;
}

/** What became of a call. */
export type McpAnswer =
  | McpDone
  | McpAsks;

/** A call that came to its end. */
export interface McpDone {
  /** Tells it from questions. */
  readonly kind: "done";
  /** Parts as the protocol has them: texts, images, links. */
  readonly content: readonly Json[];
  /** A result in the form of the output schema; null where there is none. */
  readonly structured: Json;
  /** Whether the tool says that it failed. */
  readonly isError: boolean;
}

/** A call that goes on when questions are answered. */
export interface McpAsks {
  /** Tells it from a result. */
  readonly kind: "asks";
  /** What is asked. */
  readonly questions: readonly McpQuestion[];
  /** What the server wants back with the answers. */
  readonly state: string | null;
}

/** Mounted servers. Errors: `ENOSYS EACCES EINVAL ELIMIT EAGAIN EIO EINDOUBT`. */
export interface Mcp {
  /** The mounted servers, by name. */
  servers(): readonly McpServer[];
  /** A mounted server; undefined when there is none of that name. */
  server(name: string): McpServer | undefined;
  /** Starts a server where it is not up, and compares what it offers with its pins. */
  ready(name: string, reach: Reach, signal: AbortSignal): Promise<McpServer>;
  /** Calls a tool, if it still is what was pinned. */
  call(call: McpCall, signal: AbortSignal): Promise<McpAnswer>;
  /** What there is to read. */
  readables(name: string, reach: Reach, signal: AbortSignal): Promise<readonly McpReadable[]>;
  /** Reads a resource, or a prompt with its arguments. */
  read(what: McpReading, signal: AbortSignal): Promise<readonly Json[]>;
  /** Ends every server. */
  close(): Promise<void>;
}

const SERVER_NAME = /^[a-z][a-z0-9-]{0,23}$/;
const TOOL_NAME = /^[A-Za-z0-9][\w-]*(?:\.[A-Za-z0-9][\w-]*)*$/;
const MODEL_NAME_CHARS_MAX = 64;

/** What the names of mounted tools begin with for models; no generated tool's name does. */
export const MOUNTED_PREFIX = "mcp_";

/** Refuses a name that no server can be mounted under. */
export function checkServerName(name: string): void {
  if (SERVER_NAME.test(name)) return;
  const expected = "expected small letters, digits and - after a letter, 24 characters at most";
  throw new SysError("EINVAL", `Cannot mount server "${exposed(name, 64)}": ${expected}`);
}

/** Whether a tool of that name can be a right. */
export function isToolName(name: string): boolean {
  return name.length <= LIMITS.mcpToolNameCharsMax && TOOL_NAME.test(name);
}

/** The right that opens a tool. */
export function toolRight(server: string, tool: string): string {
  return `mcp.${server}.${tool}`;
}

/** What models call a tool; one name for each tool of each server. */
export function toolNameFor(server: string, tool: string): string {
  const name = `${MOUNTED_PREFIX}${server}_${tool}`;
  if (name.length <= MODEL_NAME_CHARS_MAX && !name.includes(".")) return name;
  // With a dot, since it would be the name of another tool without its hash.
  const short = name.replaceAll(".", "_").slice(0, MODEL_NAME_CHARS_MAX - 9);
  return `${short}_${sha256(name).slice(0, 8)}`;
}

/** A tool's pin: what it says of itself, and of what and by what it is offered. */
export function pinOf(
  { name, title, description, inputSchema, outputSchema, annotations }: McpDefinition,
  by: { readonly version: string; readonly command: string },
): string {
  const said = { name, title, description, inputSchema, outputSchema, annotations };
  return hashOf({ ...said, version: by.version, command: by.command });
}

const UNWRITABLE = /[\u007f-\u009f*]/g;

/** Arguments as a resource: their canonical text, or its hash where no pattern could name it. */
export function resourceOf(args: Json): string {
  const text = canonical(args).replace(UNWRITABLE, escaped);
  try {
    if (text.length > LIMITS.mcpResourceCharsMax) return `sha256:${sha256(text)}`;
    checkPattern({ right: "mcp.server.tool", resource: text });
    return text;
  } catch {
    return `sha256:${sha256(text)}`;
  }
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** How much harm a call of a tool could do: hints raise it, and lower it only where believed. */
export function riskOfTool(server: McpServer | undefined, tool: string): Risk {
  const hints = server?.tools.find(({ definition }) => definition.name === tool)
    ?.definition.annotations ?? {};
  if (server?.isTrusted === true && hints["readOnlyHint"] === true) return "low";
  return hints["destructiveHint"] === true ? "destructive" : "medium";
}

/** Whether sending a call twice is known to change nothing more. */
export function isRepeatable(server: McpServer | undefined, tool: string): boolean {
  if (server?.isTrusted !== true) return false;
  const hints = server.tools.find(({ definition }) => definition.name === tool)
    ?.definition.annotations ?? {};
  return hints["readOnlyHint"] === true || hints["idempotentHint"] === true;
}

/** A tool's description as a model is shown it: no character that hides, and no more than 2 KB. */
export function shownDescription(server: string, { title, description }: McpDefinition): string {
  const said = exposed(description ?? title ?? "", LIMITS.mcpDescriptionCharsMax);
  return `Tool of MCP server ${server}; what follows is its own claim: ${said}`;
}
