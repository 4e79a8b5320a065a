/**
 * Evidence: logs, calls and their stories, timelines, effects in doubt.
 * @module
 */

import type { StoreReads } from "../../kernel/store.ts";
import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import type { CallHead, EventMap, Line } from "../../kernel/event.ts";
import { SysError } from "../../kernel/errors.ts";
import { type Pid, type TreeId } from "../../kernel/ids.ts";
import { openIntents } from "../../kernel/process.ts";
import type { Tree } from "../../kernel/tree.ts";
import { placeAt, storyOf } from "../../runtime/call_story.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { linesFrom } from "../lines.ts";
import { cursorOf, toCursor } from "../page.ts";
import { isRevealed, revealShape } from "../reveal.ts";
import { pageOfTrees } from "../search.ts";
import {
  callShape,
  effectPage,
  type EffectView,
  eventPage,
  storyShape,
} from "../schema/evidence.ts";
import { timelineShape } from "../schema/evidence.ts";
import { pageQuery, pidShape, treeShape } from "../schema/shape.ts";
import { seenProcess, seenTree } from "../sight.ts";
import { timelinePage } from "../timeline.ts";
import { eventView } from "../view/event.ts";
import { storyView } from "../view/story.ts";
import { timeText } from "../view/process.ts";
import { json, REFUSALS } from "./answer.ts";

/** Lines that an outcome is looked for in. */
const LINES_MAX = 20_000;

/** Adds them. */
export function evidenceRoutes(app: Api, house: House): void {
  logs(app, house);
  timelines(app, house);
  calls(app, house);
  openEffects(app, house);
}

function logs(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/trees/{tree}/events",
      summary: "Lines of a tree's log, oldest first",
      description: "`reveal=true` adds whole lines, with values. Role: viewer; operator to reveal.",
      middleware: [need("viewer")] as const,
      request: {
        params: z.object({ tree: treeShape }),
        query: pageQuery.extend({
          pid: pidShape.optional(),
          type: z.string().max(64).optional().openapi({ description: "`call`, `process.ended`" }),
          decision: z.enum(["allow", "ask", "deny"]).optional(),
          from: z.coerce.number().int().min(1).default(1),
          reveal: revealShape,
        }),
      },
      responses: { 200: json(eventPage, "A page of lines"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const id = c.req.valid("param").tree as TreeId;
      // What is looked at is what is there before the log says who looks.
      const { seq: to } = (await seenTree(house, who, id)).state;
      const { after, limit, pid, type, decision, from, reveal } = c.req.valid("query");
      const isWhole = await isRevealed(c, reveal);
      if (isWhole) await house.reveals.noteOften(id, { what: "lines", by: who.name });
      const begin = after === undefined ? from : Number(cursorOf(after)) + 1;
      const view = await shownFrom(house, c);
      const items = [];
      let next: string | null = null;
      for await (const line of linesFrom(view, id, begin, to)) {
        if (type !== undefined && !line.type.startsWith(type)) continue;
        const event = eventView(line, isWhole);
        if (pid !== undefined && event.pid !== pid) continue;
        if (decision !== undefined && event.decision !== decision) continue;
        if (items.length >= limit) {
          next = toCursor(String(items.at(-1)!.seq));
          break;
        }
        items.push(event);
      }
      return c.json({ items, next }, 200);
    },
  );
}

function timelines(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/processes/{pid}/timeline",
      summary: "What a process did, as bars in lanes, the latest first",
      description: "A page may be short, or empty, and have a `next`: so many lines are read for " +
        "one. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params: z.object({ pid: pidShape }), query: pageQuery },
      responses: { 200: json(timelineShape, "A page of bars"), ...REFUSALS },
    }),
    async (c) => {
      const pid = c.req.valid("param").pid as Pid;
      const { tree } = await seenProcess(house, c.get("who"), pid);
      const view = await shownFrom(house, c);
      const page = await timelinePage(view, tree.state, { pid, ...c.req.valid("query") });
      return c.json({ ...page }, 200);
    },
  );
}

