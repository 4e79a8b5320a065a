/**
 * What is refused in a source before anything parses it: its text must be what is seen.
 *
 * Invariants:
 *   S1. What a person reviews is what is compiled: nothing is invisible or reorders text.
 *   S2. No comment tells a compiler, an engine or a debugger to do anything, in any form.
 * @module
 */

import type { Problem } from "../../broker/sandbox.ts";
import { LIMITS } from "../../kernel/limits.ts";

// Controls, format characters, separators, unassigned and private code points, and all that is
// ignored when text is drawn. A carriage return ends a line for the engine; alone it does so for no
// editor.
const UNSEEN =
  /\r(?!\n)|(?![\t\n\r ])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Z}\p{Default_Ignorable_Code_Point}]/gu;

// Looked for everywhere, also in strings: who reads a directive may not parse what is around it.
const DIRECTIVES: readonly (readonly [RegExp, string])[] = [
  [/[#@]\s*source(?:Mapping)?URL/gi, "expected no source URLs and no source maps"],
  // Only from the first slash of a run: from each of them, a long run would take its square.
  [/(?<!\/)\/{3,}\s*</g, "expected no references to files or libraries"],
  [/@ts-\w/gi, "expected types that hold; mend what the check reports"],
  [/@deno-\w/gi, "expected no directives"],
  [/@jsx\w*/gi, "expected no JSX"],
  [/^#!/g, "expected a module, which is no program"],
];

/** What is wrong with a text, whatever it means; in order of place, a bounded number. */
export function textProblems(source: string): readonly Problem[] {
  const bytes = new TextEncoder().encode(source).length;
  if (bytes > LIMITS.toolSourceBytesMax) {
    const expected = `expected ${LIMITS.toolSourceBytesMax} at most`;
    return [{
      line: 1,
      column: 1,
      message: `Cannot check the source: ${bytes} bytes, ${expected}`,
    }];
  }
  const found: { at: number; message: string }[] = [];
  for (const { 0: one, index } of source.matchAll(UNSEEN)) {
    found.push({ at: index, message: unseen(one, index) });
  }
  for (const [pattern, expected] of DIRECTIVES) {
    for (const { 0: one, index } of source.matchAll(pattern)) {
      const shown = one.replace(/\s+/g, " ");
      found.push({ at: index, message: `Cannot use "${shown}" in a source: ${expected}` });
    }
  }
  found.sort((a, b) => a.at - b.at);
  const places = new Places(source);
  return found.slice(0, LIMITS.toolProblemsShownMax).map(({ at, message }) => ({
    ...places.of(at),
    message,
  }));
}

/** Lines and columns of offsets in a text. */
export class Places {
  readonly #starts: number[] = [0];
  readonly #end: number;

  /** Knows the places of `text`, whose lines end with a line feed. */
  constructor(text: string) {
    this.#end = text.length;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
      this.#starts.push(at + 1);
    }
  }

  /** Where `offset` is; outside of the text, the nearest place in it. */
  of(offset: number): { readonly line: number; readonly column: number } {
    const at = Math.min(Math.max(0, offset), this.#end);
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#starts[middle]! <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - this.#starts[low]! + 1 };
  }
}

function unseen(character: string, at: number): string {
  const code = character.codePointAt(0)!;
  const hex = code.toString(16).toUpperCase().padStart(4, "0");
  const name = `U+${hex}`;
  if (code === 0xfeff && at === 0) {
    return `Cannot use a byte order mark (${name}): expected a source that begins with its text`;
  }
  if (code === 0x0d) return `Cannot use a lone carriage return (${name}): expected a line feed`;
  if (code >= 0xd800 && code <= 0xdfff) {
    return `Cannot use a lone surrogate (${name}): expected Unicode text`;
  }
  const escape = escaped(character);
  return `Cannot use an invisible character (${name}): in a string write it as ${escape}`;
}

/** Whether a text has what debuggers take for the place of another. */
export function hasSourceUrl(code: string): boolean {
  return /[#@]\s*source(?:Mapping)?URL/i.test(code);
}

/** A text with all that is invisible in it written as escapes. */
export function visible(text: string): string {
  return text.replace(/[\t\n\r]/g, " ").replace(UNSEEN, escaped);
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
