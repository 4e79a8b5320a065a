/**
 * A node: one running kernel. It owns trees, runs their processes, and writes their logs.
 *
 * Invariants:
 *   W1. At most `concurrency` runs act (J2 of turns), and none before it was asked to run.
 *   W2. A tree that the store refused, or whose invariants broke, stops; the node goes on.
 *   W3. Whatever comes from outside goes through the durable inbox (G7).
 *   W4. Nothing is written of a tree object that left memory.
 * @module
 */

import { Broker } from "../broker/broker.ts";
import type { Host } from "../broker/call.ts";
import { editJudge } from "../broker/edit.ts";
import { recoverStopped } from "../broker/effect.ts";
import { Run } from "../broker/run.ts";
import { Draft } from "../kernel/draft.ts";
import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import type { Origin } from "../kernel/growth.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import type { Order } from "../kernel/inbox.ts";
import type { Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { openIntents } from "../kernel/process.ts";
import { tick } from "../kernel/tick.ts";
import type { Tree } from "../kernel/tree.ts";
import { untilIdle } from "./closing.ts";
import { type CommitInfo, Committer } from "./committer.ts";
import { type Decide, Forest, type Hosted } from "./forest.ts";
import { isSendingOf, KEPT, type Kept, leftMemory } from "./idle.ts";
import { addressees, Intake } from "./intake.ts";
import { type Membership, ownedElsewhere } from "./membership.ts";
import type { NodeOptions } from "./node_options.ts";
import { loadValue } from "./load.ts";
import { keepByDefault } from "./redaction.ts";
import { Turns } from "./turns.ts";

export type { NodeOptions };

/** Someone who hears of durable lines. */
export type Listener = (tree: TreeId, lines: readonly Line[]) => void;

/** One running kernel. */
export class Node implements Host {
  readonly options: NodeOptions;
  readonly broker: Broker;
  /** Its place among the nodes of its store; null where it has the store alone. */
  readonly membership: Membership | null;
  readonly #committer: Committer;
  readonly #forest: Forest;
  /** What runs, and what waits for its turn. */
  readonly turns: Turns;
  readonly #intake: Intake;
  /** How far each tree's lives were looked at: calls alone change none. */
  readonly #seen = new WeakMap<Tree, number>();
  readonly #listeners = new Set<Listener>();
  /** What goes on until trees that were branched off here are whole. */
  readonly branching: Set<Promise<void>> = new Set();
  /** Who hears what became of each commit. */
  readonly commits: Set<(info: CommitInfo) => void> = new Set();
  readonly #streams = new Set<(pid: Pid, chunk: string) => void>();
  readonly #idlers = new Set<() => void>();
  #settling = 0;
  #pumping = false;
  #again = false;
  #drivers = 0;

  /** A node that runs nothing yet; see {@linkcode pump} and `Clockwork`. */
  constructor(options: NodeOptions) {
    this.options = options;
    this.broker = new Broker(options.table, options.world, this);
    const { id, store, context, alone, world: { clock } } = options;
    this.membership = options.membership ?? null;
    this.#forest = new Forest({
      node: id,
      store,
      clock,
      context: { ...context, judgeEdit: editJudge(this.broker) },
      alone,
      membership: this.membership,
      hosted: (hosted) => this.#hosted(hosted),
      left: (hosted) => this.turns.forget(hosted),
      write: (tree) => this.#committer.durable(tree),
      growing: (job) => this.#settle(job),
      unwritten: ({ tree }) => void this.durable(tree).catch(() => {}),
      isSending: ({ tree }) => isSendingOf(tree.state.tree, this.broker.sending.keys()),
      lost: (tree) => this.#lost(tree),
      poke: () => this.poke(),
      ...{ steps: () => this.turns.steps, has: () => options.has?.() ?? {} },
    });
    this.turns = new Turns({
      options,
      broker: this.broker,
      get: (tree) => this.#forest.get(tree),
      heard: (pid, chunk) => this.#streams.forEach((listener) => listener(pid, chunk)),
      written: (tree) => this.#written(tree),
      halt: (tree, error) => this.halt(tree, error),
      ...{ unable: (one) => this.#forest.part(one), room: (one) => this.resume(one) },
    }, options.autorun === false ? 0 : options.concurrency);
    this.#intake = new Intake({
      node: id,
      store,
      clock,
      forest: this.#forest,
      membership: this.membership,
      durable: (tree) => this.durable(tree),
      changed: (tree) => this.changed(tree),
      halt: (tree, error) => this.halt(tree, error),
    });
    this.#committer = new Committer(store, clock, {
      isAlone: () => this.#settling === 0 && this.turns.isAlone,
      committed: (tree, lines) => this.#committed(tree, lines),
      refused: (tree, error) => this.halt(tree, error),
      answered: this.commits,
    });
  }

  /** Resolves when everything in the tree's tail is durable. */
  durable(tree: Tree): Promise<void> {
    const broken = this.broken.get(tree.state.tree);
    if (broken !== undefined) return Promise.reject(broken);
    // W4
    if (tree.tailLength > 0 && this.#forest.of(tree) === undefined) {
      return Promise.reject(leftMemory(tree.state.tree));
    }
    return this.#committer.durable(tree);
  }

  /** Fetches a value by hash. */
  async load(tree: Tree, hash: string): Promise<Json> {
    return await loadValue(this.options.store, tree, hash);
  }

  /** Lines were added: processes may have become ready, or have to stop. */
  changed(tree: Tree): void {
    const hosted = this.#forest.of(tree);
    if (hosted === undefined) return;
    if (tree.tailLength > LIMITS.batchLinesMax / 4) this.durable(tree).catch(() => {});
    if (this.#seen.get(tree) === tree.stirs) return;
    this.#seen.set(tree, tree.stirs);
    for (const [pid, run] of hosted.runs) {
      const state = tree.state.processes[pid]?.life.state;
      if (state === "ended" || state === "canceling") run.end("stopped");
      else if (state === "waiting") run.end("parked");
      else run.recheck();
    }
    this.#enqueue(hosted);
  }

  /** Calls `listener` with lines once they are durable; returns how to stop. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `listener` with text as models write it; never part of the log. */
  listenText(listener: (pid: Pid, chunk: string) => void): () => void {
    this.#streams.add(listener);
    return () => this.#streams.delete(listener);
  }

  #committed(tree: Tree, lines: readonly Line[]): void {
    const hosted = this.#forest.of(tree);
    if (hosted !== undefined) {
      hosted.durableSeq = lines.at(-1)?.seq ?? hosted.durableSeq;
      this.#forest.use(hosted);
    }
    for (const listener of this.#listeners) listener(tree.state.tree, lines);
    for (const id of addressees(tree.state.tree, lines)) {
      // What fails here is still in the inbox, and fails again where somebody hears of it.
      this.#settle(this.#intake.take(id).catch(() => {}));
    }
    if (hosted !== undefined) this.#forest.snapshot(hosted, lines);
  }

  /** A tree in memory, loaded and claimed when it is not there yet; to `look`, see the forest. */
  async open(id: TreeId, why?: "look"): Promise<Tree> {
    return (await this.#forest.open(id, why)).tree;
  }

  /** A tree in memory; undefined when it is not there. */
  peek(id: TreeId): Tree | undefined {
    return this.#forest.get(id)?.tree;
  }

  /** Opens the trees that have something to do, and those that ask, as far as they are kept. */
  async openLive(limit: number): Promise<void> {
    await this.#forest.openLive(limit);
  }

  /** The trees in memory. */
  get trees(): readonly Tree[] {
    return this.#forest.all.map(({ tree }) => tree);
  }

  /** Trees that stopped, and why. They are not run again by this node. */
  get broken(): ReadonlyMap<TreeId, SysError> {
    return this.#forest.broken;
  }

  /** Lets trees leave memory which only wait, but for those that are kept. */
  leaveIdle(kept: Kept): void {
    this.#forest.leave(kept);
  }

  #hosted(hosted: Hosted): void {
    keepByDefault(hosted.tree, this.options);
    if (hosted.tree.state.going !== undefined) this.durable(hosted.tree).catch(() => {});
    this.#settleStopped(hosted);
    this.#enqueue(hosted);
  }

  /** What a stopped process had under way when the kernel died is asked after. */
  #settleStopped(hosted: Hosted): void {
    for (const process of Object.values(hosted.tree.state.processes)) {
      const { state } = process.life;
      if (state === "ready" || state === "waiting" || openIntents(process).length === 0) continue;
      hosted.busy += 1;
      this.#settle(
        recoverStopped(this.broker, new Run(hosted.tree, process.pid))
          .catch((error) => this.halt(hosted.tree, error))
          .finally(() => hosted.busy -= 1),
      );
    }
  }

  /** The node is not idle before `job` is over. */
  #settle(job: Promise<void>): void {
    this.#settling += 1;
    job.finally(() => {
      this.#settling -= 1;
      this.poke();
    });
  }

  /** Makes a tree, as `decide` drafts it; a live one with the same key is it, wherever it is. */
  async plant(key: string | null, decide: Decide, origin?: Origin): Promise<Pid> {
    const { pid, written } = await this.#forest.plant(key, decide, origin);
    await written;
    this.poke();
    return pid;
  }

  /** Puts an order into a tree's inbox; resolves when it had its effect. Throws what refuses it. */
  async order(tree: TreeId, order: Order): Promise<void> {
    await this.#intake.order(tree, order);
    this.poke();
  }

  #tick({ tree }: Hosted): void {
    const draft = new Draft(tree, this.options.world.clock.now());
    tick(draft);
    if (draft.events.length === 0) return;
    tree.commit(draft);
    this.changed(tree);
    this.durable(tree).catch(() => {});
  }

  /** When something is due next, in memory or in the store; null for never. */
  nextDueMs(): Promise<number | null> {
    return this.#forest.nextDueMs();
  }

  /** Keeps the claims to the trees in memory; one that another node took stops here. */
  async renew(): Promise<void> {
    for (const { state } of await this.#forest.renew()) this.#lost(state.tree);
  }

  #lost(id: TreeId): void {
    const tree = this.peek(id);
    if (tree !== undefined) this.halt(tree, ownedElsewhere(id));
  }

  /** Whether trees are about to be given back to other nodes. */
  get isParting(): boolean {
    return this.#forest.isParting;
  }

  /** A tree as it is hosted, for those who hold it still. */
  hosted(id: TreeId): Promise<Hosted> {
    return this.#forest.open(id);
  }

  #enqueue(hosted: Hosted): void {
    this.turns.enqueue(hosted);
    if (this.turns.size > 0) this.poke();
  }

  /** Looks for work soon. */
  poke(): void {
    if (this.#pumping) {
      this.#again = true;
      return;
    }
    this.#pumping = true;
    this.options.world.clock.soon(() => {
      this.#pumping = false;
      this.#again = false;
      if (this.#forest.isOver) this.leaveIdle(KEPT);
      this.turns.start();
      if (this.#again) this.poke();
      this.#tellIdle();
    });
  }

  /** What is ready of a tree may run, now that there is room or nobody holds it any more. */
  resume(hosted: Hosted): void {
    if (this.#forest.of(hosted.tree) === hosted) this.#enqueue(hosted);
    this.poke();
  }

  async #written(tree: Tree): Promise<void> {
    this.changed(tree);
    await this.durable(tree);
  }

  /** Stops a tree: what it had not written never happened. The node goes on (W2). */
  halt(tree: Tree, error: unknown): void {
    const id = tree.state.tree;
    if (!this.#forest.stop(tree, error)) return;
    // Whoever waits for a process of the tree looks again, and hears that it broke.
    for (const listener of this.#listeners) listener(id, []);
    this.poke();
  }

  /** Stops a tree, in memory or not; this node does not open it again. */
  bar(id: TreeId, error: SysError): void {
    const tree = this.peek(id);
    if (tree === undefined) this.#forest.broken.set(id, error);
    else this.halt(tree, error);
  }

  /** Opens trees that have something to do, takes inboxes, does what is due, starts runs. */
  async pump(): Promise<void> {
    await this.#intake.takeAll();
    for (const hosted of this.#forest.all) {
      this.#enqueue(hosted);
      this.#tick(hosted);
    }
    this.poke();
  }

  /** Whether nothing runs and nothing is ready to. */
  get idle(): boolean {
    return this.turns.running === 0 && this.#settling === 0 && this.turns.size === 0 &&
      !this.#pumping;
  }

  #tellIdle(): void {
    if (!this.idle) return;
    for (const idler of this.#idlers) idler();
    this.#idlers.clear();
  }

  /** Runs until every process waits or has ended, and all is durable. Timers are not waited for. */
  async runUntilIdle(): Promise<void> {
    this.#drivers += 1;
    this.turns.limit = this.options.concurrency;
    try {
      do {
        await this.pump();
        if (!this.idle) await new Promise<void>((resolve) => this.#idlers.add(resolve));
        await Promise.all(this.trees.map((tree) => this.durable(tree).catch(() => {})));
        await this.#committer.idle();
      } while (!this.idle);
    } finally {
      this.#drivers -= 1;
      if (this.#drivers === 0 && this.options.autorun === false) this.turns.limit = 0;
    }
  }

  /** Runs one step of the process whose turn it is; false when none is ready. */
  async stepOnce(): Promise<boolean> {
    await this.pump();
    return await this.turns.one((job) => this.options.world.clock.soon(job));
  }

  /** Stops starting anything, lets what runs end, as far as it does, and writes everything down. */
  async stop(options: { readonly drain: boolean } = { drain: true }): Promise<void> {
    this.turns.isStopping = true;
    await this.#forest.close();
    const { broker: { sending }, options: { world: { clock } } } = this;
    const drained = (msMax: number) => untilIdle(() => this.#isBusy, { sending, clock, msMax });
    if (options.drain) await drained(LIMITS.closeDrainMsMax);
    for (const { runs } of this.#forest.all) {
      for (const run of runs.values()) run.end("stopped");
    }
    await drained(LIMITS.closeMsMax);
    sending.leave();
    await Promise.all(this.trees.map((tree) => this.durable(tree).catch(() => {})));
    await this.#committer.idle();
    this.turns.over.abort();
    await this.#forest.release();
  }

  get #isBusy(): boolean {
    return this.turns.running + this.#settling > 0 || this.broker.sending.size > 0;
  }
}
