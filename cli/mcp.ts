/**
 * `mcp`: servers of tools, mounted for the agents of a workspace; and the runtime as such a server.
 * @module
 */

import { relative, resolve } from "node:path";
import { SysError } from "../kernel/errors.ts";
import type { McpServer } from "../kernel/mcp.ts";
import { changesOf, commandOf, MCP_LOCK, type McpMount, trusted } from "../kernel/mcp_lock.ts";
import { exposed, hiddenIn, textsIn } from "../kernel/mcp_text.ts";
import type { Json } from "../kernel/json.ts";
import { resolvePath } from "../kernel/path.ts";
import { oneLine } from "../providers/printable.ts";
import { Programs } from "../providers/confined.ts";
import type { Command, Context } from "./command.ts";
import { CREDENTIAL_OPTIONS } from "./credential_place.ts";
import { EXIT, UsageError } from "./exit.ts";
import { MCP_SERVE_OPTIONS, mcpServe } from "./mcp_serve.ts";
import { hostOf, keepMount, mountNamed, mountsOf } from "./mcp_lock_file.ts";
import { list, show } from "./output.ts";
import { workspaceOf } from "./store.ts";

const USAGE = "add NAME [--read PATH] [--bind TOOL=RIGHT($.ARG)] -- COMMAND… | ls [NAME] | " +
  "diff NAME | trust NAME[/TOOL] | rm NAME | serve [IMAGE_FILE…] [--as NAME --role R | --http]";

/** `mcp`. */
export const mcp: Command = {
  name: "mcp",
  group: "tools",
  usage: USAGE,
  about: "Mount servers of tools, look at what they offer, and trust what changed",
  examples: [
    "libos mcp add files --read ./docs -- ./bin/files-server ./docs",
    "libos mcp diff files",
  ],
  options: {
    read: { type: "string", multiple: true },
    write: { type: "string", multiple: true },
    code: { type: "string", multiple: true },
    env: { type: "string", multiple: true },
    bind: { type: "string", multiple: true },
    net: { type: "boolean" },
    hints: { type: "boolean" },
    unconfined: { type: "boolean" },
    url: { type: "string" },
    ...CREDENTIAL_OPTIONS,
    credential: { type: "string" },
    yes: { type: "boolean", short: "y" },
    ...MCP_SERVE_OPTIONS,
  },
  words: [1, 128],
  remote: "none",
  async run(at) {
    const [verb, name, ...rest] = at.words;
    if (verb === "serve") return await mcpServe(at);
    refuseServing(at);
    if (verb === "ls" && rest.length === 0) return await listed(at, name);
    if (verb === "add" && name !== undefined) return await added(at, name, rest);
    if (name !== undefined && rest.length === 0) {
      if (verb === "diff") return await diffed(at, name);
      if (verb === "trust") return await trust(at, name);
      if (verb === "rm") return await removed(at, name);
    }
    throw new UsageError(`Cannot run "mcp ${verb}": expected mcp ${USAGE}`);
  },
};

/** Options of `mcp serve` mean nothing to the other verbs. */
function refuseServing(at: Context): void {
  for (const name of Object.keys(MCP_SERVE_OPTIONS)) {
    const { flags } = at;
    if (flags.text(name) === undefined && flags.texts(name).length === 0 && !flags.on(name)) {
      continue;
    }
    throw new UsageError(`Cannot use --${name} here: it is for mcp serve`);
  }
}

const LOOK_MS = 120_000;

