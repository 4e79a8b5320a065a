/**
 * How a tool is written: what models are told, and the types that tools are checked against.
 *
 * The text is a prompt: what the types say is not said again in words.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { CAGE_LIMITS, LIMITS } from "../kernel/limits.ts";
import { PORT_CALLS, PORT_ENDS, PORT_POSITIONS, PORT_TYPES } from "./port_surface.ts";

/** A tool which runs, as the guide shows it. */
export interface GuideExample {
  /** What it is. */
  readonly about: string;
  /** The rights it has to declare. */
  readonly rights: readonly string[];
  /** JSON Schema of its input. */
  readonly inputSchema: { readonly [key: string]: unknown };
  /** JSON Schema of what it returns. */
  readonly outputSchema: { readonly [key: string]: unknown };
  /** The whole of its source. */
  readonly source: string;
}

/** The examples of the guide. Each is complete and passes the compiler. */
export const GUIDE_EXAMPLES: readonly GuideExample[] = [
  {
    about: "Sum a column of a CSV file",
    rights: ["file.read(./data/**)"],
    inputSchema: {
      type: "object",
      properties: { path: { type: "string" }, column: { type: "string" } },
      required: ["path", "column"],
    },
    outputSchema: {
      type: "object",
      properties: { total: { type: "number" }, rows: { type: "integer" } },
      required: ["total", "rows"],
    },
    source: `export default async ({ path, column }, os) => {
  const { text } = await os.file.read(path);
  const [head = "", ...rows] = text.trim().split(/\\r?\\n/);
  const at = head.split(",").indexOf(column);
  if (at < 0) throw new Error(\`No column "\${column}"\`);
  let total = 0;
  for (const row of rows) total += Number(row.split(",")[at]);
  return { total, rows: rows.length };
};
`,
  },
  {
    about: "Keep trying a path until it is there, and note each try in a list object",
    rights: ["file.stat(./inbox/**)", "object.create(tries/**)", "object.append(tries/**)"],
    inputSchema: {
      type: "object",
      properties: { path: { type: "string" }, tries: { type: "integer" } },
      required: ["path", "tries"],
    },
    outputSchema: { type: "object", properties: { found: { type: "boolean" } } },
    source: `const pause = (ms: number) => new Promise<void>((done) => void setTimeout(done, ms));

async function note(os: Os, log: string, item: Json): Promise<void> {
  await os.call("object.append", { object: log, item });
}

export default async ({ path, tries }, os) => {
  const log = "tries/" + path;
  try {
    await os.object.create(log, { list: true });
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
  for (let i = 0; i < tries && !os.signal.aborted; i++) {
    const { stat } = await os.file.stat(path);
    await note(os, log, { atMs: os.now(), found: stat !== null });
    if (stat !== null) return { found: true };
    await pause(100);
  }
  return { found: false };
};
`,
  },
];

const JSON_TYPE =
  "type Json = null | boolean | number | string | Json[] | { [key: string]: Json | undefined };";

// Interfaces with names, and signatures written out: what a checker says of a wrong call is short.
const CORE = `declare namespace $port {
  type Name = keyof Calls;
  type Args<N extends Name> = Calls[N]["args"];
  type Reply<N extends Name> = Promise<Calls[N]["reply"]>;
  type Whole<A> = {} extends A ? [args?: A] : [args: A];
  type More<A, K extends keyof A> = {} extends Omit<A, K>
    ? [more?: Omit<A, K>]
    : [more: Omit<A, K>];
  interface Core {
    call<N extends Name>(name: N, ...args: Whole<Args<N>>): Reply<N>;
    log(...values: unknown[]): void;
    now(): number;
    random(): number;
    readonly signal: AbortSignal;
  }
`;

/** The declarations of `Os` with these calls, for a type checker: the text of a `.d.ts` file. */
export function declarations(calls: readonly string[] = PORT_CALLS): string {
  const entries = calls.map((call) => typeOf(call)).join("\n");
  const args = calls.map((call) =>
    `  interface ${typeName(call)}Args extends Args<"${call}"> {}\n`
  );
  const nouns = [...new Set(calls.map((call) => call.split(".")[0]!))];
  const types = nouns.map((noun) => {
    const own = calls.filter((call) => call.startsWith(`${noun}.`));
    // os.random() and os.random.bytes() are both there.
    const itself = noun === "random" ? "    (): number;\n" : "";
    return `  interface ${typeName(noun)}Calls {\n${itself}${own.map(methodOf).join("")}  }\n`;
  });
  const fields = nouns.map((noun) => `  readonly ${noun}: $port.${typeName(noun)}Calls;\n`).join(
    "",
  );
  return `${JSON_TYPE}\n${CORE}${args.join("")}${types.join("")}}\n` +
    `interface Calls {\n${entries}\n}\ninterface Os extends $port.Core {\n${fields}}\n`;
}

/** `file.read` as `FileRead`. */
function typeName(name: string): string {
  return name.split(".").map((part) => part[0]!.toUpperCase() + part.slice(1)).join("");
}

