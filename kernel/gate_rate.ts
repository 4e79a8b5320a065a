/**
 * One rate of an endpoint, of requests or of tokens: when so much more may be sent.
 *
 * Two things are kept. What the endpoint said is left of its window, less what was sent since; and,
 * where a limit was given beforehand, what was sent in the latest window's length, which is right
 * wherever the endpoint's own window begins.
 *
 * Invariants:
 *   R1. What is left is the least an endpoint said in this window to attempts that were out
 *       together, less all that is out now: whoever heard more was counted before. So it is never
 *       more than there is, if the endpoint speaks the truth and counts nobody else, and exactly
 *       what there is once nothing is out.
 *   R2. In no window's length more is sent than the limit that was given, but for one attempt that
 *       is larger than all of it.
 *   R3. Whoever waits is told a time, or that something which is out has to end first; with nothing
 *       out and no time known, it is sent.
 * @module
 */

import type { Told } from "./gate_head.ts";

// A window is remembered in so many parts, so that memory is bounded whatever is sent in it.
const PARTS = 240;

/** What was sent: how much, where it stands among all, and whether it heard of the rate yet. */
export interface Sent {
  readonly amount: number;
  readonly order: number;
  hasHeard: boolean;
}

/** How a rate stands. */
export interface RateState {
  /** How much there is in a window, where that is known. */
  readonly limit: number | null;
  /** How much of it is left, as far as that is known. */
  readonly left: number | null;
  /** When all of it is there again. */
  readonly resetAtMs: number | null;
}

/** A rate. */
export class Rate {
  readonly #most: number;
  readonly #windowMs: number;
  #parts: { readonly fromMs: number; atMs: number; amount: number }[] = [];
  #inParts = 0;
  #out = 0;
  #limit: number | null = null;
  /** What was said to be left, and until when that is so; 0 where no time was said. */
  #said = Infinity;
  #resetAtMs = 0;
  /** What passed since and heard nothing of it. */
  #unsaid = 0;
  /** The latest that was sent, that was out when `#said` was heard, and when the window began. */
  #sentLast = -1;
  #saidAfter = -1;
  #windowAfter = -1;

  /** One that knows nothing, or a limit that was given. */
  constructor(given: { readonly most?: number | undefined; readonly windowMs: number }) {
    this.#most = given.most ?? Infinity;
    this.#windowMs = given.windowMs;
  }

  /** When `amount` may be sent: 0 for now, Infinity for when something that is out has ended. */
  readyAtMs(amount: number, nowMs: number): number {
    this.#pass(nowMs);
    return Math.max(this.#byGiven(amount), this.#byTold(amount));
  }

  /** `amount` is sent. */
  sent(amount: number, nowMs: number): Sent {
    this.#pass(nowMs);
    this.#out += amount;
    this.#add(amount, nowMs);
    this.#sentLast += 1;
    return { amount, order: this.#sentLast, hasHeard: false };
  }

  /** An attempt hears what is left: before its end, where its answer takes long. */
  heard(sent: Sent, told: Told, nowMs: number): void {
    this.#pass(nowMs);
    if (sent.hasHeard || sent.order <= this.#windowAfter) return;
    sent.hasHeard = true;
    this.#out -= sent.amount;
    const isNewer = sent.order > this.#saidAfter;
    if (!isNewer && told.left >= this.#said) return;
    this.#limit = told.limit ?? this.#limit;
    this.#said = told.left;
    this.#unsaid = 0;
    this.#saidAfter = this.#sentLast;
    if (told.resetInMs !== undefined) this.#resetAtMs = nowMs + told.resetInMs;
  }

  /** An attempt has ended; what it cost in truth, 0 where it failed. */
  ended(sent: Sent, cost: number, nowMs: number): void {
    this.#pass(nowMs);
    if (cost > sent.amount) this.#add(cost - sent.amount, nowMs);
    if (!sent.hasHeard) this.#out -= sent.amount;
    // What was counted when it heard is not counted again.
    this.#unsaid += sent.hasHeard ? Math.max(0, cost - sent.amount) : cost;
  }

  /** How it stands. */
  state(nowMs: number): RateState {
    this.#pass(nowMs);
    const given = this.#most - this.#inParts;
    const left = Math.min(this.#left(), given);
    return {
      limit: this.#limit ?? (Number.isFinite(this.#most) ? this.#most : null),
      left: Number.isFinite(left) ? Math.max(0, left) : null,
      resetAtMs: this.#resetAtMs === 0 ? null : this.#resetAtMs,
    };
  }

  #left(): number {
    return this.#said - this.#out - this.#unsaid;
  }

  #byGiven(amount: number): number {
    let over = this.#inParts + Math.min(amount, this.#most) - this.#most;
    if (over <= 0) return 0;
    for (const part of this.#parts) {
      over -= part.amount;
      if (over <= 0) return part.atMs + this.#windowMs;
    }
    return 0;
  }

  #byTold(amount: number): number {
    // One that is larger than a whole window goes when the window is whole.
    const least = this.#limit === null ? amount : Math.min(amount, this.#limit);
    if (this.#left() >= least) return 0;
    if (this.#resetAtMs > 0) return this.#resetAtMs;
    return this.#out > 0 ? Infinity : 0;
  }

  #pass(nowMs: number): void {
    let gone = 0;
    while (gone < this.#parts.length && this.#parts[gone]!.atMs + this.#windowMs <= nowMs) {
      this.#inParts -= this.#parts[gone++]!.amount;
    }
    if (gone > 0) this.#parts = this.#parts.slice(gone);
    if (this.#resetAtMs === 0 || nowMs < this.#resetAtMs) return;
    this.#resetAtMs = 0;
    this.#said = this.#limit ?? Infinity;
    this.#unsaid = 0;
    this.#windowAfter = this.#saidAfter = this.#sentLast;
  }

  #add(amount: number, nowMs: number): void {
    if (!Number.isFinite(this.#most)) return;
    this.#inParts += amount;
    const last = this.#parts.at(-1);
    if (last !== undefined && nowMs - last.fromMs < this.#windowMs / PARTS) {
      last.amount += amount;
      last.atMs = nowMs;
    } else this.#parts.push({ fromMs: nowMs, atMs: nowMs, amount });
  }
}
