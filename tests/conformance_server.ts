/**
 * The runtime as an MCP server before `@modelcontextprotocol/conformance`: `deno task
 * conformance:server`. The suite knows no tokens, so what stands between puts one in.
 * @module
 */

import { request as send } from "node:http";
import { Readable } from "node:stream";
import { createRuntime } from "../mod.ts";
import { serve } from "../server/mod.ts";
import { conformance, type Scenario } from "./conformance.ts";

const NONE = "the server has tools, and no resources, prompts or logs";

const TOOL = "wants a tool of the suite's own, which the server has not";

/** Scenarios that are about this server. */
const SCENARIOS: readonly Scenario[] = [
  { version: "2025-11-25", name: "server-initialize" },
  { version: "2025-11-25", name: "ping" },
  { version: "2025-11-25", name: "tools-list" },
  { version: "2025-11-25", name: "dns-rebinding-protection" },
  {
    version: "2026-07-28",
    name: "server-stateless",
    not: {
      "sep-2575-server-rejects-undeclared-capability": TOOL,
      "sep-2575-missing-capability-http-400": TOOL,
      "sep-2575-http-server-no-independent-requests-on-stream": TOOL,
      "sep-2575-server-no-log-without-loglevel": TOOL,
    },
  },
  { version: "2026-07-28", name: "tools-list" },
  { version: "2026-07-28", name: "dns-rebinding-protection" },
  {
    version: "2026-07-28",
    name: "caching",
    not: {
      "sep-2549-prompts-list-caching-hints": NONE,
      "sep-2549-resources-list-caching-hints": NONE,
      "sep-2549-resources-templates-list-caching-hints": NONE,
    },
  },
  { version: "2026-07-28", name: "http-header-validation" },
  { version: "2026-07-28", name: "input-required-result-unsupported-methods" },
];

/** Passes requests on as they are, with a token. */
function withToken(to: { port: number; token: string }): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const headers = { ...Object.fromEntries(request.headers), authorization: `Bearer ${to.token}` };
    const body = new Uint8Array(await request.arrayBuffer());
    return await new Promise<Response>((resolve, reject) => {
      const asked = send({
        host: "127.0.0.1",
        port: to.port,
        path: pathname + search,
        method: request.method,
        headers,
        agent: false,
      }, (answer) => {
        const said = new Headers();
        for (const [name, value] of Object.entries(answer.headers)) said.set(name, String(value));
        const isEmpty = [202, 204, 304].includes(answer.statusCode!);
        if (isEmpty) answer.resume();
        const whole = isEmpty ? null : Readable.toWeb(answer) as never;
        resolve(new Response(whole, { status: answer.statusCode!, headers: said }));
      });
      asked.on("error", reject);
      asked.end(body);
    });
  });
}

const to = { port: 0, token: "" };
const between = withToken(to);
const { port } = between.addr;
await using runtime = await createRuntime({ store: ":memory:", workspace: null });
await using server = serve(runtime, { hostNames: [`localhost:${port}`, `127.0.0.1:${port}`] });
to.port = server.port;
to.token = server.tokens.create({ name: "suite", role: "operator" }).secret;
const failed = await conformance("server", ["--url", `http://localhost:${port}/mcp`], SCENARIOS);
await between.shutdown();
await server.close();
Deno.exit(failed === 0 ? 0 : 1);
