/**
 * Values in memory: a bounded cache of blobs by hash, least recently used out first.
 * @module
 */

import type { Json } from "./json.ts";

const VALUES_MAX = 1_024;

/** Values by hash. */
export class ValueCache {
  readonly #values = new Map<string, Json>();

  /** A value, if it is here. */
  get(hash: string): Json | undefined {
    const value = this.#values.get(hash);
    if (value === undefined) return undefined;
    this.#values.delete(hash);
    this.#values.set(hash, value);
    return value;
  }

  /** Keeps a value. */
  set(hash: string, value: Json): void {
    this.#values.delete(hash);
    this.#values.set(hash, value);
    if (this.#values.size <= VALUES_MAX) return;
    const [oldest] = this.#values.keys();
    if (oldest !== undefined) this.#values.delete(oldest);
  }
}
