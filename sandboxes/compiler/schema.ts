/**
 * JSON Schemas as TypeScript types. What has no plain type is `Json`; the sandbox checks values.
 * @module
 */

import type { JsonObject } from "../../kernel/json.ts";
import { RESERVED } from "./syntax.ts";

const PRIMITIVES: { readonly [type: string]: string } = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  null: "null",
};

/** The text of a `.d.ts` file with the types of one tool. */
export function schemaTypes(input: JsonObject, output: JsonObject | null): string {
  // A tool without a schema of its output may also return nothing.
  const returned = output === null ? "Json | void" : typeOf(output);
  return `declare namespace ${RESERVED} {
  type Input = ${typeOf(input)};
  type Output = ${returned};
  type Tool = (input: Input, os: Os) => Output | Promise<Output>;
}
type Input = ${RESERVED}.Input;
type Output = ${RESERVED}.Output;
`;
}

function typeOf(schema: unknown): string {
  if (!isRecord(schema)) return "Json";
  if (schema["const"] !== undefined) return literal(schema["const"]);
  if (Array.isArray(schema["enum"])) return union(schema["enum"].map(literal));
  const options = schema["anyOf"] ?? schema["oneOf"];
  if (Array.isArray(options)) return union(options.map(typeOf));
  const { type } = schema;
  if (Array.isArray(type)) return union(type.map((one) => typeOf({ ...schema, type: one })));
  if (type === "array") return `(${typeOf(schema["items"])})[]`;
  if (type === "object" || (type === undefined && isRecord(schema["properties"]))) {
    return objectType(schema);
  }
  return typeof type === "string" && Object.hasOwn(PRIMITIVES, type) ? PRIMITIVES[type]! : "Json";
}

function objectType(schema: Readonly<Record<string, unknown>>): string {
  const properties = isRecord(schema["properties"]) ? schema["properties"] : {};
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const fields = Object.entries(properties).map(([name, field]) =>
    `${keyOf(name)}${required.includes(name) ? "" : "?"}: ${typeOf(field)}`
  );
  for (const name of required) {
    if (typeof name !== "string" || Object.hasOwn(properties, name)) continue;
    fields.push(`${keyOf(name)}: Json`);
  }
  // A schema that names its fields and is silent about others means those fields: a tool that
  // misspells one is told so.
  const open = schema["additionalProperties"] ?? Object.keys(properties).length === 0;
  if (open !== false) {
    const isMap = isRecord(open) && fields.length === 0;
    fields.push(`[key: string]: ${isMap ? typeOf(open) : "Json | undefined"}`);
  }
  return `{ ${fields.join("; ")} }`;
}

/** A name as it is written in a type: a checker quotes it the same way. */
function keyOf(name: string): string {
  return /^[A-Za-z]\w*$/.test(name) ? name : JSON.stringify(name);
}

function literal(value: unknown): string {
  const isPlain = value === null || ["string", "number", "boolean"].includes(typeof value);
  return isPlain ? JSON.stringify(value) : "Json";
}

function union(types: readonly string[]): string {
  return types.length === 0 ? "never" : [...new Set(types)].map((one) => `(${one})`).join(" | ");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
