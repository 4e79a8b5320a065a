/**
 * What is written down of mounted servers: how each is started, what it may reach, and what its
 * tools were when a person looked at them.
 *
 * Invariants:
 *   L1. A lock that is read is the lock that was written, field by field; an unknown field is
 *       refused, since it would hold nobody.
 *   L2. Comparing is pure, and refuses before it compares: what no one could read as it is has no
 *       state in which it may be called.
 * @module
 */

import { z } from "zod";
import { SysError } from "./errors.ts";
import { canonical, type Json, type JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import {
  checkServerName,
  isToolName,
  type McpDefinition,
  type McpTool,
  pinOf,
  toolNameFor,
} from "./mcp.ts";
import { parseBinding } from "./mcp_binding.ts";
import { exposed, hiddenIn, textsIn } from "./mcp_text.ts";
import { parseJson } from "./parse.ts";
import { resolvePath } from "./path.ts";

/** What the lock of a workspace is called. */
export const MCP_LOCK = "libos.mcp.lock";

/** A tool as a person saw it. */
export interface McpPin {
  /** The hash. */
  readonly pin: string;
  /** What it is the hash of, with the version and the command. */
  readonly definition: McpDefinition;
}

/** How a server is mounted, as its owner said. */
export interface McpMount {
  /** What its tools are called by: `mcp.<name>.<tool>`. */
  readonly name: string;
  /** A program with its arguments; null for a server at a URL. */
  readonly command: readonly string[] | null;
  /** Where the server is; null for a program. */
  readonly url: string | null;
  /** The credential that is sent to the URL; null for none. */
  readonly credential: string | null;
  /** Names of the runtime's environment that the program is given; no others. */
  readonly env: readonly string[];
  /** Folders of the machine which its own code is in: absolute. */
  readonly code: readonly string[];
  /** Parts of the workspace that it may see: canonical. */
  readonly areas: readonly { readonly path: string; readonly writes: boolean }[];
  /** Whether the program has the network of the machine. */
  readonly net: boolean;
  /** false: its owner agreed that nothing holds it. */
  readonly confined: boolean;
  /** Whether its hints are believed. */
  readonly trusted: boolean;
  /** Bindings of each tool: `file.read($.path)`. */
  readonly bindings: { readonly [tool: string]: readonly string[] };
  /** What it called its version when its tools were pinned. */
  readonly version: string;
  /** What was pinned, by tool. */
  readonly tools: { readonly [tool: string]: McpPin };
}

const object = z.record(z.string(), z.unknown()) as unknown as z.ZodType<JsonObject>;
const definition = z.strictObject({
  name: z.string(),
  title: z.string().exactOptional(),
  description: z.string().exactOptional(),
  inputSchema: object,
  outputSchema: object.exactOptional(),
  annotations: object.exactOptional(),
});
const mountShape = z.strictObject({
  command: z.array(z.string()).min(1).nullable(),
  url: z.string().nullable(),
  credential: z.string().nullable(),
  env: z.array(z.string().regex(/^[A-Za-z_]\w*$/)),
  code: z.array(z.string().startsWith("/")),
  areas: z.array(z.strictObject({ path: z.string(), writes: z.boolean() })),
  net: z.boolean(),
  confined: z.boolean(),
  trusted: z.boolean(),
  bindings: z.record(z.string(), z.array(z.string())),
  version: z.string(),
  tools: z.record(z.string(), z.strictObject({ pin: z.string(), definition })),
});
const lockShape = z.strictObject({
  version: z.literal(1),
  servers: z.record(z.string(), mountShape),
});

/**
 * Reads a lock. Throws `EINVAL` or `ELIMIT`, and `EINTEGRITY` for a pin that is not of its
 * definition.
 *
 * @example
 * ```ts
 * import { parseLock } from "@agent-libos/core";
 * console.assert(parseLock('{"version":1,"servers":{}}').length === 0);
 * ```
 */
export function parseLock(text: string): readonly McpMount[] {
  if (text.length > LIMITS.mcpLockBytesMax) {
    const sentence = `Cannot read the lock of MCP servers: ${text.length} characters`;
    throw new SysError("ELIMIT", `${sentence}, expected ${LIMITS.mcpLockBytesMax} at most`, {
      limit: "mcpLockBytesMax",
    });
  }
  const parsed = lockShape.safeParse(jsonOf(text));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    unreadable(`${issue?.message} at "${exposed(issue?.path.join(".") ?? "", 200)}"`);
  }
  const mounts = Object.entries(parsed.data.servers).map(([name, one]) => ({ name, ...one }));
  if (mounts.length > LIMITS.mcpServersMax) {
    const sentence = `Cannot mount ${mounts.length} MCP servers`;
    throw new SysError("ELIMIT", `${sentence}: expected ${LIMITS.mcpServersMax} at most`, {
      limit: "mcpServersMax",
    });
  }
  for (const mount of mounts) checkMount(mount);
  return mounts;
}

