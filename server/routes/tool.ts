/**
 * Generated tools: source, what was declared and what was seen, revoking.
 * @module
 */

import type { StoreReads } from "../../kernel/store.ts";
import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import { diffText } from "../../kernel/diff.ts";
import type { Line, ValueRef } from "../../kernel/event.ts";
import type { Pid } from "../../kernel/ids.ts";
import type { Order } from "../../kernel/inbox.ts";
import type { ToolRecord } from "../../kernel/state.ts";
import type { Tree } from "../../kernel/tree.ts";
import { growAll } from "../../runtime/growth.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import type { Principal } from "../principal.ts";
import { sourceShape, toolPage, toolShape, type ToolView } from "../schema/memory.ts";
import { hashShape, pageQuery, pidShape, treeShape } from "../schema/shape.ts";
import { linesFrom } from "../lines.ts";
import { pageOfTrees, seenTrees } from "../search.ts";
import { seenProcess } from "../sight.ts";
import { RUN_LINES_MAX, toolView } from "../view/memory.ts";
import { body, json, REFUSALS } from "./answer.ts";

const params = z.object({ hash: hashShape });

/** Adds them. */
export function toolRoutes(app: Api, house: House): void {
  listing(app, house);
  one(app, house);
  sources(app, house);
  revoking(app, house);
}

/** A version of a tool in a tree that somebody may see. Throws `ENOENT`. */
async function seenTool(
  house: House,
  who: Principal,
  { view, hash }: { readonly view: StoreReads; readonly hash: string },
): Promise<{ readonly tree: Tree; readonly tool: ToolRecord }> {
  for await (const { tree } of seenTrees(house, who, { view, all: true })) {
    const tool = Object.hasOwn(tree.state.tools, hash) ? tree.state.tools[hash] : undefined;
    if (tool !== undefined) return { tree, tool };
  }
  throw new SysError("ENOENT", `Cannot find tool "${hash}": absent, expected one of the list`);
}

function listing(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/tools",
      summary: "Versions of generated tools, without their runs",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { query: pageQuery.extend({ tree: treeShape.optional() }) },
      responses: { 200: json(toolPage, "A page of tools"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, ...page } = c.req.valid("query");
      const view = await shownFrom(house, c);
      const found = await pageOfTrees<ToolView>(house, c.get("who"), {
        view,
        tree,
        all: true,
        page,
        idOf: (one) => `${one.tree} ${one.hash}`,
        of: (hosted) =>
          Object.values(hosted.tree.state.tools).map((one) => toolView(hosted.tree.state, one)),
      });
      return c.json(found, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/processes/{pid}/tools",
      summary: "The generated tools in a process's table",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ pid: pidShape }) },
      responses: { 200: json(toolPage, "Its tools"), ...REFUSALS },
    }),
    async (c) => {
      const pid = c.req.valid("param").pid as Pid;
      const { tree, process } = await seenProcess(house, c.get("who"), pid);
      const items = Object.values(process.generated).flatMap(({ hash }) => {
        const tool = tree.state.tools[hash];
        return tool === undefined ? [] : [toolView(tree.state, tool)];
      });
      return c.json({ items, next: null }, 200);
    },
  );
}

function one(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/tools/{hash}",
      summary: "A version of a tool, with its latest runs and the calls they made",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params },
      responses: { 200: json(toolShape, "The tool"), ...REFUSALS },
    }),
    async (c) => {
      const view = await shownFrom(house, c);
      const { hash } = c.req.valid("param");
      const { tree, tool } = await seenTool(house, c.get("who"), { view, hash });
      const from = Math.max(1, tree.state.seq - RUN_LINES_MAX + 1);
      const lines: Line[] = await Array.fromAsync(linesFrom(view, tree.state.tree, from));
      return c.json(toolView(tree.state, tool, lines), 200);
    },
  );
}

async function sourceOf(house: House, tree: Tree, ref: ValueRef): Promise<string> {
  return String("value" in ref ? ref.value : await house.runtime.node.load(tree, ref.hash));
}

function sources(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/tools/{hash}/source",
      summary: "A version's source, and how it differs from another",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params, query: z.object({ against: hashShape.optional() }) },
      responses: { 200: json(sourceShape, "The source"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const view = await shownFrom(house, c);
      const { hash } = c.req.valid("param");
      const { tree, tool } = await seenTool(house, who, { view, hash });
      const source = await sourceOf(house, tree, tool.source);
      const { against } = c.req.valid("query");
      const other = against === undefined
        ? null
        : await seenTool(house, who, { view, hash: against });
      const before = other === null ? null : await sourceOf(house, other.tree, other.tool.source);
      const diff = before === null ? null : diffText(before, source);
      return c.json({ hash: tool.hash, name: tool.name, source, diff }, 200);
    },
  );
}

function revoking(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/tools/{hash}/revoke",
      summary: "Take a version from all processes of its trees, for good; runs of it stop",
      description: "Role: operator.",
      middleware: [need("operator")] as const,
      request: {
        params,
        body: body(z.strictObject({ reason: z.string().max(512).default("") }).openapi("Reason")),
      },
      responses: { 200: json(toolShape, "The tool"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { hash } = c.req.valid("param");
      const { reason } = c.req.valid("json");
      // What is done rests on it: the store itself is asked.
      const { store: view } = house.runtime.node.options;
      await seenTool(house, who, { view, hash });
      const order = { kind: "revoke-tool", hash, reason, by: who.name } as const;
      await revokeSeen(house, who, order);
      // Again until none has come since: a branch may have begun with it, and hides until it grew.
      do await growAll(house.runtime.node); while (await revokeSeen(house, who, order) > 0);
      const { tree, tool } = await seenTool(house, who, { view, hash });
      return c.json(toolView(tree.state, tool), 200);
    },
  );
}

/** Revokes a version in all trees that somebody sees and that have it; in how many. */
async function revokeSeen(
  house: House,
  who: Principal,
  order: Extract<Order, { kind: "revoke-tool" }>,
): Promise<number> {
  const { store: view } = house.runtime.node.options;
  let count = 0;
  for await (const { tree } of seenTrees(house, who, { view, all: true })) {
    const held = tree.state.tools[order.hash];
    if (held === undefined || held.revoked !== null) continue;
    await house.runtime.order(tree.state.tree, order);
    count += 1;
  }
  return count;
}
