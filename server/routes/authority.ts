/**
 * Authority: who holds what, who can do what, and why.
 * @module
 */

import type { StoreReads } from "../../kernel/store.ts";
import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { explainCall } from "../../broker/calls/capability.ts";
import { SysError } from "../../kernel/errors.ts";
import type { CapId, Pid } from "../../kernel/ids.ts";
import { treeOf } from "../../kernel/ids.ts";
import { residents } from "../../kernel/process.ts";
import type { Process } from "../../kernel/state.ts";
import type { Tree } from "../../kernel/tree.ts";
import type { Explained } from "../../runtime/call_story.ts";
import { parseRule } from "../../runtime/rule.ts";
import { formatPattern } from "../../kernel/grammar.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { capabilityPage, capabilityShape, type CapabilityView } from "../schema/authority.ts";
import { explainInput, explanationShape, type ExplanationView } from "../schema/authority.ts";
import { grantShape, whoCanShape } from "../schema/authority.ts";
import { capIdShape, pageQuery, pidShape, treeShape } from "../schema/shape.ts";
import { linesFrom } from "../lines.ts";
import { pageOfTrees, seenTrees } from "../search.ts";
import { seenProcess, seenTree } from "../sight.ts";
import { capabilityViews, explanationView, withUses } from "../view/authority.ts";
import { body, json, REFUSALS } from "./answer.ts";

/** Lines that uses are counted in. */
const LINES_MAX = 20_000;

/** Adds them. */
export function authorityRoutes(app: Api, house: House): void {
  listing(app, house);
  changing(app, house);
  revoking(app, house);
  asking(app, house);
}

function listing(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/capabilities",
      summary: "Capabilities of all processes, or of a tree's",
      description: "With `uses=true` and a tree, each says how many calls it let through, " +
        `counted over the last ${LINES_MAX} lines. Role: viewer.`,
      middleware: [need("viewer")] as const,
      request: {
        query: pageQuery.extend({
          tree: treeShape.optional(),
          uses: z.enum(["true", "false"]).default("false"),
        }),
      },
      responses: { 200: json(capabilityPage, "A page of capabilities"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, uses, ...page } = c.req.valid("query");
      if (uses === "true" && tree === undefined) {
        throw new SysError("EINVAL", "Cannot count uses: no tree, expected one with uses=true");
      }
      const view = await shownFrom(house, c);
      const found = await pageOfTrees<CapabilityView>(house, c.get("who"), {
        view,
        tree,
        all: false,
        page,
        idOf: ({ id }) => id,
        of: (hosted) => uses === "true" ? usedIn(view, hosted.tree) : capabilityViews(hosted.tree),
      });
      return c.json(found, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/processes/{pid}/capabilities",
      summary: "What a process holds, itself or by its ancestors",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ pid: pidShape }) },
      responses: { 200: json(capabilityPage, "Its capabilities"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, process } = await seenProcess(
        house,
        c.get("who"),
        c.req.valid("param").pid as Pid,
      );
      // Those of its ancestors that reach down to it, too.
      const held = [...tree.caps.heldBy(tree.reach(process.pid))].map(({ id }) => id);
      const ids = new Set<string>(held);
      const items = capabilityViews(tree).filter(({ id }) => ids.has(id));
      return c.json({ items, next: null }, 200);
    },
  );
}

/** A tree's capabilities, each with what it let through. */
async function usedIn(view: StoreReads, tree: Tree): Promise<CapabilityView[]> {
  const from = Math.max(1, tree.state.seq - LINES_MAX + 1);
  const lines = await Array.fromAsync(linesFrom(view, tree.state.tree, from));
  return withUses(capabilityViews(tree), lines);
}

function changing(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/processes/{pid}/capabilities",
      summary: "Give a process a right, inside its tree's ceiling",
      description: "Role: operator.",
      middleware: [need("operator")] as const,
      request: { params: z.object({ pid: pidShape }), body: body(grantShape) },
      responses: { 201: json(capabilityShape, "The capability"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const pid = c.req.valid("param").pid as Pid;
      const { tree } = await seenProcess(house, who, pid);
      const { rule, ...bounds } = c.req.valid("json");
      const before = new Set(Object.keys(tree.state.caps));
      await house.runtime.order(treeOf(pid), {
        kind: "grant",
        pid,
        rule: formatPattern(parseRule(`allow ${rule.replace(/^allow\s+/, "")}`)),
        ...bounds,
        by: who.name,
      });
      const { tree: after } = await seenProcess(house, who, pid);
      const made = capabilityViews(after)
        .findLast(({ id, subject, by }) => !before.has(id) && subject === pid && by === who.name);
      if (made === undefined) {
        throw new SysError("ESTATE", `Cannot show what "${pid}" was given: it is gone again`);
      }
      return c.json(made, 201);
    },
  );
}

function revoking(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "delete",
      path: "/v1/capabilities/{id}",
      summary: "Take a capability back, with all that was derived from it",
      description: "Role: operator.",
      middleware: [need("operator")] as const,
      request: {
        params: z.object({ id: capIdShape }),
        query: z.object({ reason: z.string().max(512).default("") }),
      },
      responses: { 204: { description: "It is gone" }, ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const id = c.req.valid("param").id as CapId;
      const tree = await seenTree(house, who, treeOf(id));
      const { reason } = c.req.valid("query");
      if (tree.cap(id) === undefined) {
        throw new SysError("ENOENT", `Cannot revoke "${id}": absent, expected one of the list`);
      }
      const order = { kind: "revoke", capability: id, reason, by: who.name } as const;
      await house.runtime.order(treeOf(id), order);
      return c.body(null, 204);
    },
  );
}

function asking(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/capabilities/explain",
      summary: "Whether a process could do something, why, and the least that would let it",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { body: body(explainInput) },
      responses: { 200: json(explanationShape, "The explanation"), ...REFUSALS },
    }),
    async (c) => {
      const { pid, rule, args } = c.req.valid("json");
      const { tree, process } = await seenProcess(house, c.get("who"), pid as Pid);
      return c.json(explained(house, { tree, process, rule, args: args ?? {} }), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/capabilities/who",
      summary: "Which processes could do something",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { query: z.object({ rule: z.string().min(1).max(1_024) }) },
      responses: { 200: json(whoCanShape, "Who can"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { rule } = c.req.valid("query");
      const items: z.infer<typeof whoCanShape>["items"] = [];
      let of = 0;
      const view = await shownFrom(house, c);
      for await (const { tree } of seenTrees(house, who, { view, all: false })) {
        for (const process of residents(tree.state)) {
          if (process.life.state === "ended") continue;
          of += 1;
          const { decision, cap } = explained(house, { tree, process, rule, args: {} });
          const image = tree.state.images[process.image];
          if (decision === "none" || items.length >= SHOWN_MAX) continue;
          const name = `${image?.name}@${image?.version}`;
          items.push({ pid: process.pid, image: name, decision, cap });
        }
      }
      return c.json({ items, of }, 200);
    },
  );
}

const SHOWN_MAX = 1_000;

function explained(house: House, given: {
  readonly tree: Tree;
  readonly process: Process;
  readonly rule: string;
  readonly args: Readonly<Record<string, unknown>>;
}): ExplanationView {
  const { tree, process, rule, args } = given;
  const nowMs = Math.max(house.clock.now(), tree.state.atMs);
  const at = { tree, process, pid: process.pid, nowMs };
  return explanationView(process.pid, explainCall(at, rule, args) as unknown as Explained);
}
