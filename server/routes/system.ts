/**
 * The server itself: version, who is asking, the node, what works here.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { Api, House } from "../api.ts";
import { need, signOut } from "../auth.ts";
import { type Principal, ROLES, seesTree } from "../principal.ts";
import { nodeShape } from "../schema/process.ts";
import { json, REFUSALS } from "./answer.ts";

const versionShape = z.object({
  name: z.literal("agent-libos"),
  version: z.string(),
  api: z.literal("v1"),
}).openapi("Version");

const whoShape = z.object({
  name: z.string(),
  role: z.enum(ROLES),
  labels: z.record(z.string(), z.string()),
  /** What a session's page sends as `x-libos-csrf`; null for a token. */
  csrf: z.string().nullable(),
}).openapi("Who");

const doctorShape = z.object({
  items: z.array(z.object({ what: z.string(), state: z.string(), detail: z.string() })),
}).openapi("Doctor");

/** Adds them. */
export function systemRoutes(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/version",
      summary: "Which server this is",
      middleware: [need("viewer")] as const,
      responses: { 200: json(versionShape, "The version"), ...REFUSALS },
    }),
    (c) => c.json({ name: "agent-libos", version: house.version, api: "v1" } as const, 200),
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/whoami",
      summary: "Who is asking",
      middleware: [need("viewer")] as const,
      responses: { 200: json(whoShape, "The principal"), ...REFUSALS },
    }),
    (c) => {
      const { name, role, labels } = c.get("who");
      return c.json({ name, role, labels: { ...labels }, csrf: c.get("csrf") }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/nodes",
      summary: "The kernels that run",
      middleware: [need("viewer")] as const,
      responses: { 200: json(z.object({ items: z.array(nodeShape) }), "The nodes"), ...REFUSALS },
    }),
    async (c) => c.json({ items: [await nodeOf(house, c.get("who"))] }, 200),
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/doctor",
      summary: "What works on this machine",
      middleware: [need("viewer")] as const,
      responses: { 200: json(doctorShape, "The findings"), ...REFUSALS },
    }),
    async (c) => c.json({ items: [...await house.doctor()] }, 200),
  );
  app.post("/v1/session/end", (c) => {
    signOut(c, house.tokens);
    return c.body(null, 204);
  });
}

async function nodeOf(house: House, who: Principal): Promise<z.infer<typeof nodeShape>> {
  const { node } = house.runtime;
  const trees = node.trees.filter(({ state }) => seesTree(who, state));
  const hosted = await Promise.all(trees.map(({ state }) => node.hosted(state.tree)));
  return {
    id: node.options.id,
    version: house.version,
    startedAt: new Date(house.startedMs).toISOString(),
    trees: trees.length,
    running: hosted.reduce((sum, { runs }) => sum + runs.size, 0),
    residentBytes: house.residentBytes(),
  };
}
