/**
 * A node: one running kernel. It owns trees, runs their processes, and writes their logs.
 *
 * Invariants:
 *   W1. At most one run of a process is alive, and at most `concurrency` runs in all.
 *   W2. A tree that the store refused, or whose invariants broke, stops; the node goes on.
 *   W3. Whatever comes from outside goes through the durable inbox (G7).
 * @module
 */

import { Broker } from "../broker/broker.ts";
import type { Host } from "../broker/call.ts";
import { clientOver } from "../broker/client.ts";
import { Run } from "../broker/run.ts";
import type { AnySyscall, World } from "../broker/syscall.ts";
import { Draft } from "../kernel/draft.ts";
import { Panic, SysError, toOutcome } from "../kernel/errors.ts";
import type { EndOutcome, Line } from "../kernel/event.ts";
import { expire } from "../kernel/human.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import { accept, type Order, orderItem } from "../kernel/inbox.ts";
import type { Json } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { end, openIntents, waitOf, wake } from "../kernel/process.ts";
import { due, readyPids } from "../kernel/schedule.ts";
import { Scheduler } from "../kernel/scheduler.ts";
import type { Process } from "../kernel/state.ts";
import type { InboxItem, Store } from "../kernel/store.ts";
import { Tree, type TreeContext } from "../kernel/tree.ts";
import { Committer } from "./committer.ts";
import { type Loaded, loadTree } from "./load.ts";
import type { Program } from "./program.ts";

/** What a node is made of. */
export interface NodeOptions {
  readonly id: string;
  readonly store: Store;
  readonly world: World;
  readonly table: Readonly<Record<string, AnySyscall>>;
  readonly context: TreeContext;
  /** Programs by the name an image gives. */
  program(name: string): Program | undefined;
  /** Runs at the same time. */
  readonly concurrency: number;
  /** false: nothing runs but by `runUntilIdle` and `stepOnce`. */
  readonly autorun?: boolean;
  /** Whether this node is known to be the store's only one, so that older claims are void. */
  readonly alone: boolean;
}

/** Someone who hears of durable lines. */
export type Listener = (tree: TreeId, lines: readonly Line[]) => void;

interface Hosted {
  readonly tree: Tree;
  readonly runs: Map<Pid, Run>;
  snapshotSeq: number;
  snapshotBytes: number;
}

interface Reply {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One running kernel. */
export class Node implements Host {
  readonly options: NodeOptions;
  readonly broker: Broker;
  readonly #committer: Committer;
  readonly #scheduler = new Scheduler();
  readonly #hosted = new Map<TreeId, Hosted>();
  readonly #loading = new Map<TreeId, Promise<Hosted>>();
  /** Trees that stopped, and why. They are not run again by this node. */
  readonly broken: Map<TreeId, SysError> = new Map();
  readonly #replies = new Map<string, Reply>();
  readonly #listeners = new Set<Listener>();
  readonly #streams = new Set<(pid: Pid, chunk: string) => void>();
  readonly #idlers = new Set<() => void>();
  #running = 0;
  #settling = 0;
  #orders = 0;
  #pumping = false;
  #again = false;
  #stopping = false;
  #limit: number;
  #drivers = 0;

