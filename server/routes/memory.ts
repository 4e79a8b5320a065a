/**
 * Object Memory: what objects there are, where they come from, and their content where somebody
 * may look at it, which the log says.
 * @module
 */

import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import { type ObjectId, type Pid, treeOf } from "../../kernel/ids.ts";
import { itemsOf } from "../../kernel/memory.ts";
import type { Item, ObjectRecord, Version } from "../../kernel/state.ts";
import type { Tree } from "../../kernel/tree.ts";
import type { Json, JsonObject } from "../../kernel/json.ts";
import { isMediaKind } from "../../kernel/media.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { isRevealed, revealShape } from "../reveal.ts";
import { pageOfTrees } from "../search.ts";
import { objectPage, objectShape, type ObjectView, versionShape } from "../schema/memory.ts";
import { turnShape } from "../schema/evidence.ts";
import { objectIdShape, pageQuery, pidShape, treeShape } from "../schema/shape.ts";
import { seenProcess, seenTree } from "../sight.ts";
import { itemView, objectView, objectViews, versionView, versionViews } from "../view/memory.ts";
import { json, REFUSALS } from "./answer.ts";
import type { Principal } from "../principal.ts";

const TURNS_MAX = 500;

/** Adds them. */
export function memoryRoutes(app: Api, house: House): void {
  listing(app, house);
  versions(app, house);
  conversation(app, house);
}

/** An object of a tree that somebody may see. Throws `ENOENT`. */
export async function seenObject(
  house: House,
  who: Principal,
  id: ObjectId,
): Promise<{ readonly tree: Tree; readonly object: ObjectRecord }> {
  const tree = await seenTree(house, who, treeOf(id));
  const object = Object.hasOwn(tree.state.objects, id) ? tree.state.objects[id] : undefined;
  if (object === undefined) {
    throw new SysError("ENOENT", `Cannot find object "${id}": absent, expected one of the list`);
  }
  return { tree, object };
}

function listing(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/objects",
      summary: "Objects, without their content",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: {
        query: pageQuery.extend({
          tree: treeShape.optional(),
          pid: pidShape.optional(),
          name: z.string().max(512).optional(),
          type: z.string().max(128).optional(),
          deleted: z.enum(["true", "false"]).default("false"),
        }),
      },
      responses: { 200: json(objectPage, "A page of objects"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, pid, name, type, deleted, ...page } = c.req.valid("query");
      const view = await shownFrom(house, c);
      const found = await pageOfTrees<ObjectView>(house, c.get("who"), {
        view,
        tree: tree ?? (pid === undefined ? undefined : treeOf(pid)),
        all: true,
        page,
        idOf: ({ id }) => id,
        of: (hosted) =>
          objectViews(hosted.tree, pid as Pid | undefined).filter((one) =>
            (deleted === "true" || !one.deleted) &&
            (type === undefined || one.type === type) &&
            (name === undefined || one.name.includes(name))
          ),
      });
      return c.json(found, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/objects/{id}",
      summary: "One object, without its content",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ id: objectIdShape }) },
      responses: { 200: json(objectShape, "The object"), ...REFUSALS },
    }),
    async (c) => {
      const id = c.req.valid("param").id as ObjectId;
      const { tree, object } = await seenObject(house, c.get("who"), id);
      return c.json(objectView(tree.state, object), 200);
    },
  );
}

function versions(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/objects/{id}/versions",
      summary: "What was written into an object, newest last, without content",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ id: objectIdShape }) },
      responses: { 200: json(z.object({ items: z.array(versionShape) }), "Versions"), ...REFUSALS },
    }),
    async (c) => {
      const id = c.req.valid("param").id as ObjectId;
      const { tree, object } = await seenObject(house, c.get("who"), id);
      return c.json({ items: versionViews(tree.state, object).slice(-TURNS_MAX) }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/objects/{id}/versions/{n}",
      summary: "One version; `reveal=true` adds its content",
      description: "Role: viewer; operator to reveal, which the tree's log says.",
      middleware: [need("viewer")] as const,
      request: {
        params: z.object({ id: objectIdShape, n: z.coerce.number().int().min(1) }),
        query: z.object({
          reveal: revealShape,
          media: z.enum(["whole", "facts"]).default("whole").openapi({
            description: "`facts` leaves the `base64` of media out, which is read as content",
          }),
        }),
      },
      responses: { 200: json(versionShape, "The version"), ...REFUSALS },
    }),
    async (c) => {
      const { id, n } = c.req.valid("param");
      const { tree, object } = await seenObject(house, c.get("who"), id as ObjectId);
      const one = writtenAt(object, n);
      const view = "version" in one
        ? versionView(tree.state, object, one)
        : itemView(tree.state, object, { item: one, n });
      const { reveal, media } = c.req.valid("query");
      if (!await isRevealed(c, reveal)) return c.json(view, 200);
      const shown = await revealed(house, tree, {
        ref: one.value,
        what: `${id}@${n}`,
        by: c.get("who").name,
      });
      if (media === "facts" && isMediaKind(object.type) && shown.value !== undefined) {
        const { base64: _, ...facts } = shown.value as JsonObject;
        return c.json({ ...view, ...shown, value: facts }, 200);
      }
      return c.json({ ...view, ...shown }, 200);
    },
  );
}

