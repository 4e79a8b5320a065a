/**
 * Reading a history and the lines it sealed from their start, to find what was changed and where.
 *
 * `History` reads leaves and heads in order; `LineWalk` reads the lines of one tree along the
 * stretches that the history sealed. Neither throws for what it reads: it answers with the fault.
 *
 * Invariants:
 *   W1. A line that was flipped, dropped, inserted, moved or cut off is found at its place, if any
 *       line or head behind it is as it was. Where all behind was written anew to fit, up to a
 *       seal, the fault is at the sealed line and names the first line that may be meant.
 *   W2. What was read without a fault up to a signed head is what its signer sealed.
 * @module
 */

import type { TreeId } from "./ids.ts";
import { sha256 } from "./json.ts";
import { GENESIS } from "./log.ts";
import { Frontier, isHash, leafHash } from "./merkle.ts";
import { HEAD, KeyChain, readLeaf } from "./seal.ts";
import type { SignedHead, Stretch, Trust } from "./seal.ts";

/** Something that is not as it was sealed, and where: a line, a leaf of the history, or neither. */
export interface Fault {
  /** The tree whose line it is. */
  readonly tree: TreeId | null;
  /** The number of the line. */
  readonly seq: number | null;
  /** The place of the leaf in the history; 0 is the first. */
  readonly leaf: number | null;
  /** What is wrong, as half a sentence. */
  readonly why: string;
}

/** A fault of the history. */
export function faultAt(leaf: number | null, why: string): Fault {
  return { tree: null, seq: null, leaf, why };
}

/** Reads a history from its start, and says where it breaks (H1 to H3). */
export class History {
  readonly #chain: KeyChain;
  readonly #frontier = new Frontier();
  readonly #stretches = new Map<TreeId, Stretch[]>();
  readonly #heads = new Map<number, SignedHead>();
  #last: SignedHead | undefined;

  /** Starts before the first leaf. */
  constructor(trust: Trust) {
    this.#chain = new KeyChain(trust);
  }

  /** How many leaves were read. */
  get size(): number {
    return this.#frontier.size;
  }

  /** The last head that was read. */
  get last(): SignedHead | undefined {
    return this.#last;
  }

  /** The stretches of each tree, in order. */
  get stretches(): ReadonlyMap<TreeId, readonly Stretch[]> {
    return this.#stretches;
  }

  /** Reads the next leaf. */
  leaf(text: string): Fault | null {
    const { size } = this;
    const leaf = readLeaf(text);
    if (leaf === undefined) return faultAt(size, "it is no statement in canonical JSON");
    this.#frontier.append(leafHash(text));
    if (leaf.type === "libos.key/1") {
      const why = this.#chain.add(leaf);
      return why === null ? null : faultAt(size, why);
    }
    if (size === 0) return faultAt(0, "a history starts with a key");
    const { tree, from } = leaf;
    const known = this.#stretches.get(tree);
    const end = known?.at(-1)?.seq ?? 0;
    if (from !== end) {
      const why = `it seals tree "${tree}" from line ${from + 1}, expected ${end + 1}`;
      return faultAt(size, why);
    }
    if (known === undefined) this.#stretches.set(tree, [leaf]);
    else known.push(leaf);
    return null;
  }

  /** Reads the hash of a leaf which is of no concern to the reader. */
  hidden(hash: string): Fault | null {
    if (!isHash(hash)) return faultAt(this.size, "it is no hash");
    this.#frontier.append(hash);
    return null;
  }

