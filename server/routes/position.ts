/**
 * Positions of a tree's log: what the tree was there, and what differs between two.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { findPosition } from "../../kernel/checkpoint.ts";
import type { TreeId } from "../../kernel/ids.ts";
import { stateAt } from "../../runtime/history.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { stateShape } from "../schema/evidence.ts";
import { changesShape } from "../schema/memory.ts";
import { treeShape } from "../schema/shape.ts";
import { seenTree } from "../sight.ts";
import { changesView, positionView } from "../view/position.ts";
import { json, REFUSALS } from "./answer.ts";

const params = z.object({ tree: treeShape });
const position = z.union([z.coerce.number().int().min(0), z.string().max(256)]);

/** Adds them. */
export function positionRoutes(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees/{tree}/state",
      summary: "What a tree was at a line or checkpoint; nothing is run",
      description: "`at` is a line, or the id or name of a checkpoint. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params, query: z.object({ at: position.optional() }) },
      responses: { 200: json(stateShape, "The state, summed up"), ...REFUSALS },
    }),
    async (c) => {
      const tree = await seenTree(house, c.get("who"), c.req.valid("param").tree as TreeId);
      const seq = findPosition(tree.state, c.req.valid("query").at ?? tree.state.seq);
      const past = await stateAt(house.runtime.node, tree, seq);
      return c.json(positionView(tree.state, past), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees/{tree}/diff",
      summary: "What differs between two lines or checkpoints; `to` is now when absent",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params, query: z.object({ from: position, to: position.optional() }) },
      responses: { 200: json(changesShape, "The changes"), ...REFUSALS },
    }),
    async (c) => {
      const tree = await seenTree(house, c.get("who"), c.req.valid("param").tree as TreeId);
      const { from, to } = c.req.valid("query");
      const [before, after] = [from, to ?? tree.state.seq].map((at) =>
        findPosition(tree.state, at)
      ) as [number, number];
      const { node } = house.runtime;
      const was = await stateAt(node, tree, before);
      return c.json(changesView(was, await stateAt(node, tree, after)), 200);
    },
  );
}
