/**
 * Membership: a node's place among those that share its store. It keeps the lease alive, takes
 * trees that nobody has, and gives trees back.
 *
 * Invariants:
 *   ME1. The lease is renewed by a loop of its own, whatever the node does meanwhile.
 *   ME2. A tree that the store says is this node's is in memory, about to be, or given back: what
 *        an answer that was lost has given it is found at a later beat.
 *   ME3. A node whose lease ran out lets go of all trees before it takes others.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type Beat, type Claimed, type ClaimFor, fits, type NodeFacts } from "../kernel/fleet.ts";
import type { Fleet, NodeLabels, NodeLoad, NodeState } from "../kernel/fleet.ts";
import type { TreeId } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { FleetClock } from "./fleet_clock.ts";
import type { Clock, Random } from "../kernel/world.ts";

/** What a member works with. */
export interface MemberParts {
  readonly fleet: Fleet;
  readonly facts: NodeFacts;
  readonly clock: Clock;
  readonly random: Random;
}

/** What a member asks of its forest. */
export interface MemberHost {
  load(): Pick<NodeLoad, "active" | "held">;
  /** How many steps became durable so far. */
  steps(): number;
  /** What it has of what trees run on. */
  has(): NodeLabels;
  /** The trees in memory, and those being loaded. */
  known(): ReadonlySet<TreeId>;
  /** Trees that this node cannot go on with. */
  barred(): readonly TreeId[];
  /** Has a tree given back as soon as nothing of it runs. */
  part(id: TreeId): void;
  /** Has so many trees given back that wait for their turn here. */
  partQueued(count: number): void;
  /** A tree is another node's. */
  lost(id: TreeId): void;
}

/** A rate is of so many milliseconds at least. */
const RATE_MS_MIN = 500;

/** A node among others. */
export class Membership {
  readonly facts: NodeFacts;
  /** Hears that there is something to look at. */
  wake = (): void => {};
  readonly #fleet: Fleet;
  readonly #clock: Clock;
  readonly #random: Random;
  #host: MemberHost | undefined;
  #state: NodeState = "active";
  /** Trees that were taken and are not in memory yet. */
  readonly #claimed = new Map<TreeId, number>();
  /** Trees to be given back, and the giving that is under way. */
  #back = new Map<TreeId, number>();
  #giving: Promise<void> = Promise.resolve();
  #beatMs = -Infinity;
  /** Since when there are free trees that are left to others. */
  #freeMs: number | null = null;
  /** Whether the last beat found another number of trees than there are here. */
  #isOdd = false;
  #isIn = false;
  /** What the others know that it has; null: nothing yet. */
  #offered: string | null = null;
  #counted = { steps: 0, atMs: -Infinity, rate: 0 };
  /** Trees that changed hands so far. */
  readonly moves = { taken: 0, given: 0, lost: 0, lapses: 0, freed: 0 };
  /** Before this, whoever was not heard of may have been kept from it by the database. */
  #reapsMs = -Infinity;

  /** A member that has not joined yet. */
  constructor({ fleet, facts, clock, random }: MemberParts) {
    this.facts = facts;
    this.#fleet = fleet;
    this.#clock = clock;
    this.#random = random;
  }

  /** How the node stands, as far as it has heard. */
  get state(): NodeState {
    return this.#state;
  }

  /** How much the node does. */
  get load(): Pick<NodeLoad, "active" | "held"> {
    return this.#host?.load() ?? { active: 0, held: 0 };
  }

