/**
 * Options as callers give them, also those who have no types: each has to be known and of its
 * shape, or something else would hold than what was meant.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { near } from "../kernel/suggest.ts";

/** What an option has to be. */
export interface Shape {
  is(value: unknown): boolean;
  /** What to say of one that is not. */
  readonly state: string;
  readonly expected: string;
}

/** A shape for each option of some. */
export type Shapes<T> = { readonly [K in keyof Required<T>]: Shape };

/** What is more to say of one is said where it is read. */
export const ANY: Shape = { is: () => true, state: "", expected: "" };
/** Several in order. */
export const LIST: Shape = { is: Array.isArray, state: "are no list", expected: "an array" };
/** A text with something in it. */
export const TEXT: Shape = {
  is: (value) => typeof value === "string" && value !== "",
  state: "is no text",
  expected: "a string that is not empty",
};
/** Texts by their names. */
export const TEXTS: Shape = {
  is: (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.values(value).every((one) => typeof one === "string"),
  state: "are no texts by their names",
  expected: "an object of strings",
};
/** A switch. */
export const FLAG: Shape = {
  is: (value) => typeof value === "boolean",
  state: "is no switch",
  expected: "true or false",
};
/** Code. */
export const CODE: Shape = {
  is: (value) => typeof value === "function",
  state: "is no function",
  expected: "a function",
};

/** One of these, or an object where that may be, too. */
export function oneOf(words: readonly unknown[], orElse?: "an object"): Shape {
  return {
    is: (value) =>
      words.includes(value) ||
      (orElse !== undefined && typeof value === "object" && value !== null),
    state: "is unknown",
    expected: [...words, ...(orElse === undefined ? [] : [orElse])].join(" or "),
  };
}

/** A whole number between these. */
export function wholeNumber(min: number, max: number): Shape {
  return {
    is: (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
    state: "is out of range",
    expected: `a whole number from ${min} to ${max}`,
  };
}

/**
 * Refuses with `EINVAL` options that are unknown or of another shape. Those of `required` have to
 * be there.
 */
export function checkGiven<T>(
  refused: string,
  given: T,
  shapes: Shapes<T>,
  required: readonly (keyof T & string)[] = [],
): void {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new SysError("EINVAL", `${refused}: no options, expected an object`);
  }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(shapes, name)) {
      const known = Object.keys(shapes);
      const expected = `expected one of ${known.join(", ")}${near(name, known)}`;
      throw new SysError("EINVAL", `${refused} with "${name}": unknown, ${expected}`);
    }
    const { is, state, expected } = shapes[name as keyof T];
    if (value === undefined || is(value)) continue;
    const isShown = state.startsWith("is ") && /^[bnsu]/.test(typeof value);
    const shown = isShown ? ` "${String(value)}"` : "";
    throw new SysError("EINVAL", `${refused}: ${name}${shown} ${state}, expected ${expected}`);
  }
  const missing = required.find((name) => given[name] === undefined);
  if (missing === undefined) return;
  const { expected } = shapes[missing];
  throw new SysError("EINVAL", `${refused}: no ${missing}, expected ${expected}`);
}
