/**
 * Tools: what the caller's model may see, calling one, and making new ones.
 * @module
 */

import { z } from "zod";
import { SysError, toOutcome } from "../../kernel/errors.ts";
import {
  checkContract,
  checkRegistration,
  propose,
  raised,
  register,
  rightsFor,
  type ToolTest,
  unapproved,
  unregister,
  visibleVersion,
} from "../../kernel/generated.ts";
import type { Json } from "../../kernel/json.ts";
import { CAGE_LIMITS, LIMITS } from "../../kernel/limits.ts";
import { suggest } from "../../kernel/policy.ts";
import type { ToolRecord } from "../../kernel/state.ts";
import { clientOver } from "../client.ts";
import { toolGuide } from "../guide.ts";
import { TAKEN_BACK } from "../port.ts";
import { reviewText } from "../review.ts";
import { runTool } from "../run_tool.ts";
import type { Workshop } from "../sandbox.ts";
import { MOUNTED_PREFIX } from "../../kernel/mcp.ts";
import { jsonObjectShape, jsonShape, nothing, ruleShape } from "../shapes.ts";
import { type CallContext, type Need, type NeedContext, syscall } from "../syscall.ts";
import { testTool } from "../test_tool.ts";
import { generatedTool, shownTool, visibleTools } from "../tools_of.ts";

const toolName = z.string().min(1).max(128);
const version = z.string().regex(/^[0-9a-f]{64}$/, "expected the SHA-256 that tool.propose gave")
  .describe("The version: what tool.propose answered");
const limits = z.strictObject({
  argumentBytes: z.number().int().min(1).optional(),
  replyBytes: z.number().int().min(1).optional(),
  resultBytes: z.number().int().min(1).optional(),
  logBytes: z.number().int().min(0).optional(),
  jsonDepth: z.number().int().min(1).optional(),
  callsOutstanding: z.number().int().min(1).optional(),
  calls: z.number().int().min(0).optional(),
  timers: z.number().int().min(0).optional(),
  wallMs: z.number().int().min(1).optional(),
  cpuMs: z.number().int().min(1).optional(),
  memoryBytes: z.number().int().min(CAGE_LIMITS.memoryBytes / 2).optional(),
});
const test = z.strictObject({
  name: z.string().min(1).max(256),
  input: jsonShape,
  calls: z.array(z.strictObject({
    name: z.string().min(1).max(64),
    args: jsonShape.optional(),
    reply: jsonShape.optional(),
    error: z.strictObject({ code: z.string(), message: z.string().optional() }).optional(),
  })).max(256).default([]).describe("The calls it must make, in order, and what they answer"),
  output: jsonShape.optional(),
  error: z.strictObject({ code: z.string() }).optional()
    .describe("The code it must fail with, in place of an output"),
});
const tests = z.array(test).max(LIMITS.toolTestsMax).default([]);

/** Where generated tools are made; refuses with `ENOSYS` in a runtime that has none. */
function workshopOf(at: Pick<NeedContext, "world">): Workshop {
  if (at.world.workshop !== null) return at.world.workshop;
  const expected = "expected createRuntime({ jit: {…} })";
  throw new SysError(
    "ENOSYS",
    `Cannot make tools: this runtime runs no generated tools, ${expected}`,
  );
}

/** A version that the caller may see; the others are as if they were not there (G9). */
function versionOf(at: Pick<CallContext, "tree" | "pid">, hash: string): ToolRecord {
  const { tree, pid } = at;
  const found = visibleVersion({ state: tree.state, lineage: tree.lineage(pid) }, hash);
  if (found !== undefined) return found;
  throw new SysError(
    "ENOENT",
    `Cannot find tool version "${hash}": absent, expected a proposed one`,
  );
}

/** Why a person has to look at a version first; undefined when nobody has to. */
function reviewOf(at: NeedContext, record: ToolRecord): string | undefined {
  const { review } = workshopOf(at);
  const fresh = unapproved(at.process, record);
  if (review === "always") return "a person looks at every generated tool";
  if (review === "never" || fresh.length === 0) return undefined;
  return `nobody has approved ${fresh.join(", ")} for generated tools here`;
}

