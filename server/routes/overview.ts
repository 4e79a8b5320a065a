/**
 * The first page's numbers, and series to plot.
 * @module
 */

import type { StoreReads } from "../../kernel/store.ts";
import { shownFrom } from "../shown_from.ts";
import { createRoute, z } from "@hono/zod-openapi";
import { openIntents, residents } from "../../kernel/process.ts";
import type { Api, House } from "../api.ts";
import { need } from "../auth.ts";
import { isConfined, type Principal } from "../principal.ts";
import { overviewShape, type OverviewView, seriesShape } from "../schema/evidence.ts";
import { seenTrees } from "../search.ts";
import { timeText } from "../view/process.ts";
import { json, REFUSALS } from "./answer.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** Adds them. */
export function overviewRoutes(app: Api, house: House): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/overview",
      summary: "How things are",
      description: "Role: viewer.",
      middleware: [need("viewer")] as const,
      responses: { 200: json(overviewShape, "The numbers"), ...REFUSALS },
    }),
    async (c) => c.json(await overviewOf(house, c.get("who"), await shownFrom(house, c)), 200),
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/v1/series",
      summary: "Numbers over time: a day at most",
      description: "Over all trees, so not for a token that sees some labels only. Role: viewer.",
      middleware: [need("viewer")] as const,
      request: {
        query: z.object({
          name: seriesShape.shape.name,
          stepMs: z.coerce.number().int().min(MINUTE_MS).max(DAY_MS).default(10 * MINUTE_MS),
          spanMs: z.coerce.number().int().min(MINUTE_MS).max(DAY_MS).default(DAY_MS),
        }),
      },
      responses: { 200: json(seriesShape, "The series"), ...REFUSALS },
    }),
    (c) => {
      const { name, stepMs, spanMs } = c.req.valid("query");
      const fromMs = Math.floor((house.clock.now() - spanMs) / stepMs) * stepMs;
      if (isConfined(c.get("who"))) {
        return c.json({ name, stepMs, from: timeText(fromMs), rows: [] }, 200);
      }
      return c.json(house.tally.series(name, fromMs, stepMs), 200);
    },
  );
}

async function overviewOf(
  house: House,
  who: Principal,
  view: StoreReads,
): Promise<OverviewView> {
  const found = { running: 0, waiting: 0, requests: 0, failed: 0, inDoubt: 0 };
  const total = { usd: 0, tokens: 0, modelCalls: 0 };
  let oldestMs = Infinity;
  for await (const { tree } of seenTrees(house, who, { view, all: false })) {
    const { requests } = tree.state;
    for (const process of residents(tree.state)) {
      const { state } = process.life;
      if (state === "ready") found.running += 1;
      if (state === "waiting") found.waiting += 1;
      const isFailed = process.life.state === "ended" && process.life.outcome.kind === "failed";
      if (isFailed) found.failed += 1;
      found.inDoubt += openIntents(process).length;
      if (process.parent !== null) continue;
      total.usd += process.spent.usd;
      total.tokens += process.spent.tokens;
      total.modelCalls += process.spent.modelCalls;
    }
    for (const { status, createdMs } of Object.values(requests)) {
      if (status !== "pending") continue;
      found.requests += 1;
      oldestMs = Math.min(oldestMs, createdMs);
    }
  }
  const nowMs = house.clock.now();
  const isAll = !isConfined(who);
  const today = new Date(nowMs).setUTCHours(0, 0, 0, 0);
  return {
    ...found,
    // A tree whose root failed has ended, and is not gone through here.
    failed: isAll ? house.tally.failed(nowMs - DAY_MS) : found.failed,
    oldestRequestAt: oldestMs === Infinity ? null : timeText(oldestMs),
    spent: total,
    spentToday: isAll ? house.tally.spent(today) : { usd: 0, tokens: 0, modelCalls: 0 },
    eventsPerMinute: isAll ? house.feed.count(nowMs - MINUTE_MS) : 0,
    tier: house.runtime.node.options.world.workshop?.sandbox.tier ?? null,
    audit: isAll ? house.audited : null,
  };
}
