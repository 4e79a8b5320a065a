/**
 * A workspace with mounted servers, for tests.
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { McpServer } from "../kernel/mcp.ts";
import type { McpMount } from "../kernel/mcp_lock.ts";
import { trusted } from "../kernel/mcp_lock.ts";
import { mountReach } from "../kernel/mcp_reach.ts";
import type { Reach } from "../kernel/reach.ts";
import { type McpHost, mountMcp } from "../providers/mcp_host.ts";

/** Our own server's code. */
export const CHILD = fileURLToPath(new URL("./mcp_child.ts", import.meta.url));

/** How a Deno program is started that needs nothing but its own code. */
export const DENO = [
  Deno.execPath(),
  "run",
  "-A",
  "--quiet",
  "--no-config",
  "--no-lock",
  "--no-remote",
  "--no-npm",
] as const;

/** A mount of our own server in a mood. */
export function mountOf(mode: string, more: Partial<McpMount> = {}): McpMount {
  return {
    name: "box",
    command: [...DENO, CHILD, mode],
    url: null,
    credential: null,
    env: [],
    code: [CHILD],
    areas: [],
    net: false,
    confined: true,
    trusted: false,
    bindings: {},
    version: "",
    tools: {},
    ...more,
  };
}

/** What commands offered when they were first looked at: our own server says the same again. */
const looked = new Map<string, Pick<McpServer, "tools" | "version">>();

/** Starts a server where its command was not yet looked at, and pins all that it offers. */
export async function pinnedMount(mount: McpMount, root: string | null): Promise<McpMount> {
  const key = `${mount.command?.join(" ") ?? mount.url}`;
  let offer = looked.get(key);
  if (offer === undefined) {
    await using host = mountMcp([mount], { root });
    offer = await host.look(mount.name, AbortSignal.timeout(60_000));
    if (mount.command?.includes(CHILD) === true) looked.set(key, offer);
  }
  return trusted(mount, offer, null);
}

/** A call of a tool by who may see all that the mount may. */
export function callOf(host: McpHost, tool: string, args: Record<string, string> = {}, more: {
  readonly timeoutMs?: number;
  readonly reach?: Reach;
} = {}): ReturnType<McpHost["call"]> {
  const server = host.servers()[0]!;
  const pin = server.tools.find(({ definition }) => definition.name === tool)?.pin ?? "";
  const reach = more.reach ?? mountReach(host.mount(server.name)!);
  const timeoutMs = more.timeoutMs ?? 60_000;
  const given = { server: server.name, tool, pin, args, replies: {}, state: null };
  return host.call({ ...given, reach, timeoutMs }, new AbortController().signal);
}

/** A folder with a note and a secret, gone afterwards. */
export async function inWorkspace(job: (root: string) => Promise<void>): Promise<void> {
  const root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "mcp-" }));
  try {
    Deno.mkdirSync(join(root, "docs"));
    Deno.writeTextFileSync(join(root, "docs/note.txt"), "hello");
    Deno.writeTextFileSync(join(root, "secret.txt"), "hidden");
    await job(root);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}
