/**
 * Fetches servers that others wrote into a folder of their own, and runs the tests that mount them
 * confined: `deno task mcp:real`. It takes npm, node and bubblewrap.
 * @module
 */

import { fileURLToPath } from "node:url";

const SERVERS = [
  "@modelcontextprotocol/server-filesystem@2026.8.31",
  "@modelcontextprotocol/server-everything@2026.8.31",
];
const TESTS = fileURLToPath(new URL("./mcp_real_test.ts", import.meta.url));

/** Runs a program with what it says on this terminal; how it ended. */
async function run(program: string, args: readonly string[], more: Deno.CommandOptions = {}) {
  const child = new Deno.Command(program, { args: [...args], stdin: "null", ...more }).spawn();
  return (await child.status).code;
}

if (import.meta.main) {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "mcp-real-" }));
  try {
    const plain = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
    let code = await run("npm", ["install", ...plain, ...SERVERS], { cwd: folder });
    const env = { LIBOS_MCP_PACKAGES: folder };
    if (code === 0) code = await run(Deno.execPath(), ["test", "-A", "--no-check", TESTS], { env });
    Deno.exitCode = code;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
