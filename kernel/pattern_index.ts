/**
 * Many patterns, found by right and resource: a tree over segments with the rights at its nodes.
 *
 * Invariants:
 *   I1. What is found is exactly what a scan with `matchRight` and `matchResource` would find, for
 *       a real resource and for a pattern taken as text (M1 of the grammar).
 *   I2. The cost follows the segments of the resource and what is found, not how much is kept:
 *       literal siblings cost one look-up together; only sibling globs are tried one by one.
 *   I3. A node with nothing in or below it is gone.
 * @module
 */

import { compileGlob, type Glob, matchGlob, type Pattern, splitResource } from "./grammar.ts";

interface Shelf<T> {
  readonly glob: Glob;
  readonly values: T[];
}

interface Branch<T> {
  readonly glob: Glob;
  readonly node: Node<T>;
}

interface Node<T> {
  readonly parent: Node<T> | null;
  /** The segment on the way from the parent. */
  readonly segment: string;
  exact: Map<string, Node<T>> | null;
  globs: Map<string, Branch<T>> | null;
  rest: Node<T> | null;
  /** Values of literal rights. */
  rights: Map<string, T[]> | null;
  /** Values of rights with a `*`. */
  rightGlobs: Map<string, Shelf<T>> | null;
  /** The last round in which this node was entered. */
  round: number;
}

/** Nodes that a search has come to; the room is used again, as each call makes searches. */
interface Front<T> {
  readonly nodes: Node<T>[];
  size: number;
}

/** A set of values, each kept under a pattern. */
export class PatternIndex<T> {
  /** Nodes and globs looked at by all searches so far: the cost, counted without a clock. */
  visits = 0;
  readonly #root: Node<T> = makeNode<T>(null, "");
  readonly #fronts: readonly [Front<T>, Front<T>] = [
    { nodes: [], size: 0 },
    { nodes: [], size: 0 },
  ];
  #round = 0;

  /** Keeps `value` under `pattern`. */
  add(pattern: Pattern, value: T): void {
    let node = this.#root;
    for (const segment of splitResource(pattern.resource)) {
      // A second "**" beside the first says nothing more.
      if (segment === "**" && node.segment === "**") continue;
      node = step(node, segment) ?? grow(node, segment);
    }
    shelf(node, pattern.right).push(value);
  }

  /** Takes `value` from under `pattern`; nothing happens when it is not there. */
  remove(pattern: Pattern, value: T): void {
    let node = this.#root;
    for (const segment of splitResource(pattern.resource)) {
      if (segment === "**" && node.segment === "**") continue;
      const next = step(node, segment);
      if (next === null) return;
      node = next;
    }
    unshelve(node, pattern.right, value);
    prune(node);
  }

  /** All values whose patterns cover `right` on the resource with these segments. */
  find(right: string, segments: readonly string[]): T[] {
    const found: T[] = [];
    if (isEmpty(this.#root)) return found;
    let [active, next] = this.#fronts;
    active.size = 0;
    this.#round++;
    this.#enter(this.#root, active);
    for (const segment of segments) {
      next.size = 0;
      this.#round++;
      for (let i = 0; i < active.size; i++) this.#advance(active.nodes[i]!, segment, next);
      if (next.size === 0) return found;
      [active, next] = [next, active];
    }
    for (let i = 0; i < active.size; i++) this.#collect(active.nodes[i]!, right, found);
    return found;
  }

  #advance(node: Node<T>, segment: string, next: Front<T>): void {
    if (node.segment === "**") this.#enter(node, next);
    if (segment === "**") return;
    const child = node.exact?.get(segment);
    if (child !== undefined) this.#enter(child, next);
    if (node.globs === null) return;
    for (const branch of node.globs.values()) {
      this.visits++;
      if (matchGlob(branch.glob, segment)) this.#enter(branch.node, next);
    }
  }

  // A node may be reached by many ways in one round; it is entered once.
  #enter(node: Node<T>, into: Front<T>): void {
    if (node.round === this.#round) return;
    node.round = this.#round;
    this.visits++;
    into.nodes[into.size++] = node;
    if (node.rest !== null) this.#enter(node.rest, into);
  }

  #collect(node: Node<T>, right: string, found: T[]): void {
    const exact = node.rights?.get(right);
    if (exact !== undefined) { for (const value of exact) found.push(value); }
    if (node.rightGlobs === null) return;
    for (const { glob, values } of node.rightGlobs.values()) {
      this.visits++;
      if (matchGlob(glob, right)) { for (const value of values) found.push(value); }
    }
  }
}

function makeNode<T>(parent: Node<T> | null, segment: string): Node<T> {
  return {
    parent,
    segment,
    exact: null,
    globs: null,
    rest: null,
    rights: null,
    rightGlobs: null,
    round: 0,
  };
}

function step<T>(node: Node<T>, segment: string): Node<T> | null {
  if (segment === "**") return node.rest;
  if (segment.includes("*")) return node.globs?.get(segment)?.node ?? null;
  return node.exact?.get(segment) ?? null;
}

function grow<T>(node: Node<T>, segment: string): Node<T> {
  const child = makeNode(node, segment);
  if (segment === "**") {
    node.rest = child;
  } else if (segment.includes("*")) {
    node.globs ??= new Map();
    node.globs.set(segment, { glob: compileGlob(segment), node: child });
  } else {
    node.exact ??= new Map();
    node.exact.set(segment, child);
  }
  return child;
}

function shelf<T>(node: Node<T>, right: string): T[] {
  if (right.includes("*")) {
    node.rightGlobs ??= new Map();
    const known = node.rightGlobs.get(right);
    if (known !== undefined) return known.values;
    const made = { glob: compileGlob(right), values: [] };
    node.rightGlobs.set(right, made);
    return made.values;
  }
  node.rights ??= new Map();
  const known = node.rights.get(right);
  if (known !== undefined) return known;
  const made: T[] = [];
  node.rights.set(right, made);
  return made;
}

function unshelve<T>(node: Node<T>, right: string, value: T): void {
  const isGlob = right.includes("*");
  const values = isGlob ? node.rightGlobs?.get(right)?.values : node.rights?.get(right);
  const at = values?.indexOf(value) ?? -1;
  if (values === undefined || at < 0) return;
  values.splice(at, 1);
  if (values.length > 0) return;
  if (isGlob) {
    node.rightGlobs?.delete(right);
    if (node.rightGlobs?.size === 0) node.rightGlobs = null;
  } else {
    node.rights?.delete(right);
    if (node.rights?.size === 0) node.rights = null;
  }
}

function prune<T>(from: Node<T>): void {
  let node = from;
  while (isEmpty(node) && node.parent !== null) {
    const { parent, segment } = node;
    if (segment === "**") {
      parent.rest = null;
    } else if (segment.includes("*")) {
      parent.globs?.delete(segment);
      if (parent.globs?.size === 0) parent.globs = null;
    } else {
      parent.exact?.delete(segment);
      if (parent.exact?.size === 0) parent.exact = null;
    }
    node = parent;
  }
}

function isEmpty<T>(node: Node<T>): boolean {
  return node.exact === null && node.globs === null && node.rest === null &&
    node.rights === null && node.rightGlobs === null;
}
