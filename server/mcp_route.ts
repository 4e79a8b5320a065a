/**
 * `/mcp`: the runtime as an MCP server over streamable HTTP.
 * @module
 */

import type { MiddlewareHandler } from "hono";
import type { Api, Env, House } from "./api.ts";
import { whoAsks } from "./auth.ts";
import { wholeBody } from "./guard.ts";
import type { McpOverHttp } from "./mcp.ts";
import { askAt } from "./mcp_ask.ts";
import { Refusal } from "./problem.ts";

/** Adds it. The protocol's code is loaded by the first who asks. */
export function mcpRoute(app: Api, house: House): void {
  let loaded: Promise<McpOverHttp> | undefined;
  const load = async (): Promise<McpOverHttp> => {
    const { mcpOverHttp } = await import("./mcp.ts");
    const answer = async (request: Request) => await app.fetch(request, { from: "mcp" });
    const over = mcpOverHttp({
      version: house.version,
      ask: (token, origin) => askAt({ origin, token, answer }),
    });
    house.stopping.addEventListener("abort", () => void over.close());
    return over;
  };
  app.use("/mcp", tokenOnly, whoAsks(house), wholeBody(house.clock));
  app.all("/mcp", async (c) => {
    const over = await (loaded ??= load());
    const token = c.req.header("authorization")!.replace(/^Bearer /i, "");
    // By the name that the guard has let in, which the request of the tool meets again.
    const origin = `http://${c.req.header("host") ?? new URL(c.req.url).host}`;
    return await over.answer(c.req.raw, { token, origin });
  });
}

/** A page's session is no agent's, whatever it sends along. */
const tokenOnly: MiddlewareHandler<Env> = async (c, next) => {
  if (c.req.header("authorization") === undefined) {
    const expected = "expected Authorization: Bearer TOKEN; make one with libos token create";
    throw new Refusal("unauthenticated", `Cannot answer: no token, ${expected}`, {
      "www-authenticate": "Bearer",
    });
  }
  await next();
};
