/**
 * Whose turn it is: fair between trees, and between the processes of a tree.
 *
 * Stride scheduling: each turn moves a process ahead by a stride, the shorter the higher its
 * priority; the one furthest behind is next. A newcomer starts where the furthest behind stands, so
 * it neither waits for others to catch up nor is owed the past; nobody starves.
 *
 * Invariants:
 *   Z1. A process is queued at most once.
 *   Z2. Among n ready processes of equal priority in a tree, each has its turn within n turns.
 * @module
 */

import type { Pid, TreeId } from "./ids.ts";

interface Place<K> {
  readonly key: K;
  pass: number;
  order: number;
}

/** Keys by how far they have come; the furthest behind first. A binary heap. */
class Queue<K> {
  readonly #heap: Place<K>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** How far the furthest behind has come. */
  get front(): number {
    return this.#heap[0]?.pass ?? 0;
  }

  push(key: K, pass: number): void {
    const place = { key, pass, order: this.#order++ };
    let at = this.#heap.push(place) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!before(place, this.#heap[up]!)) break;
      this.#heap[at] = this.#heap[up]!;
      at = up;
    }
    this.#heap[at] = place;
  }

  pop(): Place<K> | undefined {
    const top = this.#heap[0];
    const last = this.#heap.pop();
    if (top === undefined || last === undefined || top === last) return top;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= this.#heap.length) break;
      const right = this.#heap[down + 1];
      if (right !== undefined && before(right, this.#heap[down]!)) down += 1;
      if (!before(this.#heap[down]!, last)) break;
      this.#heap[at] = this.#heap[down]!;
      at = down;
    }
    this.#heap[at] = last;
    return top;
  }
}

function before(a: Place<unknown>, b: Place<unknown>): boolean {
  return a.pass < b.pass || (a.pass === b.pass && a.order < b.order);
}

interface Lane {
  readonly processes: Queue<Pid>;
  readonly passes: Map<Pid, number>;
  pass: number;
  clock: number;
}

const STRIDE = 1_000;

/** The run queue of a node. */
export class Scheduler {
  readonly #lanes = new Map<TreeId, Lane>();
  readonly #trees = new Queue<TreeId>();
  readonly #queued = new Set<Pid>();
  #clock = 0;

  /** How many processes are queued. */
  get size(): number {
    return this.#queued.size;
  }

  /** Queues a ready process; nothing happens when it is queued already (Z1). */
  enqueue(tree: TreeId, pid: Pid): void {
    if (this.#queued.has(pid)) return;
    this.#queued.add(pid);
    let lane = this.#lanes.get(tree);
    if (lane === undefined) {
      lane = { processes: new Queue(), passes: new Map(), pass: this.#clock, clock: 0 };
      this.#lanes.set(tree, lane);
    }
    const pass = Math.max(lane.passes.get(pid) ?? 0, lane.clock);
    lane.passes.set(pid, pass);
    if (lane.processes.size === 0) {
      lane.pass = Math.max(lane.pass, this.#clock);
      this.#trees.push(tree, lane.pass);
    }
    lane.processes.push(pid, pass);
  }

  /** The process whose turn it is; `priority` says how much its turn counts. */
  next(priority: (tree: TreeId, pid: Pid) => number): { tree: TreeId; pid: Pid } | undefined {
    const first = this.#trees.pop();
    if (first === undefined) return undefined;
    const lane = this.#lanes.get(first.key)!;
    const place = lane.processes.pop()!;
    this.#queued.delete(place.key);
    this.#clock = first.pass;
    lane.pass = first.pass + STRIDE;
    lane.clock = place.pass;
    lane.passes.set(place.key, place.pass + STRIDE / Math.max(1, priority(first.key, place.key)));
    if (lane.processes.size > 0) this.#trees.push(first.key, lane.pass);
    return { tree: first.key, pid: place.key };
  }

  /** Forgets what a process has had; for one that ended. */
  forget(tree: TreeId, pid: Pid): void {
    const lane = this.#lanes.get(tree);
    lane?.passes.delete(pid);
    if (lane !== undefined && lane.passes.size === 0 && lane.processes.size === 0) {
      this.#lanes.delete(tree);
    }
  }
}
