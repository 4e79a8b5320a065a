/**
 * Generates `server/wire.ts`: what the API sends and takes, as TypeScript, from its own document.
 *
 * Run by `deno task generate`; a test tells when the file is not what the document says.
 * @module
 */

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly description?: string;
}

/** The file, for a document's schemas. */
export function wireTypes(schemas: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(schemas)
    .sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, schema]) => declared(name, schema as Schema));
  return `/**
 * What the HTTP API sends and takes. Generated from its document by \`deno task generate\`; do not
 * edit. \`/openapi.json\` says the same to other languages.
 * @module
 */

${parts.join("\n")}`;
}

function declared(name: string, schema: Schema): string {
  const about = schema.description ?? `\`${name}\` of the API's document.`;
  const isObject = schema.properties !== undefined && schema.allOf === undefined;
  return isObject
    ? `/** ${about} */\nexport interface ${name} ${objectOf(schema, true)}\n`
    : `/** ${about} */\nexport type ${name} = ${typeOf(schema)};\n`;
}

function objectOf(
  { properties = {}, required = [], additionalProperties }: Schema,
  documented: boolean,
): string {
  const fields = Object.entries(properties).map(([key, schema]) => {
    const name = /^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key);
    const mark = required.includes(key) ? "" : "?";
    const about = documented ? `/** ${schema.description ?? wordsOf(key)} */\n` : "";
    return `${about}readonly ${name}${mark}: ${typeOf(schema)};`;
  });
  if (fields.length === 0 && typeof additionalProperties === "object") {
    return `{ readonly [key: string]: ${typeOf(additionalProperties)} }`;
  }
  return `{\n${fields.join("\n")}\n}`;
}

/** "startedAt" as words: what a field is when nothing more is said of it. */
function wordsOf(key: string): string {
  const words = key.replaceAll(/([A-Z])/g, " $1").toLowerCase();
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1)!;
  const union = schema.anyOf ?? schema.oneOf;
  if (union !== undefined) return union.map(typeOf).join(" | ");
  if (schema.allOf !== undefined) return schema.allOf.map((one) => `(${typeOf(one)})`).join(" & ");
  if (schema.enum !== undefined) {
    return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeOf({ ...schema, type } as Schema)).join(" | ");
  }
  switch (schema.type) {
    case "object":
      return schema.properties === undefined && typeof schema.additionalProperties !== "object"
        ? "{ readonly [key: string]: unknown }"
        : objectOf(schema, false);
    case "array":
      return `readonly (${typeOf(schema.items ?? {})})[]`;
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    default:
      return "unknown";
  }
}
