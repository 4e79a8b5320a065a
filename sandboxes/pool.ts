/**
 * A pool of cages: some kept warm, each for one tenant from its first run to its end.
 *
 * Invariants:
 *   L1. There are never more cages than `LIMITS.cagesMax`, whatever state they are in.
 *   L2. A cage that has run for a tenant never runs for another.
 *   L3. Who waits for a cage gets one in the order of asking.
 * @module
 */

import type { CageEnd, CageRun, SandboxCounts } from "../broker/sandbox.ts";
import { CAGE_LIMITS, LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../kernel/world.ts";
import type { Cage } from "./cage.ts";

/** Leaves the first run of a cage the processor, before another cage is started. */
const REFILL_AFTER_MS = 50;

/** What a pool is made of. */
export interface PoolParts {
  /** Starts a cage whose memory is bounded. Throws when it cannot. */
  start(memoryBytes: number): Cage;
  readonly clock: Clock;
  /**
   * Whether to start cages before they are needed, and to keep some whatever happens; else each is
   * started by the run that needs it.
   */
  readonly warm: boolean;
  /** Hears how long a cage took until it could run something. */
  started?(ms: number): void;
}

/** Cages, and who waits for one. */
export class Pool {
  readonly #parts: PoolParts;
  readonly #cages = new Set<Cage>();
  readonly #busy = new Set<Cage>();
  /** Cages that have answered and are about to be free, by tenant. */
  readonly #resting = new Map<string, { readonly cage: Cage; readonly free: Promise<void> }>();
  readonly #closing = new AbortController();
  #waiting: (() => void)[] = [];
  #isRefilling = false;
  #isSweeping = false;

  /** Starts cages when it shall be warm. */
  constructor(parts: PoolParts) {
    this.#parts = parts;
    if (parts.warm) this.#fill();
  }

  /** How many there are. */
  counts(): SandboxCounts {
    const warm = [...this.#cages].filter(({ tenant }) => tenant === null).length;
    const [cages, busy, waiting] = [this.#cages.size, this.#busy.size, this.#waiting.length];
    return { cages, warm, busy, waiting };
  }

  /** Runs a tool in a cage of its tenant. Never rejects. */
  async run(run: CageRun): Promise<CageEnd> {
    try {
      return await this.#run(run);
    } catch (error) {
      const why = error instanceof Error ? error.message : "it cannot be started";
      return died(run, why);
    }
  }

  /** Ends all cages, and waits until nothing of them is left. */
  async close(): Promise<void> {
    this.#closing.abort("closed");
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
    const cages = [...this.#cages];
    for (const cage of cages) cage.kill();
    await Promise.all(cages.map(({ ended }) => ended));
  }

  async #run(run: CageRun): Promise<CageEnd> {
    const signal = AbortSignal.any([run.signal, this.#closing.signal]);
    const cage = await this.#acquire(run, signal);
    if (cage === null) return { kind: "stopped", logs: [] };
    const stopped = aborted(signal);
    const isReady = await Promise.race([cage.ready, stopped.promise]);
    stopped.forget();
    if (!isReady || signal.aborted) {
      this.#release(cage, false);
      cage.kill();
      if (signal.aborted) return { kind: "stopped", logs: [] };
      return died(run, await cage.why());
    }
    const { end, rested } = cage.run({ ...run, signal });
    void end.then(() => this.#rest(cage, run, rested));
    return await end;
  }

  /** Lets the cage go when it has come to rest. */
  #rest(cage: Cage, run: CageRun, rested: Promise<boolean>): void {
    const { tenant } = run;
    const free = rested.then((isRested) => {
      if (this.#resting.get(tenant)?.cage === cage) this.#resting.delete(tenant);
      this.#release(cage, isRested && !isLarge(run));
    });
    if (!isLarge(run)) this.#resting.set(tenant, { cage, free });
  }

  /** A cage for the run, marked as busy; null when the run was let go of. */
  async #acquire(run: CageRun, signal: AbortSignal): Promise<Cage | null> {
    // Who came before comes before.
    let mustWait = this.#waiting.length > 0;
    // A cage which has just answered its tenant is free sooner than another is started, unless it
    // is still at work: then it is not waited for.
    const resting = isLarge(run) ? undefined : this.#resting.get(run.tenant);
    resting?.cage.hurry();
    await resting?.free;
    while (!signal.aborted) {
      const cage = mustWait ? null : this.#find(run);
      if (cage !== null) {
        this.#busy.add(cage);
        if (cage.tenant === null && this.#parts.warm) this.#refill();
        cage.tenant = run.tenant;
        return cage;
      }
      await this.#turn(signal, mustWait);
      mustWait = false;
    }
    return null;
  }

  /** Resolves when there may be room. */
  #turn(signal: AbortSignal, atEnd: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = () => {
      this.#waiting = this.#waiting.filter((one) => one !== wake);
      resolve();
    };
    const wake = () => {
      signal.removeEventListener("abort", stop);
      resolve();
    };
    signal.addEventListener("abort", stop, { once: true });
    // Who was woken for nothing stays first.
    if (atEnd) this.#waiting.push(wake);
    else this.#waiting.unshift(wake);
    return promise;
  }

  #find(run: CageRun): Cage | null {
    const large = isLarge(run);
    const free = [...this.#cages].filter((cage) => !this.#busy.has(cage) && !cage.hasEnded);
    if (!large) {
      const own = free.find(({ tenant }) => tenant === run.tenant) ??
        free.find(({ tenant }) => tenant === null);
      if (own !== undefined) return own;
    }
    if (this.#cages.size >= LIMITS.cagesMax) {
      const oldest = free.sort((a, b) => a.idleSinceMs - b.idleSinceMs)[0];
      // Its place is free once nothing of it is left: then this is called again.
      oldest?.kill();
      return null;
    }
    return this.#start(large ? run.limits.memoryBytes : CAGE_LIMITS.memoryBytes);
  }

  #start(memoryBytes: number): Cage {
    const { clock, started } = this.#parts;
    const sinceMs = clock.now();
    const cage = this.#parts.start(memoryBytes);
    this.#cages.add(cage);
    if (started !== undefined) {
      void cage.ready.then((isReady) => isReady && started(clock.now() - sinceMs));
    }
    void cage.ended.then(() => {
      this.#cages.delete(cage);
      this.#busy.delete(cage);
      this.#next();
    });
    return cage;
  }

  #release(cage: Cage, isRested: boolean): void {
    if (!isRested) cage.kill();
    this.#busy.delete(cage);
    cage.idleSinceMs = this.#parts.clock.now();
    this.#next();
    this.#sweep();
  }

  #next(): void {
    this.#waiting.shift()?.();
  }

  #refill(): void {
    if (this.#isRefilling) return;
    this.#isRefilling = true;
    void this.#pause(REFILL_AFTER_MS).then(() => {
      this.#isRefilling = false;
      this.#fill();
    });
  }

  /** Starts cages until enough are warm. Who waits comes first. */
  #fill(): void {
    let { cages, warm } = this.counts();
    try {
      for (; warm < LIMITS.cagesWarmMax && cages < LIMITS.cagesMax; warm++, cages++) {
        if (this.#closing.signal.aborted || this.#waiting.length > 0) return;
        this.#start(CAGE_LIMITS.memoryBytes);
      }
    } catch {
      // The next run that needs one is told why.
    }
    this.#sweep();
  }

  /** Ends cages that nobody has used for long, while there are any. */
  async #sweep(): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    while (this.#cages.size > 0 && !this.#closing.signal.aborted) {
      await this.#pause(LIMITS.cageIdleMsMax / 2);
      const lateMs = this.#parts.clock.now() - LIMITS.cageIdleMsMax;
      for (const cage of this.#cages) {
        if (this.#busy.has(cage) || cage.idleSinceMs > lateMs) continue;
        if (this.#parts.warm && cage.tenant === null) continue;
        cage.kill();
      }
    }
    this.#isSweeping = false;
  }

  async #pause(ms: number): Promise<void> {
    try {
      await this.#parts.clock.sleep(ms, this.#closing.signal);
    } catch {
      // Closing.
    }
  }
}

function isLarge(run: CageRun): boolean {
  return run.limits.memoryBytes > CAGE_LIMITS.memoryBytes;
}

function died(run: CageRun, why: string): CageEnd {
  const message = `Cannot run tool "${run.name}": its cage could not be started, ${why}`;
  return { kind: "died", message, logs: [] };
}

/** Resolves to false when the signal is aborted. */
function aborted(signal: AbortSignal): { promise: Promise<false>; forget(): void } {
  const { promise, resolve } = Promise.withResolvers<false>();
  const stop = () => resolve(false);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  return { promise, forget: () => signal.removeEventListener("abort", stop) };
}