  /** A node that runs nothing yet; see {@linkcode pump} and `Clockwork`. */
  constructor(options: NodeOptions) {
    this.options = options;
    this.broker = new Broker(options.table, options.world, this);
    this.#limit = options.autorun === false ? 0 : options.concurrency;
    this.#committer = new Committer(options.store, options.world.clock, {
      committed: (tree, lines) => this.#committed(tree, lines),
      refused: (tree, error) => this.#halt(tree, error),
    });
  }

  // What the broker asks of its host.

  /** Resolves when everything in the tree's tail is durable. */
  durable(tree: Tree): Promise<void> {
    const broken = this.broken.get(tree.state.tree);
    if (broken !== undefined) return Promise.reject(broken);
    return this.#committer.durable(tree);
  }

  /** Fetches a value by hash. */
  async load(tree: Tree, hash: string): Promise<Json> {
    const text = await this.options.store.getBlob(hash);
    if (text === undefined) {
      throw new SysError("EINTEGRITY", `Cannot read value "${hash}": missing from the store`);
    }
    const value = JSON.parse(text) as Json;
    tree.values.set(hash, value);
    return value;
  }

  /** Lines were added: processes may have become ready, or have to stop. */
  changed(tree: Tree): void {
    const hosted = this.#hosted.get(tree.state.tree);
    if (hosted?.tree !== tree) return;
    for (const [pid, run] of hosted.runs) {
      const state = tree.state.processes[pid]?.life.state;
      if (state === "ended" || state === "canceling") run.end("stopped");
      else if (state === "waiting") run.end("parked");
    }
    this.#enqueue(hosted);
    if (tree.tailLength > LIMITS.batchLinesMax / 4) this.durable(tree).catch(() => {});
  }

  // Listening.

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
    for (const listener of this.#listeners) listener(tree.state.tree, lines);
    const hosted = this.#hosted.get(tree.state.tree);
    if (hosted?.tree === tree) this.#snapshot(hosted);
  }

  // Trees.

  /** A tree in memory, loaded and claimed when it is not there yet. */
  async open(id: TreeId): Promise<Tree> {
    return (await this.#open(id)).tree;
  }

  /** The trees in memory. */
  get trees(): readonly Tree[] {
    return [...this.#hosted.values()].map(({ tree }) => tree);
  }

  #open(id: TreeId): Promise<Hosted> {
    const hosted = this.#hosted.get(id);
    if (hosted !== undefined) return Promise.resolve(hosted);
    const broken = this.broken.get(id);
    if (broken !== undefined) return Promise.reject(broken);
    let loading = this.#loading.get(id);
    if (loading === undefined) {
      loading = this.#load(id).finally(() => this.#loading.delete(id));
      this.#loading.set(id, loading);
    }
    return loading;
  }

  async #load(id: TreeId): Promise<Hosted> {
    const { store, world } = this.options;
    const claim = await store.claim(id, this.options.id, {
      nowMs: world.clock.now(),
      ttlMs: LIMITS.leaseMsDefault,
      steal: this.options.alone,
    });
    if (claim === undefined) {
      throw new SysError("EFENCED", `Cannot open tree "${id}": another node owns it`);
    }
    let loaded: Loaded;
    try {
      loaded = await loadTree(store, id, this.options.context);
    } catch (error) {
      const known = error instanceof SysError ? error : new SysError("EINTEGRITY", String(error));
      if (known.code === "EINTEGRITY") this.broken.set(id, known);
      throw error;
    }
    return this.#host(loaded.tree, claim.epoch, loaded);
  }

  /** Takes a tree in; a line says who runs it from here. */
  #host(
    tree: Tree,
    epoch: number,
    from: { readonly snapshotSeq: number; readonly snapshotBytes: number },
  ): Hosted {
    const { snapshotSeq, snapshotBytes } = from;
    const hosted: Hosted = { tree, runs: new Map(), snapshotSeq, snapshotBytes };
    this.#hosted.set(tree.state.tree, hosted);
    if (tree.state.epoch !== epoch) {
      const draft = new Draft(tree, this.options.world.clock.now());
      draft.add("tree.opened", { node: this.options.id, epoch });
      tree.commit(draft);
    }
    this.#settleStopped(hosted);
    this.#enqueue(hosted);
    return hosted;
  }

  /** What a stopped process had under way when the kernel died is asked after. */
  #settleStopped(hosted: Hosted): void {
    for (const process of Object.values(hosted.tree.state.processes)) {
      const { state } = process.life;
      if (state === "ready" || state === "waiting" || openIntents(process).length === 0) continue;
      this.#settling += 1;
      this.broker.recover(new Run(hosted.tree, process.pid))
        .catch((error) => this.#halt(hosted.tree, error))
        .finally(() => {
          this.#settling -= 1;
          this.poke();
        });
    }
  }

  /** Makes a tree; `decide` drafts its first lines. A live tree with the same key is returned as it is. */
  async plant(key: string | null, decide: (draft: Draft) => Pid): Promise<Pid> {
    const { store, world } = this.options;
    const { tree: id, created } = await store.create(key);
    const root: Pid = `p_${id.slice(2)}`;
    if (!created && (await store.head(id))!.seq > 0) {
      await this.open(id);
      this.poke();
      return root;
    }
    const claim = await store.claim(id, this.options.id, {
      nowMs: world.clock.now(),
      ttlMs: LIMITS.leaseMsDefault,
      steal: this.options.alone,
    });
    if (claim === undefined) {
      throw new SysError("EFENCED", `Cannot make tree "${id}": another node owns it`);
    }
    const tree = Tree.empty(id, this.options.context);
    tree.state.epoch = claim.epoch;
    const draft = new Draft(tree, world.clock.now());
    draft.add("tree.opened", { node: this.options.id, epoch: claim.epoch });
    const pid = decide(draft);
    tree.commit(draft);
    this.#host(tree, claim.epoch, { snapshotSeq: 0, snapshotBytes: 0 });
    await this.durable(tree);
    this.poke();
    return pid;
  }

  // Orders from outside.

  /** Puts an order into a tree's inbox and waits until it has had its effect. Throws what refuses it. */
  async order(tree: TreeId, order: Order): Promise<void> {
    const id = `${this.options.id}:${this.options.world.clock.now()}:${++this.#orders}`;
    const heard = new Promise<void>((resolve, reject) => {
      this.#replies.set(id, { resolve, reject });
    });
    heard.catch(() => {});
    try {
      await this.options.store.putInbox(tree, orderItem(id, order));
      await this.#takeInbox(await this.#open(tree));
    } catch (error) {
      this.#replies.delete(id);
      throw error;
    }
    this.poke();
    return await heard;
  }

  async #takeInbox(hosted: Hosted): Promise<void> {
    const { tree } = hosted;
    const items = await this.options.store.getInbox(tree.state.tree);
    const told: (() => void)[] = [];
    for (const item of items.slice(0, LIMITS.inboxItemsPerTurnMax)) {
      // Two turns may see the same item; the log decides which of them took it.
      if (hosted.tree !== tree || this.#taken.has(item.id)) continue;
      this.#taken.add(item.id);
      told.push(this.#takeItem(tree, item));
    }
    if (told.length === 0) return;
    this.changed(tree);
    await this.durable(tree);
    for (const tell of told) tell();
  }

  readonly #taken = new Set<string>();

  #takeItem(tree: Tree, item: InboxItem): () => void {
    const reply = this.#replies.get(item.id);
    this.#replies.delete(item.id);
    const draft = new Draft(tree, this.options.world.clock.now());
    try {
      accept(draft, item);
      draft.taken.push(item.id);
      tree.commit(draft);
      return () => this.#tell(item, () => reply?.resolve());
    } catch (error) {
      const { code, message } = toOutcome(error);
      const refusal = new Draft(tree, this.options.world.clock.now());
      refusal.add("inbox.refused", { inbox: item.id, code, message });
      refusal.taken.push(item.id);
      tree.commit(refusal);
      return () => this.#tell(item, () => reply?.reject(error));
    }
  }

  #tell(item: InboxItem, tell: () => void): void {
    this.#taken.delete(item.id);
    tell();
  }

  // Time.

  /** Does what is due: timers, waits that end, requests nobody answered. */
  #tick(hosted: Hosted): void {
    const { tree } = hosted;
    const nowMs = this.options.world.clock.now();
    const at = due(tree.state);
    if (at === null || at > nowMs) return;
    const draft = new Draft(tree, nowMs);
    expire(draft);
    for (const process of Object.values(tree.state.processes)) {
      const on = waitOf(process);
      if (on === null || !("untilMs" in on) || on.untilMs === null) continue;
      if (on.untilMs <= draft.nowMs) wake(draft, process, "clock");
    }
    tree.commit(draft);
    this.changed(tree);
    this.durable(tree).catch(() => {});
  }

  /** When something is due next, in memory or in the store; null for never. */
  async nextDueMs(): Promise<number | null> {
    let earliest = await this.options.store.nextDueMs();
    for (const { tree } of this.#hosted.values()) {
      const at = due(tree.state);
      if (at !== null && (earliest === null || at < earliest)) earliest = at;
    }
    return earliest;
  }

  // Running.

  #enqueue(hosted: Hosted): void {
    if (this.#stopping) return;
    const { tree } = hosted;
    for (const pid of readyPids(tree.state)) {
      if (hosted.runs.has(pid)) continue;
      const { image } = tree.state.processes[pid]!;
      const program = tree.state.images[image]?.program ?? "";
      if (this.options.program(program) !== undefined) {
        this.#scheduler.enqueue(tree.state.tree, pid);
      }
    }
    if (this.#scheduler.size > 0) this.poke();
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
      this.#start();
      if (this.#again) this.poke();
      this.#tellIdle();
    });
  }

  /** Starts runs while there is room (W1). */
  #start(): void {
    while (this.#running < this.#limit && !this.#stopping) {
      const turn = this.#scheduler.next((tree, pid) =>
        this.#hosted.get(tree)?.tree.state.processes[pid]?.priority ?? 1
      );
      if (turn === undefined) return;
      const hosted = this.#hosted.get(turn.tree);
      const process = hosted?.tree.state.processes[turn.pid];
      if (hosted === undefined || process?.life.state !== "ready") continue;
      if (!hosted.runs.has(turn.pid)) this.#run(hosted, process);
    }
  }

  #run(hosted: Hosted, process: Process): void {
    const { tree, runs } = hosted;
    const run = new Run(tree, process.pid, (chunk) => {
      for (const listener of this.#streams) listener(process.pid, chunk);
    });
    runs.set(process.pid, run);
    this.#running += 1;
    this.#step(hosted, process, run)
      .catch((error) => this.#halt(tree, error))
      .finally(() => {
        run.end("stopped");
        runs.delete(process.pid);
        this.#running -= 1;
        if (process.life.state === "ended") this.#scheduler.forget(tree.state.tree, process.pid);
        if (this.#hosted.get(tree.state.tree) === hosted) this.#enqueue(hosted);
        this.poke();
      });
  }

  async #step(hosted: Hosted, process: Process, run: Run): Promise<void> {
    const { tree } = hosted;
    const image = tree.state.images[process.image]!;
    const program = this.options.program(image.program)!;
    const context = {
      pid: process.pid,
      step: process.step,
      goal: process.goal,
      input: process.input,
      instructions: image.instructions,
      model: image.model,
      sys: clientOver((name, args) => this.broker.call(run, "", name, args)),
      signal: run.signal,
    };
    let failed: EndOutcome | null = null;
    try {
      const how = await Promise.race([program(context).then(() => "returned"), run.ended]);
      if (how === "parked" || how === "stopped") return;
    } catch (error) {
      if (error instanceof Panic) throw error;
      if (!run.alive) return;
      const { code, message } = toOutcome(error);
      failed = { kind: "failed", code, message };
    }
    this.#close(tree, process, { failed, stepsMax: image.stepsMax });
    this.changed(tree);
    await this.durable(tree);
  }

  /** Writes down that a step is over, or that the process failed. */
  #close(tree: Tree, process: Process, how: {
    readonly failed: EndOutcome | null;
    readonly stepsMax: number;
  }): void {
    if (process.life.state !== "ready") return;
    const draft = new Draft(tree, this.options.world.clock.now());
    const message = `Cannot go on: ${process.step} steps made, expected ${how.stepsMax} at most`;
    const failed = how.failed ??
      (process.step < how.stepsMax ? null : { kind: "failed", code: "ELIMIT", message } as const);
    if (failed !== null) end(draft, process, failed);
    else draft.add("process.stepped", { pid: process.pid, step: process.step + 1 });
    tree.commit(draft);
  }

  /** Stops a tree: what it had not written never happened. The node goes on (W2). */
  #halt(tree: Tree, error: unknown): void {
    const id = tree.state.tree;
    const hosted = this.#hosted.get(id);
    if (hosted?.tree !== tree) return;
    this.#hosted.delete(id);
    for (const run of hosted.runs.values()) run.end("stopped");
    const known = error instanceof SysError
      ? error
      : new SysError("EINTEGRITY", `Cannot go on with tree "${id}": ${String(error)}`);
    this.broken.set(id, known);
    // Whoever waits for a process of the tree looks again, and hears that it broke.
    for (const listener of this.#listeners) listener(id, []);
    this.poke();
  }

  // The pump.

  /** Opens trees that have something to do, takes inboxes, does what is due, starts runs. */
  async pump(): Promise<void> {
    const nowMs = this.options.world.clock.now();
    for (const id of await this.options.store.due(nowMs, 1_000)) {
      if (this.broken.has(id)) continue;
      try {
        await this.#takeInbox(await this.#open(id));
      } catch (error) {
        const hosted = this.#hosted.get(id);
        if (!(error instanceof SysError) && hosted === undefined) throw error;
        if (!(error instanceof SysError)) {
          this.#halt(hosted!.tree, error);
          continue;
        }
        if (error.code !== "EFENCED") this.broken.set(id, error);
      }
    }
    for (const hosted of this.#hosted.values()) {
      this.#enqueue(hosted);
      this.#tick(hosted);
    }
    this.poke();
  }

  /** Whether nothing runs and nothing is ready to. */
  get idle(): boolean {
    return this.#running === 0 && this.#settling === 0 && this.#scheduler.size === 0 &&
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
    this.#limit = this.options.concurrency;
    try {
      do {
        await this.pump();
        await this.#untilIdle();
        await Promise.all(this.trees.map((tree) => this.durable(tree).catch(() => {})));
        await this.#committer.idle();
      } while (!this.idle);
    } finally {
      this.#drivers -= 1;
      if (this.#drivers === 0 && this.options.autorun === false) this.#limit = 0;
    }
  }

  async #untilIdle(): Promise<void> {
    if (this.idle) return;
    await new Promise<void>((resolve) => this.#idlers.add(resolve));
  }

  /** Runs one step of the process whose turn it is; false when none is ready. */
  async stepOnce(): Promise<boolean> {
    await this.pump();
    const limit = this.#limit;
    if (this.#scheduler.size === 0) return false;
    this.#limit = 1;
    try {
      this.#start();
      this.#limit = 0;
      await new Promise<void>((resolve) => {
        const watch = (): void => {
          if (this.#running === 0) resolve();
          else this.options.world.clock.soon(watch);
        };
        watch();
      });
    } finally {
      this.#limit = limit;
    }
    return true;
  }

  /** Stops starting anything, lets what runs come to its next wait, and writes everything down. */
  async stop(options: { readonly drain: boolean } = { drain: true }): Promise<void> {
    this.#stopping = true;
    if (!options.drain) {
      for (const { runs } of this.#hosted.values()) {
        for (const run of runs.values()) run.end("stopped");
      }
    }
    await this.#drained();
    await Promise.all(this.trees.map((tree) => this.durable(tree).catch(() => {})));
    await this.#committer.idle();
    for (const { tree } of this.#hosted.values()) {
      await this.options.store.release(tree.state.tree, this.options.id, tree.state.epoch);
    }
    this.#hosted.clear();
  }

  async #drained(): Promise<void> {
    while (this.#running > 0 || this.broker.sending.size > 0) {
      await Promise.allSettled([...this.broker.sending.values()]);
      await new Promise<void>((resolve) => this.options.world.clock.soon(resolve));
    }
  }

  // Snapshots.

  /** Writes a snapshot when the tail is worth it: O(1) a line over a tree's life. */
  #snapshot(hosted: Hosted): void {
    const { tree } = hosted;
    const lines = tree.state.seq - hosted.snapshotSeq;
    const worth = Math.max(LIMITS.snapshotEveryLinesMin, hosted.snapshotBytes / 256);
    if (lines < worth || tree.tailLength > 0) return;
    const state = tree.dump();
    hosted.snapshotSeq = tree.state.seq;
    hosted.snapshotBytes = state.length;
    const snapshot = { seq: tree.state.seq, head: tree.head, state };
    // A lost snapshot costs time at the next start and nothing else.
    this.options.store.putSnapshot(tree.state.tree, snapshot).catch(() => {});
  }
}
