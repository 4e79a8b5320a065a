/**
 * The server itself: version, who is asking, what works here.
 * @module
 */

import { viewOf } from "../../kernel/store.ts";
import { createRoute, z } from "@hono/zod-openapi";
import type { Api, Finding, House } from "../api.ts";
import { isSecure, need, signOut } from "../auth.ts";
import { ROLES } from "../principal.ts";
import { timeShape } from "../schema/shape.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { Refusal } from "../problem.ts";
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

const linkShape = z.object({ url: z.string(), expiresAt: timeShape }).openapi("SessionLink");

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
      path: "/v1/doctor",
      summary: "What works on this machine",
      middleware: [need("viewer")] as const,
      responses: { 200: json(doctorShape, "The findings"), ...REFUSALS },
    }),
    async (c) => c.json({ items: [...await house.doctor(), ...await replicaFinding(house)] }, 200),
  );
  sessions(app, house);
}

/** How the replica stands that this server reads what it shows from. */
async function replicaFinding({ runtime }: House): Promise<Finding[]> {
  const { store } = runtime.node.options;
  if (store.replica?.() == null) return [];
  await viewOf(store);
  const { name, use, detail, lagMs } = store.replica()!;
  const age = lagMs === null ? "" : `, ${lagMs} ms behind at most`;
  const state = use === "used" ? "ok" : use === "behind" ? "note" : "bad";
  return [{ what: "replica", state, detail: `${name}: ${detail}${age}` }];
}

function sessions(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/session/link",
      summary: "A link that signs a browser in as the holder of this token, once and soon",
      description: "Not for sessions: who has a token has all of it already. Role: viewer.",
      middleware: [need("viewer")] as const,
      responses: { 201: json(linkShape, "The link"), ...REFUSALS },
    }),
    (c) => {
      if (c.get("csrf") !== null) {
        const sentence = "Cannot make a link for a session: expected Authorization: Bearer TOKEN";
        throw new Refusal("role_too_low", sentence);
      }
      // The guard let in only hosts that are ours.
      const { host } = new URL(c.req.url);
      const origin = `${isSecure(c, house) ? "https" : "http"}://${host}`;
      const secret = house.tokens.link(c.get("who").token);
      const expiresMs = house.clock.now() + LIMITS.sessionLinkMsMax;
      return c.json(
        { url: `${origin}/?t=${secret}`, expiresAt: new Date(expiresMs).toISOString() },
        201,
      );
    },
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/session/end",
      summary: "Sign the browser that asks out: its session is over, and its streams end",
      description: "Other sessions and tokens stay; who asks with a token has no session to end. " +
        "Role: viewer.",
      middleware: [need("viewer")] as const,
      responses: { 204: { description: "It is over" }, ...REFUSALS },
    }),
    (c) => {
      signOut(c, house);
      return c.body(null, 204);
    },
  );
}
