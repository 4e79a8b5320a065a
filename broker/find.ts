/**
 * Full-text find: BM25 over the objects a process may see, newest version of each.
 *
 * Word lists are kept by content hash, so that a second search reads no value again.
 * @module
 */

import type { Json } from "../kernel/json.ts";
import { isMediaKind } from "../kernel/media.ts";
import { itemsOf, lengthAt, versionAt } from "../kernel/memory.ts";
import type { ObjectRecord } from "../kernel/state.ts";
import type { ValueRef } from "../kernel/event.ts";
import type { CallContext } from "./syscall.ts";

/** An object that was found. */
export interface Hit {
  readonly name: string;
  readonly object: ObjectRecord;
  readonly asOf: number | null;
  readonly score: number;
  readonly excerpt: string;
}

interface Words {
  readonly counts: ReadonlyMap<string, number>;
  readonly length: number;
}

const K1 = 1.2;
const B = 0.75;
const EXCERPT_CHARS = 160;
const CACHE_MAX = 20_000;
const ITEMS_MAX = 200;
const cache = new WeakMap<object, Map<string, Words>>();

/** Words of a text: letters and digits, folded. */
export function words(text: string): string[] {
  return text.normalize("NFKC").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** Objects under a prefix whose text or name has words of the query, best first. */
export async function find(at: CallContext, options: {
  readonly space: string;
  readonly under: string;
  readonly query: string;
  readonly limit: number;
}): Promise<Hit[]> {
  const query = [...new Set(words(options.query))];
  const seen: (Pick<Hit, "name" | "object" | "asOf"> & { refs: ValueRef[]; words: Words })[] = [];
  for (const { name, object, asOf } of at.tree.listNames(options.space)) {
    if (!name.startsWith(options.under) || object === undefined) continue;
    const length = object.list ? lengthAt(object, asOf) : 0;
    // Media are found by their names alone.
    const refs = isMediaKind(object.type)
      ? []
      : object.list
      ? itemsOf(at.tree.state, object, Math.max(0, length - ITEMS_MAX), length)
        .map((item) => item.value)
      : [versionAt(object, asOf).value];
    seen.push({ name, object, asOf, refs, words: await wordsOf(at, name, refs) });
  }
  const mean = seen.reduce((sum, each) => sum + each.words.length, 0) / Math.max(1, seen.length);
  const frequency = new Map(
    query.map((word) => [word, seen.filter((each) => each.words.counts.has(word)).length] as const),
  );
  const scored = seen.map((each) => ({ ...each, score: 0 }));
  for (const each of scored) {
    for (const word of query) {
      const count = each.words.counts.get(word) ?? 0;
      if (count === 0) continue;
      const n = frequency.get(word) ?? 0;
      const idf = Math.log(1 + (seen.length - n + 0.5) / (n + 0.5));
      const norm = K1 * (1 - B + B * each.words.length / Math.max(1, mean));
      each.score += idf * count * (K1 + 1) / (count + norm);
    }
  }
  const best = scored.filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1))
    .slice(0, options.limit);
  return await Promise.all(best.map(async ({ name, object, asOf, refs, score }) => ({
    name,
    object,
    asOf,
    score: Math.round(score * 1_000) / 1_000,
    excerpt: excerpt(await textOf(at, refs), query),
  })));
}

async function wordsOf(at: CallContext, name: string, refs: readonly ValueRef[]): Promise<Words> {
  const known = cache.get(at.tree) ?? new Map<string, Words>();
  cache.set(at.tree, known);
  const last = refs.at(-1);
  const key = last !== undefined && "hash" in last && refs.length === 1
    ? `${name}@${last.hash}`
    : undefined;
  const old = key === undefined ? undefined : known.get(key);
  if (old !== undefined) return old;
  const list = words(`${name} ${await textOf(at, refs)}`);
  const counts = new Map<string, number>();
  for (const word of list) counts.set(word, (counts.get(word) ?? 0) + 1);
  const made = { counts, length: list.length };
  if (key !== undefined && known.size < CACHE_MAX) known.set(key, made);
  return made;
}

async function textOf(at: CallContext, refs: readonly ValueRef[]): Promise<string> {
  const values = await Promise.all(refs.map((ref) => at.load(ref)));
  return values.map(flat).join(" ");
}

function flat(value: Json): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return String(value);
  return Object.values(value).map((field) => flat(field as Json)).join(" ");
}

function excerpt(text: string, query: readonly string[]): string {
  const lower = text.toLowerCase();
  const first = Math.min(
    ...query.map((word) => lower.indexOf(word)).filter((index) => index >= 0),
    text.length,
  );
  const from = Math.max(0, first === text.length ? 0 : first - 40);
  return text.slice(from, from + EXCERPT_CHARS).replace(/\s+/g, " ").toWellFormed();
}
