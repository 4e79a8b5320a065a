/**
 * Telemetry: what durable lines and runs say, as spans of OpenTelemetry. `Measured` hears the same
 * lines, and counts.
 *
 * It stands beside the kernel and changes nothing in it. A quantum, which is one run of a step, is
 * one trace; calls are made into spans when they are over, parents before what stands in them.
 *
 * Invariants:
 *   O1. Only durable lines become spans; what the store refused never happened here either.
 *   O2. A fault of telemetry stops nothing and is told to nobody but the collector.
 * @module
 */

import type { CallHead, EventMap, Line } from "../kernel/event.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import type { Process } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { OpenSpan, Signals, SpanLink, SpanPlace } from "../providers/telemetry.ts";
import type { Node } from "./node.ts";
import { addContent, begun, type CallRecord, finish, type Sight } from "./telemetry_calls.ts";
import { keep } from "./telemetry_lengths.ts";

/** What is told to OpenTelemetry. */
export interface TelemetryOptions {
  /** Whether prompts, arguments, replies, goals and messages are told, too. @default false */
  readonly content?: boolean;
}

/** One run of a step, as a trace. */
interface Quantum {
  readonly tree: Tree;
  readonly pid: Pid;
  readonly span: OpenSpan;
  /** Lines after this one are its own. */
  readonly fromSeq: number;
  readonly calls: Map<string, CallRecord>;
  failure: string | undefined;
  /** Set when the run is over: it ends once the lines up to there are durable. */
  over: { readonly atMs: number; readonly seq: number } | null;
}

interface Asked {
  readonly pid: Pid;
  readonly atMs: number;
  readonly kind: string;
  readonly risk: string;
  readonly place: SpanPlace | undefined;
}

/** Makes signals of what a node does. */
export class Telemetry {
  readonly #signals: Signals;
  readonly #content: boolean;
  readonly #quanta = new Map<TreeId, Quantum[]>();
  /** The newest quantum of each process. */
  readonly #last = new Map<Pid, SpanPlace>();
  /** Links for the next quantum of a process. */
  readonly #links = new Map<Pid, SpanLink[]>();
  readonly #asked = new Map<string, Asked>();
  /** Capabilities that were born of an answer. */
  readonly #granted = new Map<string, string>();
  /** Effects that are out still though their quantum is over. */
  readonly #out = new Map<string, { readonly record: CallRecord; readonly under: SpanPlace }>();
  readonly #offs: (() => void)[] = [];
  #node: Node | null = null;

  /** Tells nothing before {@linkcode attach}. */
  constructor(signals: Signals, options: TelemetryOptions = {}) {
    this.#signals = signals;
    this.#content = options.content ?? false;
  }

  /** Hears of a node's lines from now on. */
  attach(node: Node): void {
    this.#node = node;
    this.#offs.push(node.listen((tree, lines) => this.#hear(tree, lines)));
  }

  /** Runs a step inside a trace of its own. */
  async around<T>(tree: Tree, process: Process, job: () => Promise<T>): Promise<T> {
    let quantum: Quantum;
    try {
      quantum = this.#begin(tree, process);
    } catch {
      return await job(); // O2
    }
    try {
      return await quantum.span.within(job);
    } finally {
      quantum.over = { atMs: this.now(), seq: tree.state.seq };
      if (tree.tailLength === 0) this.#close(tree.state.tree, tree.state.seq);
    }
  }

