/**
 * Decided requests: who said what to what, and what became of it.
 * @module
 */

import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { LIMITS } from "../../kernel/limits.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { DecidedBook, keyOf } from "../decided.ts";
import { Held } from "../guard.ts";
import { pageOf } from "../page.ts";
import { decidedPage, type DecidedRequestView, OUTCOMES } from "../schema/decided.ts";
import { REQUEST_KINDS } from "../schema/request.ts";
import { pageQuery, pidShape, treeShape } from "../schema/shape.ts";
import { json, REFUSALS } from "./answer.ts";

const query = pageQuery.extend({
  tree: treeShape.optional(),
  pid: pidShape.optional(),
  by: z.string().max(128).optional(),
  outcome: z.enum(OUTCOMES).optional(),
  kind: z.enum(REQUEST_KINDS).optional(),
  words: z.string().max(200).optional().openapi({
    description: "All of them stand in what was asked, who decided, or what was said with it",
  }),
});
type Query = z.output<typeof query>;

/** Adds them. */
export function decidedRoutes(app: Api, house: House): void {
  const book = new DecidedBook(house);
  const reads = new Held("reads of what was decided", LIMITS.httpLogReadsPerPrincipalMax);
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/decisions",
      summary: "Requests that are over: who decided what, when, and what became of it",
      description: "The latest first, from the logs, which a question reads so far at most: " +
        "`unread` says how many trees are left for the next. Without values. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { query },
      responses: { 200: json(decidedPage, "A page of decisions"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, after, limit, ...wanted } = c.req.valid("query");
      const fits = (one: DecidedRequestView) => isWanted(one, wanted);
      const who = c.get("who");
      const view = await shownFrom(house, c);
      const { items, unread } = await reads.hold(
        who.token,
        () => book.find(who, { view, tree, fits }),
      );
      // Pages go from the latest back: what is decided meanwhile is on none of them.
      const page = pageOf(items, { keyOf: (one) => backwards(keyOf(one)), after, limit });
      return c.json({ ...page, unread }, 200);
    },
  );
}

/** A key that sorts the other way. */
function backwards(key: string): string {
  return key.replace(/\d/g, (digit) => String(9 - Number(digit)));
}

function isWanted(
  one: DecidedRequestView,
  { pid, by, outcome, kind, words }: Omit<Query, "tree" | "after" | "limit">,
): boolean {
  if (pid !== undefined && one.pid !== pid) return false;
  if (by !== undefined && one.by !== by) return false;
  if (outcome !== undefined && one.outcome !== outcome) return false;
  if (kind !== undefined && one.kind !== kind) return false;
  if (words === undefined) return true;
  const { id, what, note, pattern, rule } = one;
  const text = [id, one.pid, what, one.by, note, pattern, rule].join(" ").toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