/** What was written into an object: a version, or the nth item of a list. Throws `ENOENT`. */
export function writtenAt(object: ObjectRecord, n: number): Version | Item {
  const found = object.list
    ? object.items[n - 1]
    : object.versions.find(({ version }) => version === n);
  if (found !== undefined) return found;
  const expected = "expected one of its versions";
  throw new SysError("ENOENT", `Cannot show "${object.id}@${n}": absent, ${expected}`);
}

/** A value, shown to somebody; the log says to whom before it is. */
export async function revealed(house: House, tree: Tree, given: {
  readonly ref: Version["value"];
  readonly what: string;
  readonly by: string;
  /** Whether it is read on and on, and that is one look. */
  readonly isOften?: boolean;
}): Promise<{ readonly revealed: boolean; readonly erased: boolean; readonly value?: Json }> {
  const { ref, what, by, isOften = false } = given;
  await house.reveals[isOften ? "noteOften" : "note"](tree.state.tree, { what, by });
  if ("value" in ref) return { revealed: true, erased: false, value: ref.value };
  try {
    return { revealed: true, erased: false, value: await house.runtime.node.load(tree, ref.hash) };
  } catch (thrown) {
    if (!(thrown instanceof SysError) || thrown.code !== "ENOENT") throw thrown;
    return { revealed: false, erased: true };
  }
}

function conversation(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/processes/{pid}/conversation",
      summary: "What a process and its model said to each other, the latest turns",
      description:
        "It holds what the process read. Role: operator; the tree's log says who looked.",
      middleware: [need("operator")] as const,
      request: { params: z.object({ pid: pidShape }) },
      responses: {
        200: json(z.object({ items: z.array(turnShape), more: z.number() }), "The turns"),
        ...REFUSALS,
      },
    }),
    async (c) => {
      const who = c.get("who");
      const { tree, process } = await seenProcess(house, who, c.req.valid("param").pid as Pid);
      const { object } = tree.resolve(process.pid, "context");
      if (object === undefined || !object.list) return c.json({ items: [], more: 0 }, 200);
      const items = itemsOf(tree.state, object, 0, Infinity);
      const what = `${object.id} (conversation)`;
      await house.reveals.note(tree.state.tree, { what, by: who.name });
      const shown = items.slice(-TURNS_MAX);
      const turns = await Promise.all(shown.map(async ({ seq, value }) => {
        const turn = "value" in value
          ? value.value
          : await house.runtime.node.load(tree, value.hash);
        return turnView(seq, turn);
      }));
      return c.json({ items: turns, more: items.length - shown.length }, 200);
    },
  );
}

function turnView(seq: number, value: Json): z.infer<typeof turnShape> {
  const turn = value as {
    readonly role?: string;
    readonly text?: string;
    readonly output?: Json;
    readonly name?: string;
    readonly calls?: readonly { readonly id: string; readonly name: string; input?: Json }[];
  };
  const role = z.enum(["system", "user", "assistant", "tool"]).catch("user").parse(turn.role);
  const output = turn.output;
  const text = turn.text ??
    (output === undefined ? "" : typeof output === "string" ? output : JSON.stringify(output));
  return {
    seq,
    role,
    text: role === "tool" && turn.name !== undefined ? `${turn.name}: ${text}` : text,
    calls: (turn.calls ?? []).map(({ id, name, input }) => ({ id, name, input: input ?? null })),
  };
}
