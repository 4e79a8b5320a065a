/**
 * A package from a folder: `image.json` says what it is, and the rest lies beside it.
 *
 * ```text
 * image.json          name, version, needs, model, libc, budget, maxSteps, onBudget, types
 * prompt.md           the instructions
 * tools/NAME.ts       a generated tool, with its contract in tools/NAME.tool.json
 * skills/NAME/…       skills, each with its SKILL.md
 * workspace/…         files to begin with
 * ```
 *
 * Anything else is refused: what lies in the folder is in the package, or nobody is told it is.
 * @module
 */

import { z } from "zod";
import { jsonObjectShape } from "../broker/shapes.ts";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import { type Budget, budgetLimits } from "./image.ts";
import { type Package, packageOf } from "./package.ts";
import { packedFile } from "./package_files.ts";
import type { Duration } from "./rule.ts";

/** A file of a folder: its path below it, and its content. */
export interface FolderFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

const MANIFEST = z.strictObject({
  name: z.string(),
  version: z.string().default("1"),
  model: z.string().nullable().default(null),
  libc: z.array(z.string()).nullable().default(null),
  needs: z.array(z.string()).default([]),
  budget: z.strictObject({
    modelCalls: z.number().optional(),
    tokens: z.number().optional(),
    usd: z.number().optional(),
    toolCalls: z.number().optional(),
    children: z.number().optional(),
    depth: z.number().optional(),
    bytes: z.number().optional(),
    wallClock: z.custom<Duration>((value) => typeof value === "string").optional(),
  }).default({}),
  maxSteps: z.number().default(1_000),
  onBudget: z.enum(["ask", "fail"]).nullable().default(null),
  types: z.record(z.string(), jsonObjectShape).default({}),
});

/** Builds a package of the files of a folder. Throws `EINVAL`, `ELIMIT`, `ENOENT`, `EPERM`. */
export function buildPackage(files: readonly FolderFile[]): Package {
  const rest = new Map(files.map(({ path, bytes }) => [path, bytes]));
  const take = (path: string): string | undefined => {
    const bytes = rest.get(path);
    rest.delete(path);
    return bytes === undefined ? undefined : textOf(path, bytes);
  };
  const manifest = take("image.json");
  if (manifest === undefined) {
    throw new SysError("ENOENT", 'Cannot build the image: no "image.json", expected one');
  }
  const said = parsed(manifest);
  const instructions = take("prompt.md") ?? "";
  const tools = [...rest.keys()].filter((path) => /^tools\/[^/]+\.ts$/.test(path)).map((path) => {
    const source = take(path)!;
    const contract = path.replace(/\.ts$/, ".tool.json");
    const text = take(contract);
    if (text === undefined) {
      const expected = `expected ${contract} beside it; libos tools new NAME writes one`;
      throw new SysError("ENOENT", `Cannot build the image: ${path} has no contract, ${expected}`);
    }
    return { ...toolOf(contract, text, path.slice("tools/".length, -".ts".length)), source };
  });
  const kept = [...rest].filter(([path]) => /^(skills|workspace)\//.test(path));
  const stray = [...rest.keys()].find((path) => !/^(skills|workspace)\//.test(path));
  if (stray !== undefined) {
    const expected = "expected image.json, prompt.md, tools/, skills/ and workspace/ only";
    throw new SysError("EINVAL", `Cannot build the image: ${JSON.stringify(stray)}, ${expected}`);
  }
  const { budget, ...head } = said;
  return packageOf({
    ...head,
    budget: budgetLimits(budget as Budget),
    instructions,
    tools,
    files: kept.map(([path, bytes]) => packedFile(path, bytes)),
  });
}

function textOf(path: string, bytes: Uint8Array): string {
  const { text } = packedFile(path, bytes);
  if (text !== undefined) return text.replace(/^\ufeff/, "");
  throw new SysError("EINVAL", `Cannot build the image: ${path} is no UTF-8, expected text`);
}

function jsonOf(path: string, text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    const why = `${path} is no JSON: ${(error as Error).message}`;
    throw new SysError("EINVAL", `Cannot build the image: ${why}`);
  }
}

function parsed(text: string): z.output<typeof MANIFEST> {
  const read = MANIFEST.safeParse(jsonOf("image.json", text));
  if (read.success) return read.data;
  const issues = read.error.issues.slice(0, 4)
    .map(({ path, message }) => `${path.join(".") || "it"}: ${message}`);
  throw new SysError("EINVAL", `Cannot build the image: image.json: ${issues.join("; ")}`);
}

/** The contract of a tool, with what it need not say. */
function toolOf(path: string, text: string, file: string): Record<string, unknown> {
  const given = jsonOf(path, text);
  if (given === null || typeof given !== "object" || Array.isArray(given)) {
    throw new SysError("EINVAL", `Cannot build the image: ${path}: expected one object`);
  }
  const name = file.replaceAll(/\W/g, "_");
  return { name, description: name, outputSchema: null, rights: [], tests: [], ...given };
}

/** How much one file may have, so that what could never be packed is not read. */
export const FOLDER_FILE_BYTES_MAX: number = LIMITS.packageBytesMax;
