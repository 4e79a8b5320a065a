/**
 * Prints `broker/port_surface.ts`: the calls as generated tools reach them, derived from the table.
 *
 * The text of the types is written for two readers, the type checker and a model's prompt: one
 * entry a call, short, and each stands alone. A test compares the file with what this prints.
 * @module
 */

import { z } from "zod";
import type { AnySyscall } from "./syscall.ts";

interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly description?: string;
}

const PRIMITIVES: Readonly<Record<string, string>> = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  null: "null",
};
// The type says as much.
const SAID_BY_TYPE = "Any JSON value";

/** The source of what the port offers of a table of calls. */
export function portSurface(table: Readonly<Record<string, AnySyscall>>): string {
  const open = Object.entries(table).filter(([, record]) => isOpen(record));
  const names = open.map(([name]) => name);
  const ends = open.filter(([, { ends }]) => ends === true).map(([name]) => name);
  const positions = open.map(([name, { args }]) => [name, positionsOf(schemaOf(args, "input"))]);
  const types = open.map(([name, record]) => [name, entryOf(name, record)]);
  return `/**
 * The calls that generated tools reach through their port.
 *
 * Generated from the table by \`deno task generate\`; a test holds the two together.
 * @module
 */

/** The calls that the port lets through, by name. Whether one is allowed is judged at the door. */
export const PORT_CALLS: readonly string[] = ${json(names)};

/** After these the running step is over. */
export const PORT_ENDS: readonly string[] = ${json(ends)};

/** Which arguments may be given by position, in this order; all others are given by name. */
export const PORT_POSITIONS: { readonly [call: string]: readonly string[] } = ${
    json(Object.fromEntries(positions))
  };

/** The declaration of each call: a member of \`interface Calls\`. */
export const PORT_TYPES: { readonly [call: string]: string } = ${json(Object.fromEntries(types))};
`;
}

function isOpen(record: AnySyscall): boolean {
  const { port } = record as { readonly port?: unknown };
  return port !== "closed";
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

function schemaOf(type: z.ZodType, io: "input" | "output"): Schema {
  return z.toJSONSchema(type, {
    io,
    unrepresentable: "any",
    override({ zodSchema, jsonSchema }) {
      // Ids: in a tool they are text that came from a call.
      if (zodSchema._zod.def.type === "custom") jsonSchema.type = "string";
    },
  }) as Schema;
}

/**
 * The required arguments in order, up to the first that may be an object: a last plain object names
 * further arguments. Where none is required, the first alone.
 */
function positionsOf({ properties = {}, required = [] }: Schema): readonly string[] {
  const names = Object.keys(properties);
  const wanted = names.filter((name) => required.includes(name));
  if (wanted.length === 0) return names.slice(0, 1).filter((name) => isPlain(properties[name]!));
  const stop = wanted.findIndex((name) => !isPlain(properties[name]!));
  return stop < 0 ? wanted : wanted.slice(0, stop);
}

function isPlain(schema: Schema): boolean {
  if (schema.const !== undefined || schema.enum !== undefined) return true;
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return options.every(isPlain);
  return schema.type === "array" || PRIMITIVES[schema.type ?? ""] !== undefined;
}

function entryOf(name: string, { about, args, reply, ends }: AnySyscall): string {
  const taken = schemaOf(args, "input");
  const at = positionsOf(taken).map((one) => JSON.stringify(one)).join(", ");
  const when = ends === true ? "; done when the tool has returned" : "";
  return `/** ${about}${when}. */\n"${name}": { args: ${typeOf(taken)}; reply: ${
    typeOf(schemaOf(reply, "output"))
  }; at: [${at}] };`;
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return [...new Set(options.map(typeOf))].join(" | ");
  if (schema.type === "array") {
    const item = typeOf(schema.items ?? {});
    return /^[\w]+$/.test(item) ? `${item}[]` : `(${item})[]`;
  }
  if (schema.type === "object") return objectType(schema);
  return PRIMITIVES[schema.type ?? ""] ?? "Json";
}

function objectType({ properties = {}, required = [], additionalProperties }: Schema): string {
  const fields = Object.entries(properties).map(([name, field]) => {
    const { description } = field;
    const about = description === undefined || description === SAID_BY_TYPE
      ? ""
      : `/** ${description} */ `;
    return `${about}${name}${required.includes(name) ? "" : "?"}: ${typeOf(field)}`;
  });
  const open = additionalProperties;
  if (open !== false && open !== undefined) {
    const value = typeof open === "object" && fields.length === 0 ? typeOf(open) : "Json";
    fields.push(`[key: string]: ${value}${value === "Json" ? " | undefined" : ""}`);
  }
  return fields.length === 0 ? "{}" : `{ ${fields.join("; ")} }`;
}

if (import.meta.main) {
  const { SYSCALLS } = await import("./table.ts");
  console.log(portSurface(SYSCALLS));
}
