/**
 * What the realm takes from its own intrinsics before a tool can touch them.
 *
 * Everything in this folder is code for inside a cage. It is handed there as text, so a function
 * may use its arguments, the language, and other functions of `guest_text.ts`, and no import but
 * types.
 *
 * Invariants:
 *   R1. What a tool does to the intrinsics of its realm can spoil its own run, and nothing else.
 * @module
 */

/** The intrinsics by which the realm works, whatever became of the globals. */
export function primordials() {
  const { apply, construct, defineProperty, deleteProperty, getPrototypeOf, ownKeys } = Reflect;
  // deno-lint-ignore ban-types -- any function of an intrinsic
  const uncurry = <F extends Function, R = unknown>(fn: F) => (self: unknown, ...args: unknown[]) =>
    apply(fn, self, args) as R;
  return {
    __proto__: null,
    apply,
    construct,
    defineProperty,
    deleteProperty,
    getPrototypeOf,
    ownKeys,
    descriptor: Reflect.getOwnPropertyDescriptor,
    keys: Object.keys,
    freeze: Object.freeze,
    isArray: Array.isArray,
    objectProto: Object.prototype as object,
    parse: JSON.parse,
    quote: JSON.stringify as (text: string) => string,
    String,
    Number,
    Error,
    TypeError,
    Promise,
    Map,
    WeakMap,
    now: Date,
    trunc: Math.trunc,
    max: Math.max,
    min: Math.min,
    ceil: Math.ceil,
    isFinite: Number.isFinite,
    isInteger: Number.isInteger,
    then: uncurry<typeof Promise.prototype.then>(Promise.prototype.then),
    mapGet: uncurry(Map.prototype.get),
    mapSet: uncurry(Map.prototype.set),
    mapDelete: uncurry(Map.prototype.delete),
    weakGet: uncurry(WeakMap.prototype.get),
    weakSet: uncurry(WeakMap.prototype.set),
    charCodeAt: uncurry<typeof String.prototype.charCodeAt, number>(String.prototype.charCodeAt),
    slice: uncurry<typeof String.prototype.slice, string>(String.prototype.slice),
    indexOf: uncurry<typeof String.prototype.indexOf, number>(String.prototype.indexOf),
    isWellFormed: uncurry<() => boolean, boolean>(String.prototype.isWellFormed),
    toWellFormed: uncurry<() => string, string>(String.prototype.toWellFormed),
    uncurry,
  };
}

/** The intrinsics by which the realm works. */
export type Primordials = ReturnType<typeof primordials>;

/** Bytes of a text in UTF-8. */
export function utf8Length(P: Primordials, text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = P.charCodeAt(text, i);
    if (code < 0x80) continue;
    // Each half of a pair counts two: together four.
    bytes += code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 1 : 2;
  }
  return bytes;
}

/** Whether a text has more than `bytesMax` bytes; short ones are not counted. */
export function isLonger(P: Primordials, text: string, bytesMax: number): boolean {
  if (text.length * 3 <= bytesMax) return false;
  return text.length > bytesMax || utf8Length(P, text) > bytesMax;
}

/** Defines what a tool may see, as a builtin would be. */
export function give(P: Primordials, on: object, name: string, value: unknown): void {
  P.defineProperty(on, name, {
    // A descriptor must not inherit from what a tool can change.
    __proto__: null,
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  } as PropertyDescriptor);
}

/** Like `give`, for good. */
export function fix(P: Primordials, on: object, name: string, value: unknown): void {
  P.defineProperty(on, name, {
    __proto__: null,
    value,
    writable: false,
    enumerable: false,
    configurable: false,
  } as PropertyDescriptor);
}
