/**
 * Images: what can be started, and making one of what a process has become.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { Pid } from "../../kernel/ids.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { imageShape, imageWishShape } from "../schema/memory.ts";
import { seenProcess } from "../sight.ts";
import { imageView } from "../view/image.ts";
import { body, json, REFUSALS } from "./answer.ts";
import { checkpointOf } from "./checkpoint.ts";

/** Adds them. */
export function imageRoutes(app: Api, house: House): void {
  reading(app, house);
  making(app, house);
}

function reading(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/images",
      summary: "Images that this server can start",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      responses: { 200: json(z.object({ items: z.array(imageShape) }), "Images"), ...REFUSALS },
    }),
    async (c) => {
      const all = await house.images.seen(c.get("who"));
      return c.json({ items: all.map(imageView) }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/images/{image}",
      summary: "One image: by name@version, by hash, or by a name that has one version",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ image: z.string().max(128) }) },
      responses: { 200: json(imageShape, "The image"), ...REFUSALS },
    }),
    async (c) => {
      const found = await house.images.named(c.get("who"), c.req.valid("param").image);
      return c.json(imageView(found), 200);
    },
  );
}

function making(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/images",
      summary: "Make an image of what a process is now: instructions, tools, generated tools",
      description: "It grants nothing, and takes no memory along. The position gets a checkpoint " +
        "of that name. The same image under the same name again is answered with 200; another " +
        "one under a name that is taken is refused. Role: operator.",
      middleware: [need("operator")] as const,
      request: { body: body(imageWishShape) },
      responses: {
        200: json(imageShape, "It had that name already"),
        201: json(imageShape, "The image"),
        ...REFUSALS,
      },
    }),
    async (c) => {
      const who = c.get("who");
      const wish = c.req.valid("json");
      const pid = wish.pid as Pid;
      const { tree } = await seenProcess(house, who, pid);
      const { known, isNew } = await house.images.make({
        ...wish,
        pid,
        who,
        at: new Date(house.clock.now()).toISOString(),
        checkpoint: (name) => checkpointOf(house, tree, { name, by: who.name }),
      });
      c.header("location", `/v1/images/${known.image.ref}`);
      return c.json(imageView(known), isNew ? 201 : 200);
    },
  );
}
