/**
 * Merkle trees over SHA-256, as RFC 9162 §2 hashes them.
 *
 * A hash is 64 lower-case hexadecimal digits. A leaf is hashed after the byte 0x00 and an inner
 * node after 0x01, so that neither can pass for the other. Verifying takes everything from outside:
 * a proof of any form is answered with true or false and never throws.
 *
 * Invariants:
 *   M1. The root of a list is a function of the list alone, whichever of `MerkleTree` and
 *       `Frontier` made it.
 *   M2. A list that was proved to extend another has it as its beginning, or SHA-256 is broken.
 * @module
 */

import { assert } from "./errors.ts";
import { sha256 } from "./json.ts";

/** The root of no leaves. */
export const EMPTY_ROOT: string = sha256("");

const HASH = /^[0-9a-f]{64}$/;
/** No list of up to 2^53 leaves has a longer proof. */
const PROOF_HASHES_MAX = 64;

/** Whether a value is a hash as this file writes them. */
export function isHash(value: unknown): value is string {
  return typeof value === "string" && HASH.test(value);
}

/** The hash of a leaf; a text counts as its UTF-8 bytes. */
export function leafHash(data: string | Uint8Array): string {
  if (typeof data === "string") return sha256(`\0${data}`);
  const bytes = new Uint8Array(data.length + 1);
  bytes.set(data, 1);
  return sha256(bytes);
}

// One buffer for all nodes: filled and hashed in one turn, so no two uses meet.
const node = new Uint8Array(65).fill(1, 0, 1);
const nodeLeft = node.subarray(1, 33);
const nodeRight = node.subarray(33);

/** The hash of an inner node. */
export function nodeHash(left: string, right: string): string {
  nodeLeft.setFromHex(left);
  nodeRight.setFromHex(right);
  return sha256(node);
}

/**
 * What is needed to append and to tell the root, and no more: the roots of the perfect trees that
 * the list falls into, largest first; one for each bit of its size.
 */
export class Frontier {
  readonly #peaks: string[] = [];
  #size = 0;

  /** Goes on from the state of another; undefined for what is none, whoever stored it. */
  static from(size: number, peaks: readonly string[]): Frontier | undefined {
    if (!isCount(size) || peaks.length !== bitsSet(size) || !peaks.every(isHash)) return undefined;
    const frontier = new Frontier();
    frontier.#size = size;
    frontier.#peaks.push(...peaks);
    return frontier;
  }

  /** How many leaves it has. */
  get size(): number {
    return this.#size;
  }

