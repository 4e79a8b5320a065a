/**
 * What is measured: counts, durations, and how things are now.
 * @module
 */

import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Measures, Record, SignalAttributes } from "../providers/telemetry.ts";
import type { InboxDepth } from "../kernel/store.ts";
import type { CommitInfo } from "./committer.ts";
import type { Node } from "./node.ts";
import { type Gauge, nodeGauges } from "./telemetry_node.ts";
import { modelNames } from "./telemetry_calls.ts";

/** As the conventions for model calls advise. */
const SECONDS = Array.from({ length: 14 }, (_, i) => 2 ** i / 100);
const TOKENS = Array.from({ length: 14 }, (_, i) => 4 ** i);
const COMMITS = Array.from({ length: 14 }, (_, i) => 2 ** i / 1_000);
const TREES = Array.from({ length: 11 }, (_, i) => 2 ** i);
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
  readonly cost: Record;
  readonly #commits: Record;
  readonly #commitTrees: Record;
  readonly #commitLines: Record;
  readonly #refusals: Record;
  readonly #tokens: Record;
  readonly #durations: Record;
  readonly #firstPiece: Record;
  readonly #nextPiece: Record;
  readonly #tools: Record;
  readonly #lives: Record;
  readonly #node: Node;
  readonly #isPushed: boolean;
  readonly #offs: readonly (() => void)[];
  #pending = 0;
  #inbox: InboxDepth = { items: 0, oldestMs: null };
  #isCounting = false;
  #isStale = false;

  /** Measures from now on. */
  constructor(signals: Measures, node: Node, { seals, isPushed }: {
    readonly seals: { lagMs(): number } | null;
    /** Whether nobody says before values are wanted. */
    readonly isPushed: boolean;
  }) {
    const counter = (name: string, unit: string, about: string): Record =>
      signals.counter({ name, unit, about });
    const histogram = (
      name: string,
      [unit, bounds]: readonly [string, readonly number[]],
      about: string,
    ): Record => signals.histogram({ name, unit, about, bounds });
    this.#node = node;
    this.#isPushed = isPushed;
    this.syscall = counter("libos.syscalls", "{call}", "Calls that were decided");
    this.ended = counter("libos.processes.ended", "{process}", "Processes that ended");
    this.cost = counter("libos.cost.usd", "{usd}", "US dollars that calls were said to cost");
    const ofCommits = ["{tree}", TREES] as const;
    this.#commits = histogram("libos.commit", ["s", COMMITS], "How long the store took to commit");
    this.#commitTrees = histogram("libos.commit.trees", ofCommits, "Trees in one commit");
    this.#commitLines = counter("libos.commit.lines", "{line}", "Lines that became durable");
    this.#refusals = counter("libos.commit.refused", "{tree}", "Trees whose commit was refused");
    this.#tokens = histogram("gen_ai.client.token.usage", ["{token}", TOKENS], "Tokens of a call");
    const client = (name: string, about: string): Record =>
      histogram(`gen_ai.client.operation.${name}`, ["s", SECONDS], about);
    this.#durations = client("duration", "How long a model took");
    this.#firstPiece = client("time_to_first_chunk", "How long a reply's first piece took");
    this.#nextPiece = client("time_per_output_chunk", "How long each further piece took");
    const tools = "How long a tool took, waits included";
    this.#tools = histogram("gen_ai.execute_tool.duration", ["s", SECONDS], tools);
    const lives = "How long a process lived, waits included";
    this.#lives = histogram("gen_ai.invoke_agent.duration", ["s", LIVES], lives);
    this.approvalWait = histogram("libos.approval.wait", ["s", WAITS], "How long a person took");
    this.sandboxStart = histogram("libos.sandbox.start", ["s", SECONDS], "How long a cage took");
    this.#offs = this.#gauges(signals, seals);
  }

  #gauges(signals: Measures, seals: { lagMs(): number } | null): (() => void)[] {
    const gauge: Gauge = (name, unit, about, isTotal = false) => (observe) =>
      signals.gauge({ name, unit, about, isTotal }, observe);
    return [
      gauge("libos.processes", "{process}", "Processes of the trees in memory")((to) => {
        for (const [state, count] of this.#living()) to(count, { "libos.state": state });
      }),
      gauge("libos.approvals.pending", "{request}", "Requests that wait for a person")((to) =>
        to(this.#pending, {})
      ),
      ...this.#inboxGauges(gauge),
      ...nodeGauges(this.#node, gauge),
      ...seals === null ? [] : [
        gauge("libos.audit.lag", "s", "Age of the oldest line that is not sealed")((to) =>
          to(seals.lagMs() / 1_000, {})
        ),
      ],
    ];
  }

  /** As they were when somebody looked; who is sent values is sent those of the time before. */
  #inboxGauges(gauge: Gauge): (() => void)[] {
    if (this.#node.options.store.waiting === undefined) return [];
    return [
      gauge("libos.inbox.items", "{item}", "Items in inboxes that no tree took yet")((to) => {
        to(this.#inbox.items, {});
        if (this.#isPushed) void this.#lookAtInboxes();
      }),
      gauge("libos.inbox.age", "s", "For how long the oldest of them is there")((to) => {
        if (this.#inbox.oldestMs !== null || this.#inbox.items === 0) {
          to((this.#inbox.oldestMs ?? 0) / 1_000, {});
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

  /** The store has taken a commit of so many trees and lines, or refused a tree's. */
  commit({ ms, trees, lines, refused }: CommitInfo): void {
    if (refused !== null) return this.#refusals(1, { "error.type": refused });
    this.#commits(Math.max(0, ms) / 1_000, {});
    this.#commitTrees(trees, {});
    this.#commitLines(lines, {});
  }

  /** A model has answered, or failed to. */
  model({ model, ms, tokens, failure }: {
    readonly model: string;
    readonly ms: number;
    readonly tokens: { readonly input?: number; readonly output?: number };
    readonly failure: string | null;
  }): void {
    const of = modelNames(model);
    const failed: SignalAttributes = failure === null ? {} : { "error.type": failure };
    this.#durations(Math.max(0, ms) / 1_000, { ...of, ...failed });
    for (const [type, count] of Object.entries(tokens)) {
      this.#tokens(count, { ...of, "gen_ai.token.type": type });
    }
  }

  /** A piece of a streamed reply came so long after what was before it: its request, or a piece. */
  piece(model: string, isFirst: boolean, ms: number): void {
    const record = isFirst ? this.#firstPiece : this.#nextPiece;
    record(Math.max(0, ms) / 1_000, modelNames(model));
  }

  /** A tool has ended. Those that models name or write are not told apart: they have no end. */
  tool({ name, isGenerated, ms, agent, failure }: {
    readonly name: string;
    readonly isGenerated: boolean;
    readonly ms: number;
    readonly agent: string;
    readonly failure: string | null;
  }): void {
    const isKnown = !isGenerated && this.#node.options.world.tool(name) !== undefined;
    this.#tools(Math.max(0, ms) / 1_000, {
      "gen_ai.tool.name": isKnown ? name : "_OTHER",
      "gen_ai.tool.type": "function",
      "gen_ai.agent.name": agent,
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
        await this.recount();
      }
      this.#isCounting = false;
    });
  }

  /** Counts those that wait for a person. */
  async recount(): Promise<void> {
    this.#pending = await this.#count().catch(() => this.#pending);
  }

  /** Counts what is only known by looking. */
  async look(): Promise<void> {
    await Promise.all([this.recount(), this.#lookAtInboxes()]);
  }

  async #lookAtInboxes(): Promise<void> {
    this.#inbox = await this.#node.options.store.waiting?.().catch(() => this.#inbox) ??
      this.#inbox;
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
