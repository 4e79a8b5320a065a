/**
 * A simulation of many nodes over several databases: agents wake, their trees are taken, steps
 * commit in groups, and each database works through what comes in order. Time is simulated, chance
 * comes from a seed, and what a statement costs was measured.
 *
 * What it leaves out: models, people and tools (an agent waits for them, and they are nobody's
 * limit here), the network but for a round trip, and a database's own upkeep but for a share of its
 * time.
 *
 * Invariants:
 *   M1. The same parameters give the same result, to the last bit.
 *   M2. Every step that began has ended or is under way at the end: none is lost.
 * @module
 */

/** What is simulated. */
export interface Given {
  readonly seed: number;
  readonly agents: number;
  readonly nodes: number;
  /** Databases; a tree's number says which has it. */
  readonly shards: number;
  /** How often an agent wakes in an hour, and how many steps it then makes. */
  readonly wakesPerHour: number;
  readonly stepsPerWake: number;
  /** Of all wakes, the share that falls to one agent of a thousand: hot spots. */
  readonly hotShare: number;
  /** How long is simulated, and how much of its beginning does not count. */
  readonly forMs: number;
  readonly warmMs: number;
  readonly costs: Costs;
}

/** What the parts of it cost. */
export interface Costs {
  /** A commit by itself, and each tree in it: milliseconds of one core of a database. */
  readonly commitMs: number;
  readonly treeMs: number;
  /** Taking one of the trees that wait, with others, and giving it back; telling a node. */
  readonly takeMs: number;
  readonly notifyMs: number;
  /** Cores of a database, and the part of them that its own upkeep leaves. */
  readonly cores: number;
  readonly upkeep: number;
  /** There and back between a node and a database. */
  readonly tripMs: number;
}

/** What came of it. */
export interface Result {
  readonly wakes: number;
  readonly steps: number;
  readonly commits: number;
  /** Trees in a commit. */
  readonly group: number;
  /** From when an agent was to wake until its first line was written, in milliseconds. */
  readonly wakeMs: { readonly p50: number; readonly p99: number };
  /** Part of their time that databases work: all of them, and the busiest. */
  readonly busy: { readonly mean: number; readonly most: number };
  /** Whether more came than was done. */
  readonly isOver: boolean;
  /** Agents that were waiting for a database at the end. */
  readonly behind: number;
}

/** A sequence of numbers from 0 to 1, by mulberry32. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 4_294_967_296;
  };
}

/** Events in order of time, and of coming where the time is the same. */
export class Agenda {
  #times: number[] = [];
  #orders: number[] = [];
  #what: number[] = [];
  #count = 0;

  /** How many there are. */
  get size(): number {
    return this.#times.length;
  }

