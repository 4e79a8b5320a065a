/**
 * The recording server: every effect that arrived, and under which key. From a seed it answers
 * late, or not at all.
 * @module
 */

import { realClock } from "../../providers/clock.ts";
import { SeededRandom } from "../../testing.ts";

/** One effect as it arrived: who did it in which step, how often, and under which keys. */
export interface Arrived {
  count: number;
  /** When the first of it came, by a time that nobody sets; null once there is calm. */
  readonly firstMs: number | null;
  readonly keys: Set<string | null>;
}

/** Of a hundred effects, how many are answered late, and how many lose their answer. */
const LATE = 6;
const UNANSWERED = 3;
const LATE_MS = 400;
const UNANSWERED_MS = 3_000;

/** Listens until it is disposed of. */
export class Recorder implements AsyncDisposable {
  /** `/p_1/3/plain` → what arrived. */
  readonly arrived = new Map<string, Arrived>();
  /** Agents are woken before their time from now on. */
  isCalm = false;
  readonly #random: SeededRandom;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #over = new AbortController();

  /** A server whose whims are those of a seed. */
  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#record(request));
  }

  /** `http://127.0.0.1:PORT`. */
  get origin(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async #record(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const firstMs = this.isCalm ? null : performance.now();
    const known = this.arrived.get(pathname) ?? { count: 0, firstMs, keys: new Set() };
    this.arrived.set(pathname, known);
    known.count += 1;
    known.keys.add(request.headers.get("idempotency-key"));
    const whim = this.#random.below(100);
    if (whim < LATE + UNANSWERED) {
      // Without an answer a request runs into its own timeout, or dies with its node.
      const ms = whim < LATE ? LATE_MS : UNANSWERED_MS;
      const signal = AbortSignal.any([request.signal, this.#over.signal]);
      await realClock.sleep(ms, signal).catch(() => {});
    }
    return new Response("done");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#server.shutdown();
  }
}
