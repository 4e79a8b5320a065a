/**
 * Copies and comparisons of JSON values: what the platform offers for it is many times slower.
 * @module
 */

type Fields = { [key: string]: unknown };

/** A copy of a JSON value that shares nothing with it. */
export function copied<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copied) as T;
  // Spread defines fields, so that one called "__proto__" is a field of the copy, too.
  const copy = { ...value } as Fields;
  for (const key in copy) {
    const inner = copy[key];
    if (typeof inner === "object" && inner !== null) copy[key] = copied(inner);
  }
  return copy as T;
}

/** Whether two JSON values have the same canonical text: a field that is undefined is not there. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object") return false;
  if (one === null || other === null) return false;
  if (Array.isArray(one)) {
    return Array.isArray(other) && one.length === other.length &&
      one.every((each, i) => isSame(each, other[i]));
  }
  return !Array.isArray(other) && haveSameFields(one as Fields, other as Fields);
}

function haveSameFields(one: Fields, other: Fields): boolean {
  let count = 0;
  for (const key in one) {
    const field = one[key];
    if (field === undefined) continue;
    if (!Object.hasOwn(other, key) || !isSame(field, other[key])) return false;
    count += 1;
  }
  for (const key in other) if (other[key] !== undefined) count -= 1;
  return count === 0;
}
