/**
 * The forest: the trees a node has in memory, claimed, loaded and snapshotted.
 *
 * A tree that leaves memory because it only waits is not given up: its claim runs out by itself,
 * and the same node takes it again without a new epoch.
 *
 * Invariants:
 *   Y1. A tree is in memory only while this node holds the claim to it (G7).
 *   Y2. A tree whose log or snapshot is damaged is not opened again, and says why each time.
 * @module
 */

import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import type { ClaimFor } from "../kernel/fleet.ts";
import type { Origin } from "../kernel/growth.ts";
import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { due } from "../kernel/schedule.ts";
import { Tree } from "../kernel/tree.ts";
import { closeAll } from "./closing.ts";
import { grow } from "./growth.ts";
import { IdleOrder, type Kept } from "./idle.ts";
import { loadTree } from "./load.ts";
import { ownedElsewhere } from "./membership.ts";
import type { Decide, ForestParts, Hosted } from "./hosted.ts";
import { isActive, Parting } from "./parting.ts";
import { Planting } from "./planting.ts";

export type { Decide, ForestParts, Hosted };

/** The trees in memory. */
export class Forest {
  readonly #parts: ForestParts;
  readonly #hosted = new Map<TreeId, Hosted>();
  readonly #loading = new Map<TreeId, Promise<Hosted>>();
  readonly #order = new IdleOrder();
  /** Claims to trees that left memory, where others could want them before they run out. */
  readonly #claims = new Map<TreeId, { readonly epoch: number; readonly untilMs: number }>();
  /**
   * Trees that stopped, and why. They are not run again by this node, but for those that it lost
   * to another: once their claim is free, they may come back.
   */
  readonly broken: Map<TreeId, SysError> = new Map();

  /** Trees that are to be given back, and are held until then. */
  readonly #parting: Parting;
  readonly #planting: Planting;
  #renewedMs = 0;
  #closed = false;

