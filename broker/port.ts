/**
 * The port of a generated tool: its only way out, in the name of the process that called it (G6).
 *
 * What a tool does may be done again from the top, after a crash or a wait. Its code is made to be
 * the same each time, so the calls it makes are; the port makes sure that their answers come in the
 * same order too, whatever the second run's timing.
 *
 * Invariants:
 *   P1. A call through the port needs what its process holds *and* what the tool declared.
 *   P2. Answers are delivered in the order in which the log has them, in every run.
 *   P3. Every refusal is in the log, so that it comes again at the same place.
 *   P4. A closed port delivers nothing, and what still asks through it is not heard.
 * @module
 */

import { Panic, SysError } from "../kernel/errors.ts";
import { matchRight, type Pattern, within } from "../kernel/grammar.ts";
import type { Json } from "../kernel/json.ts";
import { CAGE_LIMITS_MAX } from "../kernel/limits.ts";
import { parseGrant } from "../kernel/path.ts";
import type { Process, Recorded } from "../kernel/state.ts";
import type { Call } from "./call.ts";
import { never, type Run } from "./run.ts";
import type { PortAnswer } from "./sandbox.ts";
import type { AnySyscall, Need } from "./syscall.ts";

/** What a tool may use, and whether it may still run. */
export interface PortRights {
  readonly name: string;
  /** Of the version that runs. */
  readonly hash: string;
  readonly rights: readonly Pattern[];
  /** Whether the process still has this version of the tool. */
  stands(): boolean;
}

/** A generated tool that is running: what the door asks about its calls. */
export interface Frame {
  readonly name: string;
  readonly hash: string;
  readonly rights: readonly Pattern[];
  readonly alive: boolean;
  /** Aborted when its calls are heard no longer. */
  readonly signal: AbortSignal;
  recheck(): void;
  stop(why: string): void;
}

/** Why a run was stopped whose tool was revoked or unregistered. */
export const TAKEN_BACK = "it was taken back";

/** These say that the run itself is broken: the tool is not told, and the step fails. */
export const FATAL: ReadonlySet<string> = new Set(["EREPLAY", "EFENCED", "EINTEGRITY"]);

interface Waiting {
  readonly key: string;
  answer: PortAnswer | null;
  readonly deliver: (answer: PortAnswer) => void;
}

/** The port of one run of a tool. */
export class Port implements Frame {
  readonly name: string;
  readonly hash: string;
  readonly rights: readonly Pattern[];
  /** Aborted when the run of the tool is to be let go. */
  readonly signal: AbortSignal;
  readonly #stands: () => boolean;
  readonly #run: Run;
  readonly #process: Process;
  readonly #parent: string;
  readonly #door: (name: string, args: unknown, key: string) => Promise<unknown>;
  readonly #stop = new AbortController();
  readonly #waiting = new Map<string, Waiting>();
  /** Calls which the log answered before this run began, and this run has not heard yet. */
  readonly #before: Map<string, number>;
  /** What broke the run. */
  broken: unknown = null;
  #why = "";

  /** Opens the port of the tool that the call at `parent` runs. */
  constructor(at: {
    readonly run: Run;
    readonly process: Process;
    readonly parent: string;
    readonly tool: PortRights;
  }, door: (name: string, args: unknown, key: string) => Promise<unknown>) {
    this.name = at.tool.name;
    this.hash = at.tool.hash;
    this.rights = at.tool.rights;
    this.#stands = at.tool.stands;
    this.#run = at.run;
    this.#process = at.process;
    this.#parent = at.parent;
    this.#door = door;
    this.signal = this.#stop.signal;
    this.#before = answeredInside(at.process, at.parent, at.run.madeInside(at.parent));
    at.run.frames.set(at.parent, this);
  }

  /** Whether its calls are still heard. */
  get alive(): boolean {
    return !this.signal.aborted;
  }

  /** Why it was stopped; empty while it was not. */
  get why(): string {
    return this.#why;
  }

