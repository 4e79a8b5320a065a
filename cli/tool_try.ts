/**
 * `tools run`: a person tries a tool in the cage, with the grants that are given and no others.
 *
 * Invariants:
 *   Y1. The trial has a store of its own, in memory, and leaves nothing but what the tool wrote
 *       with the grants it was given.
 *   Y2. What the tool declares gives it nothing: rights are the declared ones *and* the granted.
 * @module
 */

import type { Problem } from "../broker/sandbox.ts";
import { type Errno, type ErrorDetail, SysError } from "../kernel/errors.ts";
import { formatPattern, parsePattern } from "../kernel/grammar.ts";
import type { Json } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import { realClock } from "../providers/clock.ts";
import { oneLine, printable, quoted } from "../providers/printable.ts";
import { type AgentImage, defineImage } from "../runtime/image.ts";
import { allow, asAllowed, type Rule } from "../runtime/rule.ts";
import { createRuntime } from "../runtime/create.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Context } from "./command.ts";
import { EXIT, type ExitCode, exitOf, UsageError } from "./exit.ts";
import { isFile, readText } from "./files.ts";
import { operatorOf } from "./order.ts";
import { safeJson } from "./output.ts";
import { POLICY_FILE } from "./reserved.ts";
import { cageOptions, problemLines, readTool, type ToolFile } from "./tool_file.ts";
import { TryView } from "./tool_view.ts";
import { rulesOf } from "./words.ts";

const FATAL: ReadonlySet<string> = new Set(["EREPLAY", "EFENCED", "EINTEGRITY"]);

/** How a trial came out. */
type Trial =
  | { readonly ok: true; readonly output: Json; readonly logs: readonly string[] }
  | {
    readonly ok: false;
    readonly code: Errno;
    readonly message: string;
    readonly detail: ErrorDetail;
  };

/** Runs a tool of the folder once. */
export async function tryTool(at: Context, file: string): Promise<ExitCode> {
  const { flags } = at;
  const grants = [
    ...rulesOf(flags.texts("grant"), "allow"),
    ...rulesOf(flags.texts("ask"), "ask"),
    ...rulesOf(flags.texts("deny"), "deny"),
  ];
  const given = grants.filter(({ effect }) => effect !== "deny");
  const cage = cageOptions(at);
  const tool = await readTool(at, file, given.map(formatPattern));
  const input = await inputOf(at);
  const runtime = await createRuntime({
    store: ":memory:",
    workspace: flags.text("workspace") ?? at.io.cwd,
    approvals: at.io.isInteractive ? "terminal" : "deny",
    operator: operatorOf(at),
    jit: { ...cage, review: "never" },
    policy: await policyOf(at),
  });
  try {
    return await run(at, runtime, { tool, grants, input });
  } finally {
    await runtime.close();
  }
}

async function policyOf(at: Context): Promise<string> {
  const policy = at.flags.text("policy") ??
    (await isFile(at, POLICY_FILE) ? POLICY_FILE : undefined);
  return policy === undefined ? "" : await readText(at, policy);
}

/** What the tool is given: JSON, or `@FILE` with some. */
async function inputOf(at: Context): Promise<Json> {
  const word = at.flags.text("input");
  if (word === undefined) return {};
  const text = word.startsWith("@") ? await readText(at, word.slice(1)) : word;
  try {
    return parseJson(text) as Json;
  } catch (error) {
    const why = (error as Error).message;
    throw new UsageError(`Cannot use --input: ${why}, expected JSON, or @FILE with some`);
  }
}

async function run(at: Context, runtime: Runtime, given: {
  readonly tool: ToolFile;
  readonly grants: readonly Rule[];
  readonly input: Json;
}): Promise<ExitCode> {
  const { tool, grants, input } = given;
  const { name, rights } = tool.contract;
  const view = new TryView(at, tool.contractFile);
  const offLines = runtime.node.listen((_, lines) => view.hear(lines));
  const register = allow("tool.register", name);
  const startedMs = realClock.now();
  const process = await runtime.spawn(imageOf(tool), {
    goal: `Try ${name}`,
    input,
    grants: [...grants, register],
    // A tool may declare more than it is granted here; the door lets through what is in both.
    ceiling: [
      ...grants.filter(({ effect }) => effect !== "deny"),
      ...rights.map((text) => asAllowed(parsePattern(text))),
      register,
    ],
  });
  let isStopped = false;
  const offSignal = at.io.onInterrupt(() => {
    if (isStopped) at.io.exitNow(EXIT.interrupted);
    isStopped = true;
    void process.signal("kill", "interrupted");
  });
  try {
    const { outcome, result } = await process.wait();
    if (isStopped) return EXIT.interrupted;
    const trial: Trial = outcome.kind === "failed"
      ? { ok: false, code: outcome.code, message: outcome.message, detail: {} }
      : result as unknown as Trial;
    return tell(at, trial, { tool, view, ms: realClock.now() - startedMs });
  } finally {
    offSignal();
    offLines();
  }
}

