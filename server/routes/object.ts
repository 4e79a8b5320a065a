/**
 * Objects that people put into a process's memory.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { Pid } from "../../kernel/ids.ts";
import { treeOf } from "../../kernel/ids.ts";
import { fullName } from "../../kernel/names.ts";
import { existing } from "../../kernel/memory.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { objectShape, putShape } from "../schema/memory.ts";
import { pidShape } from "../schema/shape.ts";
import { seenProcess } from "../sight.ts";
import { objectView } from "../view/memory.ts";
import { body, json, REFUSALS } from "./answer.ts";

/** Adds them. */
export function objectRoutes(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/processes/{pid}/objects",
      summary: "Put a value into a process's memory: a new object, a new version, or a list's item",
      description: "As a write of its own would be: type, limits and budget hold. With `from`, " +
        "only if it is at that version; 0: only if there is none. Role: operator.",
      middleware: [need("operator")] as const,
      request: { params: z.object({ pid: pidShape }), body: body(putShape) },
      responses: { 201: json(objectShape, "The object"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const pid = c.req.valid("param").pid as Pid;
      await seenProcess(house, who, pid);
      const { name, type, value, from } = c.req.valid("json");
      const order = { kind: "put", pid, name, type, value: value ?? null, from } as const;
      await house.runtime.order(treeOf(pid), { ...order, by: who.name });
      const { tree } = await seenProcess(house, who, pid);
      return c.json(
        objectView(tree.state, existing(tree.lookUp(fullName(pid, name)), "show")),
        201,
      );
    },
  );
}
