/**
 * A tool as files: `csv_sum.ts` is its source, `csv_sum.tool.json` beside it is its contract.
 * @module
 */

import { basename } from "node:path";
import { RIGHTS, SYSCALLS } from "../broker/table.ts";
import { type Problem, type Review, REVIEWS, type Tier, TIERS } from "../broker/sandbox.ts";
import { SysError } from "../kernel/errors.ts";
import { checkContract, type ToolTest } from "../kernel/generated.ts";
import { parsePattern } from "../kernel/grammar.ts";
import type { Json, JsonObject } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import { unknownRight } from "../kernel/policy.ts";
import { oneLine } from "../providers/printable.ts";
import type { JitOptions } from "../runtime/workshop.ts";
import type { Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { isFile, readText } from "./files.ts";
import { painter } from "./output.ts";
import { durationOf } from "./words.ts";

/** All that a proposal says of a tool, but what was compiled. */
export interface ToolContract {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
  readonly outputSchema: JsonObject | null;
  readonly rights: readonly string[];
  readonly tests: readonly ToolTest[];
  readonly source: string;
}

/** A tool as it was read. */
export interface ToolFile {
  readonly file: string;
  /** The file of its contract; null when there is none, and all of it was guessed. */
  readonly contractFile: string | null;
  readonly contract: ToolContract;
}

/** Where the contract of a source is. */
export function contractFileOf(file: string): string {
  return file.replace(/\.[mc]?ts$/, "") + ".tool.json";
}

/** Reads a tool; one without a contract has the rights given, and takes any object. */
export async function readTool(
  at: Context,
  file: string,
  rights: readonly string[] | null,
): Promise<ToolFile> {
  if (!/\.[mc]?ts$/.test(file)) {
    throw new UsageError(`Cannot use "${file}": no TypeScript, expected a file such as csv_sum.ts`);
  }
  const source = await readText(at, file);
  const contractFile = contractFileOf(file);
  const name = basename(file).replace(/\.[mc]?ts$/, "").replaceAll(/\W/g, "_");
  if (await isFile(at, contractFile)) {
    const text = await readText(at, contractFile);
    const contract = parseContract(contractFile, text, { name, source });
    return { file, contractFile, contract };
  }
  if (rights === null) {
    const expected = `expected ${contractFile} beside it; libos tools new NAME writes one`;
    throw new SysError("ENOENT", `Cannot test "${file}": it has no contract, ${expected}`);
  }
  const contract = {
    name,
    description: name,
    inputSchema: { type: "object" },
    outputSchema: null,
    rights,
    tests: [],
    source,
  };
  return { file, contractFile: null, contract };
}

function parseContract(
  file: string,
  text: string,
  { name, source }: { readonly name: string; readonly source: string },
): ToolContract {
  const what = `Cannot read "${file}"`;
  let given: Json;
  try {
    given = parseJson(text) as Json;
  } catch (error) {
    throw new SysError("EINVAL", `${what}: no JSON: ${(error as Error).message}`);
  }
  if (given === null || typeof given !== "object" || Array.isArray(given)) {
    throw new SysError("EINVAL", `${what}: expected one object`);
  }
  const read = SYSCALLS["tool.propose"].args.safeParse({
    name,
    description: name,
    ...given,
    source,
  });
  if (!read.success) {
    const issues = read.error.issues.slice(0, 4)
      .map(({ path, message }) => `${path.join(".") || "it"}: ${message}`);
    throw new SysError("EINVAL", `${what}: ${issues.join("; ")}`);
  }
  const { outputSchema = null, tests, ...rest } = read.data;
  const contract = { ...rest, outputSchema, tests: tests as ToolTest[] };
  try {
    checkContract(null, { ...contract, taken: [] });
    for (const text of contract.rights) {
      const unknown = unknownRight(parsePattern(text).right, { rights: RIGHTS });
      if (unknown !== undefined) throw new SysError("EINVAL", `right "${text}": ${unknown}`);
    }
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new SysError(error.code, `${what}: ${error.message}`);
  }
  return contract;
}

/** How the command line says to cage a tool. */
export function cageOptions({ flags }: Context): {
  readonly isolation?: Tier;
  readonly timeout?: `${number}ms`;
} {
  const isolation = flags.text("isolation");
  const timeoutMs = durationOf(flags.text("timeout"));
  if (isolation !== undefined && !(TIERS as readonly string[]).includes(isolation)) {
    const expected = `expected ${TIERS.join(", ")}`;
    throw new UsageError(`Cannot isolate by "${isolation}": unknown, ${expected}`);
  }
  return {
    ...(isolation === undefined ? {} : { isolation: isolation as Tier }),
    ...(timeoutMs === undefined ? {} : { timeout: `${timeoutMs}ms` }),
  };
}

/** Whether agents may make tools here, and who looks at them first; false without `--jit`. */
export function jitOptions(at: Context): false | JitOptions {
  const { flags } = at;
  const review = flags.text("review");
  const cage = cageOptions(at);
  if (!flags.on("jit")) {
    const idle = ["review", "isolation"].find((name) => flags.text(name) !== undefined);
    if (idle === undefined) return false;
    throw new UsageError(`Cannot use --${idle}: agents make no tools here, expected --jit too`);
  }
  if (review !== undefined && !(REVIEWS as readonly string[]).includes(review)) {
    throw new UsageError(`Cannot review "${review}": unknown, expected ${REVIEWS.join(", ")}`);
  }
  // A run's own --timeout is the command's, not that of a tool's call.
  const { isolation } = cage;
  return {
    ...(isolation === undefined ? {} : { isolation }),
    ...(review === undefined ? {} : { review: review as Review }),
  };
}

/** Problems of a source as compilers print them, each with the line it is about. */
export function problemLines(
  at: Context,
  { file, contract }: ToolFile,
  problems: readonly Problem[],
): string[] {
  const paint = painter(at);
  const source = contract.source.split(/\r?\n/);
  return problems.flatMap(({ line, column, message }) => {
    const text = source[line - 1] ?? "";
    // The marker stands under its column as it is shown: a tab is one character there too.
    const marker = `${" ".repeat(Math.max(0, column - 1))}^`;
    return [
      `${oneLine(file)}:${line}:${column} ${oneLine(message)}`,
      ...(text.trim() === "" || text.length > 120 ? [] : [
        paint(`    ${oneLine(text.replaceAll("\t", " "))}`, "dim"),
        paint(`    ${marker}`, "red"),
      ]),
    ];
  });
}
