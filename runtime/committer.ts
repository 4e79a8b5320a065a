/**
 * Group commit: batches of all trees that are ready together share one transaction and one sync.
 *
 * Invariants:
 *   K1. A tree's batches are committed in order; one is under way at a time.
 *   K2. Who waits for a tree hears of it only after the store has said yes.
 *   K3. A tree whose batch the store refused stops; the others of the group are committed alone.
 *   K4. Who is always ready keeps nobody from the processor: between flushes there are turns.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import type { Batch, Store } from "../kernel/store.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Clock } from "../kernel/world.ts";

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Flushes between two turns of the event loop (K4). */
const FLUSHES_MAX = 8;
/** After so long there is a turn before the next flush, however few there were. */
const FLUSHING_MS_MAX = 2;
/** Commits under way where the store is away: one is on its way while the next is made ready. */
const LANES_SHARED = 2;
/** Fewer trees go together: two commits cost more than one. */
const LANE_TREES_MIN = 16;

/** What became of a commit. */
export interface CommitInfo {
  /** How long the store took. */
  readonly ms: number;
  readonly trees: number;
  readonly lines: number;
  /** Why a tree's batch was refused; null for a commit that was taken. */
  readonly refused: string | null;
}

/** What the committer asks its node, and tells it. */
export interface CommitListener {
  /** Whether nothing but what waits now could have lines ready within a turn. */
  isAlone(): boolean;
  /** Lines are durable. */
  committed(tree: Tree, lines: readonly Line[]): void;
  /** The store refused a tree's batch: what is in memory never happened. */
  refused(tree: Tree, error: unknown): void;
  /** Who hears what became of each commit: while nobody does, nothing of it is measured. */
  readonly answered?: ReadonlySet<(info: CommitInfo) => void>;
}

/** Collects what is to be written, and writes it together. */
export class Committer {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #listener: CommitListener;
  readonly #refused = new WeakMap<Tree, unknown>();
  readonly #waiting = new Map<Tree, Waiter[]>();
  /** Trees whose batch is under way (K1). */
  readonly #sent = new Set<Tree>();
  readonly #lanes = new Set<Promise<void>>();
  readonly #lanesMax: number;
  /** Lanes that will look once more for who waits. */
  #open = 0;
  /** Lanes that have not taken anything yet. */
  #starting = 0;
  /** Flushes since the last turn, and when that was. */
  #flushes = 0;
  #turnMs = 0;

  /** A committer over a store. */
  constructor(store: Store, clock: Clock, listener: CommitListener) {
    this.#store = store;
    this.#clock = clock;
    this.#listener = listener;
    this.#lanesMax = store.isShared === true ? LANES_SHARED : 1;
  }

