/**
 * Checking a value against a JSON Schema, with a sentence of what is wrong.
 *
 * The schema was accepted by `checkConstraint`, and the work is bounded by it: a schema that could
 * take too long on a value is not satisfied by it.
 * @module
 */

import { type OutputUnit, type Schema, Validator } from "@cfworker/json-schema";
import { isTooMuch, satisfies } from "./constraint.ts";
import { canonical, type Json, type JsonObject } from "./json.ts";
import { parseJson } from "./parse.ts";

/** Beyond it only that it is wrong is said: finding out what would cost as much again. */
const EXPLAINED_CHARS_MAX = 2_048;

/** What is wrong with a value, or null. */
export function checkAgainst(schema: JsonObject, value: Json): string | null {
  if (Object.keys(schema).length === 0 || satisfies(schema, value)) return null;
  if (isTooMuch(schema, value)) return "too much to be checked against its schema, expected less";
  const vague = `not what its schema says: ${canonical(schema).slice(0, 200)}`;
  if (canonical(value).length > EXPLAINED_CHARS_MAX) return vague;
  // The validator writes into its schema, hence the copy.
  const copy = parseJson(JSON.stringify(schema)) as Schema;
  const { errors } = new Validator(copy, "2020-12", true).validate(value);
  return sentence(errors.at(-1)) ?? vague;
}

function sentence(error: OutputUnit | undefined): string | undefined {
  if (error === undefined) return undefined;
  const at = error.instanceLocation.replace(/^#\/?/, "");
  // A schema of `false`, as of fields that are not named, would be no help to who reads this.
  const wrong = /^False boolean schema/.test(error.error) ? "nothing is expected" : error.error;
  return `${wrong.replace(/\.$/, "")}${at === "" ? "" : ` at "${at}"`}`;
}
