/**
 * A run: one execution of one step of one process.
 *
 * A step is code that may be run again from the top: after a crash, or after it waited. Each call
 * it makes has a place in the step, and calls that were answered before are answered again from the
 * log. A run that is over, because its process waits or ended, never hears of its calls again:
 * their
 * promises do not settle, and the abandoned code is collected as garbage.
 *
 * Invariants:
 *   S1. At most one run of a process is alive.
 *   S2. Keys depend only on the order in which the code makes its calls.
 * @module
 */

import type { Pid } from "../kernel/ids.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Frame } from "./port.ts";

/** How a run came to its end. */
export type RunEnd = "parked" | "over" | "stopped";

/** Who hears of a run. */
export interface RunHears {
  /** A chunk of text. */
  text?(chunk: string): void;
  /** It may rest now. */
  rested?(): void;
  /** A call that makes others begins: `p_1#4.2`. */
  composes?(call: string): void;
}

/** One execution of one step. */
export class Run {
  readonly tree: Tree;
  readonly pid: Pid;
  readonly step: number;
  readonly signal: AbortSignal;
  /** Settles when the run is over for another reason than that its code returned. */
  readonly ended: Promise<RunEnd>;
  readonly #hears: RunHears;
  readonly #abort = new AbortController();
  readonly #counts = new Map<string, number>();
  #end: (how: RunEnd) => void = () => {};
  #alive = true;
  /** Generated tools that are running, by the key of the call that runs them. */
  readonly frames: Map<string, Frame> = new Map();
  /** What people let the programs that are running do, by the key of the call that runs them. */
  readonly programs: Map<string, Set<string>> = new Map();
  /** Calls made that have not returned. */
  inFlight = 0;
  /** Composed calls under way, whose cost is not booked yet. */
  composing = 0;
  #waiting = 0;
  /** Calls made in all, but for those of generated tools and programs. */
  calls = 0;
  /** Calls that generated tools and programs made. */
  callsOfTools = 0;

  /** Starts a run of the process's current step. */
  constructor(tree: Tree, pid: Pid, hears: RunHears = {}) {
    this.tree = tree;
    this.pid = pid;
    this.step = tree.state.processes[pid]?.step ?? 0;
    this.#hears = hears;
    this.signal = this.#abort.signal;
    this.ended = new Promise((resolve) => this.#end = resolve);
  }

  /** Whether its code may still call. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Text for whoever listens. */
  stream(chunk: string): void {
    this.#hears.text?.(chunk);
  }

  /** A call at `key` begins that makes others. */
  composes(key: string): void {
    this.#hears.composes?.(`${this.pid}#${this.step}.${key}`);
  }

  /** Whether all that it does is to wait for a turn at a gate. */
  get rests(): boolean {
    return this.#waiting > 0 && this.inFlight - this.composing <= this.#waiting;
  }

  /** A call of it begins to wait for a turn at a gate, or does so no longer. */
  waits(isWaiting: boolean): void {
    this.#waiting += isWaiting ? 1 : -1;
    if (this.rests) this.#hears.rested?.();
  }

  /** A call has begun. */
  began(): void {
    this.inFlight += 1;
  }

  /** A call has returned: those that are left may all wait. */
  returned(): void {
    this.inFlight -= 1;
    if (this.rests) this.#hears.rested?.();
  }

  /** The place of the next call made inside `parent` ("" for the step itself). */
  nextKey(parent: string): string {
    const n = (this.#counts.get(parent) ?? 0) + 1;
    this.#counts.set(parent, n);
    if (this.frames.has(parent) || this.programs.has(parent)) this.callsOfTools += 1;
    else this.calls += 1;
    return parent === "" ? String(n) : `${parent}.${n}`;
  }

  /** Takes no place again that a call inside `parent` had: what is sent anew asks anew. */
  passOver(parent: string, places: number): void {
    this.#counts.set(parent, Math.max(places, this.madeInside(parent)));
  }

  /** Calls made inside `parent` so far. */
  madeInside(parent: string): number {
    return this.#counts.get(parent) ?? 0;
  }

  /** Stops the frames that stand no longer: their tool was taken back. */
  recheck(): void {
    for (const frame of this.frames.values()) frame.recheck();
  }

  /** Ends the run; what it still calls is never answered. */
  end(how: RunEnd): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const frame of this.frames.values()) frame.stop("the run is over");
    if (how !== "parked") this.#abort.abort(how);
    this.#end(how);
  }
}

/** What a call of an abandoned run gets: nothing, ever. */
export function never(): Promise<never> {
  return new Promise(() => {});
}
