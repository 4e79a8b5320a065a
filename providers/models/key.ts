/**
 * Keys of endpoints, taken out of what endpoints say.
 * @module
 */

import { Redactor } from "../../kernel/credential.ts";

/** Takes a key out of a text, as it is and in the usual encodings. */
export function keyHider(apiKey: string | undefined): (text: string) => string {
  if (apiKey === undefined || apiKey === "") return (text) => text;
  const redactor = new Redactor();
  redactor.add("of the model", apiKey);
  // One that is too short to be told from other text is hidden as it is.
  return (text) => redactor.text(text.replaceAll(apiKey, "(key)"));
}