async function added(at: Context, name: string, command: readonly string[]): Promise<number> {
  if ((await mountsOf(at)).some((one) => one.name === name)) {
    const expected = `expected another name, or libos mcp rm ${name} first`;
    throw new SysError("EEXIST", `Cannot mount server "${name}": mounted already, ${expected}`);
  }
  const mount = mountOf(at, name, command);
  mustBeHeld(at, mount);
  const server = await looked(at, mount);
  const pinned = trusted(mount, server, null);
  await keepMount(at, name, pinned);
  const odd = server.tools.filter(({ definition }) => hiddenWhere(definition).length > 0);
  const refused = server.tools.filter(({ state }) => state === "refused");
  show(at, { name, tools: Object.keys(pinned.tools), confinement: server.confinement }, {
    name,
    lines: [
      `${Object.keys(pinned.tools).length} tools found · ${server.confinement}`,
      `pins written to ${MCP_LOCK} · protocol ${server.protocol || "unknown"}`,
      `hidden characters in ${odd.length} tools${namesOf(odd)}`,
      ...refused.map(({ definition, why }) => `! ${exposed(definition.name, 64)}  refused: ${why}`),
      `no agent may call them yet: libos run … --grant 'mcp.${name}.TOOL', or --ask`,
    ].map(oneLine),
  });
  return EXIT.ok;
}

/** What is asked for, as a mount without pins. */
function mountOf(at: Context, name: string, command: readonly string[]): McpMount {
  const { flags } = at;
  const url = flags.text("url") ?? null;
  const bindings: Record<string, string[]> = {};
  for (const text of flags.texts("bind")) {
    const [, tool, binding] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (tool === undefined || binding === undefined) {
      throw new UsageError(`Cannot bind "${text}": expected TOOL=file.read($.path)`);
    }
    (bindings[tool] ??= []).push(binding);
  }
  const area = (writes: boolean) => (path: string) => ({ path: inWorkspace(at, path), writes });
  return {
    name,
    command: command.length === 0
      ? null
      : command.map((word, i) => i === 0 ? placed(at, word) : word),
    url,
    credential: flags.text("credential") ?? null,
    env: flags.texts("env"),
    code: flags.texts("code").map((path) => resolve(at.io.cwd, path)),
    areas: [...flags.texts("read").map(area(false)), ...flags.texts("write").map(area(true))],
    net: flags.on("net"),
    confined: !flags.on("unconfined"),
    trusted: flags.on("hints"),
    bindings,
    version: "",
    tools: {},
  };
}

/** A program by its name, or by a path that holds wherever it is started from. */
function placed(at: Context, word: string): string {
  return word.includes("/") ? resolve(at.io.cwd, word) : word;
}

function inWorkspace(at: Context, path: string): string {
  return resolvePath(".", relative(workspaceOf(at), resolve(at.io.cwd, path)) || ".");
}

/** Refuses to start a program without walls of which nobody agreed that it has none. */
function mustBeHeld(at: Context, mount: McpMount): void {
  if (mount.command === null) return;
  if (mount.confined) {
    const { works, why } = new Programs().confinement();
    if (works) return;
    const expected = "expected walls, or --unconfined to let it do all that you can";
    throw new SysError("ENOSYS", `Cannot confine server "${mount.name}": ${why}, ${expected}`);
  }
  at.io.err(`unconfined: ${oneLine(commandOf(mount))} can do all that you can\n`);
  if (at.flags.on("yes")) return;
  throw new UsageError(`Cannot mount server "${mount.name}" unconfined: expected --yes as well`);
}

async function looked(at: Context, mount: McpMount): Promise<McpServer> {
  await using host = await hostOf(at, [mount]);
  return await host.look(mount.name, AbortSignal.timeout(LOOK_MS));
}

function hiddenWhere(definition: unknown): readonly string[] {
  return [...textsIn(definition as Json)].flatMap(hiddenIn);
}

function namesOf(tools: McpServer["tools"]): string {
  const names = tools.map(({ definition: { name }, state }) =>
    `${exposed(name, 64)}${state === "refused" ? "" : " (shown as escapes)"}`
  );
  return names.length === 0 ? "" : `: ${names.join(", ")}`;
}

