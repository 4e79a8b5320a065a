/**
 * Tokens: who may speak to the server.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { type Principal, ROLES, sees } from "../principal.ts";
import { tokenView } from "../view/token.ts";
import { newTokenShape, tokenShape } from "../schema/evidence.ts";
import { labelsShape } from "../schema/shape.ts";
import type { TokenRecord } from "../tokens.ts";
import { body, json, REFUSALS } from "./answer.ts";

const wishShape = z.strictObject({
  name: z.string().max(64),
  role: z.enum(ROLES),
  labels: labelsShape.optional(),
  forMs: z.number().int().min(1_000).max(LIMITS.tokenMsMax).optional(),
}).openapi("TokenWish");

/** Adds them. */
export function tokenRoutes(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/tokens",
      summary: "The tokens, without their secrets",
      description: "Role: admin.",
      middleware: [need("admin")] as const,
      responses: { 200: json(z.object({ items: z.array(tokenShape) }), "Tokens"), ...REFUSALS },
    }),
    (c) => c.json({ items: seenTokens(house, c.get("who")).map(tokenView) }, 200),
  );
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/tokens",
      summary: "Make a token; its secret is told once",
      description: "Role: admin.",
      middleware: [need("admin")] as const,
      request: { body: body(wishShape) },
      responses: { 201: json(newTokenShape, "The token"), ...REFUSALS },
    }),
    (c) => {
      const { name, role, labels, forMs } = c.req.valid("json");
      const { record, secret } = house.tokens.create({
        name,
        role,
        // Whoever sees only some labels lets in only who sees no more.
        labels: { ...labels, ...c.get("who").labels },
        ...(forMs === undefined ? {} : { forMs }),
      });
      return c.json({ ...tokenView(record), secret }, 201);
    },
  );
  app.openapi(
    createRoute({
      method: "delete",
      path: "/v1/tokens/{id}",
      summary: "Take a token back, with its sessions and streams",
      description: "Role: admin.",
      middleware: [need("admin")] as const,
      request: { params: z.object({ id: z.string().max(64) }) },
      responses: { 204: { description: "It is gone" }, ...REFUSALS },
    }),
    (c) => {
      const { id } = c.req.valid("param");
      const isSeen = seenTokens(house, c.get("who")).some((one) => one.id === id);
      if (!isSeen || !house.tokens.revoke(id)) {
        throw new SysError(
          "ENOENT",
          `Cannot revoke token "${id}": absent, expected one of the list`,
        );
      }
      return c.body(null, 204);
    },
  );
}

function seenTokens(house: House, who: Principal): readonly TokenRecord[] {
  return house.tokens.list().filter(({ labels }) => sees(who, labels));
}
