/**
 * Hearing: durable lines of all trees, those that other nodes write too.
 *
 * A node tells its own lines. Where several share a store, it is followed by one cursor over what
 * all of them commit, as long as somebody wants that: then lines of this node come in their place
 * among those of others, and what it has in memory is not read again.
 *
 * Invariants:
 *   HE1. While it follows, each line is told once, and those of a tree in order, wherever the tree
 *        goes meanwhile.
 *   HE2. All that is committed once `began` has resolved is told.
 *   HE3. A store that is away is asked again; nothing is passed over for it.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Tail, TailBatch } from "../kernel/tail.ts";
import type { Clock } from "../kernel/world.ts";
import type { Listener, Node } from "../runtime/node.ts";
import { linesIn } from "./lines.ts";

/** Following a store. */
interface Following {
  readonly stop: AbortController;
  readonly began: PromiseWithResolvers<void>;
}

const NOTHING = Promise.resolve();

/** Hears lines, and tells them on. */
export class Hearing {
  /** Called before lines of these trees are told. */
  prepare: (trees: ReadonlySet<TreeId>) => Promise<void> = () => NOTHING;
  /** Called when it follows no longer: what others write from then on is not told. */
  left: () => void = () => {};
  readonly #node: Node;
  readonly #clock: Clock;
  readonly #listeners = new Set<Listener>();
  readonly #off: () => void;
  #followers = 0;
  #following: Following | null = null;
  /** Lines of this node that were not told yet, by tree and first line. */
  readonly #own = new Map<string, readonly Line[]>();
  /** The last line of each tree that was told, those of late. */
  readonly #told = new Map<TreeId, number>();
  /** What was read, and is not told yet. */
  #page: readonly TailBatch[] | null = null;
  /** Ends the pause between two looks, or says that the next one needs none. */
  #poke: (() => void) | null = null;
  #isPoked = false;
  #leaving: AbortController | null = null;

  /** Hears a node's lines from now on. */
  constructor(node: Node, clock: Clock) {
    this.#node = node;
    this.#clock = clock;
    this.#off = node.listen((tree, lines) => this.#hear(tree, lines));
  }

  /** Calls `listener` with lines as they are told; returns how to stop. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Lines of other nodes are wanted from now on; returns how to want them no longer. */
  follow(): () => void {
    if (this.#node.options.store.tail === undefined) return () => {};
    this.#followers += 1;
    this.#leaving?.abort();
    this.#leaving = null;
    if (this.#following === null) {
      this.#following = { stop: new AbortController(), began: Promise.withResolvers() };
      void this.#run(this.#following);
    }
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#followers -= 1;
      if (this.#followers === 0) void this.#leave();
    };
  }

  /** Resolves when what is committed from then on is told (HE2). */
  get began(): Promise<void> {
    return this.#following?.began.promise ?? NOTHING;
  }

  /** Hears and tells nothing any more. */
  close(): void {
    this.#off();
    this.#listeners.clear();
    this.#leaving?.abort();
    this.#end();
  }

  #hear(tree: TreeId, lines: readonly Line[]): void {
    const [first] = lines;
    if (this.#following === null || first === undefined) return this.#emit(tree, lines);
    this.#own.set(`${tree} ${first.seq}`, lines);
    this.#isPoked = true;
    this.#poke?.();
  }

  #emit(tree: TreeId, lines: readonly Line[]): void {
    for (const listener of this.#listeners) listener(tree, lines);
  }

  /** Tells what was not told yet of a tree (HE1). */
  #tell(tree: TreeId, lines: readonly Line[]): void {
    const last = this.#told.get(tree) ?? 0;
    const fresh = lines.filter(({ seq }) => seq > last);
    const newest = fresh.at(-1)?.seq;
    if (newest === undefined) return;
    this.#told.delete(tree);
    this.#told.set(tree, newest);
    if (this.#told.size > LIMITS.tailTreesKept) {
      this.#told.delete(this.#told.keys().next().value!);
    }
    this.#emit(tree, fresh);
  }

  async #run({ stop: { signal }, began }: Following): Promise<void> {
    let tail: Tail | undefined;
    while (!signal.aborted) {
      let found = 0;
      try {
        tail ??= await this.#node.options.store.tail!();
        began.resolve();
        found = await this.#look(tail, signal);
      } catch (thrown) {
        // What a closed store refuses is the end of whoever asks it, too (HE3).
        if (!(thrown instanceof SysError)) throw thrown;
      }
      if (found < LIMITS.tailBatchesMax) await this.#pause(found > 0, signal);
    }
    began.resolve();
  }

  /** Tells what was committed; how many batches. */
  async #look(tail: Tail, signal: AbortSignal): Promise<number> {
    // These were committed before the look begins: it finds them, or an earlier one did.
    this.#isPoked = false;
    const own = this.#page === null ? new Set(this.#own.keys()) : new Set<string>();
    const limit = LIMITS.tailBatchesMax;
    this.#page ??= await tail.next(limit, (tree, seq) => this.#own.has(`${tree} ${seq}`));
    const page = this.#page;
    // What fails here is done again with the same page.
    await this.prepare(new Set(page.map(({ tree }) => tree)));
    if (signal.aborted) return 0;
    this.#page = null;
    for (const one of page) {
      const key = `${one.tree} ${one.seq}`;
      const lines = this.#linesOf(one);
      this.#own.delete(key);
      own.delete(key);
      this.#tell(one.tree, lines);
    }
    // What was there when the tail began is in none of its pages.
    if (page.length < limit) { for (const key of own) this.#flush(key); }
    return page.length;
  }

  #linesOf({ tree, seq, batch }: TailBatch): readonly Line[] {
    const own = this.#own.get(`${tree} ${seq}`);
    if (own !== undefined || batch === undefined) return own ?? [];
    try {
      return linesIn(tree, batch);
    } catch (thrown) {
      // A damaged log is told of by those who check it.
      if (!(thrown instanceof SysError)) throw thrown;
      return [];
    }
  }

  #flush(key: string): void {
    const lines = this.#own.get(key);
    this.#own.delete(key);
    if (lines !== undefined) this.#tell(lines[0]!.tree, lines);
  }

  /** Looks are so far apart at least; one that found something is followed by another soon. */
  async #pause(isLively: boolean, signal: AbortSignal): Promise<void> {
    const clock = this.#clock;
    await clock.sleep(LIMITS.tailLookMs, signal).catch(() => {});
    if (this.#isPoked || isLively || signal.aborted) return;
    const woken = new AbortController();
    this.#poke = () => woken.abort();
    const left = LIMITS.elsewhereLookMs - LIMITS.tailLookMs;
    await clock.sleep(left, AbortSignal.any([signal, woken.signal])).catch(() => {});
    this.#poke = null;
  }

  /** Goes on for a while: who was cut off comes back. */
  async #leave(): Promise<void> {
    const leaving = new AbortController();
    this.#leaving = leaving;
    await this.#clock.sleep(LIMITS.tailKeptMs, leaving.signal).catch(() => {});
    if (!leaving.signal.aborted) this.#end();
  }

  #end(): void {
    if (this.#following === null) return;
    this.#following.stop.abort();
    this.#following = null;
    this.#page = null;
    for (const key of [...this.#own.keys()]) this.#flush(key);
    this.#told.clear();
    this.left();
  }
}
