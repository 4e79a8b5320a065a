/**
 * What the demo shows while it runs: one line for each thing that matters, as it becomes durable.
 *
 * Invariants:
 *   S1. Text of files and agents is printed with every character that could act made visible.
 *   S2. However much happens, each process gets a bounded number of lines.
 * @module
 */

import type { Line } from "@agent-libos/core";
import { oneLine } from "../providers/printable.ts";
import { size } from "./audit_report.ts";

/** Writes one line. */
export type Out = (line: string) => void;

type Color = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
const CODES: Readonly<Record<Color, number>> = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  cyan: 36,
};

/** Colours a text, or leaves it as it is. */
export type Paint = (color: Color, text: string) => string;

/** Colours where there are any. */
export function painter(isColored: boolean): Paint {
  return (color, text) => isColored ? `\x1b[${CODES[color]}m${text}\x1b[0m` : text;
}

const SHOWN_PER_PROCESS = 6;
const QUIET: ReadonlySet<string> = new Set([
  "budget.inspect",
  "file.stat",
  "message.receive",
  "model.generate",
  "object.append",
  "object.list",
  "object.read",
  "process.exit",
  "process.spawn",
  "process.wait",
  "tool.call",
]);

interface CallData {
  readonly pid: string;
  readonly step: number;
  readonly key: string;
  readonly name: string;
  /** null where what was given is no JSON. */
  readonly args: Readonly<Record<string, unknown>> | null;
  readonly decision: {
    readonly effect: string;
    readonly needs: readonly { readonly resource: string }[];
    readonly by: readonly (readonly string[])[];
    readonly rule?: string;
  };
  readonly result: {
    readonly ok: boolean;
    readonly reply?: unknown;
    readonly code?: string;
    readonly message?: string;
  };
}

/** Turns lines of a log into lines of a screen. */
export class Screen {
  readonly #out: Out;
  readonly #paint: Paint;
  readonly #shown = new Map<string, number>();
  readonly #hidden = new Map<string, number>();
  readonly #intents = new Map<string, CallData>();
  readonly #grants = new Map<string, string[]>();
  /** Calls inside of which something that failed was shown. */
  readonly #told = new Set<string>();
  #root = "";

  /** A screen which writes to `out`. */
  constructor(out: Out, paint: Paint) {
    this.#out = out;
    this.#paint = paint;
  }

  /** Says which process is the root. */
  begin(root: string): void {
    this.#root = root;
  }

  /** Shows the lines of one commit. */
  show(lines: readonly Line[]): void {
    for (const line of lines) {
      if (line.type !== "cap.granted") continue;
      const { subject, via, right, resource } = line.data as unknown as Record<string, string>;
      if (via !== "spawn" || !right!.startsWith("file.")) continue;
      const given = this.#grants.get(subject!) ?? [];
      this.#grants.set(subject!, [...given, `${right}(${resource})`]);
    }
    for (const line of lines) this.#line(line);
  }