/** A call as a method: with all arguments by name, and with the first ones by position. */
function methodOf(call: string): string {
  const [, verb] = call.split(".");
  const positions = PORT_POSITIONS[call] ?? [];
  const type = `${typeName(call)}Args`;
  const whole = `    ${verb}(...args: Whole<${type}>): Reply<"${call}">;\n`;
  if (positions.length === 0) return whole;
  const named = positions.map((key) => `${key}: ${type}["${key}"]`).join(", ");
  const keys = positions.map((key) => `"${key}"`).join(" | ");
  return `${whole}    ${verb}(${named}, ...more: More<${type}, ${keys}>): Reply<"${call}">;\n`;
}

/** Nouns of calls that few tools may make: they are declared to who asks for them. */
const SELDOM: ReadonlySet<string> = new Set([
  "checkpoint",
  "image",
  "mcp",
  "net",
  "program",
  "shell",
  "skill",
]);

/**
 * What a model is told that writes a tool; `calls` are those it may use. When absent, all are
 * declared but those that few may use, which are named.
 */
export function toolGuide(asked?: readonly string[]): string {
  const far = asked === undefined ? PORT_CALLS.filter(isSeldom) : [];
  const calls = asked ?? PORT_CALLS.filter((call) => !isSeldom(call));
  const more = far.length === 0
    ? ""
    : `\nThere are ${far.join(", ")}, too: ask for the guide with \`calls\` to see them.`;
  const ends = calls.filter((call) => PORT_ENDS.includes(call));
  const entries = briefly(calls.map((call) => typeOf(call)).join("\n"));
  const late = ends.length === 0 ? "" : `\n${ends.join(" and ")} happen once it has returned.`;
  return `# Writing a tool
A tool is one TypeScript module: \`export default async (input, os) => output\`. No imports, no
other exports; only declarations beside it. \`input\` and \`os\` get their types from inputSchema
and the calls below; helpers may name the types Input, Output, Os and Json. It is type-checked
(strict).

${RULES}
Calls: \`os.call("file.read", { path })\` = \`os.file.read({ path })\` = \`os.file.read(path)\`.
\`at\` lists the arguments that may be given by position; a last object gives the others:
\`os.file.write(path, text, { mode: "create" })\`. A refused call throws an error with \`code\`,
such as ENOENT, EACCES or EPERM; let it pass unless you can do something about it.${late}${more}
\`\`\`ts
${JSON_TYPE}
interface Calls {
${entries}
}
\`\`\`
${GUIDE_EXAMPLES.map(shown).join("\n")}
${TESTS}`;
}

function isSeldom(call: string): boolean {
  return SELDOM.has(call.split(".")[0]!);
}

const RULES = `Rules
- Time is os.now() (milliseconds), chance is os.random() (0 to 1); both are the same when the run is
  started again. It may be, from the top, with recorded answers: make the same calls in the same
  order, and keep no state outside the function. Long waits: os.clock.sleep(ms).
- There is ECMAScript 2023, console, timers, URL, URLSearchParams, TextEncoder, TextDecoder, atob,
  btoa, structuredClone, AbortController, crypto.randomUUID/getRandomValues. No fetch, files, DOM,
  process, Deno, require, eval. The world is reached through os alone; stop when os.signal aborts.
- Declare each right it needs, as narrow as it goes: \`file.read(./data/**)\`. Nothing else works.
- Output is JSON and matches outputSchema. os.log(...) is for whoever debugs it.
- Limits: source ${LIMITS.toolSourceBytesMax / 1024} KiB, ${CAGE_LIMITS.calls} calls, ${
  CAGE_LIMITS.wallMs / 1000
} s of its own work, ${CAGE_LIMITS.resultBytes / 2 ** 20} MiB output.
- No @ts-ignore and the like; no invisible characters (write them as escapes).
`;

const TESTS = `## Tests
Give tests with it; calls are answered from them, in this order, and must be made exactly so.
\`\`\`json
[{ "name": "sums", "input": { "path": "a.csv", "column": "n" },
   "calls": [{ "name": "file.read", "args": { "path": "a.csv" },
     "reply": { "text": "n\\n1\\n2\\n", "bytes": 6, "sha256": "" } }],
   "output": { "total": 3, "rows": 2 } },
 { "name": "is absent", "input": { "path": "a.csv", "column": "n" },
   "calls": [{ "name": "file.read", "args": { "path": "a.csv" }, "error": { "code": "ENOENT" } }],
   "error": { "code": "ENOENT" } }]
\`\`\`
`;

function shown({ about, rights, inputSchema, outputSchema, source }: GuideExample): string {
  return `## Example: ${about}
rights: ${JSON.stringify(rights)}
inputSchema: ${JSON.stringify(inputSchema)}
outputSchema: ${JSON.stringify(outputSchema)}
\`\`\`ts
${source}\`\`\``;
}

function typeOf(call: string): string {
  const text = Object.hasOwn(PORT_TYPES, call) ? PORT_TYPES[call] : undefined;
  if (text !== undefined) return text;
  throw new SysError("ENOENT", `Cannot declare call "${call}": absent, expected one of the port's`);
}

/** Says a thing about an argument where it comes first, and never again. */
function briefly(text: string): string {
  const said = new Set<string>();
  return text.replace(/(?<!^)\/\*\* .*? \*\/ /gm, (comment) => {
    if (said.has(comment)) return "";
    said.add(comment);
    return comment;
  });
}
