/**
 * What `run` shows while agents run: a line for each call that matters, as it becomes durable.
 * @module
 */

import type { CallHead, CallResult, EventMap, Line } from "../kernel/event.ts";
import type { Spending } from "../kernel/spending.ts";
import type { State } from "../kernel/state.ts";
import type { TreeId } from "../kernel/ids.ts";
import { oneLine } from "../providers/printable.ts";
import type { Context } from "./command.ts";
import {
  answerText,
  callText,
  decisionText,
  lineText,
  outcomeText,
  resultText,
} from "../runtime/line_text.ts";
import { padded, painter, safeJson } from "./output.ts";
import { short } from "./words.ts";

/** What was counted while agents ran. */
export interface Counts {
  processes: number;
  allowed: number;
  asked: number;
  denied: number;
  tokens: number;
  usd: number;
}

/** Shows lines as they come. */
export class LiveView {
  readonly counts: Counts = { processes: 0, allowed: 0, asked: 0, denied: 0, tokens: 0, usd: 0 };
  /** Requests somebody has to answer by another command, oldest first. */
  readonly waiting: Set<string> = new Set();
  readonly #at: Context;
  readonly #paint: ReturnType<typeof painter>;
  readonly #intents = new Map<string, CallHead>();
  readonly #isAsking: boolean;
  readonly #stateOf: (tree: TreeId) => State | undefined;

  /** `isAsking`: requests are put before a person here, so nobody is told how to answer. */
  constructor(at: Context, options: {
    readonly isAsking: boolean;
    stateOf(tree: TreeId): State | undefined;
  }) {
    this.#at = at;
    this.#paint = painter(at);
    this.#isAsking = options.isAsking;
    this.#stateOf = (tree) => options.stateOf(tree);
  }

  /** Shows the lines that are worth it. */
  hear(lines: readonly Line[]): void {
    for (const line of lines) {
      if (this.#at.format === "jsonl") this.#at.io.out(`${safeJson(line)}\n`);
      this.#hear(line);
    }
  }

  #hear(line: Line): void {
    const { type, data, tree } = line;
    switch (type) {
      case "process.spawned":
        return this.#spawned(tree, data as EventMap["process.spawned"]);
      case "call.done":
        return this.#done(tree, data as EventMap["call.done"]);
      case "call.intent": {
        const head = data as EventMap["call.intent"];
        this.#intents.set(placeOf(head), head);
        return;
      }
      case "call.outcome": {
        const { result, spent } = data as EventMap["call.outcome"];
        const head = this.#intents.get(placeOf(data as EventMap["call.outcome"]));
        if (head !== undefined) this.#call(tree, head, result);
        this.#spend(spent);
        return;
      }
      case "human.asked":
        return this.#asked(tree, data as EventMap["human.asked"]);
      case "human.answered": {
        const { id, answer, by } = data as EventMap["human.answered"];
        this.waiting.delete(id);
        return this.#say(`  ├─ ${id} ${answerText(answer)} by ${by}`);
      }
      case "human.expired": {
        const { id } = data as EventMap["human.expired"];
        this.waiting.delete(id);
        return this.#say(`  ├─ ${id} expired: nobody answered in time`, "yellow");
      }
      case "tool.proposed":
      case "tool.registered":
      case "tool.unregistered":
      case "tool.revoked": {
        const { pid, by } = data as { readonly pid?: string; readonly by?: string };
        const who = `${pid ?? by} ${this.#imageOf(tree, pid ?? by ?? "")}`;
        return this.#say(`  ├─ ${padded(who, 16)} tool ${lineText(line).text}`);
      }
      case "process.ended": {
        const { pid, outcome } = data as EventMap["process.ended"];
        const isWell = outcome.kind === "exited" && outcome.code === 0;
        const text = outcomeText(
          outcome.kind === "exited" ? { ...outcome, result: null } : outcome,
        );
        return this.#say(`  └─ ${pid} ${text}`, isWell ? undefined : "red");
      }
    }
  }

  #spawned(tree: TreeId, { pid, parent, goal, image }: EventMap["process.spawned"]): void {
    this.counts.processes += 1;
    const name = this.#stateOf(tree)?.images[image]?.name ?? "?";
    const told = `${pid} ${name}  "${short(goal.replaceAll(/\s+/g, " "), 80)}"`;
    this.#say(parent === null ? `▸ ${told}` : `  ├─ ${parent} starts ${told}`);
  }

  #spend({ tokens = 0, usd = 0 }: Spending = {}): void {
    this.counts.tokens += tokens;
    this.counts.usd += usd;
  }

  #done(tree: TreeId, data: EventMap["call.done"]): void {
    this.#spend(data.spent);
    if (data.decision.effect !== "deny" && isInner(data)) return;
    this.#call(tree, data, data.result);
  }

  #call(tree: TreeId, head: CallHead, result: CallResult): void {
    const isDenied = head.decision.effect === "deny";
    this.counts[isDenied ? "denied" : "allowed"] += 1;
    const who = padded(`${head.pid} ${this.#imageOf(tree, head.pid)}`, 16);
    const what = padded(short(callText(head), 44), 44);
    const failed = result.ok || isDenied ? "" : `  ${short(resultText(result), 80)}`;
    const told = `  ├─ ${who} ${what} ${decisionText(head)}${failed}`;
    this.#say(told, isDenied ? "red" : undefined);
  }

  #asked(tree: TreeId, data: EventMap["human.asked"]): void {
    const { id, pid, call, prompt, kind } = data;
    this.counts.asked += 1;
    const what = call === null ? `${kind}: ${short(prompt, 60)}` : `${call.name} ${call.resource}`;
    const who = padded(`${pid} ${this.#imageOf(tree, pid)}`, 16);
    this.#say(`  ├─ ${who} ${padded(short(what, 44), 44)} ask → ${id}`, "yellow");
    if (kind === "notice" || this.waiting.has(id)) return;
    this.waiting.add(id);
    this.sayHow(id, kind);
  }

  /** Says by which command a request is answered. */
  sayHow(id: string, kind: string): void {
    if (this.#isAsking) return;
    const command = kind === "question" || kind === "doubt"
      ? `libos answer ${id} VALUE`
      : `libos approve ${id}   or   libos deny ${id} -m WHY`;
    this.#say(`     answer with: ${command}`, "yellow");
  }

  #imageOf(tree: TreeId, pid: string): string {
    const state = this.#stateOf(tree);
    const process = state?.processes[pid as `p_${string}`];
    return state?.images[process?.image ?? ""]?.name ?? "";
  }

  #say(text: string, colour?: "red" | "yellow"): void {
    const { format, flags, io } = this.#at;
    if (flags.on("quiet") || (format !== "table" && format !== "wide")) return;
    const line = oneLine(text);
    io.out(`${colour === undefined ? line : this.#paint(line, colour)}\n`);
  }
}

function placeOf({ pid, step, key }: Pick<CallHead, "pid" | "step" | "key">): string {
  return `${pid}#${step}.${key}`;
}

/** What a process does with its own memory, or may do without a right, is not worth a line. */
function isInner({ pid, decision, name }: EventMap["call.done"]): boolean {
  if (name === "model.generate") return false;
  return decision.needs.every(({ resource }) => resource.startsWith(`${pid}/`));
}
