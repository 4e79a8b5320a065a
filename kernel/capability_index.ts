/**
 * Which capabilities may cover a call: found without looking at the others.
 *
 * An index is derived from the tree's capabilities and is no part of its state. It holds the same
 * records: whoever changes `usesSpent` of one says so by `refresh`.
 *
 * Invariants:
 *   N1. A search finds exactly the capabilities held by the first of a lineage, and those of scope
 *       "subtree" held by the others, whose pattern covers the call and which have a use left.
 *   N2. The family of a capability is known whether or not it has uses left, so that revoking
 *       reaches everything derived from it.
 * @module
 */

import { assert } from "./errors.ts";
import { splitResource } from "./grammar.ts";
import type { HeldCapability } from "./capability.ts";
import type { CapId, Pid } from "./ids.ts";
import { PatternIndex } from "./pattern_index.ts";

interface Holder {
  readonly held: Map<CapId, HeldCapability>;
  readonly own: PatternIndex<HeldCapability>;
  readonly subtree: PatternIndex<HeldCapability>;
}

/** Capabilities by holder, by what they cover, and by family. */
export class CapabilityIndex {
  readonly #caps = new Map<CapId, HeldCapability>();
  readonly #children = new Map<CapId, Set<CapId>>();
  readonly #holders = new Map<Pid, Holder>();
  /** Those which can be found, that is, have a use left. */
  readonly #shelved = new Set<CapId>();

  /** The index of all capabilities of a tree. */
  static of(caps: { readonly [id: CapId]: HeldCapability }): CapabilityIndex {
    const index = new CapabilityIndex();
    for (const cap of Object.values(caps)) index.add(cap);
    return index;
  }

  /** Nodes and globs looked at by all searches so far. */
  get visits(): number {
    let visits = 0;
    for (const { own, subtree } of this.#holders.values()) visits += own.visits + subtree.visits;
    return visits;
  }

  /** How many capabilities it knows. */
  get size(): number {
    return this.#caps.size;
  }

  /** The capability with this id. */
  get(id: CapId): HeldCapability | undefined {
    return this.#caps.get(id);
  }

  /** Takes a capability in. Its parent may come later. */
  add(cap: HeldCapability): void {
    assert(!this.#caps.has(cap.id), `Capability "${cap.id}" was added twice`);
    this.#caps.set(cap.id, cap);
    if (cap.parent !== null) {
      const children = this.#children.get(cap.parent);
      if (children === undefined) this.#children.set(cap.parent, new Set([cap.id]));
      else children.add(cap.id);
    }
    this.#holder(cap.subject).held.set(cap.id, cap);
    this.refresh(cap.id);
  }

  /** Forgets one capability; what is derived from it stays known as its family. */
  remove(id: CapId): void {
    const cap = this.#caps.get(id);
    if (cap === undefined) return;
    this.#unshelve(cap);
    this.#caps.delete(id);
    const holder = this.#holders.get(cap.subject);
    holder?.held.delete(id);
    if (holder?.held.size === 0) this.#holders.delete(cap.subject);
    if (cap.parent === null) return;
    const children = this.#children.get(cap.parent);
    children?.delete(id);
    if (children?.size === 0) this.#children.delete(cap.parent);
  }

  /** Looks again whether a capability has a use left. */
  refresh(id: CapId): void {
    const cap = this.#caps.get(id);
    if (cap === undefined) return;
    const live = cap.usesMax === null || cap.usesSpent < cap.usesMax;
    if (!live) return this.#unshelve(cap);
    if (this.#shelved.has(id)) return;
    this.#shelved.add(id);
    this.#shelf(cap).add(cap, cap);
  }

  /** Everything derived from a capability, parents before children, without itself. */
  descendants(id: CapId): CapId[] {
    const found: CapId[] = [...this.#children.get(id) ?? []];
    for (let i = 0; i < found.length; i++) {
      for (const child of this.#children.get(found[i] ?? id) ?? []) found.push(child);
    }
    return found;
  }

  /** Whether something is derived from a capability. */
  hasChildren(id: CapId): boolean {
    return this.#children.has(id);
  }

  /**
   * The capabilities whose own pattern covers the call, or is provably wider than the pattern given
   * as one. `lineage` is the process and its ancestors, itself first.
   */
  candidates(
    lineage: readonly Pid[],
    right: string,
    resource: string,
    segments: readonly string[] = splitResource(resource),
  ): HeldCapability[] {
    let found: HeldCapability[] = [];
    for (let i = 0; i < lineage.length; i++) {
      const holder = this.#holders.get(lineage[i]!);
      if (holder === undefined) continue;
      const wide = holder.subtree.find(right, segments);
      found = found.length === 0 ? wide : found.concat(wide);
      if (i > 0) continue;
      const own = holder.own.find(right, segments);
      found = found.length === 0 ? own : found.concat(own);
    }
    return found;
  }

  /** The same by looking at everything, spent ones too: for questions, never on a call's path. */
  *heldBy(lineage: readonly Pid[]): Iterable<HeldCapability> {
    for (const [i, pid] of lineage.entries()) {
      for (const cap of this.#holders.get(pid)?.held.values() ?? []) {
        if (i === 0 || cap.scope === "subtree") yield cap;
      }
    }
  }

  #holder(pid: Pid): Holder {
    const known = this.#holders.get(pid);
    if (known !== undefined) return known;
    const made = {
      held: new Map(),
      own: new PatternIndex<HeldCapability>(),
      subtree: new PatternIndex<HeldCapability>(),
    };
    this.#holders.set(pid, made);
    return made;
  }

  #shelf(cap: HeldCapability): PatternIndex<HeldCapability> {
    const holder = this.#holder(cap.subject);
    return cap.scope === "subtree" ? holder.subtree : holder.own;
  }

  #unshelve(cap: HeldCapability): void {
    if (this.#shelved.delete(cap.id)) this.#shelf(cap).remove(cap, cap);
  }
}
