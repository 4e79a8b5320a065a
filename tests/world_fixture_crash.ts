/**
 * Crashes for tests: a store that dies after its nth commit, and files that die with it.
 *
 * The dead kernel's code may go on in memory; whatever it asks of the store or of files is never
 * answered, as when the power went.
 * @module
 */

import type { Batch, InboxItem, Snapshot, Store } from "../kernel/store.ts";
import type { TreeId } from "../kernel/ids.ts";
import { SeededRandom, type VirtualClock } from "../testing.ts";
import { CountedFiles, World, type WorldOptions } from "./world_fixture.ts";

/** Where a kernel dies: at its nth commit, before or after it is written. */
export interface DeathPlan {
  readonly at: number;
  readonly when: "before" | "after";
}

/** Thrown to the test when its kernel has died. */
export class Died extends Error {}

/** One kernel's hold on a store that outlives it. */
export class MortalStore implements Store {
  readonly name = "mortal";
  readonly inner: Store;
  readonly died: Promise<void>;
  commits = 0;
  isDead = false;
  readonly #plan: DeathPlan | null;
  #die: () => void = () => {};

  /** A hold that ends as planned; null: never. */
  constructor(inner: Store, plan: DeathPlan | null) {
    this.inner = inner;
    this.#plan = plan;
    this.died = new Promise((resolve) => this.#die = resolve);
  }

  /** Ends it now. */
  die(): void {
    this.isDead = true;
    this.#die();
  }

  async #alive<T>(job: () => Promise<T>): Promise<T> {
    if (this.isDead) return await never();
    const answer = await job();
    return this.isDead ? await never() : answer;
  }

  commit(batches: readonly Batch[]): Promise<void> {
    return this.#alive(async () => {
      this.commits += 1;
      const dies = this.commits === this.#plan?.at;
      if (dies && this.#plan?.when === "before") return this.die();
      await this.inner.commit(batches);
      if (dies) this.die();
    });
  }

  async *read(tree: TreeId, fromSeq: number): ReturnType<Store["read"]> {
    yield* await this.#alive(() => Promise.resolve(this.inner.read(tree, fromSeq)));
  }

  create(key: string | null): ReturnType<Store["create"]> {
    return this.#alive(() => this.inner.create(key));
  }
  head(tree: TreeId): ReturnType<Store["head"]> {
    return this.#alive(() => this.inner.head(tree));
  }
  list(options: Parameters<Store["list"]>[0]): ReturnType<Store["list"]> {
    return this.#alive(() => this.inner.list(options));
  }
  putSnapshot(tree: TreeId, snapshot: Snapshot): Promise<void> {
    return this.#alive(() => this.inner.putSnapshot(tree, snapshot));
  }
  getSnapshot(tree: TreeId, atMost?: number): ReturnType<Store["getSnapshot"]> {
    return this.#alive(() => this.inner.getSnapshot(tree, atMost));
  }
  getBlob(hash: string): ReturnType<Store["getBlob"]> {
    return this.#alive(() => this.inner.getBlob(hash));
  }
  putInbox(tree: TreeId, item: InboxItem): Promise<void> {
    return this.#alive(() => this.inner.putInbox(tree, item));
  }
  getInbox(tree: TreeId): ReturnType<Store["getInbox"]> {
    return this.#alive(() => this.inner.getInbox(tree));
  }
  due(nowMs: number, limit: number): ReturnType<Store["due"]> {
    return this.#alive(() => this.inner.due(nowMs, limit));
  }
  nextDueMs(): ReturnType<Store["nextDueMs"]> {
    return this.#alive(() => this.inner.nextDueMs());
  }
  claim(...given: Parameters<Store["claim"]>): ReturnType<Store["claim"]> {
    return this.#alive(() => this.inner.claim(...given));
  }
  release(...given: Parameters<Store["release"]>): Promise<void> {
    return this.#alive(() => this.inner.release(...given));
  }
  version(): Promise<number> {
    return this.#alive(() => this.inner.version());
  }
  check(): ReturnType<Store["check"]> {
    return this.#alive(() => this.inner.check());
  }
  /** The store itself outlives the kernel. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/** The files of one kernel: the world's, for as long as that kernel lives. */
export class MortalFiles extends CountedFiles {
  /** Files in `shared`, done to while `store` lives. */
  constructor(shared: CountedFiles, store: MortalStore, options: {
    /** How many writes come through before the kernel dies in the middle of one. */
    readonly diesAfterWrite?: number;
  } = {}) {
    super();
    let writes = 0;
    const { contents, folders, done } = shared;
    Object.assign(this, { contents, folders, done });
    this.before = (what) => store.isDead ? never() : shared.before(what);
    this.after = (what) => {
      if (what.startsWith("write") && ++writes === options.diesAfterWrite) store.die();
      return store.isDead ? never() : shared.after(what);
    };
  }
}

/** One life of a kernel over a store and files that outlive it. */
export class MortalWorld extends World {
  readonly mortal: MortalStore;

  /** Opens it; `life` is its seed, so that each life has another node id. */
  constructor(given: {
    readonly store: Store;
    readonly clock: VirtualClock;
    readonly files: CountedFiles;
    readonly plan: DeathPlan | null;
    readonly life: number;
    readonly diesAfterWrite?: number;
    readonly options?: WorldOptions;
  }) {
    const mortal = new MortalStore(given.store, given.plan);
    const { diesAfterWrite } = given;
    super({
      ...given.options,
      store: mortal,
      clock: given.clock,
      files: new MortalFiles(
        given.files,
        mortal,
        diesAfterWrite === undefined ? {} : { diesAfterWrite },
      ),
      random: new SeededRandom(given.life),
    });
    this.mortal = mortal;
  }

  /** Does a job, or throws `Died` as soon as the kernel dies. */
  async live<T>(job: () => Promise<T>): Promise<T> {
    const died = this.mortal.died.then(() => {
      throw new Died("The kernel died");
    });
    died.catch(() => {});
    const answer = await Promise.race([job(), died]);
    if (this.mortal.isDead) throw new Died("The kernel died");
    return answer;
  }
}
