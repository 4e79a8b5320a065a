/**
 * Definitions of tools as a server says them, before anything is known of them.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type Json, type JsonObject, plain } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { McpDefinition } from "../kernel/mcp.ts";

/** A server's answers, before anything is known of them. */
export type Loose = { readonly [field: string]: unknown };

const BOUNDS = {
  depthMax: LIMITS.jsonDepthMax,
  bytesMax: LIMITS.mcpResultBytesMax + LIMITS.mcpDefinitionBytesMax,
};

/** A definition, plain and bounded. */
export function definitionOf(tool: Loose): McpDefinition {
  const { name, title, description, inputSchema, outputSchema, annotations } = tool;
  const text = (value: unknown): value is string => typeof value === "string";
  const made = {
    name: text(name) ? name : "",
    ...text(title) ? { title } : {},
    ...text(description) ? { description } : {},
    inputSchema: objectOf(inputSchema) ?? {},
    ...defined("outputSchema", objectOf(outputSchema)),
    ...defined("annotations", objectOf(annotations)),
  };
  return made as McpDefinition;
}

function defined(name: string, value: JsonObject | undefined): Record<string, JsonObject> {
  return value === undefined ? {} : { [name]: value };
}

/** An object; undefined for anything else. */
export function objectOf(value: unknown): JsonObject | undefined {
  const json = jsonOf(value);
  return typeof json === "object" && json !== null && !Array.isArray(json)
    ? json as JsonObject
    : undefined;
}

/** Plain JSON, within limits. */
export function jsonOf(value: unknown): Json {
  return value === undefined ? null : plain(value, BOUNDS, "what the server said");
}

const HEADER = "x-mcp-header";
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_TYPES: readonly unknown[] = ["string", "integer", "boolean"];
/** Words of a schema that hold values, and no schemas. */
const VALUES: ReadonlySet<string> = new Set(["const", "default", "enum", "examples"]);

/**
 * Refuses a tool that wants arguments as headers in a way that cannot be: over HTTP it is not
 * called, since a server or what stands before it could read two things in it.
 */
export function checkHeaders({ inputSchema }: McpDefinition): void {
  const seen = new Set<string>();
  const walk = (schema: Json, isField: boolean, isReached: boolean): void => {
    if (Array.isArray(schema)) return schema.forEach((one) => walk(one, false, false));
    if (typeof schema !== "object" || schema === null) return;
    const words = schema as JsonObject;
    if (Object.hasOwn(words, HEADER)) check(words, isField && isReached, seen);
    for (const [word, value] of Object.entries(words)) {
      if (VALUES.has(word) || typeof value !== "object" || value === null) continue;
      if (word !== "properties" || Array.isArray(value)) walk(value, false, false);
      else for (const one of Object.values(value)) walk(one as Json, true, isReached);
    }
  };
  walk(inputSchema, false, true);
}

/** A header is of one plain argument: no element of a list, and no object. */
function check(schema: JsonObject, isArgument: boolean, seen: Set<string>): void {
  const name = schema[HEADER];
  const isName = typeof name === "string" && HEADER_NAME.test(name);
  const isPlain = isArgument && HEADER_TYPES.includes(schema["type"]);
  if (isName && isPlain && !seen.has(name.toLowerCase())) return void seen.add(name.toLowerCase());
  throw new SysError("EINVAL", "Cannot send an argument as a header: an odd name, type or place");
}
