/**
 * Trees: policy, budgets.
 * @module
 */

import { shownFrom } from "../shown_from.ts";
import { createHash } from "node:crypto";
import { createRoute, z } from "@hono/zod-openapi";
import { type Pid, type TreeId, treeOf } from "../../kernel/ids.ts";
import { checkPolicy } from "../../kernel/policy.ts";
import { residents } from "../../kernel/process.ts";
import type { Tree } from "../../kernel/tree.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { refuseStale, tagged, Turns } from "../page.ts";
import { budgetPage, type BudgetRow, budgetShape, policyShape } from "../schema/authority.ts";
import { spentShape, type TreeView, treeViewShape } from "../schema/process.ts";
import { pageQuery, pageShape, pidShape, treeShape } from "../schema/shape.ts";
import { pageOfTrees } from "../search.ts";
import { seenProcess, seenTree } from "../sight.ts";
import { budgetRow, budgetView } from "../view/process.ts";
import { shownTree } from "../view/tree.ts";
import { body, json, REFUSALS } from "./answer.ts";

const params = z.object({ tree: treeShape });

/** Adds them. */
export function treeRoutes(app: Api, house: House): void {
  trees(app, house);
  policies(app, house);
  budgetList(app, house);
  budgets(app, house);
}

function trees(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees",
      summary: "Trees, in order of number",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { query: pageQuery.extend({ all: z.enum(["true", "false"]).default("false") }) },
      responses: { 200: json(pageShape(treeViewShape, "TreePage"), "A page"), ...REFUSALS },
    }),
    async (c) => {
      const { all, ...page } = c.req.valid("query");
      const view = await shownFrom(house, c);
      const found = await pageOfTrees<TreeView>(house, c.get("who"), {
        view,
        all: all === "true",
        page,
        idOf: ({ tree }) => tree,
        of: async ({ tree }) => [await shownTree(house, tree, view)],
      });
      return c.json(found, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees/{tree}",
      summary: "One tree",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params },
      responses: { 200: json(treeViewShape, "The tree"), ...REFUSALS },
    }),
    async (c) => {
      const tree = await seenTree(house, c.get("who"), c.req.valid("param").tree as TreeId);
      return c.json(await shownTree(house, tree), 200);
    },
  );
}

/** Another one for another text, also within one millisecond. */
function policyTag({ text, sinceMs }: Tree["state"]["policy"]): string {
  return `${sinceMs}.${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}

function policies(app: Api, house: House): void {
  // What was compared has to be what is changed: one after another.
  const turns = new Turns();
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees/{tree}/policy",
      summary: "A tree's policy",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params },
      responses: { 200: json(policyShape, "The policy"), ...REFUSALS },
    }),
    async (c) => {
      const { state } = await seenTree(house, c.get("who"), c.req.valid("param").tree as TreeId);
      tagged(c, policyTag(state.policy));
      return c.json({ tree: state.tree, text: state.policy.text }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "put",
      path: "/v1/trees/{tree}/policy",
      summary: "Replace a tree's policy",
      description: "With `If-Match`, only if nobody else changed it since. Role: admin.",
      middleware: [need("admin")] as const,
      request: {
        params,
        body: body(z.strictObject({ text: z.string().max(262_144) }).openapi("PolicyText")),
      },
      responses: { 200: json(policyShape, "The policy"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const id = c.req.valid("param").tree as TreeId;
      const { text } = c.req.valid("json");
      await turns.take(id, async () => {
        const tree = await seenTree(house, who, id);
        refuseStale(c, policyTag(tree.state.policy));
        checkPolicy(text, house.runtime.node.options.context);
        await house.runtime.order(id, { kind: "policy", text, by: who.name });
      });
      return c.json({ tree: id, text }, 200);
    },
  );
}

function budgetList(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/budgets",
      summary: "What processes may use and have used",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: {
        query: pageQuery.extend({
          tree: treeShape.optional(),
          all: z.enum(["true", "false"]).default("false").openapi({
            description: "Ended ones too",
          }),
        }),
      },
      responses: { 200: json(budgetPage, "A page of budgets"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { tree, all, ...page } = c.req.valid("query");
      const view = await shownFrom(house, c);
      const found = await pageOfTrees<BudgetRow>(house, who, {
        view,
        tree,
        all: all === "true",
        page,
        idOf: ({ pid }) => pid,
        of: (hosted) =>
          residents(hosted.tree.state)
            .filter(({ life }) => all === "true" || life.state !== "ended")
            .map(({ pid }) => budgetRow(hosted.tree, pid)),
      });
      return c.json(found, 200);
    },
  );
}

function budgets(app: Api, house: House): void {
  const route = {
    path: "/v1/processes/{pid}/budget",
    request: { params: z.object({ pid: pidShape }) },
  };
  app.openapi(
    createRoute({
      ...route,
      method: "get",
      summary: "What a process may use and has used",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      responses: { 200: json(budgetShape, "The budget"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, process } = await seenProcess(
        house,
        c.get("who"),
        c.req.valid("param").pid as Pid,
      );
      return c.json(budgetView(tree, process.pid), 200);
    },
  );
  app.openapi(
    createRoute({
      ...route,
      method: "put",
      summary: "Set limits of a process; those that are left out stay",
      description: "Role: operator.",
      middleware: [need("operator")] as const,
      request: {
        ...route.request,
        body: body(z.strictObject(spentShape.shape).openapi("Limits")),
      },
      responses: { 200: json(budgetShape, "The budget"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const pid = c.req.valid("param").pid as Pid;
      await seenProcess(house, who, pid);
      const limits = Object.fromEntries(
        Object.entries(c.req.valid("json")).filter(([, value]) => value !== undefined),
      );
      await house.runtime.order(treeOf(pid), { kind: "budget", pid, limits, by: who.name });
      const { tree } = await seenProcess(house, who, pid);
      return c.json(budgetView(tree, pid), 200);
    },
  );
}
