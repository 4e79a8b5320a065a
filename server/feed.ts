/**
 * The feed: what happens in all trees, live, in a window that can be gone back over.
 *
 * Invariants:
 *   F1. Only durable lines are told, each once, in the order in which they became durable.
 *   F2. A cursor inside the window goes on without a gap; any other is told that it does not.
 *   F3. Summaries carry no secret and no content of objects.
 * @module
 */

import { type TreeId, treeNumber } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { watchBudgets } from "../runtime/budget_watch.ts";
import type { Node } from "../runtime/node.ts";
import type { Glances } from "./glance.ts";
import type { Hearing } from "./hearing.ts";
import type { StreamEvent } from "./schema/evidence.ts";
import { told } from "./told.ts";

type Labels = Readonly<Record<string, string>>;

/** Somebody who hears what happens. */
export type FeedListener = (event: StreamEvent) => void;

/** What happens, live. */
export class Feed {
  #boot: string;
  readonly #kept: StreamEvent[] = [];
  readonly #listeners = new Set<FeedListener>();
  readonly #clock: Clock;
  readonly #offs: readonly (() => void)[];
  readonly #node: Node;
  /** Labels of the roots of the trees in the window, which may have left memory since. */
  readonly #labels = new Map<string, Labels>();
  /** The same of trees that other nodes have, those of late. */
  readonly #elsewhere = new Map<TreeId, Labels>();
  readonly #glances: Glances;
  #confined = 0;
  #first = 1;
  #last = 0;

  /** Hears of lines from now on. */
  constructor(node: Node, { hearing, glances, clock, random }: {
    readonly hearing: Hearing;
    readonly glances: Glances;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#boot = random.bytes(4).toHex();
    this.#clock = clock;
    this.#node = node;
    this.#glances = glances;
    hearing.prepare = async (trees) => {
      if (this.#confined > 0) await this.learn(trees);
    };
    // Whoever comes back has missed what others wrote (F2).
    hearing.left = () => this.#boot = random.bytes(4).toHex();
    this.#offs = [
      hearing.listen((_, lines) => {
        for (const line of lines) {
          const event = told(line);
          if (event !== undefined) this.#add({ id: this.#next(), ...event }, true);
        }
      }),
      watchBudgets(
        node,
        ({ tree, pid, seq, limit, spent, max }) =>
          this.tell({ kind: "budget.warning", tree, pid, seq, summary: { limit, spent, max } }),
      ),
      // What a model writes is told as it comes, and not kept: a restart shows none of it.
      node.listenText((pid, chunk) =>
        this.#add({
          id: this.cursor,
          kind: "process.text",
          tree: null,
          pid,
          seq: null,
          at: this.#now(),
          summary: { text: chunk },
        }, false)
      ),
    ];
  }

  /** Tells something that is no line of a log: a budget that runs out, a head that was sealed. */
  tell(event: Omit<StreamEvent, "id" | "at">): void {
    this.#add({ id: this.#next(), at: this.#now(), ...event }, true);
  }

  /** The cursor after the newest event. */
  get cursor(): string {
    return `${this.#boot}-${this.#last}`;
  }

  /** Events after a cursor; undefined when the cursor is not in the window (F2). */
  since(cursor: string): readonly StreamEvent[] | undefined {
    const match = /^([0-9a-f]{8})-(\d{1,15})$/.exec(cursor);
    const number = Number(match?.[2]);
    if (match?.[1] !== this.#boot || number < this.#first - 1 || number > this.#last) {
      return undefined;
    }
    return this.#kept.slice(number - this.#first + 1);
  }

  /** Somebody hears who sees some trees only; returns how to stop. */
  forSome(): () => void {
    this.#confined += 1;
    return () => this.#confined -= 1;
  }

  /** Finds out the labels of trees: no event changes those of a root. */
  async learn(trees: Iterable<TreeId>): Promise<void> {
    for (const tree of trees) {
      if (this.labelsOf(tree) !== undefined) continue;
      const seen = await this.#glances.at(await this.#node.options.store.head(tree));
      const root = seen?.tree.state.processes[`p_${treeNumber(tree)}`];
      if (root === undefined) continue;
      this.#elsewhere.set(tree, root.labels);
      if (this.#elsewhere.size > LIMITS.tailTreesKept) {
        this.#elsewhere.delete(this.#elsewhere.keys().next().value!);
      }
    }
  }

  /** Labels of a tree's root, for trees in memory or in the window; undefined for others. */
  labelsOf(tree: TreeId): Labels | undefined {
    const state = this.#node.peek(tree)?.state;
    return state?.processes[`p_${treeNumber(tree)}`]?.labels ?? this.#labels.get(tree) ??
      this.#elsewhere.get(tree);
  }

  /** Events of the last while, for rates. */
  count(sinceMs: number): number {
    let count = 0;
    for (let i = this.#kept.length - 1; i >= 0; i--) {
      if (Date.parse(this.#kept[i]!.at) < sinceMs) break;
      count += 1;
    }
    return count;
  }

  /** Hears of events from now on; returns how to stop. */
  listen(listener: FeedListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Stops hearing of the node. */
  close(): void {
    for (const off of this.#offs) off();
    this.#listeners.clear();
  }

  #add(event: StreamEvent, isKept: boolean): void {
    if (isKept) {
      this.#kept.push(event);
      const labels = event.tree === null ? undefined : this.labelsOf(event.tree as TreeId);
      if (labels !== undefined) this.#labels.set(event.tree!, labels);
      // A quarter at a time: what is cut off costs nothing to speak of.
      if (this.#kept.length > LIMITS.feedEventsKept * 1.25) {
        this.#first += this.#kept.splice(0, this.#kept.length - LIMITS.feedEventsKept).length;
        const trees = new Set(this.#kept.map(({ tree }) => tree));
        for (const tree of this.#labels.keys()) if (!trees.has(tree)) this.#labels.delete(tree);
      }
    }
    for (const listener of this.#listeners) listener(event);
  }

  #next(): string {
    this.#last += 1;
    return this.cursor;
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString();
  }
}
