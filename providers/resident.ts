/**
 * How much memory and time this program has taken, and how late its turns come.
 * @module
 */

import { realClock } from "./clock.ts";

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

/**
 * Looks how late turns of the event loop come, by a timer of its own: the histogram of
 * `node:perf_hooks` sees nothing here of a loop that is held up.
 */
export function watchLateness(): Lateness {
  const peaks = new Peaks(TURNS);
  let most = 0;
  let lastMs = realClock.steady!();
  const looking = setInterval(() => {
    const nowMs = realClock.steady!();
    most = Math.max(most, nowMs - lastMs - LOOK_MS);
    lastMs = nowMs;
  }, LOOK_MS);
  const turning = setInterval(() => {
    peaks.turn(most);
    most = 0;
  }, TURN_MS);
  Deno.unrefTimer(looking);
  Deno.unrefTimer(turning);
  return {
    mostMs: () => peaks.most(most),
    stop: () => {
      clearInterval(looking);
      clearInterval(turning);
    },
  };
}
