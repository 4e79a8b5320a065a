/**
 * Requests of MCP tools to the API, each in the name of its caller.
 * @module
 */

import type { ApiRequest } from "./mcp_tools.ts";

/** Makes a request to the API in somebody's name. */
export type Ask = (request: ApiRequest, signal: AbortSignal) => Promise<Response>;

/** Where the API is, and whose token goes along. */
export interface AskAt {
  /** `http://127.0.0.1:7777`. */
  readonly origin: string;
  readonly token: string;
  /** The API itself, or what sends a request to it. */
  answer(request: Request): Promise<Response>;
}

/** Asks an API with a token. */
export function askAt({ origin, token, answer }: AskAt): Ask {
  return async ({ method, path, body, key }, signal) => {
    const headers = new Headers({ authorization: `Bearer ${token}` });
    if (key !== undefined) headers.set("idempotency-key", key);
    if (body !== undefined) headers.set("content-type", "application/json");
    const said = body === undefined ? {} : { body: JSON.stringify(body) };
    return await answer(new Request(new URL(path, origin), { method, headers, signal, ...said }));
  };
}
