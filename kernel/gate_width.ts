/**
 * How many attempts are out at once: more by one a round while all goes well, half when too much
 * was out (additive increase, multiplicative decrease).
 *
 * Invariants:
 *   W1. It is at least 1, and at most what was given.
 *   W2. What was sent together narrows it once, however many of it are refused.
 *   W3. It grows only while it is what holds calls back.
 * @module
 */

/** A width. */
export class Width {
  readonly #most: number;
  readonly #slowMs: number;
  #width: number;
  #narrowedAfter = -1;

  /** One that starts at `first` and grows to `most`; slower answers than `slowMs` narrow it. */
  constructor(given: {
    readonly first: number;
    readonly most: number;
    readonly slowMs?: number | undefined;
  }) {
    this.#most = given.most;
    this.#slowMs = given.slowMs ?? Infinity;
    this.#width = Math.min(given.first, given.most);
  }

  /** How many may be out. */
  get now(): number {
    return Math.floor(this.#width);
  }

  /** An attempt passed after `tookMs`, when `out` were out with it; `sentLast` was sent last. */
  passed(order: number, at: { tookMs: number; out: number; sentLast: number }): void {
    if (at.tookMs > this.#slowMs) return this.narrow(order, at.sentLast);
    if (at.out < this.now) return;
    this.#width = Math.min(this.#most, this.#width + 1 / this.#width);
  }

  /** An attempt that was sent as number `order` was too much; `sentLast` was sent last. */
  narrow(order: number, sentLast: number): void {
    if (order <= this.#narrowedAfter) return;
    this.#narrowedAfter = sentLast;
    this.#width = Math.max(1, this.#width / 2);
  }
}
