/**
 * The tally: what was spent, called and refused, by the minute, since the server started and for
 * the day before as far as the logs of live trees tell it cheaply.
 *
 * Invariants:
 *   T1. A day is kept, a row a key, and the fewest keys are dropped when there are too many.
 *   T2. Reading the past lets others have their turn, and ends with the server.
 * @module
 */

import { viewOf } from "../kernel/store.ts";
import type { CallHead, EventMap, Line } from "../kernel/event.ts";
import type { Clock } from "../kernel/world.ts";
import type { Node } from "../runtime/node.ts";
import { paceOf } from "../runtime/pace.ts";
import { linesFrom } from "./lines.ts";
import type { SeriesView } from "./schema/evidence.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const MINUTES = DAY_MS / MINUTE_MS;
const KEYS_MAX = 64;
const FAILURES_MAX = 1_000;
const PAST_TREES_MAX = 200;
const PAST_LINES_MAX = 2_000;
/** Lines that are read between two turns of the event loop. */
const LINES_A_TURN = 256;

/** What can be plotted. */
export type SeriesName = SeriesView["name"];

/** What was spent. */
export interface Spent {
  usd: number;
  tokens: number;
  modelCalls: number;
}

/** Counts by the minute. */
export class Tally {
  readonly #clock: Clock;
  readonly #series = new Map<SeriesName, Map<string, Map<number, number>>>();
  readonly #asked = new Map<string, number>();
  /** When processes failed; the latest. */
  #failures: number[] = [];
  readonly #off: () => void;

  /** Counts what becomes durable from now on. */
  constructor(node: Node, clock: Clock) {
    this.#clock = clock;
    this.#off = node.listen((_, lines) => {
      for (const line of lines) this.#hear(line);
    });
  }

  /** Counts what the logs of live trees say of the last day, the latest lines of each. */
  async readPast(node: Node, stopping: AbortSignal): Promise<void> {
    const view = await viewOf(node.options.store);
    const heads = await view.list({ live: true, limit: PAST_TREES_MAX });
    const sinceMs = this.#clock.now() - DAY_MS;
    const pace = paceOf(this.#clock, LINES_A_TURN);
    for (const { tree, seq } of heads) {
      for await (const line of linesFrom(view, tree, Math.max(1, seq - PAST_LINES_MAX))) {
        await pace();
        if (stopping.aborted) return;
        if (line.seq > seq) break;
        if (line.atMs >= sinceMs) this.#hear(line);
      }
    }
  }

  /** What was spent since a time. */
  spent(sinceMs: number): Spent {
    const sum = (name: SeriesName, key = ""): number => {
      let total = 0;
      for (const [minute, value] of this.#series.get(name)?.get(key) ?? []) {
        if (minute * MINUTE_MS >= sinceMs - MINUTE_MS) total += value;
      }
      return total;
    };
    return { usd: sum("usd"), tokens: sum("tokens"), modelCalls: sum("calls", "model.generate") };
  }

  /** How many processes failed since a time. */
  failed(sinceMs: number): number {
    return this.#failures.filter((atMs) => atMs >= sinceMs).length;
  }

  /** Points of a series. */
  series(name: SeriesName, fromMs: number, stepMs: number): SeriesView {
    const nowMs = this.#clock.now();
    const count = Math.max(1, Math.ceil((nowMs - fromMs) / stepMs));
    const rows = [...this.#series.get(name) ?? []].map(([key, minutes]) => {
      const points = new Array<number>(count).fill(0);
      for (const [minute, value] of minutes) {
        const at = Math.floor((minute * MINUTE_MS - fromMs) / stepMs);
        if (at >= 0 && at < count) points[at]! += value;
      }
      return { key, points };
    });
    return { name, stepMs, from: new Date(fromMs).toISOString(), rows };
  }

  /** Stops counting. */
  close(): void {
    this.#off();
  }

  #hear(line: Line): void {
    const { atMs } = line;
    switch (line.type) {
      case "call.done":
      case "call.intent": {
        const { name, decision } = line.data as CallHead;
        this.#add("calls", name, atMs, 1);
        if (decision.effect === "deny") {
          this.#add("denials", decision.needs[0]?.right ?? name, atMs, 1);
        }
        this.#spend(line);
        return;
      }
      case "call.outcome":
        return this.#spend(line);
      case "process.ended":
        if ((line.data as EventMap["process.ended"]).outcome.kind !== "failed") return;
        this.#failures = [...this.#failures.slice(1 - FAILURES_MAX), atMs];
        return;
      case "human.asked":
        this.#asked.set((line.data as EventMap["human.asked"]).id, atMs);
        return;
      case "human.answered":
      case "human.expired": {
        const { id } = line.data as EventMap["human.expired"];
        const since = this.#asked.get(id);
        this.#asked.delete(id);
        if (since !== undefined) this.#add("personWaitMs", "", atMs, atMs - since);
      }
    }
  }

  #spend({ data, atMs }: Line): void {
    const { spent } = data as EventMap["call.outcome"];
    if (spent?.usd) this.#add("usd", "", atMs, spent.usd);
    if (spent?.tokens) this.#add("tokens", "", atMs, spent.tokens);
  }

  #add(name: SeriesName, key: string, atMs: number, value: number): void {
    const rows = this.#series.get(name) ?? new Map<string, Map<number, number>>();
    this.#series.set(name, rows);
    const place = rows.has(key) || rows.size < KEYS_MAX ? key : "other";
    const minutes = rows.get(place) ?? new Map<number, number>();
    rows.set(place, minutes);
    const minute = Math.floor(atMs / MINUTE_MS);
    minutes.set(minute, (minutes.get(minute) ?? 0) + value);
    while (minutes.size > MINUTES) minutes.delete(minutes.keys().next().value!);
  }
}