function calls(app: Api, house: House): void {
  const params = z.object({ tree: treeShape, seq: z.coerce.number().int().min(1) });
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/calls/{tree}/{seq}",
      summary: "A call; `reveal=true` adds its arguments and its result",
      description: "Role: viewer; operator to reveal, which the tree's log says.",
      middleware: [need("viewer")] as const,
      request: { params, query: z.object({ reveal: revealShape }) },
      responses: { 200: json(callShape, "The call"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, seq } = c.req.valid("param");
      const who = c.get("who");
      await seenTree(house, who, tree as TreeId);
      const view = await shownFrom(house, c);
      const call = await callAt(view, tree as TreeId, seq);
      if (!await isRevealed(c, c.req.valid("query").reveal)) {
        return c.json({ ...call, revealed: false, args: null, result: null }, 200);
      }
      await house.reveals.note(tree as TreeId, { what: `call ${call.call}`, by: who.name });
      return c.json(call, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/calls/{tree}/{seq}/story",
      summary: "Why a call was let through or refused, by what, and who said so",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      request: { params },
      responses: { 200: json(storyShape, "The story"), ...REFUSALS },
    }),
    async (c) => {
      const { tree, seq } = c.req.valid("param");
      await seenTree(house, c.get("who"), tree as TreeId);
      const view = await shownFrom(house, c);
      const place = await placeAt(view, tree as TreeId, seq);
      return c.json(storyView(await storyOf(view, tree as TreeId, place), seq), 200);
    },
  );
}

function openEffects(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/effects",
      summary: "Effects whose outcome is not known; `reveal=true` adds their arguments",
      description: "Role: viewer; operator to reveal, which the trees' logs say.",
      middleware: [need("viewer")] as const,
      request: { query: pageQuery.extend({ reveal: revealShape }) },
      responses: { 200: json(effectPage, "A page of effects"), ...REFUSALS },
    }),
    async (c) => {
      const who = c.get("who");
      const { reveal, ...page } = c.req.valid("query");
      const isWhole = await isRevealed(c, reveal);
      const view = await shownFrom(house, c);
      const found = await pageOfTrees<EffectView>(house, who, {
        view,
        all: false,
        page,
        idOf: ({ tree, seq }) => `${tree}.${seq}`,
        of: ({ tree }) => effectsOf(tree, isWhole),
      });
      if (isWhole) {
        for (const tree of new Set(found.items.map(({ tree }) => tree))) {
          await house.reveals.noteOften(tree as TreeId, { what: "open effects", by: who.name });
        }
      }
      return c.json(found, 200);
    },
  );
}

function effectsOf({ state }: Pick<Tree, "state">, isWhole: boolean): EffectView[] {
  return Object.values(state.processes).flatMap((process) =>
    openIntents(process).flatMap((key) => {
      const recorded = process.journal[key];
      if (recorded?.state !== "open") return [];
      const { step, name, args, seq, decision } = recorded.intent;
      const on = process.parked[key];
      return [{
        tree: state.tree,
        seq,
        pid: process.pid,
        call: `${process.pid}#${step}.${key}`,
        name,
        resource: decision.needs[0]?.resource ?? "",
        args: isWhole ? args : null,
        revealed: isWhole,
        request: on !== undefined && "request" in on ? on.request : null,
        at: timeText(state.atMs),
      }];
    })
  );
}

/** A call's line, and its outcome. */
async function callAt(
  view: StoreReads,
  id: TreeId,
  seq: number,
): Promise<z.infer<typeof callShape>> {
  let found: Line | undefined;
  let outcome: { readonly data: EventMap["call.outcome"]; readonly atMs: number } | undefined;
  for await (const line of linesFrom(view, id, seq)) {
    if (line.seq === seq) {
      if (line.type !== "call.done" && line.type !== "call.intent") {
        const state = `a line of "${line.type}", expected one of a call`;
        throw new SysError("ENOENT", `Cannot show call ${seq} of "${id}": ${state}`);
      }
      found = line;
      if (line.type === "call.done") break;
    } else if (line.type === "call.outcome" && found !== undefined) {
      const head = found.data as CallHead;
      const data = line.data as EventMap["call.outcome"];
      if (data.pid !== head.pid || data.step !== head.step || data.key !== head.key) continue;
      outcome = { data, atMs: line.atMs };
      break;
    }
    if (line.seq > seq + LINES_MAX) break;
  }
  if (found === undefined) {
    throw new SysError("ENOENT", `Cannot show call ${seq} of "${id}": absent, expected a line`);
  }
  const head = found.data as EventMap["call.done"] & EventMap["call.intent"];
  const result = outcome?.data.result ?? head.result ?? null;
  return {
    tree: id,
    seq,
    pid: head.pid,
    call: `${head.pid}#${head.step}.${head.key}`,
    name: head.name,
    resource: head.decision.needs[0]?.resource ?? "",
    revealed: true,
    args: head.args,
    result: result === null ? null : result.ok ? result.reply : result.message,
    ok: result?.ok ?? null,
    code: result === null || result.ok ? null : result.code,
    decision: head.decision.effect,
    caps: head.decision.by.flat(),
    rule: head.decision.rule ?? null,
    at: timeText(found.atMs),
    ms: outcome === undefined ? null : outcome.atMs - found.atMs,
  };
}
