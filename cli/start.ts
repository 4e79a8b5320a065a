/**
 * The first minute: `init` and `demo`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { UsageError } from "./exit.ts";
import { formatLock, MCP_LOCK } from "../kernel/mcp_lock.ts";
import { SqliteStore } from "../providers/sqlite_store.ts";
import { keyFileOf } from "./audit_parts.ts";
import { sealedFirst } from "./audit_seal.ts";
import type { Command, Context } from "./command.ts";
import { isFile, makeText } from "./files.ts";
import { show } from "./output.ts";
import { dbPath, isDatabase } from "./store.ts";
import { encryptionFor } from "./store_key.ts";

const POLICY = `# Rules over every agent that is run here. Deny beats ask beats allow.
# Check with: libos policy check libos.policy
deny  file.*(./.libos/**)   because agents have no business in their own store
deny  file.*(./libos.mcp.lock)   because it says which programs are started
deny  file.*(./**/*.env)    because secrets stay here
`;

const HELLO = `import { defineImage } from "@agent-libos/core";

/** libos run hello.ts "Look around" --grant 'file.list(.)' --ask 'file.write(./out.md)' */
export default defineImage({
  name: "hello",
  program: async ({ sys, goal }) => {
    const { entries } = await sys.file.list({ path: "." });
    await sys.file.write({ path: "./out.md", text: \`\${goal}: \${entries.length} entries\\n\` });
    await sys.process.exit({ result: entries.length });
  },
});
`;

/** `init`. */
export const init: Command = {
  name: "init",
  group: "start",
  usage: "",
  about: "Make a store with the key that seals its log, a policy and a first agent in this folder",
  examples: ["libos init", "libos init --db ./.libos/other.db"],
  options: {},
  words: [0, 0],
  async run(at) {
    if (isDatabase(at)) {
      const state = "its tables are made by the first node that opens it";
      throw new UsageError(`Cannot make a database: ${state}, expected the path of a file`);
    }
    const path = dbPath(at);
    if (await isStore(at, path)) {
      const state = "a store is there, and nothing was changed";
      throw new SysError("EEXIST", `Cannot make "${path}": ${state}, expected another --db`);
    }
    await SqliteStore.open(path, encryptionFor(at)).close();
    const { head } = await sealedFirst(at);
    const [made, kept]: [string[], string[]] = [[], []];
    // Programs are kept from making what is not there by keeping them from the whole folder.
    const files = [["libos.policy", POLICY], [MCP_LOCK, formatLock([])], ["hello.ts", HELLO]];
    for (const [file, text] of files as [string, string][]) {
      (await makeText(at, file, text) ? made : kept).push(file);
    }
    show(at, { store: path, keyFile: keyFileOf(at), key: head.key, made, kept }, {
      name: path,
      lines: [
        `store ${path}`,
        `key   ${keyFileOf(at)}: seals the log; only you can read it, keep a copy elsewhere`,
        `made  ${made.join(", ") || "nothing"}`,
        ...(kept.length === 0 ? [] : [`kept  ${kept.join(", ")}: was there before`]),
        "Next: libos demo · libos run hello.ts \"Look around\" --grant 'file.list(.)'",
      ],
    });
    return 0;
  },
};

/** Whether a store is there, rather than a file that was left before it became one. */
async function isStore(at: Context, path: string): Promise<boolean> {
  if (!await isFile(at, path)) return false;
  try {
    await SqliteStore.open(path, { mode: "read" }).close();
    return true;
  } catch (error) {
    return !(error instanceof SysError && error.code === "ENOENT");
  }
}

/** `demo`. */
export const demo: Command = {
  name: "demo",
  group: "start",
  usage: "[audit] [options of the demo]",
  about: "Run a demo: no key, no model, no network",
  examples: ["libos demo", "libos demo audit"],
  options: {},
  words: [0, Infinity],
  isRaw: true,
  remote: "none",
  async run(at) {
    const [name, ...rest] = at.words;
    return await runDemo(name === "audit" ? rest : at.words);
  },
};

async function runDemo(args: Context["words"]): Promise<number> {
  // The demos are programs of their own, loaded only when one is run.
  const { main } = await import("../demos/audit.ts");
  return await main([...args]);
}