async function listed(at: Context, name: string | undefined): Promise<number> {
  await using host = await hostOf(at, await mountsOf(at));
  if (name === undefined) {
    list(at, host.servers(), {
      columns: [
        { head: "SERVER", of: (one) => one.name },
        { head: "TOOLS", of: ({ tools }) => String(tools.length) },
        { head: "HELD", of: ({ confinement }) => oneLine(confinement) },
        { head: "COMMAND", of: ({ command }) => oneLine(command) },
      ],
      name: (one) => one.name,
      none: "No servers of tools; libos mcp add NAME -- COMMAND mounts one",
    });
    return EXIT.ok;
  }
  await mountNamed(at, name);
  list(at, host.server(name)!.tools, {
    columns: [
      { head: "TOOL", of: ({ definition }) => definition.name },
      { head: "PIN", of: ({ pin }) => pin.slice(0, 12) },
      { head: "HINTS", of: ({ definition }) => hintsOf(definition.annotations ?? {}) },
      {
        head: "CLAIMS",
        of: ({ definition }) => exposed(oneLine(definition.description ?? ""), 80),
      },
    ],
    name: ({ definition }) => definition.name,
    none: "No pinned tools",
  });
  return EXIT.ok;
}

function hintsOf(annotations: Readonly<Record<string, unknown>>): string {
  const hints = Object.entries(annotations)
    .filter(([name, value]) => name.endsWith("Hint") && value === true)
    .map(([name]) => name.slice(0, -4));
  return oneLine(hints.join(", ")) || "-";
}

async function diffed(at: Context, name: string): Promise<number> {
  const server = await looked(at, await mountNamed(at, name));
  const changed = server.tools.filter(({ state }) => state !== "pinned");
  list(at, changed, {
    columns: [
      { head: "TOOL", of: ({ definition }) => exposed(definition.name, 64) },
      { head: "STATE", of: ({ state }) => state },
      { head: "WHY", of: ({ why }) => oneLine(why) },
    ],
    name: ({ definition }) => exposed(definition.name, 64),
    none: `All ${server.tools.length} tools are what was pinned`,
  });
  if (at.format === "table" || at.format === "wide") {
    for (const { definition, found } of changed) {
      if (found === null) continue;
      for (const field of changesOf(definition, found)) {
        at.io.out(`${definition.name} ${field}\n`);
        at.io.out(`- ${textOf(definition[field])}\n+ ${textOf(found[field])}\n`);
      }
    }
    const what = changed.length === 0 ? "" : `Blocked until: libos mcp trust ${name}\n`;
    at.io.err(what);
  }
  return changed.some(({ state }) => state === "changed") ? EXIT.integrity : EXIT.ok;
}

const SHOWN_CHARS_MAX = 2_000;

function textOf(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "nothing";
  return exposed(oneLine(text), SHOWN_CHARS_MAX);
}

async function trust(at: Context, word: string): Promise<number> {
  const slash = word.indexOf("/");
  const name = slash < 0 ? word : word.slice(0, slash);
  const only = slash < 0 ? null : new Set([word.slice(slash + 1)]);
  const mount = await mountNamed(at, name);
  const server = await looked(at, mount);
  const meant = server.tools.filter(({ definition }) => only?.has(definition.name) ?? true);
  if (meant.length === 0) {
    throw new SysError("ENOENT", `Cannot trust "${word}": the server offers no such tool`);
  }
  const now = trusted(mount, server, only);
  await keepMount(at, name, now);
  const changed = meant.filter(({ state }) => state !== "pinned" && state !== "refused");
  show(at, { name, trusted: changed.map(({ definition }) => definition.name) }, {
    name,
    lines: [
      `${changed.length} tools of ${name} are trusted as they are now`,
      ...changed.map(({ definition, why }) => oneLine(`  ${definition.name}  ${why}`)),
    ],
  });
  return EXIT.ok;
}

async function removed(at: Context, name: string): Promise<number> {
  await mountNamed(at, name);
  await keepMount(at, name, null);
  show(at, { name }, { name, lines: [`${name} is mounted no longer; what runs now goes on`] });
  return EXIT.ok;
}
