/**
 * Schemas of strangers, made fit to check values with.
 *
 * The schemas of tools are checked with the words of `constraint.ts`, whose work is bounded. What
 * a server's schema says besides is dropped, and a reference is replaced by what it names; so what
 * is checked is never stricter than what the server said, and the server checks again itself.
 * @module
 */

import { checkConstraint } from "./constraint.ts";
import { SysError } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";
import { exposed } from "./mcp_text.ts";

const DEPTH_MAX = 15;
const NODES_MAX = 2_000;

/** Words that are taken as they are. */
const PLAIN = new Set([
  "type",
  "const",
  "enum",
  "required",
  "minProperties",
  "maxProperties",
  "dependentRequired",
  "minContains",
  "minItems",
  "maxItems",
  "minLength",
  "maxLength",
  "pattern",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
]);
/** Words for people. */
const SAID = new Set(["title", "description"]);
const SAID_CHARS_MAX = 500;
/** Words with one schema, with a list of them, and with schemas by name. */
const ONE = new Set(["additionalProperties", "propertyNames", "items", "contains"]);
const LIST = new Set(["prefixItems", "allOf", "anyOf"]);
/** Words about what other words beside them leave. */
const RESTS: { readonly [word: string]: readonly string[] } = {
  additionalProperties: ["properties", "patternProperties"],
  items: ["prefixItems"],
};
const NAMED = new Set(["properties", "dependentSchemas"]);

interface Walk {
  readonly root: JsonObject;
  left: number;
}

/** What of a server's schema can be checked; `{}` where nothing can. */
export function checkable(schema: JsonObject): JsonObject {
  const made = loosened(schema, { root: schema, left: NODES_MAX }, 0);
  return typeof made === "object" && made !== null && isUsable(made as JsonObject)
    ? made as JsonObject
    : {};
}

function loosened(schema: Json | undefined, walk: Walk, depth: number): Json {
  if (typeof schema === "boolean") return schema;
  if (!isObject(schema) || depth >= DEPTH_MAX || --walk.left < 0) return {};
  const { $ref: ref } = schema;
  if (typeof ref === "string") return loosened(named(walk.root, ref), walk, depth + 1);
  const made: Record<string, Json> = {};
  for (const [word, value] of Object.entries(schema)) {
    const kept = wordOf(word, value, (one) => loosened(one, walk, depth + 1));
    if (kept !== undefined && isUsable({ [word]: kept })) made[word] = kept;
  }
  for (const [word, others] of Object.entries(RESTS)) {
    // What is meant by the rest is not known where a part of it was dropped.
    if (others.some((other) => other in schema && !(other in made))) delete made[word];
  }
  return made;
}

function wordOf(
  word: string,
  value: Json,
  inner: (one: Json) => Json,
): Json | undefined {
  if (PLAIN.has(word)) return value;
  if (SAID.has(word)) return typeof value === "string" ? exposed(value, SAID_CHARS_MAX) : undefined;
  if (ONE.has(word)) return Array.isArray(value) ? undefined : inner(value);
  if (LIST.has(word)) return Array.isArray(value) ? value.map(inner) : undefined;
  // Alternatives that were loosened may both hold: one of them is enough.
  if (word === "oneOf") return undefined;
  if (!NAMED.has(word) || !isObject(value)) return undefined;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inner(one)]));
}

function named(root: JsonObject, ref: string): Json | undefined {
  if (!ref.startsWith("#/")) return undefined;
  let at: Json | undefined = root;
  for (const part of ref.slice(2).split("/")) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    at = isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}

function isUsable(schema: JsonObject): boolean {
  try {
    checkConstraint(schema);
    return true;
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
