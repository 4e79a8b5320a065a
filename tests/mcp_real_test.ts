/**
 * Servers that others wrote, mounted behind walls: `@modelcontextprotocol/server-filesystem` and
 * `server-everything`, from the folder that LIBOS_MCP_PACKAGES names. `deno task mcp:real` fetches
 * them and runs this. Where there is none, the tests say so and are not run.
 * @module
 */

import assert from "node:assert/strict";
import type { McpMount } from "../kernel/mcp_lock.ts";
import { mountMcp } from "../providers/mcp_host.ts";
import { walled } from "./confined_place.ts";
import { callOf, inWorkspace, mountOf, pinnedMount } from "./mcp_place.ts";

const PACKAGES = Deno.env.get("LIBOS_MCP_PACKAGES");

function real(claim: string, job: (packages: string) => Promise<void>): void {
  if (PACKAGES !== undefined) return walled(claim, () => job(PACKAGES));
  Deno.test({ name: `${claim} (LIBOS_MCP_PACKAGES is not set)`, ignore: true, fn() {} });
}

function server(packages: string, name: string, args: readonly string[]): Partial<McpMount> {
  const code = `${packages}/node_modules`;
  const file = `${code}/@modelcontextprotocol/${name}/dist/index.js`;
  return { command: ["node", file, ...args], code: [code] };
}

real(
  "The filesystem server reads and writes what its mount and its caller may, no more",
  (packages) =>
    inWorkspace(async (root) => {
      const mount = mountOf("", {
        ...server(packages, "server-filesystem", [`${root}/docs`]),
        areas: [{ path: "./docs", writes: false }],
      });
      const pinned = await pinnedMount(mount, root);
      assert.ok(Object.keys(pinned.tools).length >= 10);
      await using host = mountMcp([pinned], { root });
      const read = await callOf(host, "read_text_file", { path: `${root}/docs/note.txt` });
      assert.match(JSON.stringify(read), /hello/);
      const path = `${root}/docs/new.txt`;
      const wrote = await callOf(host, "write_file", { path, content: "x" });
      assert.match(JSON.stringify(wrote), /EROFS|read-only/i);
      const out = await callOf(host, "read_text_file", { path: `${root}/secret.txt` });
      assert.match(JSON.stringify(out), /Access denied|ENOENT/);
    }),
);

real(
  "The everything server answers, and is given nothing of the environment",
  (packages) =>
    inWorkspace(async (root) => {
      const pinned = await pinnedMount(
        mountOf("", server(packages, "server-everything", [])),
        root,
      );
      await using host = mountMcp([pinned], { root });
      const echo = await callOf(host, "echo", { message: "through" });
      assert.match(JSON.stringify(echo), /through/);
      const env = JSON.stringify(await callOf(host, "get-env"));
      assert.match(env, /PATH/);
      assert.doesNotMatch(env, /LIBOS_MCP_PACKAGES|USER|SSH/);
    }),
);