  /** How long ago the lease was renewed, in milliseconds. */
  get beatAgeMs(): number {
    return Math.max(0, this.#clock.now() - this.#beatMs);
  }

  /** Says whose trees these are. */
  attach(host: MemberHost): void {
    this.#host = host;
  }

  /** Joins the others. `EINVAL` where versions do not go together. */
  async join(): Promise<void> {
    await this.#heard(() => this.#fleet.join(this.facts), (nowMs) => nowMs);
    this.#isIn = true;
    this.#offered = null;
    await this.#offer();
    this.#state = "active";
    this.#beatMs = this.#clock.now();
  }

  /** Says what it has of what trees run on, where that is more than was said. */
  async #offer(): Promise<void> {
    const has = this.#host?.has() ?? {};
    const text = canonical(has);
    if (text === (this.#offered ?? "{}")) return;
    await this.#fleet.offer(this.facts.id, has);
    this.#offered = text;
  }

  /** Beats until it is stopped (ME1). */
  async run(signal: AbortSignal): Promise<void> {
    const pause = this.facts.leaseMs / 3;
    while (!signal.aborted) {
      let nextMs = pause;
      try {
        nextMs = Math.min(pause, await this.#beat() ?? pause);
      } catch {
        // The store is away: nothing can be written either, so nothing is lost by trying soon.
        nextMs = Math.min(pause, 500);
      }
      // Others beat at other times, and free what a node left behind at other times.
      await this.#clock.sleep(nextMs * (0.9 + 0.1 * this.#chance()) + 1, signal).catch(() => {});
    }
  }

  /** What the machine's own clock says: how far it is off is shown to people. */
  #ownMs(): number {
    return (this.#clock instanceof FleetClock ? this.#clock.own : this.#clock).now();
  }

  /** Asks the store; what it says of its time is what this node goes by. */
  async #heard<T>(asked: () => Promise<T>, nowOf: (answer: T) => number | undefined): Promise<T> {
    return await (this.#clock instanceof FleetClock ? this.#clock.hear(asked, nowOf) : asked());
  }

  #chance(): number {
    return this.#random.bytes(1)[0]! / 256;
  }

  /** One beat; in how many milliseconds the lease of another runs out. */
  async #beat(): Promise<number | null> {
    const host = this.#host!;
    const { id, leaseMs } = this.facts;
    const load = { ...host.load(), steps: this.#rate(), nowMs: this.#ownMs() };
    const beat = await this.#heard(() => this.#fleet.beat(id, load), (one) => one?.nowMs);
    if (beat === undefined) {
      await this.#return();
      return 0;
    }
    // By the time that was heard just now: a machine that slept finds that it was away.
    const nowMs = this.#clock.now();
    if (Math.abs(nowMs - this.#beatMs) > leaseMs / 2) this.#reapsMs = nowMs + leaseMs / 2;
    this.#beatMs = nowMs;
    this.#stand(beat.state);
    if (beat.state === "active") this.#even(host, beat);
    await this.#compare(host, beat);
    const isSure = Math.abs(nowMs - this.#reapsMs) > leaseMs / 2 || nowMs >= this.#reapsMs;
    const freed = isSure ? await this.#fleet.reap(id, LIMITS.nodeReapsMax) : 0;
    this.moves.freed += freed;
    if (freed > 0) this.wake();
    return isSure ? beat.nextMs : null;
  }

  /** Steps a second since it was asked the last time. */
  #rate(): number {
    const atMs = this.#clock.steady?.() ?? this.#clock.now();
    const steps = this.#host!.steps();
    const before = this.#counted;
    const ms = Math.abs(atMs - before.atMs);
    // Two beats close to each other would say as much as one glance does.
    if (ms < RATE_MS_MIN) return before.rate;
    this.#counted = { steps, atMs, rate: 1_000 * (steps - before.steps) / ms };
    return this.#counted.rate;
  }

  /** Gives some of what waits here to nodes that have less; what is a little more is kept. */
  #even(host: MemberHost, { share }: Beat): void {
    const over = host.load().active - share;
    if (over <= Math.max(2, share / 4)) return;
    host.partQueued(Math.min(LIMITS.nodeGivesMax, Math.ceil(over / 2)));
  }

  /** Finds trees that the store and this node think differently of (ME2). */
  async #compare(host: MemberHost, { owned }: Beat): Promise<void> {
    const isOdd = owned !== new Set([...host.known(), ...this.#claimed.keys()]).size;
    // A difference once is what is under way.
    const isLasting = isOdd && this.#isOdd;
    this.#isOdd = isOdd;
    if (!isLasting) return;
    await this.#giving;
    const here = (): Set<TreeId> =>
      new Set([...host.known(), ...this.#claimed.keys(), ...this.#back.keys()]);
    const before = here();
    const all = new Map(
      (await this.#fleet.owned(this.facts.id)).map(({ tree, epoch }) => [tree, epoch]),
    );
    const now = here();
    for (const [tree, epoch] of all) {
      if (!before.has(tree) && !now.has(tree)) this.giveBack({ tree, epoch });
    }
    for (const tree of before) if (now.has(tree) && !all.has(tree)) this.#lose(host, tree);
  }

  /** The lease ran out (ME3). */
  async #return(): Promise<void> {
    this.#claimed.clear();
    this.#back.clear();
    const host = this.#host!;
    this.moves.lapses += 1;
    for (const tree of host.known()) this.#lose(host, tree);
    await this.join();
    this.wake();
  }

  #lose(host: MemberHost, tree: TreeId): void {
    this.moves.lost += 1;
    host.lost(tree);
  }

  #stand(state: NodeState): void {
    if (state !== this.#state) this.wake();
    this.#state = state;
    if (state !== "draining") return;
    const host = this.#host!;
    for (const tree of host.known()) host.part(tree);
  }

  /** Trees of this node that have something to do; some of them are its own since now. */
  async look(): Promise<readonly TreeId[]> {
    const { id, leaseMs } = this.facts;
    if (Math.abs(this.#clock.now() - this.#beatMs) > leaseMs / 2) await this.#beat();
    const { state, inbox, wanted } = await this.#fleet.mine(id);
    if (state === undefined || state === "gone") {
      await this.#return();
      return [];
    }
    this.#stand(state);
    const host = this.#host!;
    for (const tree of wanted) {
      const epoch = this.#claimed.get(tree);
      if (epoch !== undefined && this.#claimed.delete(tree)) this.giveBack({ tree, epoch });
      else host.part(tree);
    }
    return [...new Set([...inbox, ...await this.#take(host)])];
  }

  async #take(host: MemberHost): Promise<readonly TreeId[]> {
    if (this.#state !== "active") return [];
    await this.#offer();
    const nowMs = this.#clock.now();
    const isOver = this.#freeMs !== null && nowMs - this.#freeMs > LIMITS.nodePatienceMs;
    const active = host.load().active + this.#claimed.size;
    const { trees, free } = await this.#fleet.take(this.facts.id, {
      ...{ nowMs, active, isOver, barred: host.barred() },
      limit: isOver ? LIMITS.nodeTakesAtOnceMax : LIMITS.nodeTakesMax,
    });
    if (free === 0 || (trees.length > 0 && !isOver)) this.#freeMs = null;
    else this.#freeMs ??= nowMs;
    for (const { tree, epoch } of trees) this.#claimed.set(tree, epoch);
    this.moves.taken += trees.length;
    return trees.map(({ tree }) => tree);
  }

  /** Whether there may be more to take at once. */
  isMore(taken: number): boolean {
    return taken >= LIMITS.nodeTakesMax;
  }

  /** Takes one tree, or says that it has it; else who has it. */
  async claim(tree: TreeId, why: ClaimFor): ReturnType<Fleet["claim"]> {
    await this.#offer();
    await this.#giving;
    const epoch = this.#claimed.get(tree) ?? this.#back.get(tree);
    this.#claimed.delete(tree);
    this.#back.delete(tree);
    return epoch === undefined ? await this.#fleet.claim(tree, this.facts.id, why) : { epoch };
  }

  /** Gives a tree back, with others in the same turn; nothing of it may be under way. */
  giveBack({ tree, epoch }: Claimed): void {
    this.#back.set(tree, epoch);
    if (this.#back.size === 1) this.#clock.soon(() => this.#flush());
  }

  #flush(): void {
    if (this.#back.size === 0) return;
    const trees = [...this.#back].map(([tree, epoch]) => ({ tree, epoch }));
    this.#back = new Map();
    this.moves.given += trees.length;
    // What is not given back now is found at a later beat (ME2).
    this.#giving = this.#giving
      .then(() => this.#fleet.giveBack(this.facts.id, trees))
      .catch(() => {});
  }

  /** Whether the node has what a tree asks for. */
  suits(selector: NodeLabels | undefined): boolean {
    const { labels, name } = this.facts;
    return selector === undefined || fits({ ...labels, node: name }, selector);
  }

  /** Leaves the others: all its trees are free. */
  async leave(): Promise<void> {
    if (!this.#isIn) return;
    this.#isIn = false;
    await this.#giving;
    await this.#fleet.leave(this.facts.id);
  }
}

/** What is said of a tree that a node has, or none; absent: another one. */
export function ownedElsewhere(id: TreeId, by?: string | null): SysError {
  const refused = `Cannot open tree "${id}"`;
  if (by === null) {
    const expected = "expected one that has what it asks for; libos ps says what that is";
    return new SysError("EFENCED", `${refused}: no node has it, nor may this one, ${expected}`);
  }
  const owner = by === undefined ? "another node" : `node "${by}"`;
  const expected = `expected it here; ask that node, or say libos nodes move ${id} --to this one`;
  return new SysError("EFENCED", `${refused}: ${owner} owns it, ${expected}`);
}
