/**
 * Checking a value against a JSON Schema, with a sentence of what is wrong.
 * @module
 */

import { type OutputUnit, type Schema, Validator } from "@cfworker/json-schema";
import type { Json, JsonObject } from "./json.ts";

const validators = new WeakMap<object, Validator>();

/** What is wrong with a value, or null. */
export function checkAgainst(schema: JsonObject, value: Json): string | null {
  if (Object.keys(schema).length === 0) return null;
  let validator = validators.get(schema);
  if (validator === undefined) {
    // The validator writes into its schema, hence the copy.
    validator = new Validator(JSON.parse(JSON.stringify(schema)) as Schema, "2020-12", true);
    validators.set(schema, validator);
  }
  const { valid, errors } = validator.validate(value);
  if (valid) return null;
  return sentence(errors.at(-1)) ?? "not what its schema says";
}

function sentence(error: OutputUnit | undefined): string | undefined {
  if (error === undefined) return undefined;
  const at = error.instanceLocation.replace(/^#\/?/, "");
  return `${error.error.replace(/\.$/, "")}${at === "" ? "" : ` at "${at}"`}`;
}
