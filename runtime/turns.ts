/**
 * Turns: which process runs next, and the runs that are alive.
 *
 * Invariants:
 *   J1. At most one run of a process is alive.
 *   J2. A run begins only while less than `limit` others act. One that rests, since all it does is
 *       to wait for a turn at a gate, does not count, up to `LIMITS.stepsWaitingMax` of them; when
 *       its turn comes it goes on at once, and nothing begins until there is room again.
 *   J3. Nothing of a tree that is held, or not in memory any more, is run.
 * @module
 */

import type { Broker } from "../broker/broker.ts";
import { Run } from "../broker/run.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import { readyPids } from "../kernel/schedule.ts";
import { Scheduler } from "../kernel/scheduler.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Process } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Hosted } from "./forest.ts";
import type { NodeOptions } from "./node_options.ts";
import { canRun, programOf, runStep } from "./step.ts";

/** What turns are taken with. */
export interface TurnsParts {
  readonly options: NodeOptions;
  readonly broker: Broker;
  /** A tree in memory; undefined when it is not there. */
  get(id: TreeId): Hosted | undefined;
  /** A model writes text. */
  heard(pid: Pid, chunk: string): void;
  /** A step was written down; resolves when that is durable. */
  written(tree: Tree): Promise<void>;
  /** A process is ready that this node has not the code or the model for. */
  unable(hosted: Hosted): void;
  /** A tree cannot go on. */
  halt(tree: Tree, error: unknown): void;
  /** A run is over, or rests: there may be room for another. */
  room(hosted: Hosted): void;
}

/** The run queue of a node and its runs. */
export class Turns {
  readonly #parts: TurnsParts;
  readonly #scheduler = new Scheduler();
  /** How many runs may act. */
  limit: number;
  /** Those that are alive. */
  readonly #runs = new Set<Run>();
  isStopping = false;
  /** Aborted when the node has stopped: whoever waits for what it does waits in vain. */
  readonly over: AbortController = new AbortController();
  /** Steps that came to their end; those that park are one until then. */
  steps = 0;

  /** Nothing is queued yet. */
  constructor(parts: TurnsParts, limit: number) {
    this.#parts = parts;
    this.limit = limit;
  }

  /** How many runs are alive. */
  get running(): number {
    return this.#runs.size;
  }

  /** Whether one run is alive, which makes one call at a time, and none is to begin. */
  get isAlone(): boolean {
    if (this.#runs.size !== 1 || this.size > 0) return false;
    const [{ inFlight, composing }] = [...this.#runs] as [Run];
    return composing <= 1 && inFlight <= composing + 1;
  }

  /** How many processes are queued. */
  get size(): number {
    return this.#scheduler.size;
  }

  /** Queues what is ready of a tree. */
  enqueue(hosted: Hosted): void {
    if (this.isStopping || hosted.held > 0) return;
    const { tree } = hosted;
    for (const pid of readyPids(tree.state)) {
      if (hosted.runs.has(pid)) continue;
      if (!canRun(this.#parts.options, tree, pid)) {
        this.#parts.unable(hosted);
        continue;
      }
      this.#scheduler.enqueue(tree.state.tree, pid);
    }
  }

  /** How many runs count (J2). */
  get #acting(): number {
    let resting = 0;
    for (const { rests } of this.#runs) if (rests) resting += 1;
    return this.running - Math.min(resting, LIMITS.stepsWaitingMax);
  }

  /** Starts runs while there is room (J2). */
  start(): void {
    for (let acting = this.#acting; acting < this.limit && !this.isStopping;) {
      const turn = this.#scheduler.next((tree, pid) =>
        this.#parts.get(tree)?.tree.state.processes[pid]?.priority ?? 1
      );
      if (turn === undefined) return;
      const hosted = this.#parts.get(turn.tree);
      const process = hosted?.tree.state.processes[turn.pid];
      if (hosted === undefined) this.#scheduler.forget(turn.tree, turn.pid);
      if (hosted === undefined || process?.life.state !== "ready" || hosted.held > 0) continue;
      if (hosted.tree.state.going !== undefined) continue;
      if (hosted.runs.has(turn.pid)) continue;
      this.#run(hosted, process);
      acting += 1;
    }
  }

  /** Starts one run and resolves when it is over; false when nothing is queued. */
  async one(soon: (job: () => void) => void): Promise<boolean> {
    if (this.size === 0) return false;
    const { limit } = this;
    this.limit = 1;
    try {
      this.start();
      this.limit = 0;
      await new Promise<void>((resolve) => {
        const watch = (): void => this.running === 0 ? resolve() : soon(watch);
        watch();
      });
    } finally {
      this.limit = limit;
    }
    return true;
  }

  /** Forgets the turns that a tree has had: it left memory. */
  forget({ tree }: Hosted): void {
    for (const pid in tree.state.processes) this.#scheduler.forget(tree.state.tree, pid as Pid);
  }

  #run(hosted: Hosted, process: Process): void {
    const { options, broker, heard, written, halt, room } = this.#parts;
    const { tree, runs } = hosted;
    const run = new Run(tree, process.pid, {
      text: (chunk) => heard(process.pid, chunk),
      rested: () => room(hosted),
      ...(options.composes === undefined ? {} : { composes: options.composes }),
    });
    runs.set(process.pid, run);
    this.#runs.add(run);
    const program = options.program(programOf(tree, process))!;
    const step = () => runStep(run, process, { broker, clock: options.world.clock, program });
    (options.around === undefined ? step() : options.around(tree, process, step))
      .then(async (isWritten) => {
        if (isWritten) await written(tree);
        // A process that ends itself has written that down before.
        if (isWritten || process.life.state === "ended") this.steps += 1;
      })
      .catch((error) => halt(tree, error))
      .finally(() => {
        run.end("stopped");
        runs.delete(process.pid);
        this.#runs.delete(run);
        if (process.life.state === "ended") this.#scheduler.forget(tree.state.tree, process.pid);
        room(hosted);
      });
  }
}