  #line({ type, data }: Line): void {
    const all = data as unknown as Record<string, unknown>;
    const pid = String(all["pid"] ?? "");
    if (type === "process.spawned") this.#spawned(pid, all);
    else if (type === "call.intent") this.#intents.set(idOf(all as never), all as never);
    else if (type === "call.done") this.#call(all as never);
    else if (type === "call.outcome") this.#outcome(all);
    else if (type === "human.asked") this.#asked(pid, all);
    else if (type === "human.answered") this.#answered(all);
    else if (type === "human.expired") this.#row("", "expired", `nobody answered ${all["id"]}`);
    else if (type === "process.ended") this.#ended(pid, all["outcome"] as never);
  }

  #spawned(pid: string, data: Readonly<Record<string, unknown>>): void {
    const goal = oneLine(String(data["goal"])).slice(0, 80);
    if (data["parent"] === null) {
      this.#out(`${this.#paint("bold", `▸ ${pid} coordinator`)}  "${goal}"`);
      return;
    }
    const given = this.#grants.get(pid)?.find((grant) => grant.startsWith("file.read")) ?? "";
    this.#row(String(data["parent"]), "spawn", `${pid} ${goal}`, this.#paint("cyan", given));
  }

  #outcome(data: Readonly<Record<string, unknown>>): void {
    const intent = this.#intents.get(idOf(data as never));
    if (intent?.name === "model.generate") {
      const reply = (data["result"] as CallData["result"]).reply as { text?: string } | undefined;
      const text = oneLine(reply?.text ?? "").slice(0, 90);
      if (text !== "") this.#row(intent.pid, "model", this.#paint("dim", text));
      if ((data["result"] as CallData["result"]).ok) return;
    }
    if (intent !== undefined) this.#call({ ...intent, result: data["result"] as never }, true);
    else if (data["via"] !== "call") this.#row(String(data["pid"]), "effect", String(data["via"]));
  }

  #call(call: CallData, isEffect = false): void {
    const { pid, name, decision, result } = call;
    if (name === "tool.call" && (result.ok || this.#told.delete(idOf(call)))) return;
    if (!result.ok) this.#told.add(idOf({ ...call, key: call.key.replace(/\.\d+$/, "") }));
    const named = call.args?.["name"] ?? call.args?.["path"] ?? "";
    const what = oneLine(decision.needs[0]?.resource ?? String(named));
    if (decision.effect === "deny") {
      const why = decision.rule ?? refusal(result);
      this.#row(pid, name, what, `${this.#paint("red", "DENY ")} ${why}`);
      return;
    }
    if (!result.ok) {
      if (pid !== this.#root && result.code === "EINVAL") return;
      const message = oneLine(result.message ?? "").slice(0, 100);
      this.#row(pid, name, what, `${this.#paint("yellow", result.code ?? "")} ${message}`);
      return;
    }
    if (QUIET.has(name) || call.args?.["type"] === "context") return;
    if (!isEffect && this.#isFull(pid)) return;
    const said = isEffect ? this.#paint("green", "done ") : this.#paint("green", "allow");
    const cap = decision.by[0]?.[0] ?? "";
    this.#row(pid, name, what, `${said} ${cap.padEnd(9)} ${amount(result.reply)}`.trimEnd());
  }

  #isFull(pid: string): boolean {
    const shown = (this.#shown.get(pid) ?? 0) + 1;
    this.#shown.set(pid, shown);
    if (shown <= SHOWN_PER_PROCESS) return false;
    this.#hidden.set(pid, (this.#hidden.get(pid) ?? 0) + 1);
    return true;
  }

  #asked(pid: string, data: Readonly<Record<string, unknown>>): void {
    const prompt = oneLine(String(data["prompt"])).slice(0, 80);
    this.#row(pid, String(data["kind"]), prompt, `${this.#paint("yellow", "ask  ")} ${data["id"]}`);
  }

  #answered(data: Readonly<Record<string, unknown>>): void {
    const answer = data["answer"] as { outcome: string; scope?: string; reason?: string };
    const how = `${answer.outcome} ${answer.scope ?? answer.reason ?? ""}`.trim();
    this.#row("", "person", oneLine(`${how}, by ${data["by"]}`), String(data["id"]));
  }

  #ended(pid: string, outcome: Readonly<Record<string, unknown>>): void {
    const hidden = this.#hidden.get(pid) ?? 0;
    const isWell = outcome["kind"] === "exited" && outcome["code"] === 0;
    const said = isWell ? outcome["result"] : outcome["message"] ?? outcome["reason"];
    const text = oneLine(typeof said === "string" ? said : JSON.stringify(said ?? null));
    const more = hidden === 0 ? "" : `, ${hidden} calls not shown`;
    const kind = this.#paint(isWell ? "green" : "red", String(outcome["kind"]));
    const branch = pid === this.#root ? "└─" : "├─";
    const verb = kind.padEnd(kind.length + 13 - String(outcome["kind"]).length);
    this.#out(`  ${branch} ${pid.padEnd(6)} ${verb} ${text.slice(0, 160)}${more}`);
  }

  #row(pid: string, verb: string, what: string, rest = ""): void {
    const start = pid === "" ? "│ " : "├─";
    const width = rest === "" ? 0 : 34;
    this.#out(
      `  ${start} ${pid.padEnd(6)} ${verb.padEnd(13)} ${what.padEnd(width)} ${rest}`.trimEnd(),
    );
  }
}

/** Why a call was refused that no rule was about. */
function refusal({ code, message = "" }: CallData["result"]): string {
  if (code === "EPERM") return "no capability covers it";
  return oneLine(`${code} ${message}`).slice(0, 100);
}

function idOf({ pid, step, key }: { pid: string; step: number; key: string }): string {
  return `${pid}#${step}.${key}`;
}

function amount(reply: unknown): string {
  if (typeof reply !== "object" || reply === null) return "";
  const { bytes, entries } = reply as { bytes?: number; entries?: readonly unknown[] };
  if (typeof bytes === "number") return size(bytes);
  return entries === undefined ? "" : `${entries.length} found`;
}