  /** A forest without trees. */
  constructor(parts: ForestParts) {
    this.#parts = parts;
    const { membership, isSending, unwritten, poke } = parts;
    this.#parting = new Parting({
      ...{ membership, isSending, unwritten, poke },
      all: () => this.all,
      isFresh: (hosted) => this.#order.isFresh(hosted),
      drop: (hosted) => {
        this.#hosted.delete(hosted.tree.state.tree);
        this.#order.drop(hosted);
        parts.left(hosted);
      },
    });
    this.#planting = new Planting(parts, {
      isHere: (id) => this.#hosted.has(id) || this.#loading.has(id),
      open: (id) => this.open(id),
      claim: (id) => this.#claim(id, "new"),
      host: (tree, epoch) => this.#host(tree, epoch, { snapshotSeq: 0, snapshotBytes: 0 }),
      loading: (id, job) => {
        const loading = job.finally(() => this.#loading.delete(id));
        this.#loading.set(id, loading);
        // What failed is tried again by whoever opens it next.
        loading.catch(() => {});
      },
    });
    membership?.attach({
      load: () => ({ active: this.all.filter(isActive).length, held: this.#hosted.size }),
      steps: parts.steps,
      has: parts.has,
      known: () => new Set([...this.#hosted.keys(), ...this.#loading.keys()]),
      barred: () => [...this.broken.keys()].filter((id) => this.isBarred(id)),
      part: (id) => this.#parting.add(this.#hosted.get(id)),
      partQueued: (count) => this.#parting.addQueued(count),
      lost: (id) => parts.lost(id),
    });
  }

  /** The trees in memory. */
  get all(): readonly Hosted[] {
    return [...this.#hosted.values()];
  }

  /** A tree in memory; undefined when it is not there. */
  get(id: TreeId): Hosted | undefined {
    return this.#hosted.get(id);
  }

  /** The entry of just this tree object; undefined when it was dropped meanwhile. */
  of(tree: Tree): Hosted | undefined {
    const hosted = this.#hosted.get(tree.state.tree);
    return hosted?.tree === tree ? hosted : undefined;
  }

  /** Drops a tree that cannot go on, and keeps why; false when it was dropped before. */
  stop(tree: Tree, error: unknown): boolean {
    const hosted = this.of(tree);
    if (hosted === undefined) return false;
    const id = tree.state.tree;
    this.#hosted.delete(id);
    this.#order.drop(hosted);
    this.#parting.forget(hosted);
    for (const run of hosted.runs.values()) run.end("stopped");
    const known = error instanceof SysError
      ? error
      : new SysError("EINTEGRITY", `Cannot go on with tree "${id}": ${String(error)}`);
    this.broken.set(id, known);
    return true;
  }

  /** A tree, claimed and loaded when it is not there yet; to "look", only where it could run. */
  open(id: TreeId, why: ClaimFor = "order"): Promise<Hosted> {
    if (this.#closed) {
      const closed = `Cannot open tree "${id}": the runtime is closed`;
      return Promise.reject(new SysError("ESTATE", closed));
    }
    const hosted = this.#hosted.get(id);
    if (hosted !== undefined) {
      this.use(hosted);
      return Promise.resolve(hosted);
    }
    if (this.isBarred(id)) return Promise.reject(this.broken.get(id));
    const before = this.#loading.get(id);
    // Who only looked may have been refused what an order is not.
    if (before !== undefined) {
      return why === "look" ? before : before.catch(() => this.open(id, why));
    }
    const loading = this.#load(id, why).finally(() => this.#loading.delete(id));
    this.#loading.set(id, loading);
    return loading;
  }

  /** Whether a tree stopped for something that another try would not mend. */
  isBarred(id: TreeId): boolean {
    const broken = this.broken.get(id);
    if (broken === undefined) return false;
    // A database that was away is there again, for this node or for another.
    if (this.#parts.membership !== null && broken.code === "EIO") return false;
    return this.#parts.alone || broken.code !== "EFENCED";
  }

  /**
   * Opens the trees that have something to do, and those that ask a person as far as they are kept;
   * one that cannot be opened is left, and says why when it is asked for.
   */
  async openLive(limit: number): Promise<void> {
    const { store } = this.#parts;
    const most = Math.min(limit, LIMITS.treesAskingKept);
    const asking = await store.list({ live: true, asking: true, limit: most });
    const ids = new Set(await this.due(limit));
    for (const { tree, seq } of asking) if (seq > 0) ids.add(tree);
    for (const id of ids) {
      await this.open(id, "look").catch((error) => {
        if (!(error instanceof SysError)) throw error;
      });
    }
  }

  /** Trees that have something to do and that no other node holds, at most so many. */
  due(limit: number): Promise<readonly TreeId[]> {
    const { store, clock, alone, node, membership } = this.#parts;
    return membership?.look() ?? store.due(clock.now(), limit, alone ? undefined : node);
  }

  /** A tree was asked for, or something happened in it. */
  use(hosted: Hosted): void {
    this.#order.use(hosted, this.#parts.clock.now());
  }

  /** Whether there are more trees in memory than are kept when they only wait. */
  get isOver(): boolean {
    return this.#order.isOver;
  }

  /** Lets trees go which only wait, all in one turn: nothing comes in between (I1). */
  leave(kept: Kept): void {
    const { clock, alone, membership } = this.#parts;
    this.#parting.look();
    const nowMs = clock.now();
    const { unwritten, isSending } = this.#parts;
    const left = this.#order.leave({ nowMs, kept, unwritten, isSending });
    for (const hosted of left) {
      const { tree: id, epoch } = hosted.tree.state;
      this.snapshot(hosted);
      this.#hosted.delete(id);
      if (membership !== null) membership.giveBack({ tree: id, epoch });
      else if (!alone) this.#claims.set(id, { epoch, untilMs: nowMs + LIMITS.leaseMsDefault });
      this.#parts.left(hosted);
    }
    for (const [id, { untilMs }] of this.#claims) {
      if (untilMs > nowMs) break;
      this.#claims.delete(id);
    }
  }

  async #claim(id: TreeId, why: ClaimFor): Promise<number> {
    const { store, node, clock, alone, membership } = this.#parts;
    const claim = await (membership?.claim(id, why) ?? store.claim(id, node, {
      nowMs: clock.now(),
      ttlMs: LIMITS.leaseMsDefault,
      steal: alone,
    }));
    if (claim !== undefined && "epoch" in claim) return claim.epoch;
    throw ownedElsewhere(id, claim?.by);
  }

  async #load(id: TreeId, why: ClaimFor): Promise<Hosted> {
    if (this.#order.isFull) await this.#room();
    const epoch = await this.#claim(id, why);
    try {
      const loaded = await loadTree(this.#parts.store, id, this.#parts.context);
      if (loaded.tree.state.branch !== undefined) {
        this.#own(loaded.tree, epoch);
        await grow(loaded.tree, this.#parts);
      }
      return this.#host(loaded.tree, epoch, loaded);
    } catch (error) {
      const known = error instanceof SysError ? error : new SysError("EINTEGRITY", String(error));
      if (known.code === "EINTEGRITY") this.broken.set(id, known);
      this.#parts.membership?.giveBack({ tree: id, epoch });
      throw known;
    }
  }

  /** Resolves in another turn, after trees left. */
  async #room(): Promise<void> {
    this.#parts.poke();
    await new Promise<void>((resolve) => this.#parts.clock.soon(resolve));
  }

  /** Takes a tree in; a line says who runs it from here. */
  #host(
    tree: Tree,
    epoch: number,
    from: { readonly snapshotSeq: number; readonly snapshotBytes: number },
  ): Hosted {
    const { snapshotSeq, snapshotBytes } = from;
    const hosted: Hosted = {
      tree,
      runs: new Map(),
      snapshotSeq,
      snapshotBytes,
      held: 0,
      busy: 0,
      durableSeq: tree.state.seq - tree.tailLength,
      usedTurn: 0,
      usedMs: 0,
    };
    this.#hosted.set(tree.state.tree, hosted);
    this.broken.delete(tree.state.tree);
    this.#claims.delete(tree.state.tree);
    this.use(hosted);
    this.#own(tree, epoch);
    this.place(tree);
    this.#parts.hosted(hosted);
    return hosted;
  }

  #own(tree: Tree, epoch: number): void {
    if (tree.state.epoch === epoch) return;
    const draft = new Draft(tree, this.#parts.clock.now());
    draft.add("tree.opened", { node: this.#parts.node, epoch });
    tree.commit(draft);
  }

  /** Has a tree given back that this node cannot run. */
  part(hosted: Hosted): void {
    if (this.#parts.membership !== null) this.#parting.add(hosted);
  }

  /** Has a tree given back that was made here, or began here, for another node. */
  place(tree: Tree): void {
    const { membership } = this.#parts;
    if (membership?.suits(tree.state.selector) === false) this.#parting.add(this.of(tree));
  }

  /** See {@linkcode Planting.plant}. */
  plant(key: string | null, decide: Decide, origin?: Origin): ReturnType<Planting["plant"]> {
    return this.#planting.plant(key, decide, origin);
  }

  /**
   * Writes a snapshot when the tail is worth it: O(1) a line over a tree's life. After lines of a
   * step in hand it waits for the step to end, until the tail is worth two: the answers of a step
   * are in the state up to there, and each start would read them.
   */
  snapshot(hosted: Hosted, written?: readonly Line[]): void {
    const { tree } = hosted;
    const tail = tree.state.seq - hosted.snapshotSeq;
    const worth = Math.max(LIMITS.snapshotEveryLinesMin, hosted.snapshotBytes / 256);
    const isInHand = written?.every(({ type }) => type !== "process.stepped") ?? false;
    if (tail < (isInHand ? 2 * worth : worth) || tree.tailLength > 0) return;
    const state = tree.dump();
    hosted.snapshotSeq = tree.state.seq;
    hosted.snapshotBytes = state.length;
    const snapshot = { seq: tree.state.seq, head: tree.head, state };
    // A lost snapshot costs time at the next start and nothing else.
    this.#parts.store.putSnapshot(tree.state.tree, snapshot).catch(() => {});
  }

  /** When something is due next, in memory or in the store; null for never. */
  async nextDueMs(): Promise<number | null> {
    let earliest = await this.#parts.store.nextDueMs();
    for (const { tree } of this.#hosted.values()) {
      const at = due(tree.state);
      if (at !== null && (earliest === null || at < earliest)) earliest = at;
    }
    return earliest;
  }

  /**
   * Renews the claims when a third of their time is over; the trees that were lost are returned.
   */
  async renew(): Promise<readonly Tree[]> {
    const { store, node, clock, alone, membership } = this.#parts;
    const nowMs = clock.now();
    if (alone || membership !== null || nowMs - this.#renewedMs < LIMITS.leaseMsDefault / 3) {
      return [];
    }
    this.#renewedMs = nowMs;
    const lost: Tree[] = [];
    for (const { tree } of this.all) {
      const ttlMs = LIMITS.leaseMsDefault;
      const claim = await store.claim(tree.state.tree, node, { nowMs, ttlMs });
      if (claim?.epoch !== tree.state.epoch) lost.push(tree);
    }
    return lost;
  }

  /** Opens no tree any more; resolves when none is being loaded. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#parts.store.hurry?.();
    await Promise.allSettled(this.#loading.values());
  }

  /** Whether trees are about to be given back. */
  get isParting(): boolean {
    return this.#parting.isAny;
  }

  /** Gives all trees up; one whose release fails keeps its claim until that runs out. */
  async release(): Promise<void> {
    const claims = new Map([...this.#claims].map(([id, { epoch }]) => [id, epoch]));
    for (const { tree } of this.all) claims.set(tree.state.tree, tree.state.epoch);
    const { store, node, membership } = this.#parts;
    try {
      if (membership !== null) return await membership.leave();
      await closeAll([...claims].map(([id, epoch]) => () => store.release(id, node, epoch)));
    } finally {
      this.#hosted.clear();
    }
  }
}
