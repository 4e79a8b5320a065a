/**
 * Replay: a process's code run again over its log, with every answer from there and no effect sent.
 *
 * It tells whether the code of today would have done what the log says was done, and if not, where
 * it first went another way.
 * @module
 */

import { decode, noSuchCall } from "../broker/call.ts";
import { clientOver } from "../broker/client.ts";
import type { AnySyscall } from "../broker/syscall.ts";
import type { Tool } from "../broker/tool.ts";
import { SysError, toOutcome } from "../kernel/errors.ts";
import type { CallResult, EventMap, Line } from "../kernel/event.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import { canonical, type Json } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";
import type { State } from "../kernel/state.ts";
import { Tree, type TreeContext } from "../kernel/tree.ts";
import type { Program, StepContext } from "./program.ts";

/** Where the code went another way than the log. */
export interface Divergence {
  /** The step it was in. */
  readonly step: number;
  /** Place of the call in its step; empty when the step itself came out otherwise. */
  readonly key: string;
  /** The line that has what was done; null where the log has nothing. */
  readonly seq: number | null;
  /** A sentence: what was recorded, and what the code did now. */
  readonly message: string;
}

/** What a replay came to. */
export interface Replayed {
  /** Whose code was run. */
  readonly pid: Pid;
  /** Steps that were run again to their recorded end. */
  readonly steps: number;
  /** Calls that were the same. */
  readonly calls: number;
  /** The first difference; null when there is none. */
  readonly diverged: Divergence | null;
  /** Why it ended before the log does: a program that is not here, or a call still open. */
  readonly ended: string;
}

/** What is needed to run code again. */
export interface ReplayCode {
  readonly context: TreeContext;
  program(name: string): Program | undefined;
  tool(name: string): Tool | undefined;
  call(name: string): AnySyscall | undefined;
}

interface Told {
  readonly name: string;
  readonly args: Json;
  readonly result: CallResult | null;
  readonly seq: number;
}

interface StepRecord {
  readonly step: number;
  readonly context: Omit<StepContext, "sys" | "signal">;
  readonly program: string;
  readonly calls: Map<string, Told>;
  /** How the step came to its end by itself; null where it did not, or the log has none. */
  ended: StepEnd | null;
  /** How somebody else ended it; empty when nobody did. */
  stopped: string;
}

interface StepEnd {
  readonly seq: number;
  /** What the program threw; null when it threw nothing. */
  readonly failed: { readonly code: string; readonly message: string } | null;
  /** Whether a call ended it: what the program does after that is not heard. */
  readonly isExit: boolean;
}

/** Runs the code of a process again over lines of its tree, as far as line `until`. */
export async function replayProcess(
  lines: AsyncIterable<Line> | Iterable<Line>,
  pid: Pid,
  code: ReplayCode,
  until = Infinity,
): Promise<Replayed> {
  const steps = await recorded(lines, { pid, until, context: code.context });
  let calls = 0;
  for (const [i, record] of steps.entries()) {
    const program = code.program(record.program);
    if (program === undefined) {
      const ended = `program "${record.program}" is not here`;
      return { pid, steps: i, calls, diverged: null, ended };
    }
    const run = new ReplayRun(record, code);
    const end = await run.play(program);
    calls += run.same;
    if (run.diverged !== null) return { pid, steps: i, calls, diverged: run.diverged, ended: "" };
    if (end === "open") {
      const ended = record.stopped === ""
        ? `the log ends in step ${record.step}`
        : `it was ${record.stopped} in step ${record.step}`;
      return { pid, steps: i, calls, diverged: null, ended };
    }
  }
  return { pid, steps: steps.length, calls, diverged: null, ended: "" };
}

/** The steps of a process with what each call was answered. */
async function recorded(lines: AsyncIterable<Line> | Iterable<Line>, of: {
  readonly pid: Pid;
  readonly until: number;
  readonly context: TreeContext;
}): Promise<StepRecord[]> {
  const steps: StepRecord[] = [];
  let tree: Tree | undefined;
  for await (const line of lines) {
    if (line.seq > of.until) break;
    tree ??= Tree.empty(line.tree as TreeId, of.context);
    tree.replay(line);
    const { state } = tree;
    const { type, data } = line as Line & { readonly data: never };
    const about = data as { readonly pid?: Pid };
    if (type === "tree.restored" || type === "tree.forked" || type === "tree.grown") {
      // What stood after the position it went back to did not happen in this way of things.
      steps.length = 0;
      const isThere = state.branch === undefined && Object.hasOwn(state.processes, of.pid);
      if (isThere) steps.push(begin(state, of.pid));
      continue;
    }
    if (about.pid !== of.pid) continue;
    if (type === "process.spawned" || type === "process.stepped") {
      const last = steps.at(-1);
      if (last !== undefined) last.ended = { seq: line.seq, failed: null, isExit: false };
      steps.push(begin(state, of.pid));
    } else if (type === "process.ended") close(steps.at(-1), line);
    else note(steps.at(-1), line);
  }
  return steps;
}

