/**
 * Chance: the real one, and one that repeats.
 *
 * `SeededRandom` is sfc32 (Chris Doty-Humphrey, PractRand): three words of state and a counter,
 * period at least 2^32. The seed fills two words, the other starts at zero, and twelve rounds are
 * thrown away, as its author says. Bytes are the words in little-endian order; each call starts a
 * new word. It is no secret: for tests only.
 * @module
 */

import { assert } from "../kernel/errors.ts";
import type { Random } from "../kernel/world.ts";

const HOST_BYTES_MAX = 65_536;
const WARM_UP_ROUNDS = 12;

/** The chance of the host, fit for keys. */
export const realRandom: Random = Object.freeze({
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += HOST_BYTES_MAX) {
      crypto.getRandomValues(bytes.subarray(at, Math.min(at + HOST_BYTES_MAX, length)));
    }
    return bytes;
  },
});

/**
 * The same bytes for the same seed, on every host.
 *
 * @example
 * ```ts
 * import { SeededRandom } from "@agent-libos/core/testing";
 * console.assert(new SeededRandom(7).word() === new SeededRandom(7).word());
 * ```
 */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c = 0;
  #counter = 1;

  /** Starts with a whole number; all 53 bits count. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed), `Seed ${seed} is no safe integer, so it may not repeat`);
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    for (let round = 0; round < WARM_UP_ROUNDS; round++) this.word();
  }

  /** `length` bytes. */
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 4) {
      const word = this.word();
      for (let i = 0; i < 4 && at + i < length; i++) bytes[at + i] = word >>> (8 * i);
    }
    return bytes;
  }

  /** A whole number from 0 to 2^32 - 1. */
  word(): number {
    const out = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + out) | 0;
    return out >>> 0;
  }

  /** A whole number from 0 to `n` - 1, each as likely as the others. */
  below(n: number): number {
    assert(Number.isInteger(n) && n > 0 && n <= 2 ** 32, `No number is below ${n}`);
    // Words past the last whole multiple of n would favour small numbers.
    const limit = 2 ** 32 - (2 ** 32 % n);
    let word = this.word();
    while (word >= limit) word = this.word();
    return word % n;
  }
}