/** Refuses a mount that means nothing: `EINVAL`. */
export function checkMount(mount: McpMount): void {
  checkServerName(mount.name);
  const cannot = `Cannot mount server "${mount.name}"`;
  if ((mount.command === null) === (mount.url === null)) {
    throw new SysError("EINVAL", `${cannot}: expected either a command or a URL`);
  }
  if (mount.url === null && mount.credential !== null) {
    const expected = "expected a URL that the credential is sent to";
    throw new SysError("EINVAL", `${cannot}: it is a program with a credential, ${expected}`);
  }
  for (const { path } of mount.areas) {
    if (resolvePath(".", path) === path) continue;
    throw new SysError("EINVAL", `${cannot}: "${exposed(path, 200)}", expected "./a/b" or "."`);
  }
  for (const texts of Object.values(mount.bindings)) texts.forEach(parseBinding);
  for (const [tool, { pin, definition: pinned }] of Object.entries(mount.tools)) {
    // A pin that is not of its own definition would let another be called.
    if (pin === pinOf(pinned, pinnedBy(mount)) && pinned.name === tool) continue;
    const expected = "expected one that belongs to its definition";
    const shown = exposed(tool, 64);
    throw new SysError("EINTEGRITY", `${cannot}: the pin of "${shown}" is wrong, ${expected}`);
  }
}

/** The text of a lock: the same for the same mounts. */
export function formatLock(mounts: readonly McpMount[]): string {
  const servers = Object.fromEntries(mounts.map(({ name, ...rest }) => [name, rest]));
  const sorted = parseJson(canonical({ version: 1, servers } as unknown as Json)) as Json;
  return `${JSON.stringify(sorted, null, 2)}\n`;
}

/** What pins are bound to besides what a tool says of itself. */
export function pinnedBy(
  mount: Pick<McpMount, "version" | "command" | "url">,
): { readonly version: string; readonly command: string } {
  return { version: mount.version, command: commandOf(mount) };
}

/** What a server is started with, or where it is, as one text. */
export function commandOf({ command, url }: Pick<McpMount, "command" | "url">): string {
  return command === null ? url ?? "" : command.map(quoted).join(" ");
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word);
}

/** The tools of a mount that nobody has asked yet. */
export function pinnedTools(mount: McpMount): readonly McpTool[] {
  return Object.values(mount.tools).map(({ pin, definition }) => ({
    definition,
    pin,
    state: "pinned",
    found: null,
    why: "",
  }));
}