  /** Resolves when all that is in the tree's tail now is durable (K2). */
  durable(tree: Tree): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiting.get(tree);
      if (waiters === undefined) this.#waiting.set(tree, [{ resolve, reject }]);
      else waiters.push({ resolve, reject });
      if (this.#open < this.#lanesMax) this.#begin();
    });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#lanes.size > 0) await Promise.all(this.#lanes);
  }

  #begin(): void {
    this.#open += 1;
    const lane = this.#run().finally(() => this.#lanes.delete(lane));
    this.#lanes.add(lane);
  }

  /** Lets everything which is ready now get its lines in, then writes until nobody waits. */
  async #run(): Promise<void> {
    this.#starting += 1;
    // What a run does at once is all there before this goes on: no turn is needed for it alone.
    await undefined;
    if (!this.#listener.isAlone()) await this.#turn();
    this.#starting -= 1;
    while (this.#waiting.size > 0) {
      if (this.#isLong()) await this.#turn();
      const taken = this.#take();
      // The lane that has the others under way goes on with them.
      if (taken.size === 0) break;
      this.#flushes += 1;
      await this.#flush(taken);
      for (const tree of taken.keys()) this.#sent.delete(tree);
    }
    this.#open -= 1;
  }

  /** Whether others have waited long enough for their turn (K4); clocks may go backwards. */
  #isLong(): boolean {
    return this.#flushes >= FLUSHES_MAX ||
      Math.abs(this.#clock.now() - this.#turnMs) > FLUSHING_MS_MAX;
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.soon(() => {
        this.#flushes = 0;
        this.#turnMs = this.#clock.now();
        resolve();
      });
    });
  }

  /** Who waits and has nothing under way: all of them, or a part where another lane is ready. */
  #take(): ReadonlyMap<Tree, readonly Waiter[]> {
    const free = [...this.#waiting].filter(([tree]) => !this.#sent.has(tree));
    const isEnough = this.#starting > 0 && free.length >= 2 * LANE_TREES_MIN;
    const taken = new Map(free.slice(0, isEnough ? Math.ceil(free.length / 2) : free.length));
    for (const tree of taken.keys()) {
      this.#waiting.delete(tree);
      this.#sent.add(tree);
    }
    return taken;
  }

  async #flush(waiting: ReadonlyMap<Tree, readonly Waiter[]>): Promise<void> {
    const group: Group = [];
    for (const [tree, waiters] of waiting) {
      if (this.#refused.has(tree)) {
        for (const waiter of waiters) waiter.reject(this.#refused.get(tree));
        continue;
      }
      let taken: ReturnType<Tree["takeBatch"]>;
      try {
        taken = tree.takeBatch();
      } catch (error) {
        // What cannot be written stops its own tree, and nobody else's.
        this.#refuse(tree, error, waiters);
        continue;
      }
      if (taken === undefined) { for (const waiter of waiters) waiter.resolve(); }
      else group.push({ tree, waiters, ...taken });
    }
    if (group.length === 0) return;
    try {
      await this.#commit(group);
    } catch (error) {
      await this.#alone(group, error);
      return;
    }
    for (const one of group) this.#done(one);
  }

  #commit(group: Group): Promise<void> {
    const batches = group.map(({ batch }) => batch);
    const { answered } = this.#listener;
    if (answered === undefined || answered.size === 0) return this.#store.commit(batches);
    return this.#timed(batches, answered);
  }

  async #timed(
    batches: readonly Batch[],
    answered: NonNullable<CommitListener["answered"]>,
  ): Promise<void> {
    const sinceMs = this.#steadyMs();
    await this.#store.commit(batches);
    const ms = this.#steadyMs() - sinceMs;
    const lines = batches.reduce((sum, batch) => sum + batch.lines.length, 0);
    answered.forEach((hear) => hear({ ms, trees: batches.length, lines, refused: null }));
  }

  #steadyMs(): number {
    return this.#clock.steady?.() ?? this.#clock.now();
  }

  /** One bad batch spoils the group: each is tried alone (K3). */
  async #alone(group: Group, first: unknown): Promise<void> {
    for (const one of group) {
      try {
        if (group.length === 1) throw first;
        await this.#commit([one]);
      } catch (error) {
        this.#refuse(one.tree, error, one.waiters);
        continue;
      }
      this.#done(one);
    }
  }

  /** A tree the store refused never has anything durable again (K2). */
  #refuse(tree: Tree, error: unknown, waiters: readonly Waiter[]): void {
    this.#refused.set(tree, error);
    const refused = error instanceof SysError ? error.code : "EINTEGRITY";
    this.#listener.answered?.forEach((hear) => hear({ ms: 0, trees: 1, lines: 0, refused }));
    this.#listener.refused(tree, error);
    for (const waiter of waiters) waiter.reject(error);
  }

  #done(one: Group[number]): void {
    this.#listener.committed(one.tree, one.lines);
    for (const waiter of one.waiters) waiter.resolve();
  }
}

type Group = (NonNullable<ReturnType<Tree["takeBatch"]>> & {
  readonly tree: Tree;
  readonly waiters: readonly Waiter[];
})[];
