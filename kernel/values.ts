/**
 * Values in memory: a cache of blobs by hash, bounded in bytes, least recently used out first.
 * @module
 */

import type { Json } from "./json.ts";
import { LIMITS } from "./limits.ts";

interface Kept {
  readonly value: Json;
  readonly bytes: number;
}

/** Values by hash. */
export class ValueCache {
  readonly #values = new Map<string, Kept>();
  #bytes = 0;

  /** Bytes of all values here, as text. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A value, if it is here. */
  get(hash: string): Json | undefined {
    const kept = this.#values.get(hash);
    if (kept === undefined) return undefined;
    this.#values.delete(hash);
    this.#values.set(hash, kept);
    return kept.value;
  }

  /** Keeps a value whose text has `bytes`; those that were not asked for the longest make room. */
  set(hash: string, value: Json, bytes: number): void {
    this.#drop(hash);
    this.#values.set(hash, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#values.keys()) {
      if (this.#bytes <= LIMITS.valuesInMemoryBytesMax || oldest === hash) break;
      this.#drop(oldest);
    }
  }

  #drop(hash: string): void {
    const kept = this.#values.get(hash);
    if (kept === undefined) return;
    this.#values.delete(hash);
    this.#bytes -= kept.bytes;
  }
}
