/**
 * The lock of mounted servers, in the workspace: `libos.mcp.lock`.
 * @module
 */

import { join } from "node:path";
import { SysError } from "../kernel/errors.ts";
import { formatLock, MCP_LOCK, type McpMount, parseLock } from "../kernel/mcp_lock.ts";
import { type McpHost, mountMcp } from "../providers/mcp_host.ts";
import { Programs } from "../providers/confined.ts";
import type { RuntimeOptions } from "../runtime/runtime_options.ts";
import type { Context } from "./command.ts";
import { credentialsFor } from "./credential_place.ts";
import type { Finding } from "./doctor_cages.ts";
import { isFile, readText, writeText } from "./files.ts";
import { ownedIn } from "./reserved.ts";
import { workspaceOf } from "./store.ts";

function lockPath(at: Context): string {
  return join(workspaceOf(at), MCP_LOCK);
}

/** The mounts of the workspace; none where there is no lock. */
export async function mountsOf(at: Context): Promise<readonly McpMount[]> {
  return await isFile(at, lockPath(at)) ? parseLock(await readText(at, lockPath(at))) : [];
}

/** The mount of a name. Throws `ENOENT`. */
export async function mountNamed(at: Context, name: string): Promise<McpMount> {
  const mounts = await mountsOf(at);
  const mount = mounts.find((one) => one.name === name);
  if (mount !== undefined) return mount;
  const names = mounts.map((one) => one.name).join(", ") || "none";
  throw new SysError(
    "ENOENT",
    `Cannot find MCP server "${name}": not mounted, there are: ${names}`,
  );
}

/** Writes the lock with a mount in the place of the one with its name, or without it. */
export async function keepMount(at: Context, name: string, mount: McpMount | null): Promise<void> {
  const others = (await mountsOf(at)).filter((one) => one.name !== name);
  const path = lockPath(at);
  // Whole or as it was: what cannot be read mounts nothing.
  await writeText(at, `${path}.new`, formatLock(mount === null ? others : [...others, mount]));
  await Deno.rename(`${path}.new`, path);
}

/** A host of mounts in the workspace. */
export async function hostOf(at: Context, mounts: readonly McpMount[]): Promise<McpHost> {
  const root = await Deno.realPath(workspaceOf(at));
  const env = (name: string) => at.io.env(name);
  return mountMcp(mounts, { root, env, owned: ownedIn(at, root), ...credentialsFor(at) });
}

/** The servers of a runtime; none where there is no lock. */
export async function mcpFor(at: Context): Promise<Pick<RuntimeOptions, "mcp">> {
  const mounts = await mountsOf(at);
  return mounts.length === 0 ? {} : { mcp: await hostOf(at, mounts) };
}

/** What is found of mounted servers; nothing where there are none. */
export async function mcpFindings(at: Context): Promise<Finding[]> {
  let mounts: readonly McpMount[];
  try {
    mounts = await mountsOf(at);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return [{ what: "mcp", state: "bad", detail: error.message }];
  }
  if (mounts.length === 0) return [];
  const free = mounts.filter(({ command, confined }) => command !== null && !confined);
  const names = mounts.map(({ name }) => name).join(", ");
  if (free.length > 0) {
    const detail = `${names}; unconfined: ${free.map(({ name }) => name).join(", ")}`;
    return [{ what: "mcp", state: "note", detail }];
  }
  const isHeld = mounts.some(({ command }) => command !== null);
  const { works, why } = isHeld ? new Programs().confinement() : { works: true, why: "" };
  const detail = works ? names : `${names} cannot be started: ${why}`;
  return [{ what: "mcp", state: works ? "ok" : "bad", detail }];
}