  /** Ends what is open and stops hearing. */
  close(): void {
    for (const off of this.#offs.splice(0)) off();
    const [now, all] = [this.now(), [...this.#quanta.values()].flat()];
    for (const quantum of all) this.#end(quantum, quantum.over?.atMs ?? now);
    this.#quanta.clear();
  }

  /** The time of its node. */
  now(): number {
    return this.#node?.options.world.clock.now() ?? 0;
  }

  #begin(tree: Tree, process: Process): Quantum {
    const { state } = tree;
    const { pid, step, parent } = process;
    const image = state.images[process.image];
    const before = this.#last.get(pid);
    const starter = before === undefined && parent !== null ? this.#last.get(parent) : undefined;
    const links = [
      ...before === undefined ? [] : [linkTo(before, "previous")],
      ...starter === undefined ? [] : [linkTo(starter, "parent")],
      ...this.#links.get(pid) ?? [],
    ];
    this.#links.delete(pid);
    const attributes = {
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.name": image?.name ?? "unknown",
      "gen_ai.agent.id": pid,
      "gen_ai.agent.version": image?.version ?? "",
      "gen_ai.conversation.id": `p_${state.tree.slice(2)}`,
      "libos.node": this.#node?.options.id ?? "",
      "libos.step": step,
      ...(parent === null ? {} : { "libos.ppid": parent }),
    };
    addContent(attributes, { "libos.goal": process.goal }, this.#sight(tree), process.label);
    const name = `invoke_agent ${image?.name ?? "unknown"}`;
    const span = this.#signals.begin({ name, atMs: this.now(), links, attributes });
    keep(this.#last, pid, span.place);
    const quantum: Quantum = {
      tree,
      pid,
      span,
      fromSeq: state.seq,
      calls: new Map(),
      failure: undefined,
      over: null,
    };
    const open = this.#quanta.get(state.tree);
    if (open === undefined) this.#quanta.set(state.tree, [quantum]);
    else open.push(quantum);
    return quantum;
  }

  /** What calls of a tree are seen with. */
  #sight(tree: Tree | undefined): Sight {
    return {
      content: this.#content,
      state: tree?.state,
      request: (cap) =>
        this.#granted.get(cap) ?? tree?.state.caps[cap as never]?.grant?.request ?? undefined,
    };
  }

  #hear(id: TreeId, lines: readonly Line[]): void {
    const last = lines.at(-1);
    if (last === undefined) return;
    try {
      const tree = this.#node?.peek(id);
      for (const line of lines) this.#line(tree, line);
      this.#close(id, last.seq);
    } catch {
      // O2
    }
  }

  #line(tree: Tree | undefined, line: Line): void {
    const { data } = line;
    switch (line.type) {
      case "call.done":
      case "call.intent":
        return this.#call(tree, line, data as EventMap["call.done"] | EventMap["call.intent"]);
      case "call.outcome":
        return this.#outcome(tree, line, data as EventMap["call.outcome"]);
      case "cap.granted": {
        const { id, grant } = data as EventMap["cap.granted"];
        if (grant !== null) keep(this.#granted, id, grant.request);
        return;
      }
      case "human.asked": {
        const { id, pid, kind, risk } = data as EventMap["human.asked"];
        const place = this.#quantum(line, pid)?.span.place ?? this.#last.get(pid);
        return keep(this.#asked, id, { pid, atMs: line.atMs, kind, risk, place });
      }
      case "human.answered": {
        const { id, answer } = data as EventMap["human.answered"];
        const scope = answer.outcome === "approve" ? answer.scope ?? "once" : undefined;
        return this.#answered(line, id, { outcome: answer.outcome, scope });
      }
      case "human.expired": {
        const { id } = data as EventMap["human.expired"];
        return this.#answered(line, id, { outcome: "expired", scope: undefined });
      }
      case "process.ended": {
        const { pid, outcome } = data as EventMap["process.ended"];
        const failed = outcome.kind === "failed" ? outcome.code : null;
        const quantum = this.#quantum(line, pid);
        if (quantum !== undefined && failed !== null) quantum.failure = failed;
        return;
      }
      case "process.waiting": {
        const { pid, on } = data as EventMap["process.waiting"];
        this.#quantum(line, pid)?.span.set({ "libos.waits_for": on.reason });
      }
    }
  }

  /** The quantum that a line was written in. */
  #quantum({ tree, seq }: Line, pid: Pid): Quantum | undefined {
    return this.#quanta.get(tree)?.findLast((one) => one.pid === pid && one.fromSeq < seq);
  }

  #call(
    tree: Tree | undefined,
    line: Line,
    data: EventMap["call.done"] | EventMap["call.intent"],
  ): void {
    const sight = this.#sight(tree);
    const record = begun(data as CallHead, line.atMs, sight);
    const quantum = this.#quantum(line, data.pid);
    if ("result" in data) {
      const usd = data.spent?.usd;
      finish(record, line.atMs, { result: data.result, label: data.label, usd, sight });
    } else if (quantum === undefined) return;
    if (quantum === undefined) return this.#tell(record, this.#last.get(data.pid));
    quantum.calls.set(record.key, record);
    if (record.endMs !== null && !record.key.includes(".")) this.#flush(quantum, record.key);
  }

  #outcome(tree: Tree | undefined, line: Line, data: EventMap["call.outcome"]): void {
    const id = `${data.pid}#${data.step}.${data.key}`;
    const out = this.#out.get(id);
    this.#out.delete(id);
    const quantum = this.#quantum(line, data.pid);
    const record = out?.record ?? quantum?.calls.get(data.key);
    if (record === undefined || record.endMs !== null) return;
    const { result, label, via, spent } = data;
    const sight = this.#sight(tree);
    finish(record, line.atMs, { result, label, via, usd: spent?.usd, sight });
    if (out !== undefined) this.#tell(record, out.under);
    else if (!record.key.includes(".")) this.#flush(quantum!, record.key);
  }

