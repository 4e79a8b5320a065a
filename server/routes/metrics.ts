/**
 * What this node measures, for programs that collect it: the text format of Prometheus.
 *
 * Invariants:
 *   MR1. Nothing tells trees, processes or people apart, and there is no value of an agent in it.
 *   MR2. Sums are of all trees: whoever sees only some is refused.
 * @module
 */

import { viewOf } from "../../kernel/store.ts";
import { createRoute, z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { watchLateness } from "../../providers/resident.ts";
import type { MetricBook } from "../../providers/metric_book.ts";
import type { Api, Env, House } from "../api.ts";
import { need } from "../auth.ts";
import { isConfined } from "../principal.ts";
import { Refusal } from "../problem.ts";
import { REFUSALS } from "./answer.ts";

/** Version 0.0.4 of the format. */
const FORMAT = "text/plain; version=0.0.4; charset=utf-8";

/** Adds the route, which has no place below `/v1`: collectors ask for this one. */
export function metricsRoute(app: Api, house: House, asks: MiddlewareHandler<Env>): void {
  const { watchers, node } = house.runtime;
  const book = watchers.measure(node);
  watch(book, house);
  app.use("/metrics", asks);
  app.openapi(
    createRoute({
      method: "get",
      path: "/metrics",
      summary: "What this node measures, as Prometheus reads it",
      description: "Not for whoever sees some trees only. Role: viewer.",
      middleware: [need("viewer")] as const,
      responses: {
        200: { content: { "text/plain": { schema: z.string() } }, description: "Measurements" },
        ...REFUSALS,
      },
    }),
    async (c) => {
      if (isConfined(c.get("who"))) {
        const sentence = "Cannot show measurements: they are of all trees, and this token sees " +
          "some; expected one without labels";
        throw new Refusal("role_too_low", sentence);
      }
      await watchers.look();
      // How far a replica is behind is known of the moment at which it was asked.
      if (node.options.store.replica?.() != null) await viewOf(node.options.store);
      return c.text(book.text(), 200, { "content-type": FORMAT });
    },
  );
}

/** What the server and its process measure. */
function watch(book: MetricBook, house: House): void {
  const lateness = watchLateness();
  house.stopping.addEventListener("abort", () => lateness.stop(), { once: true });
  const gauge = (name: string, unit: string, about: string, of: () => number): void => {
    const off = book.gauge({ name, unit, about }, (to) => to(of(), {}));
    house.stopping.addEventListener("abort", off, { once: true });
  };
  const { id } = house.runtime.node.options;
  const name = house.runtime.node.membership?.facts.name ?? id;
  const info = { name: "libos.build.info", unit: "", about: "Which node this is, always 1" };
  const off = book.gauge(info, (to) => to(1, { version: house.version, node: name, id }));
  house.stopping.addEventListener("abort", off, { once: true });
  gauge("libos.streams", "{stream}", "Streams that are open", () => house.streams.count);
  gauge("libos.event.loop.lag.max", "s", "Latest turn of the event loop in a minute", () => {
    return lateness.mostMs() / 1_000;
  });
  gauge("process.resident.memory", "By", "Resident memory", () => house.residentBytes());
  gauge("process.start.time", "s", "When the server started, in seconds since 1970", () => {
    return house.startedMs / 1_000;
  });
}