/** What a server offers now, held against what was pinned. */
export function comparedTools(mount: McpMount, now: {
  readonly version: string;
  readonly tools: readonly McpDefinition[];
}): readonly McpTool[] {
  const { tools: offered, version } = now;
  const most = LIMITS.mcpToolsPerServerMax;
  const names = new Map<string, number>();
  for (const { name } of offered) {
    const own = toolNameFor(mount.name, name);
    names.set(own, (names.get(own) ?? 0) + 1);
  }
  const by = pinnedBy({ ...mount, version });
  const made = offered.slice(0, most).map((found): McpTool => {
    const twice = (names.get(toolNameFor(mount.name, found.name)) ?? 0) > 1;
    const why = offered.length > most
      ? `the server offers more than ${most} tools`
      : twice
      ? "two tools have this name"
      : refusalOf(found);
    if (why !== "") return refused(found, why);
    const pin = pinOf(found, by);
    const pinned = Object.hasOwn(mount.tools, found.name) ? mount.tools[found.name] : undefined;
    if (pinned === undefined) {
      return {
        definition: found,
        pin,
        state: "new",
        found: null,
        why: "nobody has trusted it yet",
      };
    }
    const { definition, pin: old } = pinned;
    if (old === pin) return { definition, pin, state: "pinned", found: null, why: "" };
    const what = changesOf(definition, found);
    const said = what.length > 0 ? what.join(", ") : `the server's version (${version || "none"})`;
    return { definition, pin: old, state: "changed", found, why: `changed: ${said}` };
  });
  const here = new Set(offered.map(({ name }) => name));
  const gone = Object.entries(mount.tools).filter(([name]) => !here.has(name));
  return [
    ...made,
    ...gone.map(([, { definition, pin }]): McpTool => ({
      definition,
      pin,
      state: "changed",
      found: null,
      why: "the server offers it no longer",
    })),
  ];
}

/** Why a tool can never be called; empty where it may be trusted. */
export function refusalOf(found: McpDefinition): string {
  if (!isToolName(found.name)) return "its name cannot be a right";
  if (canonical(found as unknown as Json).length > LIMITS.mcpDefinitionBytesMax) {
    return `its definition has more than ${LIMITS.mcpDefinitionBytesMax} characters`;
  }
  const { inputSchema, outputSchema, annotations } = found;
  for (const text of meantIn([inputSchema, outputSchema ?? {}, annotations ?? {}] as Json)) {
    const hidden = hiddenIn(text);
    if (hidden.length > 0) return `hidden characters in what callers must write: ${hidden[0]}`;
  }
  return "";
}

/** Words that are for people; in them hidden characters are shown, not refused. */
const SAID = new Set(["description", "title", "$comment"]);

/** Texts of a schema that mean something to who checks it. */
function* meantIn(value: Json): Iterable<string> {
  if (Array.isArray(value)) { for (const one of value) yield* meantIn(one); }
  else if (typeof value === "object" && value !== null) {
    for (const [name, one] of Object.entries(value)) {
      yield name;
      if (!SAID.has(name) || typeof one !== "string") yield* meantIn(one);
    }
  } else yield* textsIn(value);
}

const FIELDS = ["title", "description", "inputSchema", "outputSchema", "annotations"] as const;

/** Which fields of a definition differ. */
export function changesOf(
  a: McpDefinition,
  b: McpDefinition,
): readonly (typeof FIELDS)[number][] {
  return FIELDS.filter((field) =>
    canonical((a[field] ?? null) as Json) !== canonical((b[field] ?? null) as Json)
  );
}

/** A mount with what its server offers now as its pins; only of these tools, where named. */
export function trusted(mount: McpMount, now: {
  readonly version: string;
  readonly tools: readonly McpTool[];
}, only: ReadonlySet<string> | null): McpMount {
  const { version } = now;
  if (only !== null && version !== mount.version) {
    const sentence = `Cannot trust single tools of "${mount.name}": its version changed`;
    const expected = `expected to trust all of it, as version "${exposed(version, 64)}"`;
    throw new SysError("EINVAL", `${sentence} from "${mount.version}", ${expected}`);
  }
  const tools: Record<string, McpPin> = only === null ? {} : { ...mount.tools };
  const by = pinnedBy({ ...mount, version });
  for (const { definition: pinned, found, state, why } of now.tools) {
    const { name } = pinned;
    if (only !== null && !only.has(name)) continue;
    if (state === "refused") {
      if (only === null) continue;
      throw new SysError("EACCES", `Cannot trust tool "${exposed(name, 64)}": ${why}`);
    }
    const definition = found ?? pinned;
    if (state === "changed" && found === null) delete tools[name];
    else tools[name] = { definition, pin: pinOf(definition, by) };
  }
  return { ...mount, version, tools };
}

function refused(found: McpDefinition, why: string): McpTool {
  return { definition: found, pin: "", state: "refused", found: null, why };
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    return unreadable((error as Error).message);
  }
}

function unreadable(found: string): never {
  throw new SysError("EINVAL", `Cannot read the lock of MCP servers: ${found}`);
}