  /** Its state, for going on later. */
  get peaks(): readonly string[] {
    return [...this.#peaks];
  }

  /** Adds the hash of a leaf: one node on average, one for each bit of the size at worst. */
  append(leaf: string): void {
    let hash = leaf;
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) {
      hash = nodeHash(this.#peaks.pop()!, hash);
    }
    this.#peaks.push(hash);
    this.#size += 1;
  }

  /** The root of all leaves so far. */
  root(): string {
    let root = this.#peaks.at(-1);
    if (root === undefined) return EMPTY_ROOT;
    for (let i = this.#peaks.length - 2; i >= 0; i--) root = nodeHash(this.#peaks[i]!, root);
    return root;
  }
}

/** A whole list with the roots of all its perfect parts, for making proofs at any size it had. */
export class MerkleTree {
  /** Row `k` has the roots of the perfect trees of 2^k leaves, from the left. */
  readonly #rows: string[][] = [[]];

  /** A list of the hashes of leaves. */
  constructor(leaves: Iterable<string> = []) {
    for (const leaf of leaves) this.append(leaf);
  }

  /** How many leaves it has. */
  get size(): number {
    return this.#rows[0]!.length;
  }

  /** Adds the hash of a leaf. */
  append(leaf: string): void {
    let hash = leaf;
    for (let k = 0;; k++) {
      const row = this.#rows[k] ??= [];
      row.push(hash);
      if (row.length % 2 === 1) return;
      hash = nodeHash(row.at(-2)!, hash);
    }
  }

  /** The root of the first `size` leaves. */
  root(size: number = this.size): string {
    this.#hasSize(size);
    return size === 0 ? EMPTY_ROOT : this.#range(0, size);
  }

  /** What shows that leaf `index` is in the root of the first `size` leaves. */
  inclusion(index: number, size: number = this.size): string[] {
    this.#hasSize(size);
    assert(index >= 0 && index < size, `A list of ${size} has no leaf ${index}`);
    const proof: string[] = [];
    let [start, end] = [0, size];
    while (end - start > 1) {
      const middle = start + splitOf(end - start);
      if (index < middle) {
        proof.push(this.#range(middle, end));
        end = middle;
      } else {
        proof.push(this.#range(start, middle));
        start = middle;
      }
    }
    return proof.reverse();
  }

  /** What shows that the first `size` leaves begin with the first `from`. */
  consistency(from: number, size: number = this.size): string[] {
    this.#hasSize(size);
    assert(from > 0 && from <= size, `A list of ${size} cannot be shown to begin with ${from}`);
    const proof: string[] = [];
    let [start, end] = [0, size];
    while (end !== from) {
      const middle = start + splitOf(end - start);
      if (from <= middle) {
        proof.push(this.#range(middle, end));
        end = middle;
      } else {
        proof.push(this.#range(start, middle));
        start = middle;
      }
    }
    // A reader who has the first root as a whole knows it; a part of it has to be told.
    if (start > 0) proof.push(this.#range(start, end));
    return proof.reverse();
  }

  /** The root of a part; splitting as RFC 9162 does, its left halves are always perfect. */
  #range(start: number, end: number): string {
    const length = end - start;
    const split = splitOf(length);
    if (length === 1) return this.#rows[0]![start]!;
    if (split * 2 === length) return this.#rows[Math.log2(length)]![start / length]!;
    return nodeHash(this.#range(start, start + split), this.#range(start + split, end));
  }

  #hasSize(size: number): void {
    const has = Number.isSafeInteger(size) && size >= 0 && size <= this.size;
    assert(has, `A list of ${this.size} never had ${size} leaves`);
  }
}

/** The root of a list of hashes of leaves. */
export function rootOf(leaves: Iterable<string>): string {
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.append(leaf);
  return frontier.root();
}

/** A claim that a list of `size` leaves with this root has `leaf` at `index`. */
export interface Inclusion {
  readonly index: number;
  readonly size: number;
  /** The hash of the leaf. */
  readonly leaf: string;
  readonly root: string;
  readonly proof: readonly string[];
}

/** Whether a claim of inclusion is true (RFC 9162 §2.1.3.2). */
export function verifyInclusion({ index, size, leaf, root, proof }: Inclusion): boolean {
  if (!isCount(index) || !isCount(size) || index >= size) return false;
  if (!isHash(leaf) || !isProof(proof)) return false;
  let [left, last] = [index, size - 1];
  let found = leaf;
  for (const hash of proof) {
    if (last === 0) return false;
    if (left % 2 === 1 || left === last) {
      found = nodeHash(hash, found);
      while (left % 2 === 0 && left !== 0) [left, last] = [left / 2, half(last)];
    } else {
      found = nodeHash(found, hash);
    }
    [left, last] = [half(left), half(last)];
  }
  return last === 0 && found === root;
}

/** A claim that a list of `size` leaves begins with one of `from`. */
export interface Consistency {
  readonly from: number;
  readonly fromRoot: string;
  readonly size: number;
  readonly root: string;
  readonly proof: readonly string[];
}

/**
 * Whether a claim of consistency is true (RFC 9162 §2.1.4.2). An empty list says nothing about what
 * it became, so `from` 0 is refused.
 */
export function verifyConsistency({ from, fromRoot, size, root, proof }: Consistency): boolean {
  if (!isCount(from) || !isCount(size) || from === 0 || from > size) return false;
  if (from === size) return Array.isArray(proof) && proof.length === 0 && fromRoot === root;
  if (!isProof(proof) || !isHash(fromRoot)) return false;
  let [left, last] = [from - 1, size - 1];
  while (left % 2 === 1) [left, last] = [half(left), half(last)];
  // A first list whose size is a power of two is a node of the second: its root stands for it.
  const [start, ...rest] = left === 0 ? [fromRoot, ...proof] : proof;
  if (start === undefined) return false;
  let [first, second] = [start, start];
  for (const hash of rest) {
    if (last === 0) return false;
    if (left % 2 === 1 || left === last) {
      first = nodeHash(hash, first);
      second = nodeHash(hash, second);
      while (left % 2 === 0 && left !== 0) [left, last] = [left / 2, half(last)];
    } else {
      second = nodeHash(second, hash);
    }
    [left, last] = [half(left), half(last)];
  }
  return last === 0 && first === fromRoot && second === root;
}

/** The largest power of two below `n`; 1 for 1. */
function splitOf(n: number): number {
  // Not by logarithm: one of 2^49 - 1 is that of 2^49.
  let split = 1;
  while (split * 2 < n) split *= 2;
  return split;
}

/** Half, rounded down; not by shifting, which cuts numbers to 32 bits. */
function half(n: number): number {
  return Math.floor(n / 2);
}

function bitsSet(n: number): number {
  let bits = 0;
  for (let rest = n; rest > 0; rest = half(rest)) bits += rest % 2;
  return bits;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isProof(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= PROOF_HASHES_MAX && value.every(isHash);
}
