/**
 * What durable lines come to, counted once: for OpenTelemetry, for whoever asks a server, or both.
 *
 * Invariants:
 *   MS1. Only durable lines are counted.
 *   MS2. A fault of counting stops nothing.
 * @module
 */

import type { CallHead, EventMap, Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import type { Json } from "../kernel/json.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Measures } from "../providers/telemetry.ts";
import type { CommitInfo } from "./committer.ts";
import type { Node } from "./node.ts";
import { keep, Lengths } from "./telemetry_lengths.ts";
import { Meters } from "./telemetry_meters.ts";

/** Counts what a node does. */
export class Measured {
  readonly #measures: Measures;
  /** Whether somebody wants values without asking for them. */
  readonly #isPushed: boolean;
  readonly #lengths = new Lengths();
  /** Calls of models that are out: which model, and since when. */
  readonly #asking = new Map<string, { readonly model: string; readonly atMs: number }>();
  readonly #asked = new Map<string, { readonly kind: string; readonly atMs: number }>();
  readonly #offs: (() => void)[] = [];
  #node: Node | null = null;
  #meters: Meters | null = null;

  /** Counts nothing before {@linkcode attach}. */
  constructor(measures: Measures, isPushed: boolean) {
    this.#measures = measures;
    this.#isPushed = isPushed;
  }

  /** Hears of a node's lines from now on. `seals` says how far seals are behind. */
  attach(node: Node, seals: { lagMs(): number } | null): void {
    this.#node = node;
    const meters = new Meters(this.#measures, node, { seals, isPushed: this.#isPushed });
    this.#meters = meters;
    this.#people();
    const commit = (info: CommitInfo): void => meters.commit(info);
    node.commits.add(commit);
    this.#offs.push(
      node.listen((id, lines) => this.#hear(id, lines)),
      () => void node.commits.delete(commit),
    );
  }

  /** How long a cage took to start. */
  readonly cageStarted = (ms: number): void => this.#meters?.sandboxStart(ms / 1_000, {});

  /** A call that makes others begins, or is run again. */
  composes(call: string): void {
    if (this.#node !== null) this.#lengths.begin(call, this.#node.options.world.clock.now());
  }

  /** A piece of a streamed reply came so long after what was before it. */
  piece(model: string, isFirst: boolean, ms: number): void {
    this.#meters?.piece(model, isFirst, ms);
  }

  /** Counts what is only known by looking. */
  async look(): Promise<void> {
    await this.#meters?.look();
  }

  /** Stops counting. */
  close(): void {
    for (const off of this.#offs.splice(0)) off();
    this.#meters?.close();
  }

  #hear(id: TreeId, lines: readonly Line[]): void {
    try {
      const tree = lines.length === 0 ? undefined : this.#node?.peek(id);
      for (const line of lines) this.#line(tree, line);
    } catch {
      // MS2
    }
  }

  #line(tree: Tree | undefined, { type, data, atMs }: Line): void {
    switch (type) {
      case "call.intent":
      case "call.done":
        return this.#call(tree, data as EventMap["call.done"] | EventMap["call.intent"], atMs);
      case "call.outcome":
        return this.#outcome(data as EventMap["call.outcome"], atMs);
      case "human.asked": {
        const { id, kind } = data as EventMap["human.asked"];
        keep(this.#asked, id, { kind, atMs });
        return this.#people();
      }
      case "human.answered": {
        const { id, answer } = data as EventMap["human.answered"];
        return this.#answered(id, answer.outcome, atMs);
      }
      case "human.expired":
        return this.#answered((data as EventMap["human.expired"]).id, "expired", atMs);
      case "process.ended": {
        const { pid, outcome } = data as EventMap["process.ended"];
        const failed = outcome.kind === "failed" ? outcome.code : null;
        this.#meters?.ended(1, { "libos.outcome": outcome.kind });
        this.#lengths.life(this.#meters, failed, { tree, pid, atMs });
        this.#people();
      }
    }
  }

  #call(
    tree: Tree | undefined,
    data: EventMap["call.done"] | EventMap["call.intent"],
    atMs: number,
  ): void {
    const { pid, step, key, name, args, decision } = data as CallHead;
    this.#meters?.syscall(1, { "libos.syscall": name, "libos.decision": decision.effect });
    const id = `${pid}#${step}.${key}`;
    if (!("result" in data)) {
      if (name === "model.generate") keep(this.#asking, id, { model: wordOf(args, "model"), atMs });
      return;
    }
    if (name !== "tool.call") return;
    const failure = data.result.ok ? null : data.result.code;
    this.#lengths.tool(this.#meters, { id, name: wordOf(args, "name"), failure }, { tree, atMs });
  }

  #outcome({ pid, step, key, result, spent }: EventMap["call.outcome"], atMs: number): void {
    if (spent?.usd !== undefined) this.#meters?.cost(spent.usd, {});
    const id = `${pid}#${step}.${key}`;
    const asked = this.#asking.get(id);
    this.#asking.delete(id);
    if (asked === undefined) return;
    const { inputTokens, outputTokens } = result.ok
      ? result.reply as { readonly [name: string]: Json }
      : {};
    this.#meters?.model({
      model: asked.model,
      ms: atMs - asked.atMs,
      failure: result.ok ? null : result.code,
      tokens: {
        ...(typeof inputTokens === "number" ? { input: inputTokens } : {}),
        ...(typeof outputTokens === "number" ? { output: outputTokens } : {}),
      },
    });
  }

  #answered(id: string, outcome: string, atMs: number): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    this.#people();
    if (asked === undefined) return;
    this.#meters?.approvalWait((atMs - asked.atMs) / 1_000, {
      "libos.approval.outcome": outcome,
      "libos.approval.kind": asked.kind,
    });
  }

  #people(): void {
    if (this.#isPushed) this.#meters?.people();
  }
}

function wordOf(args: Json, name: string): string {
  const value = (args as { readonly [name: string]: Json } | null)?.[name];
  return typeof value === "string" ? value : "unknown";
}
