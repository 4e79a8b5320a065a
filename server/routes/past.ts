/**
 * What the past of a tree tells: its effects, the rules that nothing needed, the least that would
 * have been enough, and what another policy would have made of it.
 *
 * Each reads a whole log, in pieces between which others have their turn, and so many at once for
 * each token.
 * @module
 */

import type { StoreReads } from "../../kernel/store.ts";
import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { type Pid, type TreeId, treeNumber } from "../../kernel/ids.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { effectsOfTree } from "../../runtime/effects.ts";
import { readLines } from "../../runtime/load.ts";
import { atPace, paceOf } from "../../runtime/pace.ts";
import { unusedRules } from "../../runtime/unused_rules.ts";
import { leastFor, whatIfOf } from "../../runtime/what_if.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { Held } from "../guard.ts";
import { pageOf, sortable } from "../page.ts";
import { leastShape, otherwiseShape, policyTrialShape, unusedShape } from "../schema/authority.ts";
import { sentShape } from "../schema/evidence.ts";
import { pageQuery, pageShape, pidShape, treeShape } from "../schema/shape.ts";
import { seenProcess, seenTree } from "../sight.ts";
import { sentView } from "../view/event.ts";
import { body, json, REFUSALS } from "./answer.ts";

/** Lines that are read between two turns of the event loop. */
const LINES_A_TURN = 256;

/** Adds them. */
export function pastRoutes(app: Api, house: House): void {
  const reads = new Held("reads of whole logs", LIMITS.httpLogReadsPerPrincipalMax);
  effects(app, house, reads);
  unused(app, house, reads);
  least(app, house, reads);
  tested(app, house, reads);
}

function effects(app: Api, house: House, reads: Held): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees/{tree}/effects",
      summary: "What was done outside, and how it came out, in order of line",
      description: "With `pid`, what that process and those below it did; `open`: what nobody " +
        "knows the end of. Arguments are those of the call (`/v1/calls`). Role: viewer.",
      middleware: [need("viewer")] as const,
      request: {
        params: z.object({ tree: treeShape }),
        query: pageQuery.extend({
          pid: pidShape.optional(),
          open: z.enum(["true", "false"]).default("false"),
        }),
      },
      responses: { 200: json(pageShape(sentShape, "SentEffectPage"), "A page"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const tree = c.req.valid("param").tree as TreeId;
      const { pid, open, ...page } = c.req.valid("query");
      await seenTree(house, who, tree);
      if (pid !== undefined) await seenProcess(house, who, pid as Pid);
      const top = pid === undefined || pid === `p_${treeNumber(tree)}` ? null : pid as Pid;
      const view = await shownFrom(house, c);
      const pace = paceOf(house.clock, LINES_A_TURN);
      const rows = await reads.hold(who.token, () => effectsOfTree(view, tree, top, pace));
      const items = rows.filter(({ state }) => open === "false" || state === "in doubt")
        .map(sentView);
      return c.json(pageOf(items, { ...page, keyOf: ({ seq }) => sortable(String(seq)) }), 200);
    },
  );
}

function unused(app: Api, house: House, reads: Held): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees/{tree}/policy/unused",
      summary: "Rules of a tree's policy that decided no call so far",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ tree: treeShape }) },
      responses: { 200: json(unusedShape, "The rules"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { policy, state } = await seenTree(house, who, c.req.valid("param").tree as TreeId);
      const lines = linesOf(house, await shownFrom(house, c), state.tree);
      const items = await reads.hold(who.token, () => unusedRules(policy, lines));
      return c.json({ tree: state.tree, items }, 200);
    },
  );
}

function least(app: Api, house: House, reads: Held): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/processes/{pid}/least-authority",
      summary: "The least that would have let a process, and all below it, do what it did",
      description: "What was refused needs nothing. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ pid: pidShape }) },
      responses: { 200: json(leastShape, "Rules"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { pid } = c.req.valid("param");
      const { tree: { state }, process } = await seenProcess(house, who, pid as Pid);
      const { name, version } = state.images[process.image]!;
      const { context } = house.runtime.node.options;
      const lines = linesOf(house, await shownFrom(house, c), state.tree);
      const found = await reads.hold(
        who.token,
        () => leastFor(lines, process.pid, context),
      );
      const items = found.map((one) => ({ ...one, lines: [...one.lines] }));
      return c.json({ pid, image: `${name}@${version}`, items }, 200);
    },
  );
}

function tested(app: Api, house: House, reads: Held): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/v1/processes/{pid}/policy/test",
      summary: "What a policy would have refused or asked of a process, and all below it",
      description: "Nothing is changed. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ pid: pidShape }), body: body(policyTrialShape) },
      responses: { 200: json(otherwiseShape, "The calls"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { pid } = c.req.valid("param");
      const { tree: { state }, process } = await seenProcess(house, who, pid as Pid);
      const { text, until } = c.req.valid("json");
      const { context } = house.runtime.node.options;
      const of = { pid: process.pid, until };
      const view = await shownFrom(house, c);
      const found = await reads.hold(
        who.token,
        () => whatIfOf(linesOf(house, view, state.tree), of, { text, context }),
      );
      return c.json({ items: [...found] }, 200);
    },
  );
}

function linesOf(house: House, view: StoreReads, tree: TreeId) {
  return atPace(readLines(view, tree), paceOf(house.clock, LINES_A_TURN));
}
