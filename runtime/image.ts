/**
 * Images and tools, as an embedder defines them.
 * @module
 */

import { z } from "zod";
import type { Sys } from "../broker/client.ts";
import type { Tool, ToolContext } from "../broker/tool.ts";
import { argumentsSchema, LIBC_CALLS, toolName } from "../tools/libc.ts";
import { checkLimits } from "../kernel/budget.ts";
import { checkConstraint } from "../kernel/constraint.ts";
import { SysError } from "../kernel/errors.ts";
import type { BudgetLimits, ImageData } from "../kernel/event.ts";
import { checkContract, type ToolDefinition, toolHash } from "../kernel/generated.ts";
import { hashOf, type JsonObject } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import type { Skills } from "../kernel/skill.ts";
import type { Model } from "../kernel/world.ts";
import { aiSdkModel, type LanguageModel } from "../providers/models/ai_sdk.ts";
import {
  ANY,
  checkGiven,
  CODE,
  LIST,
  oneOf,
  type Shape,
  type Shapes,
  TEXT,
  TEXTS,
  wholeNumber,
} from "./given.ts";
import type { Program } from "./program.ts";
import { type Duration, milliseconds, type Rule } from "./rule.ts";

/** Anything that follows Standard Schema v1: zod, valibot, arktype. */
export interface StandardSchema<T = unknown> {
  /** The part that Standard Schema v1 prescribes. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
    /** Standard JSON Schema: how the schema says itself as JSON Schema. */
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown>;
    };
  };
}

/** What a Standard Schema says of a value. */
export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

/** How to define a tool. */
export interface ToolSpec<T> {
  /** What models call it: a letter, then letters, digits, `_` and `-`, 64 characters at most. */
  readonly name: string;
  /** What it does, for the model. */
  readonly description: string;
  /** Checks and converts what the model wrote, before `execute` sees it. */
  readonly inputSchema: StandardSchema<T>;
  /** JSON Schema of the input, for schemas that cannot say it themselves. */
  readonly inputJsonSchema?: JsonObject;
  /** The calls it makes; a bare deny of one hides the tool. */
  readonly uses?: readonly string[];
  /**
   * Does the work. What it returns is the tool's output and must be JSON; what it throws is told to
   * the model.
   */
  execute(input: T, context: ToolContext & { readonly sys: Sys }): unknown | Promise<unknown>;
}

const SCHEMA: Shape = {
  is: (value) => typeof Object(Object(value)["~standard"]).validate === "function",
  state: "is no schema",
  expected: "a Standard Schema, such as one of zod",
};

const TOOL: Shapes<ToolSpec<unknown>> = {
  name: TEXT,
  description: TEXT,
  inputSchema: SCHEMA,
  inputJsonSchema: oneOf([], "an object"),
  uses: LIST,
  execute: CODE,
};

const TOOL_NAME = /^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/;

/**
 * Defines a tool: a function for models, which acts through `context.sys` and has no authority.
 * It may be run again from the top after a crash or a wait, and must then make the same calls.
 *
 * @example
 * ```ts
 * import { defineTool } from "@agent-libos/core";
 * import { z } from "zod";
 * const shout = defineTool({
 *   name: "shout",
 *   description: "Write a text in capitals into ./shout.txt",
 *   inputSchema: z.object({ text: z.string() }),
 *   uses: ["file.write"],
 *   execute: async ({ text }, { sys }) => {
 *     await sys.file.write({ path: "./shout.txt", text: text.toUpperCase() });
 *     return { ok: true };
 *   },
 * });
 * console.assert(shout.name === "shout");
 * ```
 */
export function defineTool<T>(spec: ToolSpec<T>): Tool {
  checkGiven("Cannot define a tool", spec, TOOL, ["name", "inputSchema", "execute"]);
  if (!TOOL_NAME.test(spec.name)) {
    const expected = "expected letters, digits, _ and - after a letter";
    throw new SysError("EINVAL", `Cannot define tool "${spec.name}": ${expected}`);
  }
  return {
    name: spec.name,
    description: spec.description,
    inputSchema: schemaOf(spec),
    uses: spec.uses ?? [],
    async parse(input) {
      const result = await spec.inputSchema["~standard"].validate(input);
      if (result.issues === undefined) return result.value;
      const issues = result.issues.slice(0, 4).map(({ message }) => message).join("; ");
      throw new SysError("EINVAL", `Cannot call tool "${spec.name}": ${issues}`);
    },
    execute: (input, context) => spec.execute(input as T, context),
  };
}

