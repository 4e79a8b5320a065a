/**
 * What a tool does while it is tried: a line for each of its calls, as it becomes durable.
 * @module
 */

import type { CallHead, CallResult, EventMap, Line } from "../kernel/event.ts";
import { formatPattern } from "../kernel/grammar.ts";
import { oneLine } from "../providers/printable.ts";
import type { Context } from "./command.ts";
import { answerText, callText } from "../runtime/line_text.ts";
import { padded, painter } from "./output.ts";
import { short } from "./words.ts";

const CALL_WIDTH = 40;
const DECISION_WIDTH = 18;

/** One call of the tool. */
export interface TriedCall {
  readonly n: number;
  readonly name: string;
  /** What it is about, as the log says it. */
  readonly what: string;
  readonly decision: "allow" | "ask" | "deny";
  readonly by: readonly string[];
  readonly rule: string | null;
  readonly ok: boolean;
  readonly code: string | null;
  readonly why: string | null;
  /** The option that would let it through. */
  readonly hint: string | null;
  /** Milliseconds since the tool was registered. */
  readonly atMs: number;
}

/** Hears the lines of one trial's tree, and prints the calls of its tool. */
export class TryView {
  readonly calls: TriedCall[] = [];
  /** Whether it came as far as the tool table. */
  isRegistered = false;
  rights: readonly string[] = [];
  readonly #at: Context;
  readonly #paint: ReturnType<typeof painter>;
  /** Where a right that is not declared would be; null when rights are what was granted. */
  readonly #contractFile: string | null;
  readonly #intents = new Map<string, CallHead>();
  #startedMs = 0;

  /** Prints to `at`. */
  constructor(at: Context, contractFile: string | null) {
    this.#at = at;
    this.#paint = painter(at);
    this.#contractFile = contractFile;
  }

  /** Shows the lines that are the tool's. */
  hear(lines: readonly Line[]): void {
    for (const line of lines) this.#hear(line);
  }

  #hear({ type, data, atMs }: Line): void {
    switch (type) {
      case "tool.registered": {
        const { rights, name } = data as EventMap["tool.registered"];
        [this.isRegistered, this.rights, this.#startedMs] = [true, rights, atMs];
        const most = rights.length === 0 ? "nothing but its input" : rights.join(", ");
        return this.#say(`${name}  may use, at most: ${most}`);
      }
      case "call.done": {
        const done = data as EventMap["call.done"];
        return this.#call(done, done.result, atMs);
      }
      case "call.intent": {
        const head = data as EventMap["call.intent"];
        this.#intents.set(head.key, head);
        return;
      }
      case "call.outcome": {
        const { key, result } = data as EventMap["call.outcome"];
        const head = this.#intents.get(key);
        if (head !== undefined) this.#call(head, result, atMs);
        return;
      }
      case "human.asked": {
        const { id, call, prompt } = data as EventMap["human.asked"];
        const what = call === null ? prompt : `${call.name} ${call.resource}`;
        return this.#say(
          `     ${padded(short(what, CALL_WIDTH), CALL_WIDTH)} ask → ${id}`,
          "yellow",
        );
      }
      case "human.answered": {
        const { id, answer, by } = data as EventMap["human.answered"];
        return this.#say(`     ${id} ${answerText(answer)} by ${by}`, "yellow");
      }
    }
  }

  #call(head: CallHead, result: CallResult, atMs: number): void {
    const place = placeOf(head);
    if (!this.isRegistered || place === null) return;
    const { name, decision } = head;
    const call: TriedCall = {
      n: this.calls.length + 1,
      name,
      what: whatOf(head, result),
      decision: decision.effect,
      by: decision.by.flatMap(([cap]) => cap ?? []),
      rule: decision.rule ?? null,
      ok: result.ok,
      code: result.ok ? null : result.code,
      why: result.ok ? null : result.message,
      hint: result.ok ? null : this.#hint(head, result),
      atMs: Math.max(0, atMs - this.#startedMs),
    };
    this.calls.push(call);
    this.#show(call);
  }

  #show({ n, what, ok, decision, by, rule, code, why, hint, atMs }: TriedCall): void {
    const asked = rule?.startsWith("ask ") === true ? " (asked)" : "";
    const said = decision === "deny"
      ? `DENY ${code ?? ""}`
      : `${decision} ${by.join(", ")}${asked}`;
    const start = `${String(n).padStart(3)}  ${padded(short(what, CALL_WIDTH), CALL_WIDTH)} `;
    const failed = ok || decision === "deny" ? "" : `  ${code}`;
    const end = `${padded(said, DECISION_WIDTH)} ${String(atMs).padStart(5)} ms${failed}`;
    this.#say(start + end, decision === "deny" ? "red" : ok ? undefined : "yellow");
    // Without a contract it declares what it was granted: the option says all there is to say.
    const isPlain = this.#contractFile === null && code === "EPERM" && hint !== null;
    if (why !== null && !isPlain) this.#say(`     ${why}`, decision === "deny" ? "red" : "yellow");
    if (hint !== null) this.#say(`     ${hint}`, "yellow");
  }

  /** What would let a refused call through; null when no option would. */
  #hint({ decision }: CallHead, result: CallResult): string | null {
    if (result.ok || (result.code !== "EPERM" && result.code !== "EACCES")) return null;
    const { right, resource } = (decision.needs[0] ?? result.detail ?? {}) as {
      readonly right?: unknown;
      readonly resource?: unknown;
    };
    if (typeof right !== "string" || typeof resource !== "string") return null;
    const rule = formatPattern({ right, resource });
    if (result.code === "EACCES") {
      // A rule that denies stays, whatever is granted; nobody was there to be asked.
      const isUnasked = result.detail?.["request"] !== undefined && !this.#at.io.isInteractive;
      return isUnasked ? `to be asked, run it at a terminal; or --grant '${rule}'` : null;
    }
    // With needs it was judged, and nothing held covers it; without, no such thing is declared.
    if (decision.needs.length > 0 || this.#contractFile === null) {
      return `it would be allowed with: --grant '${rule}'`;
    }
    return `to declare it, add "${rule}" to "rights" of ${this.#contractFile}`;
  }

  #say(text: string, colour?: "red" | "yellow"): void {
    const { format, flags, io } = this.#at;
    if (flags.on("quiet") || (format !== "table" && format !== "wide")) return;
    const line = oneLine(text);
    io.out(`${colour === undefined ? line : this.#paint(line, colour)}\n`);
  }
}

/** Where a call stands inside the tool's own; null for others, and for what its start asks for. */
function placeOf({ key, name }: CallHead): number | null {
  const match = /^\d+\.(\d+)$/.exec(key);
  if (match === null) return null;
  const place = Number(match[1]);
  // A run takes the time and its chance before any code of the tool is there.
  const isStart = (place === 1 && name === "clock.now") || (place === 2 && name === "random.bytes");
  return isStart ? null : place;
}

/** A call and its resource; one that was refused before it was judged says it in its detail. */
function whatOf(head: CallHead, result: CallResult): string {
  const resource = result.ok ? undefined : result.detail?.["resource"];
  if (head.decision.needs.length > 0 || typeof resource !== "string") return callText(head);
  return `${head.name} ${resource}`;
}
