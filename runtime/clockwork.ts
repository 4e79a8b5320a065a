/**
 * Clockwork: wakes a node when something is due, or when another process wrote to its store.
 * @module
 */

import type { Clock } from "../kernel/world.ts";
import type { Store } from "../kernel/store.ts";
import type { Node } from "./node.ts";

const POLL_MS = 200;

/** Drives a node in real time. */
export class Clockwork {
  readonly #node: Node;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;

  /** Clockwork for a node. */
  constructor(node: Node) {
    this.#node = node;
    this.#store = node.options.store;
    this.#clock = node.options.world.clock;
  }

  /** Starts; a second start changes nothing. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Stops, and resolves when the last turn is over. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let seen = -1;
    while (!signal.aborted) {
      const nowMs = this.#clock.now();
      const version = await this.#store.version();
      const dueMs = await this.#node.nextDueMs();
      if (version !== seen || (dueMs !== null && dueMs <= nowMs)) {
        seen = version;
        await this.#node.pump();
      }
      const untilDue = dueMs === null ? POLL_MS : Math.max(1, dueMs - this.#clock.now());
      await this.#clock.sleep(Math.min(POLL_MS, untilDue), signal).catch(() => {});
    }
  }
}