function schemaOf<T>(spec: ToolSpec<T>): JsonObject {
  if (spec.inputJsonSchema !== undefined) return spec.inputJsonSchema;
  if (spec.inputSchema instanceof z.ZodType) return argumentsSchema(spec.inputSchema);
  const own = spec.inputSchema["~standard"].jsonSchema?.input({ target: "draft-2020-12" });
  if (own !== undefined) return parseJson(JSON.stringify(own)) as JsonObject;
  const expected = 'expected "inputJsonSchema" beside it';
  throw new SysError("EINVAL", `Cannot define tool "${spec.name}": no JSON Schema, ${expected}`);
}

/** What a process may use up. */
export interface Budget extends Omit<BudgetLimits, "wallMs"> {
  /** From its start. */
  readonly wallClock?: Duration | undefined;
}

/** A budget as the kernel counts it. Throws `EINVAL`. */
export function budgetLimits(budget: Budget = {}): BudgetLimits {
  const { wallClock, ...rest } = Object(budget) as Budget;
  const isObject = typeof budget === "object" && budget !== null && !Array.isArray(budget);
  checkLimits(isObject ? rest : budget, "wallClock");
  return { ...rest, ...(wallClock === undefined ? {} : { wallMs: milliseconds(wallClock) }) };
}

/** How to define an image. */
export interface ImageSpec {
  /** Small letters, digits and `-` after a letter, 64 characters at most. */
  readonly name: string;
  /** "1" by default. */
  readonly version?: string;
  /** The system prompt. */
  readonly instructions?: string;
  /** A model of this runtime, an AI SDK provider object, or `provider/model` to look up. */
  readonly model?: Model | LanguageModel | string;
  /** Tools besides libc. */
  readonly tools?: readonly Tool[];
  /** Which of the built-in tools it has; all by default. */
  readonly libc?: readonly string[];
  /** Rights it will ask people for. Requests, never grants. */
  readonly requests?: readonly Rule[];
  /** Limits of every process of it; a spawn may set others in their place. */
  readonly budget?: Budget;
  /**
   * "ask": a turn of its model that the budget does not bear is put before a person, who may give
   * more; "fail": it fails with `EBUDGET`. As the runtime says by default.
   */
  readonly onBudget?: "ask" | "fail";
  /** Labels that the node of its trees has to have, where several share a store. */
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** Steps it may make in all. 1,000 by default. */
  readonly maxSteps?: number;
  /** Code instead of the model loop. */
  readonly program?: Program;
  /** Object types with their JSON Schemas. */
  readonly types?: Readonly<Record<string, JsonObject>>;
  /** Generated tools that its processes have, as `AgentProcess.tool` gave them. */
  readonly generated?: readonly ToolDefinition[];
}

/** An image: data by hash, and the code of this runtime that goes with it. */
export interface AgentImage {
  /** `name@version`. */
  readonly ref: string;
  /** SHA-256 of the canonical text of `data` without its hash. */
  readonly sha256: string;
  /** What goes into the log of a tree. */
  readonly data: ImageData;
  /** The model of this runtime, when the image brought one; not part of the hash. */
  readonly model: Model | undefined;
  /** The code of its own tools; the hash covers only their names. */
  readonly tools: readonly Tool[];
  /** Code that runs instead of the model loop. */
  readonly program: Program | undefined;
  /** Labels that the node of its trees has to have; not part of the hash. */
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** Its generated tools; the hash covers theirs. */
  readonly generated: readonly ToolDefinition[];
  /** The skills of its package, which the hash covers by the package's. */
  readonly skills?: Skills;
}

const TOOLS: Shape = {
  is: (value) => Array.isArray(value) && value.every((one) => CODE.is(Object(one).execute)),
  state: "are no tools",
  expected: "an array of what defineTool() gives",
};
const REQUESTS: Shape = {
  is: (value) => Array.isArray(value) && value.every((one) => TEXT.is(Object(one).resource)),
  state: "are no rules",
  expected: "an array of what allow() gives",
};