function begin(state: State, pid: Pid): StepRecord {
  const process = state.processes[pid]!;
  const image = state.images[process.image]!;
  const calls = new Map<string, Told>();
  for (const [key, told] of Object.entries(process.journal)) {
    const { name } = told;
    const args = told.edited?.asked ?? told.args;
    const [result, seq] = told.state === "done"
      ? [told.result, told.seq]
      : [null, told.intent.seq] as const;
    calls.set(key, { name, args, result, seq });
  }
  return {
    step: process.step,
    program: image.program,
    context: {
      pid,
      step: process.step,
      goal: process.goal,
      input: process.input,
      instructions: image.instructions,
      model: image.model,
    },
    calls,
    ended: null,
    stopped: "",
  };
}

/** A process that was killed or canceled might have gone on: its step has no end of its own. */
function close(record: StepRecord | undefined, { data, seq }: Line): void {
  if (record === undefined) return;
  const { outcome } = data as EventMap["process.ended"];
  if (outcome.kind === "killed" || outcome.kind === "canceled") record.stopped = outcome.kind;
  else if (outcome.kind === "exited") record.ended = { seq, failed: null, isExit: true };
  else {
    // The kernel's own, after a step that went well.
    const isLast = outcome.code === "ELIMIT" && outcome.message.startsWith("Cannot go on: ");
    record.ended = { seq, failed: isLast ? null : outcome, isExit: false };
  }
}

function note(record: StepRecord | undefined, { type, data, seq }: Line): void {
  if (type === "call.done") {
    const { key, name, args, edited, result } = data as EventMap["call.done"];
    record?.calls.set(key, { name, args: edited?.asked ?? args, result, seq });
  } else if (type === "call.intent") {
    const { key, name, args, edited } = data as EventMap["call.intent"];
    record?.calls.set(key, { name, args: edited?.asked ?? args, result: null, seq });
  } else if (type === "call.outcome") {
    const { key, result } = data as EventMap["call.outcome"];
    const sent = record?.calls.get(key);
    if (sent !== undefined) record?.calls.set(key, { ...sent, result });
  }
}

/** One step, run again. */
class ReplayRun {
  readonly #record: StepRecord;
  readonly #code: ReplayCode;
  readonly #counts = new Map<string, number>();
  readonly #heard = new Set<string>();
  #stop: (how: "open" | "diverged" | "over") => void = () => {};
  diverged: Divergence | null = null;
  same = 0;

  constructor(record: StepRecord, code: ReplayCode) {
    this.#record = record;
    this.#code = code;
  }