  /** A person has answered: how long that took is a span of its own, with no parent held open. */
  #answered(line: Line, id: string, how: {
    readonly outcome: string;
    readonly scope: string | undefined;
  }): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (asked === undefined) return;
    const { pid, atMs, kind, risk, place } = asked;
    const waitMs = line.atMs - atMs;
    const span = this.#signals.begin({
      name: "libos.approval",
      atMs,
      links: place === undefined ? [] : [linkTo(place, "asked")],
      attributes: {
        "libos.approval.id": id,
        "libos.approval.kind": kind,
        "libos.approval.outcome": how.outcome,
        "libos.risk": risk,
        "libos.wait_ms": waitMs,
        "gen_ai.agent.id": pid,
        ...(how.scope === undefined ? {} : { "libos.scope": how.scope }),
      },
    });
    span.end(line.atMs);
    const link = linkTo(span.place, "approval");
    const running = this.#quanta.get(line.tree)?.findLast((one) =>
      one.pid === pid && one.over === null
    );
    // The answer may have woken its asker before it was durable.
    if (running !== undefined) running.span.link(link);
    else keep(this.#links, pid, [...(this.#links.get(pid) ?? []).slice(-7), link]);
  }

  /** Makes spans of a call that is over and of those inside it, parents first. */
  #flush({ calls, span }: Quantum, key: string): void {
    const inside = [...calls.values()].filter((one) =>
      one.key === key || one.key.startsWith(`${key}.`)
    );
    inside.sort((a, b) => depthOf(a.key) - depthOf(b.key));
    const spans: { readonly record: CallRecord; readonly open: OpenSpan }[] = [];
    const places = new Map<string, SpanPlace>();
    for (const record of inside) {
      // Where a call waited in an earlier quantum, what it had done there was told there.
      const above = ancestors(record.key).map((one) => places.get(one)).find((one) => one);
      if (record.endMs === null) continue;
      const startMs = Math.min(
        ...inside.filter((one) => one.key === record.key || one.key.startsWith(`${record.key}.`))
          .map((one) => one.startMs),
      );
      const open = this.#start(record, above ?? span.place, startMs);
      places.set(record.key, open.place);
      spans.push({ record, open });
      calls.delete(record.key);
    }
    for (const { record, open } of spans.reverse()) {
      open.end(record.endMs ?? record.startMs, record.failure ?? undefined);
    }
  }

  #start(record: CallRecord, under: SpanPlace | undefined, atMs = record.startMs): OpenSpan {
    const { span: name, attributes, operation } = record;
    return this.#signals.begin({ name, isClient: operation === "chat", atMs, under, attributes });
  }

  #tell(record: CallRecord, under: SpanPlace | undefined): void {
    this.#start(record, under).end(record.endMs ?? record.startMs, record.failure ?? undefined);
  }

  /** Ends the quanta of a tree that are over, and whose lines are durable. */
  #close(id: TreeId, seq: number): void {
    const open = this.#quanta.get(id);
    if (open === undefined) return;
    const rest: Quantum[] = [];
    for (const quantum of open) {
      const { over } = quantum;
      if (over === null || over.seq > seq) rest.push(quantum);
      else this.#end(quantum, over.atMs);
    }
    if (rest.length === 0) this.#quanta.delete(id);
    else this.#quanta.set(id, rest);
  }

  #end(quantum: Quantum, atMs: number): void {
    const { calls, span, pid, tree, failure } = quantum;
    for (const key of new Set([...calls.keys()].map((one) => one.split(".")[0]!))) {
      this.#flush(quantum, key);
    }
    const step = tree.state.processes[pid]?.step ?? 0;
    for (const record of calls.values()) {
      const id = record.attributes["libos.call.id"] as string | undefined;
      keep(this.#out, id ?? `${pid}#${step}.${record.key}`, { record, under: span.place });
    }
    if (failure !== undefined) span.set({ "error.type": failure });
    span.end(atMs, failure);
  }
}

function linkTo(place: SpanPlace, what: string): SpanLink {
  return { place, attributes: { "libos.link": what } };
}

function depthOf(key: string): number {
  return key.split(".").length;
}

/** The calls that a call stands in, the nearest first. */
function ancestors(key: string): string[] {
  const parts = key.split(".");
  return parts.slice(1).map((_, i) => parts.slice(0, parts.length - 1 - i).join("."));
}
