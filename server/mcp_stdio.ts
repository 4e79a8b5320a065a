/**
 * The runtime as an MCP server over the pipes of its own process: one caller, one principal.
 * @module
 */

import type { Transport } from "@modelcontextprotocol/server";
import type { Runtime } from "../runtime/runtime.ts";
import { type AskAt, askAt } from "./mcp_ask.ts";
import { answerHere, type ServeOptions } from "./serve.ts";
import type { TokenWish } from "./tokens.ts";

/** What frames come and go by: a `Transport` of `@modelcontextprotocol/server`. */
export interface McpTransport {
  /** Begins to read. */
  start(): Promise<void>;
  /** Sends one frame. */
  send(message: never): Promise<void>;
  /** Ends it. */
  close(): Promise<void>;
}

/** How to serve other agents over pipes. */
export interface ServeMcpOptions extends
  Pick<
    ServeOptions,
    | "images"
    | "madeImages"
    | "packages"
    | "packageModel"
    | "tokens"
    | "selfApproval"
    | "version"
    | "failed"
    | "clock"
    | "random"
  > {
  /**
   * In whose name whoever is at the other end acts, and never with more: a principal made for it,
   * which ends with it, or the secret of a token in `tokens`.
   */
  readonly as: TokenWish | { readonly token: string };
  /** Standard input and output by default. */
  readonly transport?: McpTransport;
}

/** A runtime that is served over pipes. */
export interface McpServed extends AsyncDisposable {
  /** Resolves when the other end is gone. */
  readonly ended: Promise<void>;
  /** Ends it. The runtime goes on. */
  close(): Promise<void>;
}

/**
 * Serves a runtime as an MCP server over standard input and output. Over HTTP, `serve` does, at
 * `/mcp`. Throws `EINVAL` for a principal that cannot be.
 *
 * @example
 * ```ts
 * import { InMemoryTransport } from "@modelcontextprotocol/server";
 * import { createRuntime } from "@agent-libos/core";
 * import { serveMcp } from "@agent-libos/core/server";
 * await using os = await createRuntime({ store: ":memory:", workspace: null });
 * const [here, there] = InMemoryTransport.createLinkedPair();
 * await using server = await serveMcp(os, {
 *   as: { name: "planner", role: "viewer" },
 *   transport: here,
 * });
 * await there.close();
 * await server.ended;
 * ```
 */
export async function serveMcp(runtime: Runtime, options: ServeMcpOptions): Promise<McpServed> {
  const { as, transport, version = "0.1.0" } = options;
  const api = answerHere(runtime, options);
  const own = "token" in as ? null : api.tokens.create(as);
  const token = "token" in as ? as.token : own!.secret;
  const { origin, answer } = api;
  const spoken = await speakMcp({ origin, token, answer }, {
    version,
    ...(transport === undefined ? {} : { transport }),
  });
  const over = (): void => {
    if (own !== null) api.tokens.revoke(own.record.id);
    api.stop();
  };
  const ended = spoken.ended.then(over);
  const close = async (): Promise<void> => {
    await spoken.close();
    await ended;
  };
  return { ended, close, [Symbol.asyncDispose]: close };
}

/** Speaks over pipes for an API, wherever it is. */
export async function speakMcp(at: AskAt, options: {
  readonly version: string;
  readonly transport?: McpTransport;
}): Promise<McpServed> {
  const [{ serveStdio, StdioServerTransport }, { mcpServer }] = await Promise.all([
    import("@modelcontextprotocol/server/stdio"),
    import("./mcp.ts"),
  ]);
  const transport = (options.transport ?? new StdioServerTransport()) as Transport;
  const over = Promise.withResolvers<void>();
  const { close } = serveStdio(() => mcpServer(askAt(at), options.version), { transport });
  const theirs = transport.onclose;
  transport.onclose = () => {
    theirs?.();
    over.resolve();
  };
  const closing = async (): Promise<void> => {
    await close();
    over.resolve();
  };
  return { ended: over.promise, close: closing, [Symbol.asyncDispose]: closing };
}