  /** Reads a head, after all leaves that it covers. */
  head(value: unknown): Fault | null {
    const read = HEAD.safeParse(value);
    if (!read.success) return faultAt(null, `after ${this.size} leaves there is no head`);
    const head = read.data;
    const of = `the head of ${head.size} leaves`;
    const since = this.#last?.size ?? 0;
    if (head.size !== this.size || head.size === since) {
      return faultAt(null, `${of} stands after ${this.size}`);
    }
    if (head.root !== this.#frontier.root()) {
      return faultAt(since, `leaves ${since} to ${head.size - 1} are not what ${of} signed`);
    }
    const why = this.#chain.refuses(head);
    if (why !== null) return faultAt(null, `${of} is refused: ${why}`);
    if (head.key !== this.#chain.last?.key) {
      return faultAt(null, `${of} is signed by a key that another had followed`);
    }
    if (head.at < (this.#last?.at ?? 0)) return faultAt(null, `${of} is older than one before it`);
    this.#last = head;
    this.#heads.set(head.size, head);
    return null;
  }

  /** Says whether the history ended with a head that the reader can trust. */
  finish(): Fault | null {
    if (this.#last === undefined) return faultAt(null, "there is no signed head");
    if (this.#last.size !== this.size) return faultAt(this.#last.size, "no head covers it");
    if (this.#chain.trusts(this.#last.key)) return null;
    return faultAt(null, `nobody said that key "${this.#last.key}" can be trusted`);
  }

  /** Compares a head that was kept elsewhere, when the whole history was read. */
  anchored(head: SignedHead, where: string): Fault | null {
    const of = `the head of ${head.size} leaves in ${where}`;
    const why = this.#chain.refuses(head);
    if (why !== null) return faultAt(null, `${of} is refused: ${why}`);
    if (head.size > this.size) {
      return faultAt(this.size, `the history was cut after ${this.size} leaves: see ${of}`);
    }
    const known = this.#heads.get(head.size);
    if (known === undefined) return faultAt(null, `${of} is no head of the history`);
    if (known.root === head.root) return null;
    return faultAt(null, `the history was rewritten: ${of} is of another`);
  }
}

const TAIL = /,"prev":"([0-9a-f]{64})","seq":(\d+),"tree":"(t_\d+)","type":"[a-z.]+"\}$/;
const END = /^[a-z.]+"\}$/;

/** Follows a tree's lines along its seals, and says which line was changed. */
export class LineWalk {
  readonly #tree: TreeId;
  readonly #stretches: readonly Stretch[];
  #at = 0;
  #frontier = new Frontier();
  #seq: number;
  #head: string;
  /** The last line does not follow the one before it: one of the two was changed. */
  #isSuspect = false;

  /** Starts before the first line, or for what is not sealed yet after a known one. */
  constructor(
    tree: TreeId,
    stretches: readonly Stretch[],
    after: { readonly seq: number; readonly head: string } = { seq: 0, head: GENESIS },
  ) {
    this.#tree = tree;
    this.#stretches = stretches;
    this.#seq = after.seq;
    this.#head = after.head;
  }

  /** The last line that was read. */
  get seq(): number {
    return this.#seq;
  }

  /** The hash of the last line that was read. */
  get head(): string {
    return this.#head;
  }

  /** The last line that was sealed. */
  get sealedSeq(): number {
    return this.#stretches.at(-1)?.seq ?? 0;
  }

  /** Reads the next line. After a fault there is nothing more to read. */
  push(text: string): Fault | null {
    const at = this.#seq + 1;
    const tail = `,"prev":"${this.#head}","seq":${at},"tree":"${this.#tree}","type":"`;
    const place = text.lastIndexOf(tail);
    const follows = place > 0 && END.test(text.slice(place + tail.length));
    if (this.#isSuspect) return this.#accuse(follows);
    // Halves of characters that lost their other half would all be hashed as the same bytes.
    if (!text.isWellFormed()) return this.#fault(at, "it is not Unicode text");
    if (!follows) {
      const found = TAIL.exec(text);
      if (found === null) return this.#fault(at, "it is not a line");
      if (found[3] !== this.#tree || Number(found[2]) !== at) {
        return this.#fault(at, `line ${found[2]} of tree "${found[3]}" stands there`);
      }
      this.#isSuspect = true;
    }
    this.#head = sha256(text);
    this.#seq = at;
    return this.#seal();
  }

  /** Says whether all sealed lines were read, and the last one is the store's. */
  finish(end?: { readonly seq: number; readonly head: string }): Fault | null {
    if (this.#isSuspect) return this.#accuse(end?.head === this.#head);
    const expected = Math.max(this.sealedSeq, end?.seq ?? 0);
    if (this.#seq < expected) {
      return this.#fault(this.#seq + 1, `the log ends before it, expected ${expected} lines`);
    }
    if (end === undefined || (end.seq === this.#seq && end.head === this.#head)) return null;
    return this.#fault(this.#seq, "it is not the last line that the store knows of");
  }

  /** Compares with the seal that ends at this line, if one does. */
  #seal(): Fault | null {
    const stretch = this.#stretches[this.#at];
    if (stretch === undefined) return null;
    this.#frontier.append(this.#head);
    if (stretch.seq !== this.#seq) return null;
    if (this.#isSuspect) return this.#accuse(stretch.head === this.#head);
    if (stretch.head !== this.#head) {
      const why = `it is not the sealed one, though the lines from ${stretch.from + 1} on fit it`;
      return this.#fault(this.#seq, why);
    }
    if (stretch.lines !== this.#frontier.root()) {
      return this.#fault(this.#seq, "its seal was made over other lines");
    }
    this.#at += 1;
    this.#frontier = new Frontier();
    return null;
  }

  /** Which of two lines that do not fit was changed: what comes next fits the last, or not. */
  #accuse(isLastFit: boolean): Fault {
    // Before line 1 there is nothing that could have been changed.
    return this.#fault(Math.max(1, isLastFit ? this.#seq - 1 : this.#seq), "it was changed");
  }

  #fault(seq: number, why: string): Fault {
    return { tree: this.#tree, seq, leaf: null, why };
  }
}
