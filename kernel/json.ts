/**
 * JSON as the system knows it: plain data only, and one canonical text for each value (RFC 8785).
 *
 * Invariants:
 *   J1. What `plain` returns is a copy made of null-free primitives, arrays and ordinary objects
 *       with own data fields, frozen all the way down: no getter, proxy or prototype of the caller
 *       survives it, and nobody changes it. Its keys stand in canonical order, as they do in the
 *       log: who is answered from there sees no other value than who was answered first.
 *   J2. `canonical` gives equal texts for equal values, whatever the order of their keys.
 * @module
 */

import { hash as digest } from "node:crypto";
import { SysError } from "./errors.ts";

/** A JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object. */
export interface JsonObject {
  /** A field is there or it is not: undefined is no JSON value. */
  readonly [key: string]: Json;
}

/** What bounds a value from outside. */
export interface JsonBounds {
  /** Levels of nesting. */
  readonly depthMax: number;
  /** Length of the whole as text, counted roughly as it is walked. */
  readonly bytesMax: number;
}

/**
 * Canonical text of a value: keys sorted by UTF-16 code units, no white space, numbers as
 * ECMAScript prints them. Throws `EINVAL` for what JSON cannot say.
 */
export function canonical(value: unknown): string {
  return canonicalAt(value, 0);
}

/** Levels at which a value is tried as it is: those of a state, its collections, their entries. */
const TRIED_LEVELS = 3;
/** How a lone surrogate begins in what `JSON.stringify` makes of it. */
const SURROGATE = "\\ud";

function canonicalAt(value: unknown, depth: number): string {
  switch (typeof value) {
    case "string":
      return text(value);
    case "number":
      if (!Number.isFinite(value)) {
        throw new SysError("EINVAL", `Cannot encode ${value}: not finite, expected a JSON number`);
      }
      return Object.is(value, -0) ? "0" : String(value);
    case "boolean":
      return value ? "true" : "false";
    case "object": {
      if (value === null) return "null";
      // What stands in its order already is several times as quick to write as a whole.
      if (depth < TRIED_LEVELS && isInOrder(value)) {
        const whole = JSON.stringify(value);
        if (!whole.includes(SURROGATE)) return whole;
      }
      if (Array.isArray(value)) return canonicalArray(value, depth + 1);
      return canonicalObject(value as Record<string, unknown>, depth + 1);
    }
    default:
      throw new SysError("EINVAL", `Cannot encode a ${typeof value}: expected a JSON value`);
  }
}

/** Whether a value is plain JSON with the names of all its fields in order. */
function isInOrder(value: object): boolean {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!isFieldInOrder(value[i])) return false;
    return true;
  }
  const proto = Object.getPrototypeOf(value);
  if (proto !== Object.prototype && proto !== null) return false;
  let last = "";
  for (const name in value) {
    if (name < last) return false;
    last = name;
    const field = (value as { readonly [name: string]: unknown })[name];
    if (field !== undefined && !isFieldInOrder(field)) return false;
  }
  return true;
}

function isFieldInOrder(field: unknown): boolean {
  switch (typeof field) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(field);
    case "object":
      return field === null || isInOrder(field);
    default:
      return false;
  }
}

const PLAIN_CHARS_MAX = 64;
/** As in -1.2345678901234567e-300. */
const NUMBER_CHARS_MAX = 24;
const SORT_HERE_MAX = 16;
const NAMES_MAX = 4_096;
/** Names of fields as they stand in a text, with the colon: there are few, and each comes often. */
const names = new Map<string, string>();

function text(value: string): string {
  if (isPlain(value)) return `"${value}"`;
  if (!value.isWellFormed()) {
    throw new SysError("EINVAL", "Cannot encode text: lone surrogate, expected Unicode text");
  }
  return JSON.stringify(value);
}

/** Whether a text is short and stands in JSON as it is: telling so is quicker than quoting it. */
function isPlain(value: string): boolean {
  if (value.length > PLAIN_CHARS_MAX) return false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false;
  }
  return true;
}

/** Whether a value's text is surely no longer than `charsMax`; looks at no more than it has to. */
export function isShort(value: unknown, charsMax: number): boolean {
  return charsLeft(value, charsMax) >= 0;
}

/** How many are left of `chars` after a value's text; negative also where that is not plain. */
function charsLeft(value: unknown, chars: number): number {
  switch (typeof value) {
    case "string":
      return isPlain(value) ? chars - value.length - 2 : -1;
    case "number":
      return chars - NUMBER_CHARS_MAX;
    case "boolean":
      return chars - 5;
    case "object":
      break;
    default:
      return -1;
  }
  if (value === null) return chars - 4;
  let left = chars - 2;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && left >= 0; i++) left = charsLeft(value[i], left - 1);
    return left;
  }
  for (const name in value) {
    if (left < 0 || !isPlain(name)) return -1;
    const field = (value as { readonly [name: string]: unknown })[name];
    left = charsLeft(field, left - name.length - 4);
  }
  return left;
}

function canonicalArray(value: readonly unknown[], depth: number): string {
  let out = "[";
  for (let i = 0; i < value.length; i++) {
    if (i > 0) out += ",";
    out += canonicalAt(value[i], depth);
  }
  return out + "]";
}