  /** Runs the step to its recorded end, to a difference, or to where the log ends. */
  async play(program: Program): Promise<"ended" | "open" | "diverged"> {
    const stopped = new Promise<"open" | "diverged" | "over">((resolve) => this.#stop = resolve);
    const { context } = this.#record;
    const made = program({
      ...context,
      sys: clientOver((name, args) => this.#call("", name, args)),
      signal: new AbortController().signal,
    }).then(() => null, (error) => ({ failed: toOutcome(error) }));
    const how = await Promise.race([made, stopped]);
    if (how === "open" || how === "diverged") return how;
    const { ended } = this.#record;
    if (ended === null) return "open";
    const silent = [...this.#record.calls]
      .find(([key]) => !key.includes(".") && !this.#heard.has(key));
    if (silent !== undefined) {
      const [key, { name, seq }] = silent;
      this.#differ(key, seq, `"${name}" was called, and the code ends its step without it`);
      return "diverged";
    }
    return how === "over" ? "ended" : this.#compareEnd(ended, how?.failed ?? null);
  }

  /** What the program threw then, or did not, against what it does now. */
  #compareEnd(ended: StepEnd, failed: StepEnd["failed"]): "ended" | "diverged" {
    const say = (one: StepEnd["failed"]): string =>
      one === null ? "to its end" : `to ${one.code} "${brief(one.message)}"`;
    if (ended.isExit || say(ended.failed) === say(failed)) return "ended";
    this.#differ("", ended.seq, `came ${say(ended.failed)}, and comes ${say(failed)} now`);
    return "diverged";
  }

  #call(parent: string, name: string, args: unknown): Promise<Json> {
    const n = (this.#counts.get(parent) ?? 0) + 1;
    this.#counts.set(parent, n);
    const key = parent === "" ? String(n) : `${parent}.${n}`;
    const told = this.#record.calls.get(key);
    if (told === undefined) return this.#unknown(key, name, args);
    this.#heard.add(key);
    const given = decoded(name, args, this.#code.call(name));
    if (told.name !== name || canonical(given) !== canonical(told.args)) {
      const was = `${told.name}(${brief(told.args)})`;
      return this.#differ(key, told.seq, `was ${was}, and is ${name}(${brief(given)}) now`);
    }
    if (told.result === null) return this.#open();
    this.same += 1;
    return name === "tool.call" ? this.#tool(key, told) : this.#answer(told);
  }

  /** Nothing stands there: the log ends there, or the code does more than it did. */
  #unknown(key: string, name: string, args: unknown): Promise<Json> {
    const mistake = mistakeIn(name, args, this.#code.call(name));
    if (mistake !== null) return Promise.reject(mistake);
    if (this.#record.ended === null || key.includes(".")) return this.#open();
    const later = [...this.#record.calls.keys()].some((each) => !each.includes("."));
    if (!later && this.#record.calls.size > 0) return this.#open();
    return this.#differ(key, null, `${name}(${brief(args as Json)}) is called, and was not before`);
  }

  #answer({ name, result, seq: _ }: Told): Promise<Json> {
    if (name === "process.exit" || name === "process.exec") {
      this.#stop("over");
      return new Promise(() => {});
    }
    if (result!.ok) return Promise.resolve(result!.reply);
    const { code, message, detail } = result!;
    return Promise.reject(new SysError(code, message, detail));
  }

  /** Runs a trusted tool again, too, and compares what it gives. */
  async #tool(key: string, told: Told): Promise<Json> {
    const { name, input = {} } = told.args as { readonly name: string; readonly input?: Json };
    const tool = this.#code.tool(name);
    const result = told.result!;
    if (tool === undefined) return await this.#answer(told);
    let now: CallResult;
    try {
      const output = await tool.execute(await tool.parse(input), {
        pid: this.#record.context.pid,
        call: `${this.#record.context.pid}#${this.#record.step}.${key}`,
        sys: clientOver((call, args) => this.#call(key, call, args)),
        signal: new AbortController().signal,
        idempotencyKey: "",
      });
      now = { ok: true, reply: { output: (output ?? null) as Json } };
    } catch (error) {
      const { code, message } = toOutcome(error);
      now = { ok: false, code, message };
    }
    const [was, is] = [result, now].map((each) =>
      each.ok ? canonical((each.reply as { readonly output: Json }).output) : each.code
    );
    if (was === is || (!result.ok && !now.ok)) return await this.#answer(told);
    return await this.#differ(
      key,
      told.seq,
      `tool "${name}" gave ${brief(was!)}, and gives ${brief(is!)} now`,
    );
  }

  #open(): Promise<never> {
    this.#stop("open");
    return new Promise(() => {});
  }

  #differ(key: string, seq: number | null, message: string): Promise<never> {
    this.diverged ??= { step: this.#record.step, key, seq, message };
    this.#stop("diverged");
    return new Promise(() => {});
  }
}

/** Arguments as the door would have them, with defaults filled in; as they are where it refuses. */
function decoded(name: string, args: unknown, def: AnySyscall | undefined): Json {
  const given = parseJson(JSON.stringify(args ?? {})) as Json;
  try {
    return def === undefined ? given : decode(def, name, given);
  } catch {
    return given;
  }
}

/** Why the door refuses a call without a line in the log; null where it does not. */
function mistakeIn(name: string, args: unknown, def: AnySyscall | undefined): SysError | null {
  if (def === undefined) return noSuchCall(name);
  try {
    decode(def, name, args);
    return null;
  } catch (error) {
    if (error instanceof SysError) return error;
    throw error;
  }
}

function brief(value: Json | string): string {
  const text = typeof value === "string" ? value : canonical(value ?? null);
  return text.length <= 120 ? text : `${text.slice(0, 119).toWellFormed()}…`;
}
