/**
 * `libos mcp serve`: who is at the other end of the pipes, and with what.
 * @module
 */

import { deepEqual as equal, match } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { privateFile } from "../server/mod.ts";
import { Place } from "./cli_place.ts";
import { serverPlace } from "./server_place.ts";

type Frame = { readonly result?: Record<string, never>; readonly error?: unknown };

const NOISY = `import { defineImage } from "@agent-libos/core";
export default defineImage({
  name: "noisy",
  program: async ({ sys }) => {
    console.log("what an agent prints is no frame");
    const { messages } = await sys.message.receive({});
    await sys.process.exit({ result: messages[0].data });
  },
});
`;

/** A client at the pipes of a command: one request after another. */
class Piped {
  readonly #child: Deno.ChildProcess;
  readonly #chunks: AsyncIterator<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #rest = "";
  #id = 0;

  constructor(place: Place, ...argv: string[]) {
    const path = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--config", path("deno.json"), path("cli/main.ts"), ...argv],
      cwd: place.folder,
      env: { LIBOS_OPERATOR: "bob" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#chunks = this.#child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    this.#writer = this.#child.stdin.getWriter();
  }

  async ask(method: string, params: unknown = {}): Promise<Frame> {
    const frame = { jsonrpc: "2.0", id: ++this.#id, method, params };
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(frame)}\n`));
    while (!this.#rest.includes("\n")) {
      const { done, value } = await this.#chunks.next();
      if (done === true) throw new Error(`ended: ${this.#rest}`);
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return JSON.parse(line) as Frame;
  }

  async tool(name: string, args: unknown): Promise<Record<string, unknown>> {
    const { result } = await this.ask("tools/call", { name, arguments: args });
    return result!["structuredContent"] ?? { refused: result!["content"]![0]!["text"] };
  }

  /** Closes the pipe, and waits for the end. */
  async close(): Promise<number> {
    await this.#writer.close();
    while ((await this.#chunks.next()).done !== true);
    return (await this.#child.status).code;
  }
}

const HELLO = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "t", version: "1" },
};

Deno.test("Over pipes a client is the principal that was named, and leaves no token behind", async () => {
  await using place = await Place.make();
  await place.write("noisy.ts", NOISY);
  const client = new Piped(
    place,
    ...["mcp", "serve", "./noisy.ts", "--as", "planner", "--role", "operator", "-l", "team=a"],
  );
  const { result } = await client.ask("initialize", HELLO);
  equal(result!["serverInfo"]!["name"], "agent-libos");
  const { pid, labels } = await client.tool("process_spawn", { image: "noisy", goal: "x" });
  equal([pid, labels], ["p_1", { team: "a" }]);
  await client.tool("process_message", { pid, data: "hello" });
  const { ended, result: said } = await client.tool("process_wait", { pid, timeoutMs: 60_000 });
  equal([ended, said], [true, "hello"]);
  equal(await client.close(), 0);
  equal(JSON.parse(await place.read(".libos/tokens.json"))["tokens"], []);
  match((await place.libos("ps", "--all")).out, /p_1/);
});

/** Ways to serve that name nobody, or nobody good, and what is said of them. */
const NOBODY: readonly (readonly [readonly string[], number, RegExp])[] = [
  [[], 2, /nobody to serve it as, expected LIBOS_TOKEN or --as NAME --role ROLE/],
  [["--as", "x"], 2, /expected --role viewer, approver, operator, admin/],
  [["--as", "x", "--role", "king"], 2, /expected --role/],
  [["--as", "x", "--role", "viewer", "--token", "y"], 2, /two to serve it as/],
  [["--as", "x", "--http"], 2, /each request has its token/],
  [["--token", "libos_wrong"], 4, /the token is nobody's|nobody is signed in/],
];

Deno.test("Nobody is served without a name, nor with the token of the server that runs here", async () => {
  await using place = await Place.make();
  for (const [argv, exit, says] of NOBODY) {
    const said = await place.libos("mcp", "serve", ...argv);
    equal([said.exit, said.out], [exit, ""], argv.join(" "));
    match(said.err, says);
  }
  await using at = await serverPlace();
  const beside = { url: at.server.url, token: at.secrets.admin };
  await Deno.mkdir(`${place.folder}/.libos`, { recursive: true });
  privateFile(`${place.folder}/.libos/server.json`).update(() => JSON.stringify(beside));
  for (const [argv, exit, says] of NOBODY) {
    const said = await place.libos("mcp", "serve", ...argv);
    equal([said.exit, said.out], [exit, ""], argv.join(" "));
    match(said.err, says);
  }
  const host = ["--host", at.server.url, "--as", "x", "--role", "admin"];
  match((await place.libos("mcp", "serve", ...host)).err, /expected a token of it/);
  match((await place.libos("mcp", "ls", "--role", "viewer")).err, /it is for mcp serve/);
});