function canonicalObject(value: Record<string, unknown>, depth: number): string {
  const keys = sorted(Object.keys(value));
  let out = "{";
  for (let i = 0; i < keys.length; i++) {
    const field = value[keys[i]!];
    if (field === undefined) continue;
    if (out !== "{") out += ",";
    out += nameText(keys[i]!) + canonicalAt(field, depth);
  }
  return out + "}";
}

function nameText(name: string): string {
  let made = names.get(name);
  if (made === undefined) {
    made = `${text(name)}:`;
    if (names.size < NAMES_MAX && name.length <= PLAIN_CHARS_MAX) names.set(name, made);
  }
  return made;
}

/** Sorts by UTF-16 code units, in place; for the few keys of most objects the quickest way. */
function sorted(keys: string[]): string[] {
  if (keys.length > SORT_HERE_MAX) return keys.sort();
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i]!;
    let at = i;
    for (; at > 0 && keys[at - 1]! > key; at--) keys[at] = keys[at - 1]!;
    keys[at] = key;
  }
  return keys;
}

/** SHA-256 of a text, as 64 hexadecimal digits. */
export function sha256(value: string | Uint8Array): string {
  return digest("sha256", value, "hex");
}

/** SHA-256 of a value's canonical text. */
export function hashOf(value: unknown): string {
  return sha256(canonical(value));
}

/**
 * Copies a value from outside into plain JSON data, frozen, or refuses it with the path of what is
 * wrong.
 * Cyclic values end as too deep; accessors are refused and never called.
 */
export function plain(value: unknown, bounds: JsonBounds, what: string): Json {
  const walk: Walk = { left: bounds.bytesMax, bounds, what };
  return copy(value, walk, 0, "");
}

interface Walk {
  left: number;
  readonly bounds: JsonBounds;
  readonly what: string;
}

function copy(value: unknown, walk: Walk, depth: number, path: string): Json {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) refuse(walk, path, "a lone surrogate, expected Unicode text");
      spend(walk, value.length + 2);
      return value;
    case "number":
      spend(walk, 8);
      return number(value, walk, path);
    case "boolean":
      spend(walk, 5);
      return value;
    case "object":
      if (value === null) return null;
      if (depth >= walk.bounds.depthMax) {
        const limit =
          `Cannot use ${walk.what}: deeper than ${walk.bounds.depthMax} levels or cyclic`;
        throw new SysError("ELIMIT", `${limit}, expected flatter data`, { limit: "depthMax" });
      }
      return Array.isArray(value)
        ? copyArray(value, walk, depth, path)
        : copyObject(value, walk, depth, path);
    default:
      return refuse(walk, path, `a ${typeof value}, expected a JSON value`);
  }
}

function number(value: number, walk: Walk, path: string): number {
  if (!Number.isFinite(value)) refuse(walk, path, `${value}, expected a finite number`);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    refuse(walk, path, "an integer beyond 2^53, expected a smaller one or text");
  }
  return Object.is(value, -0) ? 0 : value;
}

function copyArray(
  value: readonly unknown[],
  walk: Walk,
  depth: number,
  path: string,
): readonly Json[] {
  spend(walk, 2 + value.length);
  const out: Json[] = [];
  for (let i = 0; i < value.length; i++) {
    const field = Object.getOwnPropertyDescriptor(value, i);
    if (field === undefined || !("value" in field)) {
      refuse(walk, `${path}[${i}]`, "no plain element, expected a JSON value");
    }
    out.push(copy(field?.value, walk, depth + 1, `${path}[${i}]`));
  }
  return Object.freeze(out);
}

function copyObject(value: object, walk: Walk, depth: number, path: string): JsonObject {
  const proto = Object.getPrototypeOf(value);
  if (proto !== null && proto !== Object.prototype) {
    refuse(walk, path, "an instance of a class, expected a plain object");
  }
  const out: Record<string, Json> = {};
  for (const key of sorted(Object.keys(value))) {
    const at = path === "" ? key : `${path}.${key}`;
    if (key === "__proto__") refuse(walk, at, "a reserved name, expected another");
    const field = Object.getOwnPropertyDescriptor(value, key);
    if (field === undefined || !("value" in field)) {
      refuse(walk, at, "an accessor, expected a plain value");
    }
    if (field?.value === undefined) continue;
    if (!key.isWellFormed()) refuse(walk, at, "a lone surrogate, expected Unicode text");
    spend(walk, key.length + 4);
    out[key] = copy(field.value, walk, depth + 1, at);
  }
  return Object.freeze(out);
}

function spend(walk: Walk, bytes: number): void {
  walk.left -= bytes;
  if (walk.left < 0) {
    const over = `Cannot use ${walk.what}: larger than ${walk.bounds.bytesMax} bytes`;
    throw new SysError("ELIMIT", `${over}, expected less`, { limit: "bytesMax" });
  }
}

function refuse(walk: Walk, path: string, found: string): never {
  const where = path === "" ? "" : ` at "${path}"`;
  throw new SysError("EINVAL", `Cannot use ${walk.what}${where}: ${found}`);
}
