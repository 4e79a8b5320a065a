/**
 * How much memory and time this program has taken, and how late its turns come.
 * @module
 */

import { monitorEventLoopDelay } from "node:perf_hooks";

/** Resident memory in bytes. */
export function residentBytes(): number {
  return Deno.memoryUsage().rss;
}

/** How late timers of a moment ring. */
export interface Lateness {
  /** In milliseconds: at most, and in the middle, since it was asked the last time. */
  take(): { readonly mostMs: number; readonly meanMs: number };
  /** Stops looking. */
  stop(): void;
}

const LOOK_MS = 20;

/** Looks how late turns of the event loop come. */
export function watchLateness(): Lateness {
  const times = monitorEventLoopDelay({ resolution: LOOK_MS });
  times.enable();
  return {
    take: () => {
      const [mostMs, meanMs] = [times.max, times.mean].map((ns) => {
        return Number.isFinite(ns) ? Math.max(0, ns / 1e6) : 0;
      }) as [number, number];
      times.reset();
      return { mostMs, meanMs };
    },
    stop: () => void times.disable(),
  };
}
