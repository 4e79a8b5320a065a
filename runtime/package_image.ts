/**
 * An image of a package: what a process can be started from.
 *
 * The sources of its tools are compiled here and now, so what runs is what a person can read in
 * the package, and nothing that somebody compiled elsewhere.
 * @module
 */

import type { ToolCompiler } from "../broker/sandbox.ts";
import { SysError } from "../kernel/errors.ts";
import { parsePattern } from "../kernel/grammar.ts";
import { hashOf } from "../kernel/json.ts";
import type { ToolDefinition } from "../kernel/generated.ts";
import { type AgentImage, defineImage } from "./image.ts";
import type { Package, PackageTool } from "./package.ts";
import { type PackageFile, PackageSkills } from "./package_files.ts";

/** Makes it; `model` takes the place of what the package was made for. */
export async function imageOfPackage({ hash, body }: Package, given: {
  /** What compiles its tools; null where none are run, and then the image goes without. */
  readonly compiler: ToolCompiler | null;
  readonly model?: string | undefined;
}): Promise<AgentImage> {
  const model = given.model ?? body.model;
  const { wallMs, ...limits } = body.budget;
  const generated: ToolDefinition[] = [];
  if (given.compiler !== null) {
    for (const tool of body.tools) generated.push(await compiled(tool, given.compiler));
  }
  const image = defineImage({
    name: body.name,
    version: body.version,
    instructions: body.instructions,
    ...(model === null ? {} : { model }),
    ...(body.libc === null ? {} : { libc: body.libc }),
    requests: body.needs.map((text) => ({ effect: "ask" as const, ...parsePattern(text) })),
    budget: { ...limits, ...(wallMs === undefined ? {} : { wallClock: `${wallMs}ms` as const }) },
    maxSteps: body.maxSteps,
    ...(body.onBudget === null ? {} : { onBudget: body.onBudget }),
    types: body.types,
    generated,
  });
  return ofPackage(image, { hash, files: body.files });
}

/** The same image, as one of a package: its hash covers which. */
function ofPackage(image: AgentImage, from: {
  readonly hash: string;
  readonly files: readonly PackageFile[];
}): AgentImage {
  const { hash: _, ...own } = image.data;
  const data = { ...own, package: from.hash };
  const sha256 = hashOf(data);
  const made = { ...image, sha256, data: { ...data, hash: sha256 } };
  const isSkilled = from.files.some(({ path }) => path.startsWith("skills/"));
  return isSkilled ? { ...made, skills: new PackageSkills(from.files) } : made;
}

async function compiled(tool: PackageTool, compiler: ToolCompiler): Promise<ToolDefinition> {
  const checked = await compiler.check(tool);
  if (checked.ok) return { ...tool, code: checked.code };
  const shown = checked.problems.slice(0, 6)
    .map(({ line, column, message }) => `${line}:${column} ${message}`).join("; ");
  throw new SysError("EINVAL", `Cannot use tool "${tool.name}" of the package: ${shown}`);
}
