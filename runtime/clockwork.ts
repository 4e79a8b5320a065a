/**
 * Clockwork: wakes a node when something is due, or when another process wrote to its store.
 * @module
 */

import { Panic } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../kernel/world.ts";
import type { Store } from "../kernel/store.ts";
import { KEPT } from "./idle.ts";
import type { Node } from "./node.ts";
import { Redactions } from "./redaction.ts";

const POLL_MS = 200;
/** While trees are about to be given back, and only what runs of them is waited for. */
const PARTING_MS = 20;

/** Drives a node in real time. */
export class Clockwork {
  readonly #node: Node;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #redactions: Redactions;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #wake = new AbortController();
  #dueMs: number | null = null;
  #pumpedMs = 0;
  #beating: Promise<void> | undefined;
  /** Somebody said that there is something to look at. */
  #isTold = false;

  /** Clockwork for a node. */
  constructor(node: Node) {
    this.#node = node;
    this.#store = node.options.store;
    this.#clock = node.options.world.clock;
    this.#redactions = new Redactions(node);
  }

  /** Starts; a second start changes nothing. */
  start(): void {
    if (this.#running !== null) return;
    const { membership } = this.#node;
    if (membership !== null) {
      membership.wake = () => this.#told();
      this.#store.hear?.(membership.facts.id, () => this.#told());
      this.#beating = membership.run(this.#stop.signal);
    }
    this.#running = this.#run();
  }

  #told(): void {
    this.#isTold = true;
    this.#wake.abort();
  }

  /** Stops, and resolves when the last turn is over. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#running, this.#beating]);
    await this.#redactions.stop();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const off = this.#node.listen((_, lines) => {
      if (lines.some(({ type }) => type === "process.waiting")) this.#wake.abort();
    });
    let seen = -1;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const isTold = this.#isTold;
      this.#isTold = false;
      try {
        seen = await this.#turn(isTold ? -1 : seen);
      } catch (error) {
        // The store is busy or in trouble: nothing was done, and the next turn tries again.
        if (error instanceof Panic) throw error;
      }
      const woken = AbortSignal.any([signal, this.#wake.signal]);
      if (!woken.aborted) await this.#clock.sleep(this.#pause(), woken).catch(() => {});
    }
    off();
  }

  async #turn(seen: number): Promise<number> {
    this.#node.leaveIdle({ ...KEPT, quietMs: LIMITS.treeIdleMsMax });
    const version = await this.#store.version();
    await this.#node.renew();
    this.#redactions.look();
    this.#dueMs = await this.#node.nextDueMs();
    const isDue = this.#dueMs !== null && this.#dueMs <= this.#clock.now();
    if (version === seen && !isDue && !this.#isLate()) return version;
    this.#pumpedMs = this.#clock.now();
    await this.#node.pump();
    this.#dueMs = await this.#node.nextDueMs();
    return version;
  }

  /** Whether to look without being told: leases of others run out, and a telling may be lost. */
  #isLate(): boolean {
    return this.#store.isShared === true &&
      Math.abs(this.#clock.now() - this.#pumpedMs) > LIMITS.storeUntoldMsMax;
  }

  /** Until something is due, or until other processes are looked after. */
  #pause(): number {
    if (this.#node.isParting) return PARTING_MS;
    if (this.#dueMs === null) return POLL_MS;
    const untilDue = this.#dueMs - this.#clock.now();
    // What is due still cannot be done by this node: it is no reason to turn in circles.
    return untilDue <= 0 ? POLL_MS : Math.min(POLL_MS, untilDue);
  }
}