/** Proposes the tool, registers it and calls it, as an agent would. */
function imageOf({ contract }: ToolFile): AgentImage {
  // Its tests are what `tools test` runs: here it is tried whether they pass or not.
  const { outputSchema, tests: _, ...rest } = contract;
  const proposal = { ...rest, ...(outputSchema === null ? {} : { outputSchema }) };
  return defineImage({
    name: "trial",
    program: async ({ sys, input }) => {
      let trial: Trial;
      try {
        const { tool } = await sys.tool.propose(proposal as never);
        await sys.tool.register({ tool });
        const { output, logs = [] } = await sys.tool.call({ name: contract.name, input });
        trial = { ok: true, output: output as Json, logs };
      } catch (error) {
        if (!(error instanceof SysError) || FATAL.has(error.code)) throw error;
        const { code, message, detail = {} } = error;
        trial = { ok: false, code, message, detail };
      }
      await sys.process.exit({ result: trial as unknown as Json });
    },
  });
}

function tell(at: Context, trial: Trial, given: {
  readonly tool: ToolFile;
  readonly view: TryView;
  readonly ms: number;
}): ExitCode {
  const { io, format, flags } = at;
  const { tool, view, ms } = given;
  const exit = trial.ok ? EXIT.ok : exitOf(trial.code);
  const problems = problemsOf(trial);
  if (format === "json" || format === "jsonl") {
    const { file, contract: { name } } = tool;
    const { rights, calls } = view;
    const logs = trial.ok ? trial.logs : trial.detail["logs"] ?? [];
    const ended = trial.ok
      ? { output: trial.output, error: null }
      : { output: null, error: { code: trial.code, message: trial.message } };
    const report = {
      file,
      name,
      rights,
      ok: trial.ok,
      ...ended,
      problems,
      calls,
      logs,
      ms,
    };
    io.out(`${safeJson(report, format === "json" ? 2 : undefined)}\n`);
    return exit;
  }
  const isBrief = flags.on("quiet") || format === "name";
  if (!isBrief) tellLogs(at, trial);
  if (trial.ok) {
    const text = safeJson(trial.output, 2);
    io.out(isBrief ? `${text}\n` : `output\n${quoted(text, Infinity).text}\n`);
  } else if (problems.length > 0) {
    for (const line of problemLines(at, tool, problems)) io.err(`${line}\n`);
  } else {
    io.err(`error: ${printable(trial.message)} [${trial.code}]\n`);
  }
  if (!trial.ok) { for (const line of hintsOf(at, trial, tool)) io.err(`${oneLine(line)}\n`); }
  if (!isBrief && view.isRegistered) io.out(`${sumText(view, ms)}\n`);
  return exit;
}

function problemsOf(trial: Trial): readonly Problem[] {
  return trial.ok ? [] : trial.detail["problems"] as readonly Problem[] | undefined ?? [];
}

function tellLogs({ io }: Context, trial: Trial): void {
  const logs = (trial.ok ? trial.logs : trial.detail["logs"]) as readonly string[] | undefined;
  if (logs === undefined || logs.length === 0) return;
  io.out(`log\n${quoted(logs.join("\n"), Infinity).text}\n`);
}

/** What may help, besides what the calls said. */
function hintsOf(at: Context, trial: Trial & { readonly ok: false }, tool: ToolFile): string[] {
  const isInput = trial.code === "EINVAL" && problemsOf(trial).length === 0;
  const { properties } = tool.contract.inputSchema;
  if (isInput && at.flags.text("input") === undefined && properties !== undefined) {
    const example = Object.fromEntries(
      Object.entries(properties as Record<string, { readonly type?: string }>)
        .map(([name, { type }]) => [name, EXAMPLES[type ?? ""] ?? "…"]),
    );
    return [`Try: --input '${JSON.stringify(example)}'`];
  }
  const isLate = trial.code === "ELIMIT" && trial.detail["limit"] === "wallMs";
  return isLate ? ["More time: --timeout 30s"] : [];
}

const EXAMPLES: { readonly [type: string]: Json } = {
  number: 1,
  integer: 1,
  boolean: true,
  array: [],
  object: {},
};

function sumText({ calls }: TryView, ms: number): string {
  const denied = calls.filter(({ decision }) => decision === "deny").length;
  const noun = calls.length === 1 ? "call" : "calls";
  return `${calls.length} ${noun} (${calls.length - denied} allowed, ${denied} denied) · ${ms} ms`;
}
