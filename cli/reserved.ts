/**
 * What of the machine is the runtime's own at the command line, and no agent's to read or change.
 * @module
 */

import { dirname, join, resolve } from "node:path";
import { MCP_LOCK } from "../kernel/mcp_lock.ts";
import { isBesideOwned, type Owned } from "../kernel/owned.ts";
import { ownedBy } from "../runtime/owned.ts";
import type { Context } from "./command.ts";
import { credentialsPath } from "./credential_place.ts";
import { dbPath, workspaceOf } from "./store.ts";

/** The file that a workspace's policy is in, unless another is named. */
export const POLICY_FILE = "libos.policy";

/** What in a folder says what the next command in it runs, and by which rules. */
const SAYS_WHAT_RUNS: readonly Owned[] = [
  { path: "./.libos", kind: "folder" },
  { path: `./${POLICY_FILE}`, kind: "file" },
  { path: `./${MCP_LOCK}`, kind: "file" },
];

/** Whether a path leads to the runtime's own in whichever of its folders somebody works. */
export function isReservedPath(path: string): boolean {
  return path.split("/").some((name) => SAYS_WHAT_RUNS.some((one) => isBesideOwned(one, name)));
}

/**
 * Tokens, books and keys, and what says by which rules and with which servers the next agent runs.
 */
export function reservedFor(at: Context): { readonly reserved: readonly string[] } {
  const beside = ["tokens.json", "images.json", "server.json"]
    .map((name) => join(dirname(dbPath(at)), name));
  const keys = at.flags.texts("store-key").map((file) => resolve(at.io.cwd, file));
  const credentials = credentialsPath(at);
  const rules = [resolve(at.io.cwd, POLICY_FILE), resolve(workspaceOf(at), MCP_LOCK)];
  return {
    reserved: [...beside, ...keys, ...rules, ...credentials === null ? [] : [credentials]],
  };
}

/** The same with the store, as paths of a workspace. */
export function ownedIn(at: Context, root: string): readonly Owned[] {
  const own = { store: dbPath(at), workspace: workspaceOf(at), ...reservedFor(at) };
  return ownedBy(own).inRoot(root);
}