  /** Adds one. */
  push(atMs: number, what: number): void {
    let i = this.#times.length;
    const order = this.#count++;
    this.#set(i, atMs, order, what);
    while (i > 0) {
      const parent = i - 1 >> 1;
      if (!this.#isBefore(atMs, order, parent)) break;
      this.#set(i, this.#times[parent]!, this.#orders[parent]!, this.#what[parent]!);
      i = parent;
    }
    this.#set(i, atMs, order, what);
  }

  /** Takes the first one: its time and what it is. */
  shift(): readonly [number, number] {
    const first = [this.#times[0]!, this.#what[0]!] as const;
    const [atMs, order, what] = [this.#times.pop()!, this.#orders.pop()!, this.#what.pop()!];
    const size = this.#times.length;
    if (size === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      const right = child + 1;
      const isRight = right < size &&
        this.#isBefore(this.#times[right]!, this.#orders[right]!, child);
      if (isRight) child = right;
      if (this.#isBefore(atMs, order, child)) break;
      this.#set(i, this.#times[child]!, this.#orders[child]!, this.#what[child]!);
      i = child;
    }
    this.#set(i, atMs, order, what);
    return first;
  }

  #isBefore(atMs: number, order: number, i: number): boolean {
    const other = this.#times[i]!;
    return atMs < other || (atMs === other && order < this.#orders[i]!);
  }

  #set(i: number, atMs: number, order: number, what: number): void {
    this.#times[i] = atMs;
    this.#orders[i] = order;
    this.#what[i] = what;
  }
}

/** What is under way of one wake. */
interface Work {
  readonly sinceMs: number;
  readonly agent: number;
  left: number;
}

/** A node's line to one database: one commit is on its way, the next fills meanwhile. */
interface Lane {
  readonly shard: number;
  waiting: Work[];
  sent: Work[];
  isOut: boolean;
}

/** Runs one. */
export function simulate(given: Given): Result {
  return new World(given).run();
}

const WAKE = -1;

class World {
  readonly #given: Given;
  readonly #random: () => number;
  readonly #agenda = new Agenda();
  readonly #lanes: (Lane | undefined)[];
  /** Until when each core of each database works; and how long it worked since it counts. */
  readonly #freeMs: Float64Array;
  readonly #workedMs: Float64Array;
  readonly #waits: number[] = [];
  #behind = 0;
  #counts = { wakes: 0, steps: 0, commits: 0, trees: 0 };

  constructor(given: Given) {
    this.#given = given;
    this.#random = chance(given.seed);
    this.#lanes = new Array(given.nodes * given.shards);
    this.#freeMs = new Float64Array(given.shards * given.costs.cores);
    this.#workedMs = new Float64Array(given.shards);
  }

  run(): Result {
    const { agents, wakesPerHour, forMs } = this.#given;
    const everyMs = 3_600_000 / (agents * wakesPerHour);
    let halfBehind = 0;
    this.#agenda.push(0, WAKE);
    while (this.#agenda.size > 0) {
      const [nowMs, what] = this.#agenda.shift();
      if (nowMs > forMs) break;
      if (nowMs < forMs / 2) halfBehind = this.#behind;
      if (what !== WAKE) this.#answered(nowMs, what);
      else {
        this.#wake(nowMs);
        this.#agenda.push(nowMs - Math.log(1 - this.#random()) * everyMs, WAKE);
      }
    }
    return this.#result(halfBehind);
  }

  /** Which agent wakes: one of the few that are hot, or any. */
  #picked(): number {
    const { agents, hotShare } = this.#given;
    const among = this.#random() < hotShare ? Math.max(1, agents / 1_000) : agents;
    return Math.floor(this.#random() * among);
  }

  #wake(nowMs: number): void {
    const { nodes, shards, stepsPerWake, costs, warmMs } = this.#given;
    const agent = this.#picked();
    const node = Math.floor(this.#random() * nodes);
    const shard = agent % shards;
    if (nowMs >= warmMs) this.#counts.wakes += 1;
    this.#behind += 1;
    // Somebody is told, and takes the tree with others that wait.
    const doneMs = this.#work(shard, nowMs, costs.notifyMs + costs.takeMs);
    const lane = this.#laneOf(node, shard);
    const at = { sinceMs: nowMs, agent, left: 2 * stepsPerWake };
    lane.waiting.push(at);
    if (!lane.isOut) this.#send(node * shards + shard, lane, doneMs + costs.tripMs);
  }

  #laneOf(node: number, shard: number): Lane {
    const at = node * this.#given.shards + shard;
    return this.#lanes[at] ??= { shard, waiting: [], sent: [], isOut: false };
  }

  /** The earliest core of a database does so much; when it is done. */
  #work(shard: number, fromMs: number, ms: number): number {
    const { cores, upkeep } = this.#given.costs;
    let first = shard * cores;
    for (let i = first + 1; i < (shard + 1) * cores; i++) {
      if (this.#freeMs[i]! < this.#freeMs[first]!) first = i;
    }
    const took = ms / (1 - upkeep);
    const doneMs = Math.max(this.#freeMs[first]!, fromMs) + took;
    this.#freeMs[first] = doneMs;
    if (fromMs >= this.#given.warmMs) this.#workedMs[shard]! += took;
    return doneMs;
  }

  #send(at: number, lane: Lane, nowMs: number): void {
    const { commitMs, treeMs, tripMs } = this.#given.costs;
    // A commit has at most 256 trees; more wait for the next.
    lane.sent = lane.waiting.splice(0, 256);
    lane.isOut = true;
    if (nowMs >= this.#given.warmMs) {
      this.#counts.commits += 1;
      this.#counts.trees += lane.sent.length;
    }
    const doneMs = this.#work(lane.shard, nowMs, commitMs + treeMs * lane.sent.length);
    this.#agenda.push(doneMs + tripMs, at);
  }

  #answered(nowMs: number, at: number): void {
    const lane = this.#lanes[at]!;
    const { stepsPerWake, warmMs } = this.#given;
    for (const work of lane.sent) {
      const isFirst = work.left === 2 * stepsPerWake;
      work.left -= 1;
      if (isFirst && work.sinceMs >= warmMs) this.#waits.push(nowMs - work.sinceMs);
      if (work.left % 2 === 0 && nowMs >= warmMs) this.#counts.steps += 1;
      if (work.left > 0) lane.waiting.push(work);
      else this.#behind -= 1;
    }
    lane.sent = [];
    lane.isOut = false;
    if (lane.waiting.length > 0) this.#send(at, lane, nowMs);
  }

  #result(halfBehind: number): Result {
    const { forMs, warmMs, shards, costs } = this.#given;
    const spanMs = forMs - warmMs;
    const { wakes, steps, commits, trees } = this.#counts;
    const sorted = Float64Array.from(this.#waits).sort();
    const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? 0;
    const busy = [...this.#workedMs].map((ms) => Math.min(1, ms / (spanMs * costs.cores)));
    return {
      wakes: wakes / spanMs * 1_000,
      steps: steps / spanMs * 1_000,
      commits: commits / spanMs * 1_000,
      group: trees / Math.max(1, commits),
      wakeMs: { p50: at(0.5), p99: at(0.99) },
      busy: { mean: busy.reduce((sum, one) => sum + one, 0) / shards, most: Math.max(...busy) },
      // A fifth of what came in the second half is still there.
      isOver: this.#behind - halfBehind > 0.1 * forMs * wakes / spanMs,
      behind: this.#behind,
    };
  }
}
