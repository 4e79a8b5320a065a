/**
 * Packages: an image as one file, named by the hash of what is in it.
 *
 * A package holds the instructions, a hint which model, the built-in tools, the sources of
 * generated tools with their contracts, skills, files to begin with, and what its agents will ask
 * for. It is data: no code of it runs but in a cage, and it grants nothing.
 *
 * The file is canonical JSON (RFC 8785): `{body, hash, signatures, type}`. The hash covers the
 * body; a signature covers the hash.
 *
 * Invariants:
 *   P1. The same content has the same hash, on any machine and at any time: no times, no owners, no
 *       order of a file system, nothing a compiler made.
 *   P2. What is read is in normal form, byte for byte, or it is refused: nothing in a package can
 *       be read in two ways.
 *   P3. All that its agents will ask for stands in one list, `needs`: a tool that declares more,
 *       and a skill that brings a list of its own, are refused.
 * @module
 */

import { z } from "zod";
import { isFree } from "../broker/syscall.ts";
import { budgetShape, jsonObjectShape } from "../broker/shapes.ts";
import type { AnySyscall } from "../broker/syscall.ts";
import { RIGHTS, SYSCALLS } from "../broker/table.ts";
import { type Errno, SysError } from "../kernel/errors.ts";
import type { BudgetLimits } from "../kernel/event.ts";
import { checkContract, type ToolDefinition, type ToolTest } from "../kernel/generated.ts";
import { formatPattern, type Pattern, within } from "../kernel/grammar.ts";
import { canonical, hashOf, type JsonObject, plain } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import { parseGrant } from "../kernel/path.ts";
import { parsePolicy } from "../kernel/policy.ts";
import {
  checkPaths,
  contentOf,
  PACKAGE_FILE,
  type PackageFile,
  skillsIn,
} from "./package_files.ts";

/** A generated tool as a package has it: what a person can read, and nothing that was compiled. */
export type PackageTool = Omit<ToolDefinition, "code">;

/** What is in a package. */
export interface PackageBody {
  /** Small letters, digits and `-` after a letter. */
  readonly name: string;
  /** A word that tells packages of one name apart. */
  readonly version: string;
  /** The system prompt. */
  readonly instructions: string;
  /** `provider/model` that it was made for: a hint, which whoever starts it may overrule. */
  readonly model: string | null;
  /** The built-in tools it has; null for all. */
  readonly libc: readonly string[] | null;
  /** Rights its agents will ask people for, `right(resource)` each. They give nothing. */
  readonly needs: readonly string[];
  /** Limits of every process of it. */
  readonly budget: BudgetLimits;
  /** Steps it may make in all. */
  readonly maxSteps: number;
  /** What becomes of a turn that the budget does not bear; null: as the runtime says. */
  readonly onBudget: "ask" | "fail" | null;
  /** Object types with their JSON Schemas. */
  readonly types: { readonly [name: string]: JsonObject };
  /** Generated tools. */
  readonly tools: readonly PackageTool[];
  /** Files of skills, and those an agent begins with. */
  readonly files: readonly PackageFile[];
}

/** Who vouches for a package, by a signature of its hash. */
export interface PackageSignature {
  /** An Ed25519 public key: 32 bytes in hexadecimal digits. */
  readonly key: string;
  /** 64 bytes in hexadecimal digits. */
  readonly sig: string;
}

/** A package that was read and checked, all but its signatures. */
export interface Package {
  /** SHA-256 of the canonical text of the body. */
  readonly hash: string;
  readonly body: PackageBody;
  readonly signatures: readonly PackageSignature[];
}

