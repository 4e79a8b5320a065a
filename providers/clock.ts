/**
 * Time: the real one, and one that stands still until it is told to go on.
 *
 * Invariants:
 *   T1. A sleep never ends early, and an aborted one ends at once and leaves no timer.
 *   T2. `soon` keeps the order of its jobs, and runs each after all microtasks that are ready.
 *   T3. In virtual time sleepers wake in the order in which they are due, ties in the order in
 *       which they fell asleep, and all that one woke has settled before the next wakes.
 * @module
 */

import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import { assert } from "../kernel/errors.ts";
import type { Clock } from "../kernel/world.ts";

// What a timer of the host can hold; a longer one would ring at once.
const TIMER_MS_MAX = 2 ** 31 - 1;
const SETTLE_TURNS_MAX = 100_000;

/** The clock of the host. */
export const realClock: Clock = Object.freeze({
  now: () => Date.now(),
  steady: () => performance.now(),
  sleep: realSleep,
  soon: (job: () => void) => void setImmediate(job),
});

interface Sleeper {
  readonly dueMs: number;
  /** Breaks ties. */
  readonly order: number;
  readonly wake: () => void;
}

/**
 * A clock for tests. Jobs of `soon` run by themselves, one a turn; sleepers wake only by
 * `advance` and `advanceToNext`. What waits for the real world (a file, a socket) is not seen as
 * unsettled.
 *
 * @example
 * ```ts
 * import { VirtualClock } from "@agent-libos/core/testing";
 * const clock = new VirtualClock();
 * const week = clock.sleep(7 * 86_400_000);
 * await clock.advanceToNext();
 * await week;
 * console.assert(clock.now() === 7 * 86_400_000);
 * ```
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #order = 0;
  #jobs: (() => void)[] = [];
  #isDraining = false;
  readonly #sleepers = new Set<Sleeper>();

  /** Starts at `startMs`. */
  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  /** Where time stands. */
  now(): number {
    return this.#nowMs;
  }

  /** Sleeps until time was advanced far enough. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stop = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        dueMs: this.#nowMs + Math.max(0, ms),
        order: this.#order++,
        wake: () => {
          signal?.removeEventListener("abort", stop);
          this.#sleepers.delete(sleeper);
          resolve();
        },
      };
      signal?.addEventListener("abort", stop, { once: true });
      if (ms > 0) this.#sleepers.add(sleeper);
      else this.soon(() => !signal?.aborted && sleeper.wake());
    });
  }

  /** Runs `job` when all that is ready now has run. */
  soon(job: () => void): void {
    this.#jobs.push(job);
    this.#drain();
  }

  /** How many sleep. */
  pending(): number {
    return this.#sleepers.size;
  }

  /** Lets `ms` pass, and wakes all who are due by then, also those who fall asleep meanwhile. */
  async advance(ms: number): Promise<void> {
    assert(ms >= 0, "Virtual time went backwards");
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (let next = this.#next(); next && next.dueMs <= untilMs; next = this.#next()) {
      await this.#wake(next);
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Goes to when the next sleeper is due, and wakes that one; false when none sleeps. */
  async advanceToNext(): Promise<boolean> {
    await this.settle();
    const next = this.#next();
    if (next === undefined) return false;
    await this.#wake(next);
    return true;
  }

  /** Resolves when no job of `soon` is left and all microtasks have run. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < SETTLE_TURNS_MAX; turns++) {
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (this.#jobs.length === 0 && !this.#isDraining) return;
    }
    assert(false, "Jobs called for more jobs without end");
  }

  #next(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      const isEarlier = first === undefined || sleeper.dueMs < first.dueMs ||
        (sleeper.dueMs === first.dueMs && sleeper.order < first.order);
      if (isEarlier) first = sleeper;
    }
    return first;
  }

  async #wake(sleeper: Sleeper): Promise<void> {
    this.#nowMs = Math.max(this.#nowMs, sleeper.dueMs);
    sleeper.wake();
    await this.settle();
  }

  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    setImmediate(() => {
      this.#isDraining = false;
      const job = this.#jobs.shift();
      if (this.#jobs.length > 0) this.#drain();
      job?.();
    });
  }
}

function realSleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let leftMs = Math.max(0, ms);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const go = () => {
      const partMs = Math.min(leftMs, TIMER_MS_MAX);
      timer = setTimeout(() => {
        leftMs -= partMs;
        if (leftMs > 0) return go();
        signal?.removeEventListener("abort", stop);
        resolve();
      }, partMs);
    };
    signal?.addEventListener("abort", stop, { once: true });
    go();
  });
}
