/**
 * `tools test`: checks a tool's types, and runs its tests in a cage against scripted answers.
 * @module
 */

import type { Problem, Workshop } from "../broker/sandbox.ts";
import { type TestResult, testTool } from "../broker/test_tool.ts";
import { toolHash } from "../kernel/generated.ts";
import { realClock } from "../providers/clock.ts";
import { oneLine, quoted } from "../providers/printable.ts";
import { openWorkshop } from "../runtime/workshop.ts";
import type { Context } from "./command.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { painter, safeJson, safeYaml } from "./output.ts";
import { cageOptions, problemLines, readTool, type ToolFile } from "./tool_file.ts";

/** What `-o json` prints. */
interface Report {
  readonly file: string;
  readonly name: string;
  /** The version that a proposal of exactly this would get; null when it has wrong types. */
  readonly version: string | null;
  readonly rights: readonly string[];
  readonly problems: readonly Problem[];
  readonly passed: number;
  readonly failed: number;
  readonly results: readonly TestResult[];
}

/** Checks and tests a tool of the folder. */
export async function checkTool(at: Context, file: string): Promise<number> {
  const tool = await readTool(at, file, null);
  const workshop = (await openWorkshop({ jit: { ...cageOptions(at), review: "never" } }))!;
  const stop = new AbortController();
  const off = at.io.onInterrupt(() => stop.abort());
  try {
    return await check(at, tool, { workshop, signal: stop.signal });
  } finally {
    off();
    await Promise.all([workshop.sandbox.close(), workshop.compiler.close()]);
  }
}

async function check(at: Context, tool: ToolFile, given: {
  readonly workshop: Workshop;
  readonly signal: AbortSignal;
}): Promise<ExitCode> {
  const { contract, file } = tool;
  const { workshop, signal } = given;
  const { name, rights, tests } = contract;
  const checked = await workshop.compiler.check(contract);
  if (!checked.ok) {
    const { problems } = checked;
    say(at, problemLines(at, tool, problems));
    say(at, [`${count(problems.length, "problem")} in ${file}; its tests were not run`]);
    const none = { version: null, passed: 0, failed: 0, results: [] };
    return end(at, { file, name, rights, problems, ...none });
  }
  const { code } = checked;
  const version = toolHash({ ...contract, code });
  say(at, [`${name} ${version.slice(0, 12)}  types are right; may use ${list(rights)}`]);
  const results: TestResult[] = [];
  for (const test of tests) {
    const startedMs = realClock.now();
    // One at a time, so that each is seen as it comes.
    const [result] = await testTool(workshop, { ...contract, code }, {
      tests: [test],
      tenant: `cli/${version}`,
      signal,
    });
    results.push(result!);
    say(at, resultLines(at, result!, realClock.now() - startedMs));
  }
  const passed = results.filter((result) => result.passed).length;
  const failed = results.length - passed;
  if (results.length === 0) say(at, [`no tests: add some to "tests" of ${tool.contractFile}`]);
  else say(at, [`${passed} passed, ${failed} failed`]);
  return end(at, { file, name, version, rights, problems: [], passed, failed, results });
}

function resultLines(at: Context, result: TestResult, ms: number): string[] {
  const paint = painter(at);
  const { name, passed, why, logs } = result;
  const mark = passed ? paint("ok    ", "green") : paint("FAILED", "red");
  return [
    `  ${mark} ${oneLine(name)}  ${ms} ms`,
    ...(passed ? [] : [`         ${oneLine(why)}`]),
    ...(logs.length === 0 ? [] : [quoted(logs.join("\n"), Infinity).text]),
  ];
}

function list(rights: readonly string[]): string {
  return rights.length === 0 ? "nothing but its input" : rights.join(", ");
}

function count(n: number, noun: string): string {
  return n === 1 ? `1 ${noun}` : `${n} ${noun}s`;
}

function say({ io, format, flags }: Context, lines: readonly string[]): void {
  if (flags.on("quiet") || (format !== "table" && format !== "wide")) return;
  for (const line of lines) io.out(`${line}\n`);
}

function end({ io, format }: Context, report: Report): ExitCode {
  if (format === "json") io.out(`${safeJson(report, 2)}\n`);
  else if (format === "jsonl") io.out(`${safeJson(report)}\n`);
  else if (format === "yaml") io.out(safeYaml(report));
  else if (format === "name" && report.version !== null) io.out(`${report.version}\n`);
  return report.problems.length === 0 && report.failed === 0 ? EXIT.ok : EXIT.error;
}
