/**
 * How long payloads of a tree are kept, and what would go.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { TreeId } from "../../kernel/ids.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { redactMs, refuseDays } from "../../kernel/retention.ts";
import type { State } from "../../kernel/state.ts";
import { planRedaction } from "../../runtime/redaction.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { Held } from "../guard.ts";
import { keptShape, plannedShape, retainShape, retentionShape } from "../schema/authority.ts";
import { treeShape } from "../schema/shape.ts";
import { seenTree } from "../sight.ts";
import { body, json, REFUSALS } from "./answer.ts";

const params = z.object({ tree: treeShape });

/** Adds them. */
export function retentionRoutes(app: Api, house: House): void {
  const reads = new Held("reads of payloads", LIMITS.httpLogReadsPerPrincipalMax);
  shown(app, house, reads);
  planned(app, house, reads);
  said(app, house);
}

function shown(app: Api, house: House, reads: Held): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees/{tree}/retention",
      summary: "How long payloads of a tree are kept",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params },
      responses: { 200: json(retentionShape, "How long, and how many there are"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { state } = await seenTree(house, who, c.req.valid("param").tree as TreeId);
      const { days = null, by = null } = state.retention ?? {};
      const { tree, count, bytes, stays } = await plan(house, reads, {
        state,
        token: who.token,
        days: 0,
      });
      const nextMs = redactMs(state);
      return c.json({ tree, days, by, payloads: count, bytes, stays, nextMs }, 200);
    },
  );
}

function planned(app: Api, house: House, reads: Held): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees/{tree}/retention/plan",
      summary: "What would go now, if payloads were kept so many days, or as the log says",
      description: "None where they are kept forever. Nothing is changed. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params, query: z.object({ days: z.coerce.number().optional() }) },
      responses: { 200: json(plannedShape, "What would go"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { state } = await seenTree(house, who, c.req.valid("param").tree as TreeId);
      const days = c.req.valid("query").days ?? state.retention?.days ?? null;
      refuseDays(`tree "${state.tree}"`, days);
      const items = days === null
        ? []
        : [await plan(house, reads, { state, token: who.token, days })];
      return c.json({ items }, 200);
    },
  );
}

function said(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "put",
      path: "/v1/trees/{tree}/retention",
      summary: "Say how long payloads of a tree are kept; null: as long as its log",
      description: "What is older is taken away for good. Role: admin.",
      middleware: [need("admin")] as const,
      request: { params, body: body(retainShape) },
      responses: { 200: json(keptShape, "What holds now"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { state: { tree } } = await seenTree(house, who, c.req.valid("param").tree as TreeId);
      const { days } = c.req.valid("json");
      await house.runtime.order(tree, { kind: "retain", days, by: who.name });
      const { state } = await seenTree(house, who, tree);
      return c.json({ tree, days, nextMs: redactMs(state) }, 200);
    },
  );
}

async function plan(house: House, reads: Held, given: {
  readonly state: State;
  readonly token: string;
  readonly days: number;
}) {
  const { state, token, days } = given;
  const { store } = house.runtime.node.options;
  const nowMs = house.clock.now();
  return await reads.hold(token, () => planRedaction(store, state, { nowMs, days }));
}
