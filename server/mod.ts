/**
 * The HTTP API and the web console over a runtime.
 *
 * @example
 * ```ts
 * import { createRuntime } from "@agent-libos/core";
 * import { serve } from "@agent-libos/core/server";
 * await using os = await createRuntime({ store: ":memory:", workspace: null });
 * await using server = serve(os);
 * const { ok } = await (await fetch(`${server.url}/v1/health`)).json();
 * console.assert(ok);
 * ```
 * @module
 */

export { serve, type Served, type ServeOptions } from "./serve.ts";
export { type McpServed, type McpTransport, serveMcp, type ServeMcpOptions } from "./mcp_stdio.ts";
export type { Finding } from "./api.ts";
export type { Principal, Role } from "./principal.ts";
export { type Standing, TokenBook, type TokenRecord, type TokenWish } from "./tokens.ts";
export { memoryFile, type PrivateFile, privateFile } from "../providers/private_file.ts";
