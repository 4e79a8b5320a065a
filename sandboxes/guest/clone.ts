/**
 * `structuredClone` of a realm: data, dates, maps, sets, errors, buffers, with their cycles.
 * @module
 */

/** Copies a value and all that it holds; throws for functions and symbols. */
export function cloneOf(value: unknown, made: Map<unknown, unknown> = new Map()): unknown {
  if (typeof value === "function" || typeof value === "symbol") {
    const error = new TypeError(`Cannot clone a ${typeof value}: expected data`);
    Object.defineProperty(error, "name", { value: "DataCloneError" });
    throw error;
  }
  if (typeof value !== "object" || value === null) return value;
  if (made.has(value)) return made.get(value);
  const copy = emptyLike(value);
  made.set(value, copy);
  if (value instanceof Map) {
    for (const [key, item] of value) {
      (copy as Map<unknown, unknown>).set(cloneOf(key, made), cloneOf(item, made));
    }
    return copy;
  }
  if (value instanceof Set) {
    for (const item of value) (copy as Set<unknown>).add(cloneOf(item, made));
    return copy;
  }
  if (isWhole(value)) return copy;
  for (const key of Object.keys(value)) {
    const item = cloneOf((value as Record<string, unknown>)[key], made);
    Object.defineProperty(copy, key, {
      value: item,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return copy;
}

/** Whether `emptyLike` has copied all of it. */
export function isWhole(value: object): boolean {
  return value instanceof Date || value instanceof RegExp || value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value) || value instanceof Boolean || value instanceof Number ||
    value instanceof String;
}

/** A new object of the kind of `value`, still without what it holds. */
export function emptyLike(value: object): object {
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof Boolean || value instanceof Number || value instanceof String) {
    return Object(value.valueOf());
  }
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) {
    const view = value as Uint8Array;
    const buffer = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
    return new (view.constructor as Uint8ArrayConstructor)(buffer as ArrayBuffer);
  }
  if (value instanceof Error) {
    const copy = new Error(value.message);
    Object.defineProperty(copy, "name", { value: String(value.name), configurable: true });
    return copy;
  }
  return {};
}
