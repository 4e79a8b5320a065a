/**
 * What the demos of generated tools show: a line for each step in the life of a tool, and for each
 * call that it makes.
 * @module
 */

import type { EventMap, Line } from "@agent-libos/core";
import { oneLine } from "../providers/printable.ts";

type Done = EventMap["call.done"];

const WHAT_LENGTH = 34;

/** Turns lines of a log into lines of a screen. */
export class ToolScreen {
  readonly #out: (line: string) => void;
  readonly #generated = new Set<string>();
  /** Calls made inside each tool call which is under way, by its place. */
  readonly #inside = new Map<string, Done[]>();

  /** A screen which writes to `out`. */
  constructor(out: (line: string) => void) {
    this.#out = out;
  }

  /** Shows the lines of one commit. */
  hear(lines: readonly Line[]): void {
    for (const line of lines) this.#hear(line);
  }

  #hear({ type, data }: Line): void {
    switch (type) {
      case "process.spawned": {
        const { pid, goal } = data as EventMap["process.spawned"];
        return this.#out(`▸ ${pid}  "${oneLine(goal)}"`);
      }
      case "call.outcome": {
        const { result } = data as EventMap["call.outcome"];
        const { text } = (result.ok ? result.reply : {}) as { readonly text?: unknown };
        if (typeof text === "string" && text !== "") this.#out(`  │  “${oneLine(text)}”`);
        return;
      }
      case "tool.registered":
        this.#generated.add((data as EventMap["tool.registered"]).name);
        return;
      case "human.asked": {
        const { id, prompt } = data as EventMap["human.asked"];
        return this.#row(prompt, `ask → ${id}`);
      }
      case "human.answered": {
        const { id, answer, by } = data as EventMap["human.answered"];
        return this.#row(`${id} ${answer.outcome}`, `by ${by}`);
      }
      case "call.done":
        return this.#done(data as Done);
    }
  }

  #done(call: Done): void {
    const parent = call.key.replace(/\.?\d+$/, "");
    if (call.name === "tool.call") return this.#called(call);
    if (call.name.startsWith("tool.")) return this.#making(call);
    if (parent === "") return;
    this.#inside.set(parent, [...this.#inside.get(parent) ?? [], call]);
  }

  /** A step towards a tool: what came out of it. */
  #making({ name, args, result }: Done): void {
    const tool = (args as { readonly name?: string }).name ?? "";
    const what = `${name} ${tool}`;
    if (!result.ok) {
      this.#row(what, result.code);
      const { problems } = (result.detail ?? {}) as {
        readonly problems?: readonly {
          readonly line: number;
          readonly column: number;
          readonly message: string;
        }[];
      };
      for (const { line, column, message } of problems ?? []) {
        this.#out(`  │    ${oneLine(tool)}.ts:${line}:${column} ${oneLine(message)}`);
      }
      if (problems === undefined) this.#out(`  │    ${oneLine(result.message)}`);
      return;
    }
    const reply = result.reply as { readonly [key: string]: unknown };
    if (name === "tool.guide") this.#row(what, `${String(reply["guide"]).length} characters`);
    else if (name === "tool.test") this.#tested(what, reply as never);
    else this.#row(what, `version ${String(reply["tool"]).slice(0, 12)}…`);
  }

  #tested(what: string, reply: {
    readonly passed: number;
    readonly failed: number;
    readonly results: readonly { readonly name: string; readonly passed: boolean }[];
  }): void {
    this.#row(what, `${reply.passed} passed, ${reply.failed} failed`);
    for (const { name, passed } of reply.results) {
      this.#out(`  │    ${passed ? "ok    " : "FAILED"} ${oneLine(name)}`);
    }
  }

  /** A tool was called: its own calls first, then what came of it. */
  #called({ args, result, key }: Done): void {
    const { name, input } = args as { readonly name: string; readonly input?: unknown };
    const inside = this.#inside.get(key) ?? [];
    this.#inside.delete(key);
    if (!this.#generated.has(name)) return;
    this.#row(`${name} ${JSON.stringify(input ?? {})}`, "");
    // A run takes the time and its chance before any code of the tool is there.
    for (const call of inside.slice(2)) this.#inner(call);
    if (!result.ok) return this.#out(`  │  └─ ${result.code} ${oneLine(result.message)}`);
    const { output, logs = [] } = result.reply as {
      readonly output: unknown;
      readonly logs?: readonly string[];
    };
    for (const log of logs) this.#out(`  │  │  log: ${oneLine(log)}`);
    this.#out(`  │  └─ ${oneLine(JSON.stringify(output))}`);
  }

  #inner({ name, decision, result }: Done): void {
    const refused = result.ok ? undefined : result.detail?.["resource"];
    const what = `${name} ${decision.needs[0]?.resource ?? refused ?? ""}`;
    const cap = decision.by[0]?.[0] ?? "";
    const said = decision.effect === "deny" ? "DENY" : `${decision.effect} ${cap}`;
    this.#out(`  │  ├─ ${oneLine(what).padEnd(WHAT_LENGTH)} ${said}`);
  }

  #row(what: string, said: string): void {
    this.#out(`  ├─ ${oneLine(what).padEnd(WHAT_LENGTH + 3)} ${said}`.trimEnd());
  }
}
