/**
 * The audit: checking every chain, and taking logs away to be checked elsewhere.
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { SysError } from "../../kernel/errors.ts";
import type { TreeId } from "../../kernel/ids.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Checked } from "../../runtime/auditing.ts";
import type { Api, House } from "../api.ts";
import { isStillIn, need } from "../auth.ts";
import { Held, Rate } from "../guard.ts";
import { isConfined } from "../principal.ts";
import { checkedListShape, verifiedShape } from "../schema/evidence.ts";
import { treeShape } from "../schema/shape.ts";
import { seenTree } from "../sight.ts";
import { checkedView } from "../view/event.ts";
import { timeText } from "../view/process.ts";
import { json, jsonLines, LINES, linesBody, REFUSALS } from "./answer.ts";

/** Adds them. */
export function auditRoutes(app: Api, house: House): void {
  checks(app, house);
  exports(app, house);
}

/** Checks all trees, or one, for a token, when it may. */
type Check = (token: string, tree?: TreeId) => Promise<readonly Checked[]>;

function checks(app: Api, house: House): void {
  const perMinute = LIMITS.auditChecksPerMinute;
  const rate = new Rate(house.clock, perMinute / 60, perMinute);
  const own = new Held("checks of all trees by one token", 1);
  const all = new Held("checks of all trees", LIMITS.auditChecksAtOnceMax);
  const check: Check = (token, tree) =>
    own.hold(token, () => {
      rate.take(token);
      return all.hold("", () => house.runtime.verify(tree === undefined ? {} : { tree }));
    });
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/audit/verify",
      summary: "Check every chain, that state is what the log says, the seals and the anchor",
      description: "It reads all there is: one at a time for each token, and so many a minute; " +
        "more are refused with 429 and Retry-After. Role: viewer.",
      middleware: [need("viewer")] as const,
      responses: { 200: json(verifiedShape, "What was found"), ...REFUSALS },
    }),
    async (c) => {
      if (isConfined(c.get("who"))) {
        throw new SysError("EACCES", "Cannot check all trees: the token sees some labels only");
      }
      const checked = await check(c.get("who").token);
      const broken = checked.flatMap(({ tree, broken }) =>
        broken === null ? [] : [{ tree: tree ?? "t_0", seq: null, why: broken }]
      );
      const trees = checked.filter(({ tree }) => tree !== null);
      const ok = broken.length === 0;
      const lines = trees.reduce((sum, { lines }) => sum + lines, 0);
      house.audited = { ok, checkedAt: timeText(house.clock.now()), lines };
      const views = checked.map(checkedView);
      return c.json(
        { ok, trees: trees.length, lines, sealed: null, broken, checked: views },
        200,
      );
    },
  );
  oneCheck(app, house, check);
}

function oneCheck(app: Api, house: House, check: Check): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/trees/{tree}/verify",
      summary: "Check one tree's chain, that its state is what the log says, and the seals",
      description: "So many a minute, as of checks of all trees. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ tree: treeShape }) },
      responses: { 200: json(checkedListShape, "What was found"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { state: { tree } } = await seenTree(
        house,
        who,
        c.req.valid("param").tree as TreeId,
      );
      const found = await check(who.token, tree);
      // Seals are of all trees.
      const shown = isConfined(who) ? found.filter((one) => one.tree === tree) : found;
      return c.json({ items: shown.map(checkedView) }, 200);
    },
  );
}

function exports(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/audit",
      summary: "The log of a tree, or of all, as lines of JSON to be checked elsewhere",
      description:
        "With its blobs and proofs, as `libos verify` reads it. Role: operator; of one " +
        "tree, which its log says.",
      middleware: [need("operator")] as const,
      request: { query: z.object({ tree: treeShape.optional() }) },
      responses: {
        200: jsonLines("A record a line"),
        ...REFUSALS,
      },
    }),
    async (c) => {
      const id = c.req.valid("query").tree as TreeId | undefined;
      const who = c.get("who");
      if (id !== undefined) await seenTree(house, who, id);
      else if (isConfined(who)) {
        throw new SysError("EACCES", "Cannot export all trees: the token sees some labels only");
      }
      const headers = { "content-type": LINES };
      if (c.req.method === "HEAD") return new Response(null, { headers });
      const records = house.runtime.exportAudit(id === undefined ? {} : { tree: id });
      return new Response(
        await linesBody(records, {
          begin: async () => {
            // Of all trees, a line in each of their logs would wake every one of them.
            if (id !== undefined) {
              await house.reveals.noteOften(id, { what: "the log", by: who.name });
            }
          },
          mayGoOn: () => isStillIn(c, house),
        }),
        { headers },
      );
    },
  );
}