const IMAGE: Shapes<ImageSpec> = {
  name: TEXT,
  version: TEXT,
  instructions: { ...TEXT, is: (value) => typeof value === "string", expected: "a string" },
  model: { ...oneOf([], "an object"), is: isModel, expected: "a model, or provider/model" },
  tools: TOOLS,
  libc: LIST,
  requests: REQUESTS,
  budget: ANY,
  onBudget: oneOf(["ask", "fail"]),
  nodeSelector: TEXTS,
  maxSteps: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  program: CODE,
  types: ANY,
  generated: LIST,
};

/** Whether it is a model of ours, of an AI SDK provider, or the name of one. */
export function isModel(value: unknown): boolean {
  const { generate, doGenerate } = Object(value) as { generate?: unknown; doGenerate?: unknown };
  return TEXT.is(value) || CODE.is(generate) || CODE.is(doGenerate);
}

const IMAGE_NAME = /^[a-z][a-z0-9-]{0,63}$/;

/**
 * Defines an image: what a process is started from. It grants nothing.
 *
 * @example
 * ```ts
 * import { defineImage } from "@agent-libos/core";
 * const image = defineImage({ name: "idle", program: async ({ sys }) => {
 *   await sys.process.exit({});
 * } });
 * console.assert(image.ref === "idle@1");
 * ```
 */
export function defineImage(spec: ImageSpec): AgentImage {
  checkGiven("Cannot define an image", spec, IMAGE, ["name"]);
  const version = spec.version ?? "1";
  if (!IMAGE_NAME.test(spec.name) || !/^[\w.-]{1,32}$/.test(version)) {
    const expected = "expected small letters, digits and - after a letter";
    throw new SysError("EINVAL", `Cannot define image "${spec.name}@${version}": ${expected}`);
  }
  for (const schema of Object.values(spec.types ?? {})) checkConstraint(schema);
  const model = typeof spec.model === "object" ? asModel(spec.model) : undefined;
  const tools = spec.tools ?? [];
  const names = [...(spec.libc ?? LIBC_CALLS.map(toolName)), ...tools.map(({ name }) => name)];
  const generated = spec.generated ?? [];
  for (const tool of generated) checkContract(null, { ...tool, taken: names });
  const unknown = (spec.libc ?? []).find((name) => !LIBC_CALLS.map(toolName).includes(name));
  if (unknown !== undefined) {
    throw new SysError("EINVAL", `Cannot define image "${spec.name}": no libc tool "${unknown}"`);
  }
  const doubled = names.find((name, i) => names.indexOf(name) !== i);
  if (doubled !== undefined || names.length > LIMITS.toolsPerProcessMax) {
    const why = doubled === undefined ? "too many tools" : `tool "${doubled}" is there twice`;
    throw new SysError("EINVAL", `Cannot define image "${spec.name}": ${why}`);
  }
  const data = {
    name: spec.name,
    version,
    program: spec.program === undefined ? "model-loop" : `${spec.name}@${version}`,
    instructions: spec.instructions ?? "",
    model: typeof spec.model === "string" ? spec.model : model?.id ?? null,
    tools: names,
    requests: (spec.requests ?? []).map(({ right, resource }) => ({ right, resource })),
    budget: budgetLimits(spec.budget),
    stepsMax: spec.maxSteps ?? 1_000,
    types: spec.types ?? {},
    ...(spec.onBudget === undefined ? {} : { onBudget: spec.onBudget }),
    ...(generated.length === 0 ? {} : {
      generated: generated.map((tool) => ({ name: tool.name, hash: toolHash(tool) })),
    }),
  };
  const sha256 = hashOf(data);
  return {
    ref: `${spec.name}@${version}`,
    sha256,
    data: { ...data, hash: sha256 },
    model,
    tools,
    program: spec.program,
    generated,
    ...(spec.nodeSelector === undefined ? {} : { nodeSelector: spec.nodeSelector }),
  };
}

/** A model of ours as it is, an AI SDK object wrapped. */
export function asModel(model: Model | LanguageModel): Model {
  return "generate" in model ? model : aiSdkModel(model);
}
