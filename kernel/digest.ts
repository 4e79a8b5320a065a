/**
 * Digests: a summary without a model. It picks sentences that say most, and changes none.
 * @module
 */

import type { Count } from "./context.ts";

/** What a digest is made of. */
export interface Said {
  /** Who said it: `turn 12, user`. */
  readonly by: string;
  readonly text: string;
}

const SENTENCE_CHARS_MAX = 400;
const NEGATION = /\b(not|never|no|none|cannot|must|only|don't|nicht|kein\w*|nie)\b/i;

/** Sentences of all that was said, in order, in at most `max` tokens. */
export function digest(said: readonly Said[], max: number, count: Count): string {
  const sentences = said.flatMap(({ by, text }, at) =>
    (text.match(/[^.!?\n]+[.!?]*/g) ?? [])
      .map((sentence) => sentence.trim().slice(0, SENTENCE_CHARS_MAX).toWellFormed())
      .filter((sentence) => sentence.length > 2)
      .map((sentence, i) => ({ by, text: sentence, at, i, weight: weightOf(sentence, by, i) }))
  );
  const seen = new Set<string>();
  const best = sentences
    .filter(({ text }) => !seen.has(text) && seen.add(text))
    .sort((a, b) => b.weight - a.weight || b.at - a.at || a.i - b.i);
  const kept: typeof best = [];
  let left = max;
  for (const each of best) {
    const tokens = count(`${each.by}: ${each.text}\n`) + 1;
    if (tokens > left) continue;
    left -= tokens;
    kept.push(each);
    if (left < 8) break;
  }
  kept.sort((a, b) => a.at - b.at || a.i - b.i);
  return kept.map(({ by, text }) => `${by}: ${text}`).join("\n");
}

function weightOf(sentence: string, by: string, at: number): number {
  const facts = (/\d/.test(sentence) ? 2 : 0) + (NEGATION.test(sentence) ? 2 : 0);
  const names = /\s\p{Lu}[\p{L}\d]/u.test(sentence) ? 1 : 0;
  return facts + names + (by.includes("user") ? 1 : 0) + (at === 0 ? 1 : 0);
}