async function call(
  at: CallContext,
  args: { readonly name: string; readonly input?: Json },
): Promise<{
  readonly output: Json;
  readonly logs?: readonly string[];
  readonly edited?: readonly EditedInside[];
}> {
  const made = generatedTool(at, args.name);
  const begunSeq = begunAt(at, args.name);
  if (begunSeq !== null && (made === undefined || made.held.seq > begunSeq)) {
    throw new SysError("ECANCELED", `Cannot finish tool "${args.name}": ${TAKEN_BACK}`);
  }
  const workshop = made === undefined ? null : workshopOf(at);
  const visible = visibleTools(at);
  const isOpen = begunSeq !== null || visible.some(({ generated }) => generated === made?.held);
  if (made !== undefined && workshop !== null && isOpen) {
    at.book({ toolCalls: 1 });
    const { output, logs } = await runTool(at, { workshop, ...made, input: args.input ?? {} });
    return { output, ...(logs.length === 0 ? {} : { logs }), ...editsInside(at) };
  }
  const tool = visible.find(({ name }) => name === args.name);
  if (tool === undefined || tool.execute === undefined) {
    const near = suggest(args.name, visible.map(({ name }) => name));
    const hint = near === undefined ? "tool.list shows what there is" : `did you mean "${near}"`;
    throw new SysError("ENOSYS", `Cannot call tool "${args.name}": not in the table; ${hint}`);
  }
  const input = await tool.parse(args.input ?? {});
  at.book({ toolCalls: 1 });
  try {
    const output = await tool.execute(input, {
      pid: at.pid,
      call: at.call,
      sys: clientOver((name, given) => at.sys(name, given)),
      signal: at.signal,
      idempotencyKey: at.idempotencyKey,
    });
    return { output: (output ?? null) as Json, ...editsInside(at) };
  } catch (error) {
    if (error instanceof SysError) throw error;
    const { message } = toOutcome(error);
    throw new SysError("EIO", `Cannot finish tool "${args.name}": ${message}`);
  }
}

interface EditedInside {
  readonly call: string;
  readonly asked: Json;
  readonly done: Json;
  readonly by: string;
  readonly note?: string;
}

/** The calls of a tool whose arguments a person changed: whoever called it has to know. */
function editsInside({ process, key }: CallContext): { edited?: readonly EditedInside[] } {
  const edited = Object.entries(process.journal).flatMap(([place, made]) =>
    place.startsWith(`${key}.`) && made.edited !== undefined
      ? [{ call: made.name, done: made.args, ...made.edited }]
      : []
  );
  return edited.length === 0 ? {} : { edited };
}

/** Where the log has that this very call began to run a generated tool; null when it did not. */
function begunAt({ process, key }: CallContext, name: string): number | null {
  const first = process.journal[`${key}.1`];
  const isOurs = process.tools.includes(name) || name.startsWith(MOUNTED_PREFIX);
  return first?.state === "done" && !isOurs ? first.seq : null;
}

