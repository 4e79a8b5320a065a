/**
 * When a page reads again what it shows: at once after a silence, less often while much happens.
 *
 * Invariants:
 *   R1. One read at a time, and each is waited for: what happens meanwhile is read after it. A read
 *       that was given up for the next one would never be over where answers take long.
 *   R2. Reading takes a fifth of the time at most: what is slow to read is read less often.
 * @module
 */

/** Fewest milliseconds between two reads of the same thing. */
export const PAUSE_MS = 150;
const PAUSE_SHARE = 4;

/** The pace of one thing that is read. */
export class Pace {
  readonly #read: () => void;
  readonly #leastMs: number;
  #atMs = 0;
  #tookMs = 0;
  #isBusy = false;
  #isStale = false;
  #due: ReturnType<typeof setTimeout> | undefined;

  /** Of what `read` reads, with so many milliseconds between two reads at least. */
  constructor(read: () => void, leastMs = PAUSE_MS) {
    this.#read = read;
    this.#leastMs = leastMs;
  }

  /** A read has begun; one before it is not waited for any more. */
  begin(): void {
    this.stop();
    this.#isBusy = true;
    this.#isStale = false;
    this.#atMs = performance.now();
  }

  /** It is over. */
  end(): void {
    this.#isBusy = false;
    this.#tookMs = performance.now() - this.#atMs;
    if (this.#isStale) this.wish();
  }

  /** Something happened: reads again when it is time. */
  wish(): void {
    if (this.#isBusy) {
      this.#isStale = true;
      return;
    }
    const pauseMs = Math.max(this.#leastMs, this.#tookMs * PAUSE_SHARE);
    this.#due ??= setTimeout(() => {
      this.#due = undefined;
      // It begins when the page comes to it, and not once more before that.
      this.#isBusy = true;
      this.#read();
    }, Math.max(0, this.#atMs + pauseMs - performance.now()));
  }

  /** Nobody looks any more. */
  stop(): void {
    clearTimeout(this.#due);
    this.#due = undefined;
  }
}
