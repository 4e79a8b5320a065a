/**
 * The streams.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import type { Pid } from "../../kernel/ids.ts";
import { need } from "../auth.ts";
import type { Api, House } from "../api.ts";
import { seenProcess } from "../sight.ts";
import { streamEventShape } from "../schema/evidence.ts";
import { pidShape } from "../schema/shape.ts";
import { streamAll, streamProcess } from "../stream.ts";
import { REFUSALS } from "./answer.ts";

const query = z.object({ since: z.string().max(64).optional() });
const answers = {
  200: {
    content: { "text/event-stream": { schema: z.string() } },
    description: "Server-sent events; each `data` is a StreamEvent. `event: reset` says that " +
      "events were missed",
  },
  ...REFUSALS,
};

/** Adds them. */
export function streamRoutes(app: Api, house: House): void {
  app.openAPIRegistry.register("StreamEvent", streamEventShape);
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/events",
      summary: "What happens everywhere, live",
      description: "Goes on after `Last-Event-ID`, or `since`. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { query },
      responses: answers,
    }),
    (c) => {
      const cursor = c.req.header("last-event-id") ?? c.req.valid("query").since;
      return house.streams.open(c, (stream) => streamAll(house, stream, cursor));
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/processes/{pid}/events",
      summary: "What happens to a process, from any line of its tree's log on",
      description: "`id` is the number of the line. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { query, params: z.object({ pid: pidShape }) },
      responses: answers,
    }),
    async (c) => {
      const pid = c.req.valid("param").pid as Pid;
      await seenProcess(house, c.get("who"), pid);
      const said = c.req.header("last-event-id") ?? c.req.valid("query").since ?? "0";
      if (!/^\d{1,15}$/.test(said)) {
        throw new SysError("EINVAL", `Cannot go on after "${said}": expected the number of a line`);
      }
      return house.streams.open(
        c,
        (stream) => streamProcess(house, stream, { pid, after: Number(said) }),
      );
    },
  );
}
