/**
 * Servers of tools at URLs of this machine, by the protocol's own library: today's and older ones.
 * @module
 */

import {
  acceptedContent,
  createMcpHandler,
  inputRequired,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import type { McpMount } from "../kernel/mcp_lock.ts";
import { mountOf } from "./mcp_place.ts";
import { SITE_CERT, SITE_KEY } from "./net_place.ts";

/** What came to a server. */
export interface Seen {
  readonly requests: Request[];
}

/** A server at a URL. */
export interface Elsewhere extends AsyncDisposable, Seen {
  readonly port: number;
  readonly origin: string;
}

/** Which protocol a server speaks. */
export type Era = "2026-07-28" | "2025-11-25";

const NAME = z.object({ name: z.string() });

/** A server with an echo, a question, and something to read. */
function server(said: string): McpServer {
  const made = new McpServer({ name: "elsewhere", version: "1" });
  made.registerTool("echo", {
    description: `Says it again${said}`,
    inputSchema: z.object({ text: z.string() }),
  }, ({ text }) => ({ content: [{ type: "text", text: `${text}${said}` }] }));
  made.registerTool("ask", { description: "Asks for a name" }, (ctx) => {
    const { action } = (ctx.mcpReq.inputResponses?.["who"] ?? {}) as { readonly action?: string };
    const name = acceptedContent(ctx.mcpReq.inputResponses, "who", NAME)?.name;
    if (action !== undefined) {
      return { content: [{ type: "text", text: `${action} ${name ?? "nobody"}` }] };
    }
    const asked = { message: "Your name?", requestedSchema: NAME };
    return inputRequired({ inputRequests: { who: inputRequired.elicit(asked) } });
  });
  made.registerResource("note", "demo://note", {}, () => ({
    contents: [{ uri: "demo://note", text: `A note${said}` }],
  }));
  made.registerPrompt("greet", { argsSchema: z.object({ who: z.string() }) }, ({ who }) => ({
    messages: [{ role: "user", content: { type: "text", text: `Greet ${who}` } }],
  }));
  return made;
}

/** Answers as a server of an era; `says` is added to whatever it says. */
function answering(era: Era, says: (request: Request) => string) {
  if (era === "2026-07-28") {
    return (request: Request): Promise<Response> =>
      createMcpHandler(() => server(says(request)), { legacy: "reject" }).fetch(request);
  }
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  return async (request: Request): Promise<Response> => {
    const id = request.headers.get("mcp-session-id") ?? "";
    const known = sessions.get(id);
    if (known !== undefined) return await known.handleRequest(request);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (made) => void sessions.set(made, transport),
    });
    await server(says(request)).connect(transport);
    return await transport.handleRequest(request);
  };
}

/** Starts one. */
export function elsewhere(given: {
  readonly era?: Era;
  readonly says?: (request: Request) => string;
  readonly answer?: (request: Request) => Response | Promise<Response>;
  readonly isSecure?: boolean;
} = {}): Elsewhere {
  const { era = "2026-07-28", says = () => "", isSecure = false } = given;
  const requests: Request[] = [];
  const answer = given.answer ?? answering(era, says);
  const tls = isSecure ? { cert: SITE_CERT, key: SITE_KEY } : {};
  const listening = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, ...tls } as Deno.ServeTcpOptions,
    (request) => {
      requests.push(request.clone());
      return answer(request);
    },
  );
  const { port } = listening.addr;
  return {
    port,
    origin: `${isSecure ? "https" : "http"}://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: () => listening.shutdown(),
  };
}

/** What a server of before answers to a method in place of the usual; undefined: the usual. */
export type Saying = (method: string, credential: string) => Record<string, unknown> | undefined;

const USUAL: Readonly<Record<string, unknown>> = {
  initialize: {
    protocolVersion: "2025-06-18",
    capabilities: { tools: {}, resources: {} },
    serverInfo: { name: "bare", version: "1" },
  },
  "tools/list": { tools: [{ name: "echo", inputSchema: { type: "object" } }] },
  "resources/list": { resources: [] },
  "resources/templates/list": { resourceTemplates: [] },
};

/** A server without any library, which says what it is told to, with what it was sent. */
export function bare(says: Saying): Elsewhere {
  return elsewhere({
    async answer(request) {
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const { id, method } = await request.json();
      if (id === undefined) return new Response(null, { status: 202 });
      const said = says(method, request.headers.get("authorization") ?? "");
      const usual = Object.hasOwn(USUAL, method)
        ? { result: USUAL[method] }
        : { error: { code: -32_601, message: "Method not found" } };
      return Response.json({ jsonrpc: "2.0", id, ...said ?? usual });
    },
  });
}

/** A mount of a server at a URL. */
export function mountAt(url: string, more: Partial<McpMount> = {}): McpMount {
  return mountOf("", { command: null, url, code: [], confined: false, ...more });
}
