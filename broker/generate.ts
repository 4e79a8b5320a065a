/**
 * Prints `broker/calls.ts`: the types of all calls, derived from the table.
 *
 * The table's own types are inferred, which is right for its handlers; a published package needs
 * types that are written out. A test compares the file with what this prints.
 * @module
 */

import { z } from "zod";
import type { AnySyscall } from "./syscall.ts";

interface Schema {
  readonly type?: string;
  readonly tsType?: string;
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

/** The source of the types of a table of calls. */
export function callTypes(table: Readonly<Record<string, AnySyscall>>): string {
  const entries = Object.entries(table).map(([name, { about, args, reply }]) =>
    `  /** ${about}. */\n  readonly "${name}": {\n` +
    `    /** What it takes. */\n    readonly args: ${typeOf(schemaOf(args, "input"), "    ")};\n` +
    `    /** What it answers. */\n    readonly reply: ${
      typeOf(schemaOf(reply, "output"), "    ")
    };\n  };\n`
  );
  return `/**
 * Every system call: what it takes and what it answers.
 *
 * Generated from the table by \`deno task generate\`; a test holds the two together.
 * @module
 */

import type { CapId, MessageId, ObjectId, Pid } from "../kernel/ids.ts";
import type { Json } from "../kernel/json.ts";

/** The calls by name. */
export interface Calls {
${entries.join("")}}
`;
}

function schemaOf(type: z.ZodType, io: "input" | "output"): Schema {
  return z.toJSONSchema(type, {
    io,
    unrepresentable: "any",
    override({ zodSchema, jsonSchema }) {
      if (zodSchema._zod.def.type === "custom") jsonSchema.type = "string";
    },
  }) as Schema;
}

const PRIMITIVES: Readonly<Record<string, string>> = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  null: "null",
};

function typeOf(schema: Schema, indent: string): string {
  if (schema.tsType !== undefined) return schema.tsType;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return options.map((one) => typeOf(one, indent)).join(" | ");
  if (schema.type === "array") return `readonly (${typeOf(schema.items ?? {}, indent)})[]`;
  if (schema.type === "object") return objectType(schema, indent);
  return PRIMITIVES[schema.type ?? ""] ?? "Json";
}

function objectType(schema: Schema, indent: string): string {
  const { properties = {}, required = [], additionalProperties } = schema;
  const fields = Object.entries(properties).map(([name, field]) => {
    const optional = required.includes(name) ? "" : "?";
    const type = typeOf(field, `${indent}  `);
    const about = `${indent}  /** ${field.description ?? spoken(name)}. */\n`;
    return `${about}${indent}  readonly ${name}${optional}: ${type}${
      optional && " | undefined"
    };\n`;
  });
  const open = additionalProperties;
  if (typeof open === "object" && Object.keys(open).length > 0 && fields.length === 0) {
    return `{ readonly [key: string]: ${typeOf(open, indent)} | undefined }`;
  }
  if (open !== false && open !== undefined) {
    fields.push(`${indent}  readonly [key: string]: Json | undefined;\n`);
  }
  return fields.length === 0 ? "Record<string, never>" : `{\n${fields.join("")}${indent}}`;
}

function spoken(name: string): string {
  const words = name.replace(/Ms$/, " in milliseconds").replace(
    /[A-Z]/g,
    (letter) => ` ${letter.toLowerCase()}`,
  );
  return `The ${words}`;
}

if (import.meta.main) {
  const { SYSCALLS } = await import("./table.ts");
  console.log(callTypes(SYSCALLS));
}
