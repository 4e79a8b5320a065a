/**
 * Text of strangers, shown so that nothing in it hides.
 * @module
 */

import type { Json, JsonObject } from "./json.ts";

const HIDDEN = new RegExp(
  "[\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\u2800]",
  "gu",
);
/** What is a control character, and plain in a text of several lines. */
const PLAIN = /[\n\t]/;

/** The text with every invisible or reordering character as an escape, `charsMax` at most. */
export function exposed(text: string, charsMax: number): string {
  const cut = text.length > charsMax ? `${text.slice(0, charsMax).toWellFormed()} […]` : text;
  return cut.replace(
    HIDDEN,
    (char) => PLAIN.test(char) ? char : `\\u{${char.codePointAt(0)?.toString(16)}}`,
  );
}

/** Which characters of a text do not show, as escapes. */
export function hiddenIn(text: string): readonly string[] {
  const found = (text.match(HIDDEN) ?? []).filter((char) => !PLAIN.test(char));
  return [...new Set(found)].map((char) => exposed(char, 8));
}

/** Words in a schema that are for people and models, and change nothing that is checked. */
const SAID = new Set(["description", "title", "$comment"]);

/** A schema with its descriptions exposed and bounded; what is checked stays as it is. */
export function shownSchema(schema: Json, charsMax: number): Json {
  if (Array.isArray(schema)) return schema.map((one) => shownSchema(one, charsMax));
  if (typeof schema !== "object" || schema === null) return schema;
  const shown: Record<string, Json> = {};
  for (const [word, value] of Object.entries(schema as JsonObject)) {
    shown[word] = SAID.has(word) && typeof value === "string"
      ? exposed(value, charsMax)
      : shownSchema(value, charsMax);
  }
  return shown;
}

/** Every text in a value, names of fields too. */
export function* textsIn(value: Json): Iterable<string> {
  if (typeof value === "string") yield value;
  else if (Array.isArray(value)) { for (const one of value) yield* textsIn(one); }
  else if (typeof value === "object" && value !== null) {
    for (const [name, one] of Object.entries(value)) {
      yield name;
      yield* textsIn(one);
    }
  }
}
