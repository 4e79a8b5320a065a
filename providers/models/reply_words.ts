/**
 * Secrets in replies of models: an endpoint may say back the key that it was sent.
 *
 * A key is one word. So what a stream brings is looked at word by word, and a word goes on only
 * when it is whole.
 *
 * @module
 */

import type { Answer } from "./ai_sdk.ts";

/** What no key and no encoding of one holds: it ends a word. */
const BETWEEN = /[^\x21-\x7e]/;

/** Hands on a stream's text in whole words, each without secrets. `end` hands on the last. */
export function wholeWords(
  redact: (text: string) => string,
  tell: (text: string) => void,
): { readonly take: (chunk: string) => void; readonly end: () => void } {
  let word = "";
  const say = (text: string): void => {
    const clean = redact(text);
    if (clean !== "") tell(clean);
  };
  return {
    take(chunk) {
      const all = word + chunk;
      let end = all.length;
      while (end > word.length && !BETWEEN.test(all[end - 1]!)) end -= 1;
      if (end === word.length && word !== "") end = 0;
      word = all.slice(end);
      say(all.slice(0, end));
    },
    end() {
      say(word);
      word = "";
    },
  };
}

/** An answer without secrets: what was asked for is looked through as it was written. */
export function redacted(answer: Answer, redact: (text: string) => string): Answer {
  const asked = answer.asked.map(({ id, name, input }) => {
    return { id: redact(id), name: redact(name), input: redact(input) };
  });
  return { ...answer, text: redact(answer.text), asked };
}
