/**
 * Keys of endpoints, taken out of what endpoints say.
 * @module
 */

import { Redactor, secretsIn } from "../../kernel/credential.ts";

const NAME = "of the model";

/**
 * Takes a key out of a reply, as it is and in the usual encodings; undefined where there is none,
 * or one that is too short to be told from other words: a reply would lose those.
 */
export function keyRedactor(apiKey: string | undefined): ((text: string) => string) | undefined {
  if (apiKey === undefined || secretsIn(apiKey).length === 0) return undefined;
  const redactor = new Redactor();
  redactor.add(NAME, apiKey);
  return (text) => redactor.text(text);
}

/** Takes a key out of what errors say, as it is and in the usual encodings. */
export function keyHider(apiKey: string | undefined): (text: string) => string {
  if (apiKey === undefined || apiKey === "") return (text) => text;
  const redactor = new Redactor();
  redactor.add(NAME, apiKey);
  // One that is too short to be told from other text is hidden as it is.
  return (text) => redactor.text(text.replaceAll(apiKey, "(key)"));
}
