/**
 * Who stands in line at a gate: fair between trees, and between the processes of a tree.
 *
 * Start-time fair queueing, twice. A tree that is served moves ahead by what its call weighs over
 * its priority; the tree furthest behind is next. A newcomer starts where the line stands, so it is
 * owed nothing of the past; who was ahead of that when it left comes back ahead. Within a tree the
 * same between processes; a process's own calls keep their order.
 *
 * Invariants:
 *   Q1. A call is in line at most once, and leaves it at once.
 *   Q2. Among n trees of equal weight and priority that all wait, each is served within n calls.
 *   Q3. Between trees that all wait, what each was served over its priority differs by no more than
 *       the heaviest call of each: so nobody starves, whatever others ask for.
 *   Q4. The line goes on by its share at each call, so that no stream of newcomers, however long,
 *       keeps a tree from its turn.
 *   Q5. A call that was served already goes before all others: its tree has paid for it.
 *   Q6. What is kept of those who left is bounded, and nothing once the line is empty.
 * @module
 */

/** A call in line. */
export interface Standing {
  readonly id: number;
  readonly tree: string;
  readonly pid: string;
  /** 1 to 100; what it weighs counts for less the higher it is. */
  readonly priority: number;
  /** What being served costs its tree, at least 1. */
  readonly weight: number;
  /** Since when it waits: of those that are equally far behind, who waited longest is next. */
  readonly sinceMs: number;
}

const LEFT_KEPT_MAX = 4_096;
// Later than every time: who was served stands behind who was not and is equally far behind.
const SERVED = 2 ** 50;

interface Flow<T> {
  /** How far it has come. */
  pass: number;
  /** Breaks ties: since when it waits, and once it was served, how many were before. */
  order: number;
  readonly waits: T;
}

interface Lane {
  readonly flows: Map<string, Flow<Standing[]>>;
  clock: number;
}

/** The line before a gate. */
export class Line {
  readonly #trees = new Map<string, Flow<Lane>>();
  readonly #again: Standing[] = [];
  /** How far those had come who left ahead of the line. */
  readonly #left = new Map<string, number>();
  #clock = 0;
  #order = SERVED;
  #size = 0;

  /** How many stand in it. */
  get size(): number {
    return this.#size;
  }

  /** Adds a call behind those of its process; one that was served already goes before all (Q5). */
  push(call: Standing, again = false): void {
    this.#size += 1;
    if (again) return void this.#again.push(call);
    let tree = this.#trees.get(call.tree);
    if (tree === undefined) {
      const pass = Math.max(this.#clock, this.#left.get(call.tree) ?? 0);
      this.#left.delete(call.tree);
      tree = { pass, order: call.sinceMs, waits: { flows: new Map(), clock: 0 } };
      this.#trees.set(call.tree, tree);
    }
    const { flows, clock } = tree.waits;
    const flow = flows.get(call.pid);
    if (flow === undefined) {
      flows.set(call.pid, { pass: clock, order: call.sinceMs, waits: [call] });
    } else flow.waits.push(call);
  }

  /** Who is next, without serving it. */
  peek(): Standing | undefined {
    if (this.#again.length > 0) return this.#again[0];
    const tree = furthestBehind(this.#trees);
    if (tree === undefined) return undefined;
    return furthestBehind(tree[1].waits.flows)?.[1].waits[0];
  }

  /** Serves the next. */
  shift(): Standing | undefined {
    if (this.#again.length > 0) this.#size -= 1;
    if (this.#again.length > 0) return this.#again.shift();
    const found = furthestBehind(this.#trees);
    if (found === undefined) return undefined;
    const [, tree] = found;
    const [, flow] = furthestBehind(tree.waits.flows)!;
    const call = flow.waits[0]!;
    const step = Math.max(1, call.weight) / Math.min(100, Math.max(1, call.priority));
    this.#clock = Math.max(tree.pass, this.#clock + step / this.#trees.size);
    tree.waits.clock = Math.max(flow.pass, tree.waits.clock + step / tree.waits.flows.size);
    flow.pass += step;
    flow.order = this.#order++;
    tree.pass += step;
    tree.order = this.#order++;
    this.#drop(call);
    if (this.#size === 0) this.#left.clear();
    else if (!this.#trees.has(call.tree)) this.#keep(call.tree, tree.pass);
    return call;
  }

  #keep(tree: string, pass: number): void {
    if (this.#left.size >= LEFT_KEPT_MAX) {
      for (const [other, was] of this.#left) if (was <= this.#clock) this.#left.delete(other);
      if (this.#left.size >= LEFT_KEPT_MAX) this.#left.delete(this.#left.keys().next().value!);
    }
    this.#left.set(tree, pass);
  }

  /** Takes a call out of the line. */
  remove(call: Standing): void {
    const at = this.#again.findIndex(({ id }) => id === call.id);
    if (at >= 0) {
      this.#again.splice(at, 1);
      this.#size -= 1;
      return;
    }
    const waits = this.#trees.get(call.tree)?.waits.flows.get(call.pid)?.waits;
    if (waits?.some(({ id }) => id === call.id)) this.#drop(call);
  }

  #drop(call: Standing): void {
    const tree = this.#trees.get(call.tree)!;
    const { waits } = tree.waits.flows.get(call.pid)!;
    waits.splice(waits.findIndex(({ id }) => id === call.id), 1);
    this.#size -= 1;
    if (waits.length === 0) tree.waits.flows.delete(call.pid);
    if (tree.waits.flows.size === 0) this.#trees.delete(call.tree);
  }
}

function furthestBehind<T>(flows: ReadonlyMap<string, Flow<T>>): [string, Flow<T>] | undefined {
  let first: [string, Flow<T>] | undefined;
  for (const entry of flows) {
    const [, { pass, order }] = entry;
    const before = first === undefined || pass < first[1].pass ||
      (pass === first[1].pass && order < first[1].order);
    if (before) first = entry;
  }
  return first;
}
