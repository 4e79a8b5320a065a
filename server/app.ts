/**
 * The application: every request's way through the guard, to who asks, to a route.
 * @module
 */

import { saysAge } from "./shown_from.ts";
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { SysError } from "../kernel/errors.ts";
import type { Api, Env, House } from "./api.ts";
import { whoAsks } from "./auth.ts";
import { consoleRoutes } from "./console_routes.ts";
import { samePlace, SECURITY_HEADERS, wholeBody } from "./guard.ts";
import { answerOnce } from "./once.ts";
import { mcpRoute } from "./mcp_route.ts";
import { problemOf, problemResponse, Refusal } from "./problem.ts";
import { ROUTES } from "./routes/all.ts";
import { json, REFUSALS } from "./routes/answer.ts";
import { metricsRoute } from "./routes/metrics.ts";

const HEALTH = createRoute({
  method: "get",
  path: "/v1/health",
  summary: "Whether the server answers",
  description: "For everybody: no token is needed.",
  security: [],
  responses: {
    200: json(z.object({ ok: z.literal(true) }).openapi("Health"), "It does"),
    ...REFUSALS,
  },
});

/** What a server answers with. */
export interface App {
  /** Answers a request that came from an address. */
  answer(request: Request, from: string): Promise<Response>;
  /** The API as OpenAPI 3.1. */
  openapi(): Record<string, unknown>;
}

/** Makes the application. `isOurs` knows the hosts that this server answers to. */
export function createApp(house: House, isOurs: (host: string) => boolean): App {
  const app: Api = new OpenAPIHono<Env>({ defaultHook: refuseMisfit });
  app.onError((thrown) => answerThrown(house, thrown));
  app.notFound((c) => {
    const path = new URL(c.req.url).pathname.slice(0, 256);
    const expected = "expected one of /openapi.json";
    return answerThrown(
      house,
      new SysError("ENOENT", `Cannot find "${path}": absent, ${expected}`),
    );
  });
  app.use("*", async (c, next) => {
    c.set("from", c.env.from);
    await next();
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!c.res.headers.has(name)) c.res.headers.set(name, value);
    }
    if (!c.res.headers.has("cache-control")) c.res.headers.set("cache-control", "no-store");
  });
  app.use("*", samePlace(isOurs));
  app.openapi(HEALTH, (c) => c.json({ ok: true } as const, 200));
  const asks = whoAsks(house);
  app.use("/v1/*", asks);
  app.use("/v1/*", saysAge);
  app.use("/v1/*", wholeBody(house.clock));
  app.use("/v1/*", answerOnce(house.clock, house.runtime.node.options.store.shares?.()));
  for (const add of ROUTES) add(app, house);
  metricsRoute(app, house, asks);
  const openapi = documentOf(app, house);
  app.get("/openapi.json", (c) => c.json(openapi()));
  mcpRoute(app, house);
  consoleRoutes(app, house);
  return {
    answer: async (request, from) => await app.fetch(request, { from }),
    openapi,
  };
}

/** What was thrown, as an answer; of a bug, nothing is told. */
function answerThrown(house: House, thrown: unknown): Response {
  const isMisfit = thrown instanceof HTTPException && thrown.status < 500;
  const problem = problemOf(
    isMisfit ? new SysError("EINVAL", `Cannot take the request: ${thrown.message}`) : thrown,
  );
  if (problem !== undefined) {
    return problemResponse(problem, thrown instanceof Refusal ? thrown.headers : {});
  }
  house.failed(thrown);
  return problemResponse({
    type: "about:blank",
    title: "A bug of the server",
    status: 500,
    detail: "Cannot answer: the server failed; its standard error says more",
    code: "EIO",
  });
}

/** The API as a document, made once. */
function documentOf(app: Api, house: House): () => Record<string, unknown> {
  let document: Record<string, unknown> | undefined;
  return () => {
    if (document !== undefined) return document;
    app.openAPIRegistry.registerComponent("securitySchemes", "token", {
      type: "http",
      scheme: "bearer",
    });
    document = { ...app.getOpenAPI31Document(documentHead(house.version)) };
    return document;
  };
}

function documentHead(version: string) {
  return {
    openapi: "3.1.0",
    info: {
      title: "Agent libOS",
      version,
      description: "Agents as processes: what they do, what they may do, and who answers them.",
    },
    security: [{ token: [] }],
  };
}

/** What a schema does not take, as any other refusal. */
function refuseMisfit(
  result: { readonly success: boolean; readonly error?: unknown; readonly target?: string },
): void {
  if (result.success) return;
  const { issues } = result.error as {
    readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
  };
  const [first] = issues;
  const where = first === undefined ? "" : ` at "${first.path.join(".")}"`;
  const sentence = `Cannot take the ${result.target ?? "request"}${where}: ${first?.message}`;
  throw new SysError("EINVAL", sentence, {
    issues: issues.slice(0, 20).map(({ path, message }) => ({ path: path.join("."), message })),
  });
}