const TOOL = z.strictObject({
  name: z.string(),
  description: z.string(),
  inputSchema: jsonObjectShape,
  outputSchema: jsonObjectShape.nullable(),
  rights: z.array(z.string()),
  tests: z.array(jsonObjectShape),
  source: z.string(),
});
const BODY = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, "expected small letters, digits and -"),
  version: z.string().regex(/^[\w-][\w.-]{0,31}$/, "expected letters, digits, . and -"),
  instructions: z.string().max(LIMITS.packageBytesMax),
  model: z.string().min(3).max(256).nullable(),
  libc: z.array(z.string().max(64)).max(LIMITS.toolsPerProcessMax).nullable(),
  needs: z.array(z.string().max(LIMITS.ruleBytesMax)).max(LIMITS.packageNeedsMax),
  budget: budgetShape,
  maxSteps: z.number().int().min(1).max(1_000_000),
  onBudget: z.enum(["ask", "fail"]).nullable(),
  types: z.record(z.string().max(64), jsonObjectShape),
  tools: z.array(TOOL).max(LIMITS.toolsPerProcessMax),
  files: z.array(PACKAGE_FILE).max(LIMITS.packageFilesMax),
});
const HEX = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));
const FILE = z.strictObject({
  type: z.literal("libos.package/1"),
  hash: HEX(32),
  body: z.unknown(),
  signatures: z.array(z.strictObject({ key: HEX(32), sig: HEX(64) }))
    .max(LIMITS.packageSignaturesMax),
});

/** What a key signs of a package: its hash, and that it is one of a package. */
export function signedOf(hash: string): string {
  return canonical({ type: "libos.package-signature/1", hash });
}

/** Makes a package of a body in any order; throws `EINVAL`, `ELIMIT` for what cannot be one. */
export function packageOf(given: unknown): Package {
  const body = normalBody(given);
  const made = { hash: hashOf(body), body, signatures: [] };
  bounded(packageText(made));
  return made;
}

/** The file of a package: one line of canonical JSON, and a line feed. */
export function packageText({ hash, body, signatures }: Package): string {
  const sorted = [...signatures].sort((a, b) => a.key < b.key ? -1 : 1);
  return `${canonical({ type: "libos.package/1", hash, body, signatures: sorted })}\n`;
}

/**
 * Reads the file of a package. Throws `EINTEGRITY` for one that was changed or cut, `ENOSYS` for
 * one of a later version, `EINVAL` and `ELIMIT` for one that says what none may say. Signatures are
 * well-formed here; whether they hold is for who knows keys.
 */
export function readPackage(text: string): Package {
  bounded(text);
  const broken = (why: string): SysError =>
    new SysError("EINTEGRITY", `Cannot use the package: ${why}, expected it as it was built`);
  let given: unknown;
  try {
    given = parseJson(text);
  } catch {
    throw broken("it is no JSON");
  }
  refuseLaterOne(given);
  const bounds = { bytesMax: LIMITS.packageBytesMax, depthMax: LIMITS.jsonDepthMax };
  const file = FILE.safeParse(plain(given, bounds, "the package")).data;
  if (file === undefined) throw broken("it is no package");
  if (hashOf(file.body) !== file.hash) throw broken("its content has another hash than it says");
  const { hash, signatures } = file;
  const body = normalBody(file.body);
  if (hashOf(body) !== hash) throw broken("its content is not in normal form");
  if (new Set(signatures.map(({ key }) => key)).size < signatures.length) {
    throw broken("one key signed it twice");
  }
  const read = { hash, body, signatures };
  if (packageText(read) !== text) throw broken("it is not written as packages are");
  return read;
}

function refuseLaterOne(given: unknown): void {
  const { type } = (given ?? {}) as { readonly type?: unknown };
  const [, version] = typeof type === "string" ? /^libos\.package\/(\d+)$/.exec(type) ?? [] : [];
  if (version === undefined || version === "1") return;
  const expected = "expected version 1; a newer Agent libOS reads it";
  throw new SysError("ENOSYS", `Cannot use the package: it is of version ${version}, ${expected}`);
}

function bounded(text: string): void {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes <= LIMITS.packageBytesMax) return;
  const most = `expected ${LIMITS.packageBytesMax} at most`;
  throw new SysError("ELIMIT", `Cannot use the package: ${bytes} bytes, ${most}`, {
    limit: "packageBytesMax",
  });
}

