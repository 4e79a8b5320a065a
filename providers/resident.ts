/**
 * How much memory and time this program has taken, and how late its turns come.
 * @module
 */

import { monitorEventLoopDelay } from "node:perf_hooks";

/** Resident memory in bytes. */
export function residentBytes(): number {
  return Deno.memoryUsage().rss;
}

/** The most of what was seen in the last so many turns; whoever asks changes nothing. */
export class Peaks {
  readonly #seen: number[];

  /** Of so many turns. */
  constructor(turns: number) {
    this.#seen = Array.from({ length: turns }, () => 0);
  }

  /** A turn is over; this is the most of it. */
  turn(most: number): void {
    this.#seen.shift();
    this.#seen.push(most);
  }

  /** The most of them, and of the turn that is not over. */
  most(now: number): number {
    return Math.max(now, ...this.#seen);
  }
}

/** How late timers of a moment ring. */
export interface Lateness {
  /** In milliseconds: at most in the last minute. */
  mostMs(): number;
  /** Stops looking. */
  stop(): void;
}

const LOOK_MS = 20;
const TURN_MS = 10_000;
const TURNS = 6;

/** Looks how late turns of the event loop come. */
export function watchLateness(): Lateness {
  const times = monitorEventLoopDelay({ resolution: LOOK_MS });
  times.enable();
  const peaks = new Peaks(TURNS);
  const now = (): number => Number.isFinite(times.max) ? Math.max(0, times.max / 1e6) : 0;
  const turning = setInterval(() => {
    peaks.turn(now());
    times.reset();
  }, TURN_MS);
  Deno.unrefTimer(turning);
  return {
    mostMs: () => peaks.most(now()),
    stop: () => {
      clearInterval(turning);
      times.disable();
    },
  };
}
