/**
 * The breaker of a gate: when most attempts fail, nothing is sent for a while, and then one alone.
 *
 * Invariants:
 *   B1. Its life is the table below, and only an attempt that was sent in the present state counts:
 *       what comes back late from before it opened neither closes it nor opens it again.
 *   B2. While it tries, one attempt is out; one that is given up makes room for another.
 *   B3. It is open for a bounded time, which doubles while what it tries fails.
 * @module
 */

import { LIMITS } from "./limits.ts";

/** What becomes of a breaker: an attempt passed or failed, too many did, its time is over. */
export const BREAKER = {
  closed: { pass: "closed", fail: "closed", trip: "open", cool: "closed" },
  open: { pass: "open", fail: "open", trip: "open", cool: "trying" },
  trying: { pass: "closed", fail: "open", trip: "open", cool: "trying" },
} as const satisfies Readonly<Record<BreakerState, Readonly<Record<string, BreakerState>>>>;

/** A state of a breaker. */
export type BreakerState = "closed" | "open" | "trying";
/** What happens to one. */
export type BreakerEvent = keyof (typeof BREAKER)["closed"];

/** When a breaker opens, and for how long. */
export interface BreakerOptions {
  /** How many of the latest attempts are looked at; 20 by default. */
  readonly attempts?: number;
  /** Which part of them has to fail for it to open; 0.5 by default. */
  readonly threshold?: number;
  /** For how long it is open at first; 10 s by default. */
  readonly coolMs?: number;
}

/** A breaker. */
export class Breaker {
  readonly #attempts: number;
  readonly #threshold: number;
  readonly #coolMs: number;
  #state: BreakerState = "closed";
  /** Counts its states, so that an attempt knows whether its own is over (B1). */
  #era = 0;
  #latest: boolean[] = [];
  #openings = 0;
  #untilMs = 0;
  /** Whether the one attempt is out (B2). */
  #isTrying = false;

  /** A closed one. */
  constructor(options: BreakerOptions = {}) {
    this.#attempts = options.attempts ?? 20;
    this.#threshold = options.threshold ?? 0.5;
    this.#coolMs = options.coolMs ?? 10_000;
  }

  /** How it is. */
  get state(): BreakerState {
    return this.#state;
  }

  /** Until when nothing is sent: 0 when something may be, Infinity until what is out has ended. */
  untilMs(nowMs: number): number {
    if (this.#state === "open" && nowMs >= this.#untilMs) this.#become("cool", nowMs);
    if (this.#state === "open") return this.#untilMs;
    return this.#isTrying ? Infinity : 0;
  }

  /** An attempt is sent; what it says with its end. */
  sent(): number {
    this.#isTrying = this.#state === "trying";
    return this.#era;
  }

  /** An attempt was given up, and says nothing of the endpoint. */
  gaveUp(era: number): void {
    if (era === this.#era) this.#isTrying = false;
  }

  /** An attempt has ended; a failure may say for how long to stay away. */
  ended(passed: boolean, at: { readonly era: number; readonly nowMs: number }, awayMs = 0): void {
    if (at.era !== this.#era) return;
    this.#latest = [...this.#latest, passed].slice(-this.#attempts);
    const failed = this.#latest.filter((one) => !one).length;
    const trips = this.#state === "closed" && this.#latest.length >= this.#attempts &&
      failed / this.#latest.length >= this.#threshold;
    this.#become(trips ? "trip" : passed ? "pass" : "fail", at.nowMs, awayMs);
  }

  #become(event: BreakerEvent, nowMs: number, awayMs = 0): void {
    const next = BREAKER[this.#state][event];
    if (next === this.#state) return;
    this.#state = next;
    this.#era += 1;
    this.#isTrying = false;
    if (next === "closed") [this.#latest, this.#openings] = [[], 0];
    if (next !== "open") return;
    const coolMs = Math.min(this.#coolMs * 2 ** this.#openings, LIMITS.gateCoolMsMax);
    this.#untilMs = nowMs + Math.max(coolMs, awayMs);
    this.#openings = Math.min(this.#openings + 1, 16);
  }
}