  /** Makes a call; settles when its answer may be delivered (P2). Never rejects. */
  call(name: string, args: Json): Promise<PortAnswer> {
    if (!this.alive) return never();
    const key = this.#run.nextKey(this.#parent);
    return new Promise((deliver) => {
      this.#waiting.set(key, { key, answer: null, deliver });
      this.#door(name, args, key).then(
        (reply) => this.#settled(key, { ok: true, reply: reply as Json, atMs: this.#atMs(key) }),
        (error) => this.#failed(key, error),
      );
    });
  }

  #failed(key: string, error: unknown): void {
    if (!(error instanceof SysError) || error instanceof Panic || FATAL.has(error.code)) {
      return this.fail(error);
    }
    const { code, message } = error;
    this.#settled(key, { ok: false, code, message, atMs: this.#atMs(key) });
  }

  #recorded(key: string): Recorded & { state: "done" } | undefined {
    const recorded = Object.hasOwn(this.#process.journal, key)
      ? this.#process.journal[key]
      : undefined;
    return recorded?.state === "done" ? recorded : undefined;
  }

  #atMs(key: string): number {
    return this.#recorded(key)?.atMs ?? this.#run.tree.state.atMs;
  }

  /** Delivers what is next in the log's order, as long as it is there (P2). */
  #settled(key: string, answer: PortAnswer): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined || !this.alive) return;
    waiting.answer = answer;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#waiting.delete(next.key);
      this.#before.delete(next.key);
      next.deliver(next.answer!);
    }
  }

  /** The settled call that stands before all others in the log. */
  #next(): Waiting | undefined {
    let first: Waiting | undefined;
    let lowest = Infinity;
    for (const waiting of this.#waiting.values()) {
      // What no line answers comes after all that one does.
      const late = waiting.answer === null ? Infinity : Number.MAX_SAFE_INTEGER;
      const seq = this.#recorded(waiting.key)?.seq ?? late;
      if (seq >= lowest) continue;
      lowest = seq;
      first = waiting;
    }
    for (const seq of this.#before.values()) if (seq < lowest) return undefined;
    return first?.answer == null ? undefined : first;
  }

  /** The first call that the log has and this run did not make; null when it made all of them. */
  get unasked(): string | null {
    return [...this.#before.keys()].find((key) => !this.#waiting.has(key)) ?? null;
  }

  /**
   * The first call that the log has answered and that will not be made any more, now that the tool
   * can do nothing without an answer; null when an answer is still on its way.
   *
   * What the log answered, an earlier run asked for before it heard what the log has not answered.
   */
  get missing(): string | null {
    const isOnItsWay = [...this.#before.keys()].some((key) =>
      this.#waiting.has(key) && this.#waiting.get(key)!.answer === null
    );
    return isOnItsWay ? null : this.unasked;
  }

  /** Stops, and says what broke the run. */
  fail(error: unknown): void {
    this.broken ??= error;
    this.stop("the run is broken");
  }

  /** Stops when the process has this version of the tool no longer. */
  recheck(): void {
    if (!this.#stands()) this.stop(TAKEN_BACK);
  }

  /** Delivers nothing any more (P4). */
  stop(why: string): void {
    if (!this.alive) return;
    this.#why = why;
    // A reason of our own: making the usual one costs more than all the rest.
    this.#stop.abort(why);
  }

  /** Closes it: the tool has returned. */
  close(): void {
    this.stop("it has returned");
    this.#run.frames.delete(this.#parent);
  }
}

/**
 * Calls right inside another, after the first `made`, that the log has answered, and where. Looked
 * up by their numbers: a journal may be long, and most runs find nothing.
 */
function answeredInside(process: Process, parent: string, made: number): Map<string, number> {
  const { journal } = process;
  const found = new Map<string, number>();
  for (let n = made + 1, missing = 0; missing <= CAGE_LIMITS_MAX.callsOutstanding; n++) {
    const key = `${parent}.${n}`;
    const recorded = Object.hasOwn(journal, key) ? journal[key] : undefined;
    // No more can be missing before one that is there than were out at a time.
    missing = recorded === undefined ? missing + 1 : 0;
    if (recorded?.state === "done") found.set(key, recorded.seq);
  }
  return found;
}

/** What a call through a port needs that its tool did not declare (P1); null when nothing. */
export function undeclared(frame: Frame, call: Call, needs: readonly Need[]): Need | null {
  const { def, name, args, cwd } = call;
  if (def.port === "free") return null;
  const declares = (wanted: Pattern): boolean =>
    frame.rights.some((right) => within(wanted, right));
  const missing = needs.find(({ right, resource }) => !declares({ right, resource }));
  if (missing !== undefined) return missing;
  const handed = def.hands?.(args, call.tree) ?? [];
  for (const { right, resource } of handed.map((text) => parseGrant(text, cwd))) {
    if (!declares({ right, resource })) return { right, resource };
  }
  if (needs.length > 0 || frame.rights.some(({ right }) => matchRight(right, name))) return null;
  return { right: name, resource: "**" };
}

/** The refusal of what a tool did not declare. */
export function refusedUndeclared(frame: Frame, call: Call, need: Need): SysError {
  const resource = need.shown ?? need.resource;
  const what = `${need.right}(${resource})`;
  const sentence = `Cannot call "${call.name}": tool "${frame.name}" does not declare ${what}`;
  return new SysError("EPERM", `${sentence}, expected a version that does`, {
    right: need.right,
    resource,
  });
}

/** Refuses calls that no generated tool reaches. */
export function refuseClosed(frame: Frame, def: AnySyscall, name: string): void {
  if (def.port !== "closed") return;
  const sentence = `Cannot call "${name}" from tool "${frame.name}": closed to generated tools`;
  throw new SysError("EPERM", sentence);
}
