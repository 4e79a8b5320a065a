/**
 * Recall: full-text search (BM25) over passages, kept up to date source by source.
 *
 * Invariants:
 *   X1. What is found is a function of the sources that are here, never of the order in which they
 *       came: counts are whole numbers, and ties are broken by key.
 * @module
 */

/** A place in a source that was found. */
export interface Passage {
  /** The source's key. */
  readonly key: string;
  /** Which piece of it, from 0. */
  readonly piece: number;
  readonly score: number;
}

interface Doc {
  readonly key: string;
  readonly piece: number;
  readonly length: number;
}

const K1 = 1.2;
const B = 0.75;
const PIECE_CHARS = 1_200;
const PIECES_MAX = 64;
/** Above it, words that stand in more than a quarter of all passages are not looked at. */
const COMMON_FROM = 1_000;
const SPACELESS = /^[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]+$/u;

/** Words of a text: letters and digits, folded; scripts without spaces give pairs of letters. */
export function wordsOf(text: string): string[] {
  const found = text.normalize("NFKC").toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return found.flatMap((word) => SPACELESS.test(word) ? pairs(word) : [word]);
}

function pairs(word: string): string[] {
  const letters = [...word];
  return letters.length === 1 ? letters : letters.slice(1).map((letter, i) => letters[i]! + letter);
}

/** A text in pieces that are small enough to be put into a prompt. */
export function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length && pieces.length < PIECES_MAX; at += PIECE_CHARS) {
    pieces.push(text.slice(at, at + PIECE_CHARS).toWellFormed());
  }
  return pieces;
}

/** An index over passages. */
export class Recall {
  readonly #sources = new Map<string, readonly number[]>();
  #docs: (Doc | undefined)[] = [];
  #postings = new Map<string, number[]>();
  #live = 0;
  #words = 0;

  /** Keys of the sources that are here. */
  get keys(): Iterable<string> {
    return this.#sources.keys();
  }

  /** How many sources are here. */
  get size(): number {
    return this.#sources.size;
  }

  /** Whether a source is here. */
  has(key: string): boolean {
    return this.#sources.has(key);
  }

  /** Takes a source in; `name` is found with each of its pieces. */
  add(key: string, name: string, text: string): void {
    const ids = piecesOf(text).map((piece, i) => {
      const words = wordsOf(`${name} ${piece}`);
      const id = this.#docs.length;
      this.#docs.push({ key, piece: i, length: words.length });
      this.#live += 1;
      this.#words += words.length;
      const counts = new Map<string, number>();
      for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
      for (const [word, count] of counts) {
        const list = this.#postings.get(word);
        if (list === undefined) this.#postings.set(word, [id, count]);
        else list.push(id, count);
      }
      return id;
    });
    this.#sources.set(key, ids);
  }

  /** Forgets a source. */
  drop(key: string): void {
    for (const id of this.#sources.get(key) ?? []) {
      this.#words -= this.#docs[id]!.length;
      this.#live -= 1;
      this.#docs[id] = undefined;
    }
    this.#sources.delete(key);
    if (this.#docs.length > 2 * this.#live + COMMON_FROM) this.#shrink();
  }

  /** Passages with words of the query, best first. */
  search(query: readonly string[], accept: (key: string) => boolean): Passage[] {
    const scores = new Map<number, number>();
    const mean = this.#words / Math.max(1, this.#live);
    for (const word of new Set(query)) {
      const list = this.#postings.get(word) ?? [];
      let n = 0;
      for (let i = 0; i < list.length; i += 2) if (this.#docs[list[i]!] !== undefined) n += 1;
      if (this.#live > COMMON_FROM && n > this.#live / 4) continue;
      const idf = Math.log(1 + (this.#live - n + 0.5) / (n + 0.5));
      for (let i = 0; i < list.length; i += 2) {
        const doc = this.#docs[list[i]!];
        if (doc === undefined) continue;
        const count = list[i + 1]!;
        const norm = K1 * (1 - B + B * doc.length / mean);
        const gain = idf * count * (K1 + 1) / (count + norm);
        scores.set(list[i]!, (scores.get(list[i]!) ?? 0) + gain);
      }
    }
    return [...scores]
      .map(([id, score]) => ({ key: this.#docs[id]!.key, piece: this.#docs[id]!.piece, score }))
      .filter(({ key }) => accept(key))
      .sort((a, b) =>
        b.score - a.score || (a.key === b.key ? a.piece - b.piece : a.key < b.key ? -1 : 1)
      );
  }

  /** Throws away what forgotten sources left behind. */
  #shrink(): void {
    const moved = new Map<number, number>();
    const docs: Doc[] = [];
    for (const [id, doc] of this.#docs.entries()) {
      if (doc !== undefined) moved.set(id, docs.push(doc) - 1);
    }
    const postings = new Map<string, number[]>();
    for (const [word, list] of this.#postings) {
      const kept: number[] = [];
      for (let i = 0; i < list.length; i += 2) {
        const id = moved.get(list[i]!);
        if (id !== undefined) kept.push(id, list[i + 1]!);
      }
      if (kept.length > 0) postings.set(word, kept);
    }
    for (const [key, ids] of this.#sources) this.#sources.set(key, ids.map((id) => moved.get(id)!));
    this.#docs = docs;
    this.#postings = postings;
  }
}
