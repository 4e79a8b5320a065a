/**
 * What a cage says, as it may be read: frames of records, each of one shape or none at all.
 *
 * A cage is not believed: whatever is not exactly a frame is `null`, and the cage is thrown away.
 * @module
 */

import { type Errno, ERRORS } from "../kernel/errors.ts";
import type { Json, JsonObject } from "../kernel/json.ts";
import { parseJson } from "../kernel/parse.ts";

/** One thing that a cage says. */
export type CageRecord =
  | { readonly kind: "call"; readonly id: number; readonly name: string; readonly args: JsonObject }
  | { readonly kind: "log"; readonly text: string }
  | { readonly kind: "over"; readonly limit: string }
  | { readonly kind: "returned"; readonly output: Json; readonly ends: CageCall | null }
  | { readonly kind: "threw"; readonly message: string; readonly code: Errno | null };

/** A call by its name. */
export interface CageCall {
  readonly name: string;
  readonly args: JsonObject;
}

/** Records in a frame: a cage sends what it has at 64 KiB, and the shortest log is 11 bytes. */
const RECORDS_MAX = 16_384;
const NAME_CHARS_MAX = 128;
const MESSAGE_CHARS_MAX = 8_192;

/** How deep a JSON text nests, without parsing it. */
export function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22:
        i = textEnd(text, i);
        break;
      case 0x5b:
      case 0x7b:
        if (++depth > deepest) deepest = depth;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
    }
  }
  return deepest;
}

/** Where the string that begins at `from` ends. */
function textEnd(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

/** The records of a frame of the run with this nonce, being its frame number `seq`; else null. */
export function recordsOf(text: string, nonce: string, seq: number): CageRecord[] | null {
  if (!text.startsWith(`["${nonce}",${seq},`)) return null;
  let frame: unknown;
  try {
    frame = parseJson(text);
  } catch {
    return null;
  }
  if (!Array.isArray(frame) || frame.length < 3 || frame.length > RECORDS_MAX) return null;
  const records: CageRecord[] = [];
  for (let i = 2; i < frame.length; i++) {
    const record = recordOf(frame[i]);
    if (record === null) return null;
    // Whatever ends a run is the last thing said in it.
    const isEnd = record.kind !== "call" && record.kind !== "log";
    if (isEnd && i < frame.length - 1) return null;
    records.push(record);
  }
  return records;
}

function recordOf(value: unknown): CageRecord | null {
  if (!Array.isArray(value)) return null;
  const [kind, a, b, c] = value as unknown[];
  // An object has no text when what would make it is no function.
  if (typeof kind !== "string") return null;
  switch (`${kind}/${value.length}`) {
    case "call/4":
      if (!Number.isSafeInteger(a) || !isName(b) || !isObject(c)) return null;
      return { kind: "call", id: a as number, name: b, args: c };
    case "log/2":
      return typeof a === "string" ? { kind: "log", text: a.toWellFormed() } : null;
    case "over/2":
      return typeof a === "string" ? { kind: "over", limit: a } : null;
    case "returned/3":
      return returnedOf(a, b);
    case "threw/3":
      if (typeof a !== "string" || a.length > MESSAGE_CHARS_MAX) return null;
      if (b === null) return { kind: "threw", message: a.toWellFormed(), code: null };
      if (typeof b !== "string" || !Object.hasOwn(ERRORS, b)) return null;
      return { kind: "threw", message: a.toWellFormed(), code: b as Errno };
    default:
      return null;
  }
}

function returnedOf(output: unknown, ends: unknown): CageRecord | null {
  if (ends === null) return { kind: "returned", output: output as Json, ends };
  if (!Array.isArray(ends) || ends.length !== 2) return null;
  const [name, args] = ends as unknown[];
  if (!isName(name) || !isObject(args)) return null;
  return { kind: "returned", output: output as Json, ends: { name, args } };
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= NAME_CHARS_MAX && value.isWellFormed();
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