/** Calls on tools. */
export const toolCalls = {
  "tool.list": syscall({
    about: "List the tools in the own tool table",
    effect: "observe",
    port: "closed",
    args: nothing,
    reply: z.strictObject({
      tools: z.array(z.strictObject({
        name: z.string(),
        description: z.string(),
        inputSchema: jsonObjectShape,
        generated: z.strictObject({ tool: version, rights: z.array(z.string()) }).nullable(),
      })),
    }),
    needs: () => [],
    run: (at) => ({ tools: visibleTools(at).map(shownTool) }),
  }),
  "tool.call": syscall({
    about: "Call a tool of the own tool table",
    effect: "mutate",
    port: "closed",
    args: z.strictObject({ name: toolName, input: jsonShape.optional() }),
    reply: z.strictObject({
      output: jsonShape,
      logs: z.array(z.string()).optional(),
      edited: z.array(z.strictObject({
        call: z.string(),
        asked: jsonShape,
        done: jsonShape,
        by: z.string(),
        note: z.string().optional(),
      })).optional(),
    }),
    cost: () => ({ toolCalls: 1 }),
    needs: () => [],
    compose: call,
  }),
  "tool.guide": syscall({
    about: "Tell how to write a tool: the contract, the calls it can make, examples",
    effect: "observe",
    port: "closed",
    args: z.strictObject({
      calls: z.array(z.string().max(64)).max(64).optional()
        .describe("Only the declarations of these calls, such as file.read"),
    }),
    reply: z.strictObject({ guide: z.string() }),
    needs: () => [],
    run: (_, args) => ({ guide: toolGuide(args.calls) }),
  }),
  "tool.propose": syscall({
    about: "Propose a tool written in TypeScript; the guide tells how",
    effect: "mutate",
    port: "closed",
    risk: "low",
    args: z.strictObject({
      name: toolName,
      description: z.string().min(1).max(2_048),
      inputSchema: jsonObjectShape.describe("JSON Schema of its input, an object"),
      outputSchema: jsonObjectShape.optional().describe("JSON Schema of its output"),
      source: z.string().min(1).max(4 * LIMITS.toolSourceBytesMax)
        .describe("TypeScript: export default async (input, os) => output"),
      rights: z.array(ruleShape).max(256).default([])
        .describe("The most a call of it may use, such as file.read(./data/**)"),
      tests,
    }),
    reply: z.strictObject({ tool: version }),
    needs: () => [],
    async prepare(at, args) {
      const outputSchema = args.outputSchema ?? null;
      const { name, source, inputSchema } = args;
      if (name.startsWith(MOUNTED_PREFIX)) {
        const expected = `expected one without "${MOUNTED_PREFIX}", which names mounted ones`;
        throw new SysError("EINVAL", `Cannot propose tool "${name}": ${expected}`);
      }
      const { pid, cwd, tools: taken } = at.process;
      const tests = args.tests as ToolTest[];
      const isFree = (right: string): boolean => at.isFree(right);
      const author = { pid, cwd, state: at.tree.state, isFree };
      checkContract(author, { ...args, outputSchema, tests, taken });
      const checked = await workshopOf(at).compiler.check({ source, inputSchema, outputSchema });
      if (checked.ok) return checked.code;
      const shown = checked.problems.slice(0, 6)
        .map(({ line, column, message }) => `${line}:${column} ${message}`).join("; ");
      throw new SysError("EINVAL", `Cannot propose tool "${name}": ${shown}`, {
        problems: checked.problems.slice(0, LIMITS.toolProblemsShownMax),
      });
    },
    run(at, args, code) {
      const { outputSchema = null, ...rest } = args;
      const definition = { ...rest, outputSchema, code, tests: args.tests as ToolTest[] };
      return { tool: propose(at.draft, definition, at.pid) };
    },
  }),
  "tool.test": syscall({
    about: "Run the tests of a proposed tool in a cage, against scripted answers",
    effect: "mutate",
    port: "closed",
    risk: "low",
    args: z.strictObject({ tool: version, tests: tests.describe("More tests, besides its own") }),
    reply: z.strictObject({
      passed: z.number(),
      failed: z.number(),
      results: z.array(z.strictObject({
        name: z.string(),
        passed: z.boolean(),
        why: z.string(),
        logs: z.array(z.string()),
      })),
    }),
    needs: () => [],
    async prepare(at, args) {
      const record = versionOf(at, args.tool);
      const workshop = workshopOf(at);
      const own = await at.load(record.tests) as unknown as readonly ToolTest[];
      const code = await at.load(record.code) as string;
      return await testTool(workshop, { ...record, code }, {
        tests: [...own, ...args.tests as ToolTest[]],
        tenant: `${at.pid}/${args.tool}`,
        signal: at.signal,
      });
    },
    run(at, args, results) {
      const passed = results.filter((result) => result.passed).length;
      const failed = results.length - passed;
      at.draft.add("tool.tested", { hash: args.tool, by: at.pid, passed, failed });
      return { passed, failed, results };
    },
  }),
  "tool.register": syscall({
    about: "Put a proposed tool into the own tool table; a person may have to look at it first",
    effect: "mutate",
    port: "closed",
    risk: "medium",
    args: z.strictObject({
      tool: version,
      limits: limits.default({}).describe("Limits of a run; more than usual takes tool.limit"),
    }),
    reply: z.strictObject({ name: z.string(), tool: version }),
    needs(args, at): Need[] {
      const { pid } = at.process;
      const lineage = at.tree.lineage(pid);
      const record = visibleVersion({ state: at.tree.state, lineage }, args.tool);
      const resource = record?.name ?? args.tool;
      const ask = record === undefined ? undefined : reviewOf(at, record);
      return [
        {
          right: "tool.register",
          resource,
          // Rights are relative to the process: an answer is to what they were when it was given.
          ...(ask === undefined ? {} : { ask, binds: rightsFor(at.process, record!) }),
        },
        ...raised(args.limits, workshopOf(at).limits)
          .map((name) => ({ right: "tool.limit", resource: `${resource}/${name}` })),
      ];
    },
    preview(at, args) {
      const record = versionOf(at, args.tool);
      checkRegistration(at.process, { record, limits: args.limits });
      return reviewText(at, record, args.limits);
    },
    run(at, args) {
      const record = versionOf(at, args.tool);
      const reviewed = reviewOf(at, record) !== undefined;
      register(at.draft, at.process, { record, limits: args.limits, from: "proposal", reviewed });
      return { name: record.name, tool: record.hash };
    },
  }),
  "tool.unregister": syscall({
    about: "Take a generated tool out of the own tool table; a run of it is stopped",
    effect: "mutate",
    port: "closed",
    args: z.strictObject({ name: toolName, reason: z.string().max(512).default("") }),
    reply: nothing,
    needs: () => [],
    run(at, args) {
      unregister(at.draft, at.process, { ...args, by: at.pid });
      return {};
    },
  }),
};
