/**
 * The time of nodes that share a store: the store's own, which each of them hears at its beats, and
 * counts on by a time that nobody sets. So a node whose clock is wrong, or jumps, ends no wait
 * early or late, and writes no time that others have not reached.
 *
 * Invariants:
 *   FC1. After each answer its time is one that the store's may be: between what the answer says,
 *        and that with all the time which the answer took.
 *   FC2. Nothing but answers of the store and time that passes moves it.
 * @module
 */

import type { Clock } from "../kernel/world.ts";

/** A clock which goes by a store's time. */
export class FleetClock implements Clock {
  /** The machine's own. */
  readonly own: Clock;
  readonly #steady: () => number;
  /** The store's time less the steady one; null until it is heard. */
  #aheadMs: number | null = null;

  private constructor(own: Clock, steady: () => number) {
    this.own = own;
    this.#steady = steady;
  }

  /** Over a machine's clock; that clock itself where it has no steady time. */
  static over(own: Clock): Clock {
    return own.steady === undefined ? own : new FleetClock(own, () => own.steady!());
  }

  /** The store's time, as far as it is known. */
  now(): number {
    return this.#aheadMs === null ? this.own.now() : Math.floor(this.#aheadMs + this.#steady());
  }

  /** Time that nobody sets. */
  steady(): number {
    return this.#steady();
  }

  /** Sleeps as the machine does. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.own.sleep(ms, signal);
  }

  /** Runs a job soon. */
  soon(job: () => void): void {
    this.own.soon(job);
  }

  /** Hears the store's time by asking. */
  async hear<T>(asked: () => Promise<T>, nowOf: (answer: T) => number | undefined): Promise<T> {
    const sentMs = this.#steady();
    const answer = await asked();
    const nowMs = nowOf(answer);
    if (nowMs === undefined) return answer;
    const [least, most] = [nowMs - this.#steady(), nowMs - sentMs];
    const guess = this.#aheadMs ?? (least + most) / 2;
    this.#aheadMs = Math.min(Math.max(guess, least), most);
    return answer;
  }
}
