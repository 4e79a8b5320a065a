/**
 * What is measured: counts, durations, and how things are now.
 * @module
 */

import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Record, SignalAttributes, Signals } from "../providers/telemetry.ts";
import type { Node } from "./node.ts";
import { type CallRecord, modelAttributes, modelNames } from "./telemetry_calls.ts";

/** As the conventions for model calls advise. */
const SECONDS = Array.from({ length: 14 }, (_, i) => 2 ** i / 100);
const TOKENS = Array.from({ length: 14 }, (_, i) => 4 ** i);
/** An agent's life is many calls. */
const LIVES = Array.from({ length: 13 }, (_, i) => 2 ** i / 10);
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
  readonly #firstPiece: Record;
  readonly #nextPiece: Record;
  readonly #tools: Record;
  readonly #lives: Record;
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
    this.#firstPiece = histogram(
      "gen_ai.client.operation.time_to_first_chunk",
      ["s", SECONDS],
      "How long the first piece of a streamed reply took",
    );
    this.#nextPiece = histogram(
      "gen_ai.client.operation.time_per_output_chunk",
      ["s", SECONDS],
      "How long each further piece of a streamed reply took",
    );
    this.#tools = histogram(
      "gen_ai.execute_tool.duration",
      ["s", SECONDS],
      "How long a tool took, waits included",
    );
    this.#lives = histogram(
      "gen_ai.invoke_agent.duration",
      ["s", LIVES],
      "How long a process lived, waits included",
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
        for (const [state, count] of this.#living()) to(count, { "libos.state": state });
      }),
      gauge("libos.approvals.pending", "{request}", "Requests that wait for a person")((to) =>
        to(this.#pending, {})
      ),
      ...this.#nodeGauges(gauge),
      ...seals === null ? [] : [
        gauge("libos.audit.lag", "s", "Age of the oldest line that is not sealed")((to) =>
          to(seals.lagMs() / 1_000, {})
        ),
      ],
    ];
  }

  /** Of a node among others: its trees, its beat, and what changed hands. */
  #nodeGauges(
    gauge: (name: string, unit: string, about: string) => (
      observe: (to: Record) => void,
    ) => () => void,
  ): (() => void)[] {
    const { membership } = this.#node;
    if (membership === null) return [];
    const of = { "libos.node.name": membership.facts.name };
    return [
      gauge("libos.node.trees", "{tree}", "Trees in memory")((to) => {
        const { active, held } = membership.load;
        to(active, { ...of, "libos.state": "active" });
        to(held - active, { ...of, "libos.state": "idle" });
      }),
      gauge("libos.node.beat.age", "s", "Time since the lease was renewed")((to) =>
        to(membership.beatAgeMs / 1_000, of)
      ),
      gauge("libos.node.moves", "{tree}", "Trees taken, given back and lost so far")((to) => {
        for (const [way, count] of Object.entries(membership.moves)) {
          to(count, { ...of, "libos.way": way });
        }
      }),
    ];
  }

  #living(): Map<string, number> {
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

  /** A piece of a streamed reply came so long after what was before it: its request, or a piece. */
  piece(model: string, isFirst: boolean, ms: number): void {
    const record = isFirst ? this.#firstPiece : this.#nextPiece;
    record(Math.max(0, ms) / 1_000, modelAttributes(modelNames(model)));
  }

  /** A tool has ended. Those that models name or write are not told apart: they have no end. */
  tool({ attributes, failure }: CallRecord, of: { readonly ms: number; readonly agent: string }) {
    const name = String(attributes["gen_ai.tool.name"]);
    const isKnown = attributes["libos.tool.origin"] === "host" &&
      this.#node.options.world.tool(name) !== undefined;
    this.#tools(Math.max(0, of.ms) / 1_000, {
      "gen_ai.tool.name": isKnown ? name : "_OTHER",
      "gen_ai.tool.type": "function",
      "gen_ai.agent.name": of.agent,
      ...(failure === null ? {} : { "error.type": failure }),
    });
  }

  /** A process has ended. */
  life(ms: number, { agent, failure }: {
    readonly agent: string;
    readonly failure: string | null;
  }): void {
    this.#lives(Math.max(0, ms) / 1_000, {
      "gen_ai.agent.name": agent,
      ...(failure === null ? {} : { "error.type": failure }),
    });
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