/** The one form that a body has: everything checked, lists in order (P2, P3). */
function normalBody(given: unknown): PackageBody {
  const read = BODY.safeParse(given);
  if (!read.success) {
    const [{ path, message }] = read.error.issues as [z.core.$ZodIssue];
    throw new SysError("EINVAL", `Cannot use the package: ${path.join(".") || "it"}: ${message}`);
  }
  const { libc, budget, ...rest } = read.data;
  const needs = rest.needs.map(needOf);
  const files = [...rest.files].sort((a, b) => a.path < b.path ? -1 : 1);
  checkPaths(files.map(({ path }) => path));
  for (const file of files) contentOf(file);
  skillsIn(files);
  const known = libcOf(libc);
  const tools = [...rest.tools].sort((a, b) => a.name < b.name ? -1 : 1)
    .map((tool) => toolOf(tool, { needs, taken: known }));
  const doubled = tools.find(({ name }, i) => tools[i - 1]?.name === name);
  if (doubled !== undefined) throw wrong("EINVAL", `tool "${doubled.name}" is there twice`);
  return {
    ...rest,
    libc: libc === null ? null : known,
    budget: budget as BudgetLimits,
    needs: [...new Set(needs.map(formatPattern))].sort(),
    tools,
    files: files.map(({ path, text, base64 }) =>
      text === undefined ? { path, base64: base64! } : { path, text }
    ),
  };
}

function wrong(code: Errno, why: string): SysError {
  return new SysError(code, `Cannot use the package: ${why}`);
}

function libcOf(names: readonly string[] | null): string[] {
  const known = [...names ?? []];
  const doubled = known.find((name, i) => known.indexOf(name) !== i);
  if (doubled !== undefined) throw wrong("EINVAL", `tool "${doubled}" is there twice`);
  return known;
}

/** A need as every reader of rights spells it; one that could never open anything is refused. */
function needOf(text: string): Pattern {
  try {
    const pattern = parseGrant(text, ".");
    parsePolicy(`ask ${formatPattern(pattern)}`, { rights: RIGHTS });
    return pattern;
  } catch (thrown) {
    if (!(thrown instanceof SysError)) throw thrown;
    throw wrong(thrown.code, `need ${JSON.stringify(text)}: ${thrown.message}`);
  }
}

function toolOf(tool: z.output<typeof TOOL>, given: {
  readonly needs: readonly Pattern[];
  readonly taken: readonly string[];
}): PackageTool {
  const { outputSchema, ...rest } = tool;
  const read = SYSCALLS["tool.propose"].args.safeParse({
    ...rest,
    ...(outputSchema === null ? {} : { outputSchema }),
  });
  if (!read.success) {
    const [{ path, message }] = read.error.issues as [z.core.$ZodIssue];
    throw wrong("EINVAL", `tool "${tool.name}": ${path.join(".") || "it"}: ${message}`);
  }
  const { tests, ...contract } = read.data;
  const made = { ...contract, outputSchema, tests: tests as ToolTest[] };
  checkContract(null, { ...made, taken: given.taken });
  for (const text of made.rights) {
    const pattern = parseGrant(text, ".");
    if (isOwn(pattern) || given.needs.some((need) => within(pattern, need))) continue;
    const expected = `expected it among the needs of the package, where people look`;
    throw wrong("EPERM", `tool "${tool.name}" may use ${text}, which no need covers, ${expected}`);
  }
  return made;
}

/** What every process has anyway: calls that need no right, and its own memory. */
function isOwn({ right, resource }: Pattern): boolean {
  const calls: Readonly<Record<string, AnySyscall>> = SYSCALLS;
  if (Object.hasOwn(calls, right) && isFree(calls[right])) return true;
  return /^(object|namespace)\./.test(right) && !/^p_\d/.test(resource);
}
