/**
 * What is measured: counts, durations, and how things are now.
 * @module
 */

import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Record, SignalAttributes, Signals } from "../providers/telemetry.ts";
import type { Node } from "./node.ts";
import { type CallRecord, modelAttributes } from "./telemetry_calls.ts";

/** As the conventions for model calls advise. */
const SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 81.92];
const TOKENS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576];
/** A person takes minutes, hours, days. */
const WAITS = [1, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400, 604_800];

/** The measurements of a node. */
export class Meters {
  readonly syscall: Record;
  readonly approvalWait: Record;
  readonly sandboxStart: Record;
  readonly ended: Record;
  readonly #tokens: Record;
  readonly #durations: Record;
  readonly #node: Node;
  readonly #offs: readonly (() => void)[];
  #pending = 0;
  #isCounting = false;
  #isStale = false;

  /** Measures from now on. */
  constructor(signals: Signals, node: Node, seals: { lagMs(): number } | null) {
    const counter = (name: string, unit: string, about: string): Record =>
      signals.counter({ name, unit, about });
    const histogram = (
      name: string,
      [unit, bounds]: readonly [string, readonly number[]],
      about: string,
    ): Record => signals.histogram({ name, unit, about, bounds });
    this.#node = node;
    this.syscall = counter("libos.syscalls", "{call}", "Calls that were decided");
    this.ended = counter("libos.processes.ended", "{process}", "Processes that ended");
    this.#tokens = histogram("gen_ai.client.token.usage", ["{token}", TOKENS], "Tokens of a call");
    this.#durations = histogram(
      "gen_ai.client.operation.duration",
      ["s", SECONDS],
      "How long a model took",
    );
    this.approvalWait = histogram("libos.approval.wait", ["s", WAITS], "How long a person took");
    this.sandboxStart = histogram("libos.sandbox.start", ["s", SECONDS], "How long a cage took");
    this.#offs = this.#gauges(signals, seals);
    this.people();
  }

  #gauges(signals: Signals, seals: { lagMs(): number } | null): (() => void)[] {
    const gauge = (name: string, unit: string, about: string) => (observe: (to: Record) => void) =>
      signals.gauge({ name, unit, about }, observe);
    return [
      gauge("libos.processes", "{process}", "Processes of the trees in memory")((to) => {
        for (const [state, count] of this.#lives()) to(count, { "libos.state": state });
      }),
      gauge("libos.approvals.pending", "{request}", "Requests that wait for a person")((to) =>
        to(this.#pending, {})
      ),
      ...seals === null ? [] : [
        gauge("libos.audit.lag", "s", "Age of the oldest line that is not sealed")((to) =>
          to(seals.lagMs() / 1_000, {})
        ),
      ],
    ];
  }

  #lives(): Map<string, number> {
    const counts = new Map([["ready", 0], ["waiting", 0], ["canceling", 0]]);
    for (const { state } of this.#node.trees) {
      for (const { life } of Object.values(state.processes)) {
        if (life.state !== "ended") counts.set(life.state, (counts.get(life.state) ?? 0) + 1);
      }
    }
    return counts;
  }

  /** A model has answered, or failed to. */
  model({ attributes, startMs, endMs, failure }: CallRecord): void {
    const of = modelAttributes(attributes);
    const failed: SignalAttributes = failure === null ? {} : { "error.type": failure };
    this.#durations(((endMs ?? startMs) - startMs) / 1_000, { ...of, ...failed });
    for (const type of ["input", "output"]) {
      const tokens = attributes[`gen_ai.usage.${type}_tokens`];
      if (typeof tokens === "number") this.#tokens(tokens, { ...of, "gen_ai.token.type": type });
    }
  }

  /** Somebody was asked or answered: those that wait are counted again, a count at a time. */
  people(): void {
    this.#isStale = true;
    if (this.#isCounting) return;
    this.#isCounting = true;
    this.#node.options.world.clock.soon(async () => {
      while (this.#isStale) {
        this.#isStale = false;
        this.#pending = await this.#count().catch(() => this.#pending);
      }
      this.#isCounting = false;
    });
  }

  /** Requests of all trees, in memory or not. */
  async #count(): Promise<number> {
    const { store } = this.#node.options;
    let [count, after] = [0, undefined as TreeId | undefined];
    for (;;) {
      const limit = LIMITS.treesAskingKept;
      const page = await store.list({
        live: true,
        asking: true,
        limit,
        ...(after === undefined ? {} : { after }),
      });
      for (const { summary } of page) count += summary.asking ?? 0;
      if (page.length < limit) return count;
      after = page.at(-1)!.tree;
    }
  }

  /** Stops measuring. */
  close(): void {
    for (const off of this.#offs) off();
  }
}
