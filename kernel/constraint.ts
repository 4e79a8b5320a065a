/**
 * Constraints: a JSON Schema that the arguments of a call must satisfy.
 *
 * What may be written is JSON Schema 2020-12 without references, `format`, `patternProperties` and
 * the `unevaluated…` words. An unknown word is refused, since a misspelt one would constrain
 * nothing. A `pattern` has no look-around and no back-reference; a repeated group holds neither
 * repetition nor `|`.
 *
 * Invariants:
 *   R1. A schema that was not refused is checked in bounded time: the work is counted before it is
 *       done, patterns being simple enough that theirs is known from the length of the text, and
 *       when it would be too much the arguments do not satisfy the schema.
 *   R2. The schema in the state is never handed out: the validator works on a copy.
 * @module
 */

import { type Schema, Validator } from "@cfworker/json-schema";
import { SysError } from "./errors.ts";
import { canonical, type Json, type JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { parseJson } from "./parse.ts";
import { type PatternCost, patternCost } from "./regex.ts";
import { suggest } from "./suggest.ts";

type Shape =
  | "any"
  | "text"
  | "number"
  | "positive"
  | "count"
  | "names"
  | "type"
  | "values"
  | "regex"
  | "schema"
  | "schemas"
  | "schemaMap"
  | "nameMap";

const WORDS: { readonly [word: string]: Shape } = {
  $schema: "text",
  $comment: "text",
  title: "text",
  description: "text",
  default: "any",
  examples: "values",
  type: "type",
  const: "any",
  enum: "values",
  properties: "schemaMap",
  required: "names",
  additionalProperties: "schema",
  propertyNames: "schema",
  minProperties: "count",
  maxProperties: "count",
  dependentRequired: "nameMap",
  dependentSchemas: "schemaMap",
  items: "schema",
  prefixItems: "schemas",
  contains: "schema",
  minContains: "count",
  maxContains: "count",
  minItems: "count",
  maxItems: "count",
  minLength: "count",
  maxLength: "count",
  pattern: "regex",
  minimum: "number",
  maximum: "number",
  exclusiveMinimum: "number",
  exclusiveMaximum: "number",
  multipleOf: "positive",
  allOf: "schemas",
  anyOf: "schemas",
  oneOf: "schemas",
  not: "schema",
  if: "schema",
  then: "schema",
  else: "schema",
};

const TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"];
const DEPTH_MAX = 16;
/** Steps of pattern matching that one check may take, or what takes as long. */
const WORK_MAX = 2 ** 24;
/** What the validator takes for one value and one schema. */
const VISIT_STEPS = 16;
/** What it takes to ask an object for one name. */
const NAME_STEPS = 8;
/** What it takes to keep why an item is not the one looked for. */
const MISS_STEPS = 48;
const READY_MAX = 1_024;

interface Ready {
  readonly validator: Validator;
  readonly costs: ReadonlyMap<string, PatternCost>;
  readonly schema: JsonObject;
}

const byIdentity = new WeakMap<JsonObject, Ready>();
const byText = new Map<string, Ready>();

/** Throws `EINVAL` unless the schema may be used as a constraint. */
export function checkConstraint(schema: JsonObject): void {
  const length = canonical(schema).length;
  if (length > LIMITS.constraintBytesMax) {
    const found = `${length} characters, expected at most ${LIMITS.constraintBytesMax}`;
    throw new SysError("EINVAL", `Cannot use constraint: ${found}`, {
      limit: "constraintBytesMax",
    });
  }
  checkSchema(schema, "#", 0);
}

/** Whether the arguments satisfy a constraint that {@linkcode checkConstraint} accepted. */
export function satisfies(constraint: JsonObject, args: Json): boolean {
  return !isTooMuch(constraint, args) && readyOf(constraint).validator.validate(args).valid;
}

/** Whether finding out if arguments satisfy a constraint would take too long (R1). */
export function isTooMuch(constraint: JsonObject, args: Json): boolean {
  const { costs, schema } = readyOf(constraint);
  const work = new Work(costs);
  work.visit(schema, args);
  return work.isTooMuch;
}

function readyOf(constraint: JsonObject): Ready {
  const known = byIdentity.get(constraint);
  if (known !== undefined) return known;
  const text = canonical(constraint);
  let made = byText.get(text);
  if (made === undefined) {
    made = makeReady(text);
    if (byText.size >= READY_MAX) byText.clear();
    byText.set(text, made);
  }
  byIdentity.set(constraint, made);
  return made;
}

function makeReady(source: string): Ready {
  // Whoever let it in without a check gets a constraint that nothing satisfies.
  const text = isUsable(parseJson(source) as JsonObject) ? source : NOTHING;
  const costs = new Map<string, PatternCost>();
  const schema = parseJson(text) as JsonObject;
  costsIn(schema, costs);
  // The validator writes into its schema, hence two copies.
  const validator = new Validator(parseJson(text) as Schema, "2020-12", true);
  return { validator, costs, schema };
}

const NOTHING = '{"not":{}}';

function isUsable(schema: JsonObject): boolean {
  try {
    checkConstraint(schema);
    return true;
  } catch {
    return false;
  }
}

function costOf(source: string): PatternCost {
  const cost = patternCost(source);
  return typeof cost === "string" ? { degree: Infinity, choices: 1, spins: 1 } : cost;
}

/** Follows the schema through the arguments as the validator does, only counting. */
class Work {
  readonly #costs: Ready["costs"];
  #steps = 0;

  constructor(costs: Ready["costs"]) {
    this.#costs = costs;
  }

  get isTooMuch(): boolean {
    return this.#steps > WORK_MAX;
  }

  visit(schema: Json | undefined, value: Json): void {
    if (schema === undefined || this.isTooMuch) return;
    this.#steps += VISIT_STEPS;
    if (!isObject(schema)) return;
    this.#steps += listOf(schema.enum).length;
    const cost = typeof schema.pattern === "string" ? this.#costs.get(schema.pattern) : undefined;
    if (cost !== undefined && typeof value === "string") {
      this.#steps += cost.choices * cost.spins * (value.length + 1) ** cost.degree;
    }
    for (const word of ["allOf", "anyOf", "oneOf"]) {
      for (const one of listOf(schema[word])) this.visit(one, value);
    }
    for (const word of ["not", "if", "then", "else"]) this.visit(schema[word], value);
    if (Array.isArray(value)) this.#items(schema, value);
    else if (isObject(value)) this.#fields(schema, value);
  }

  #items(schema: JsonObject, value: readonly Json[]): void {
    const { items, contains } = schema;
    const prefix = listOf(schema.prefixItems);
    for (let i = 0; i < value.length && !this.isTooMuch; i++) {
      this.visit(prefix[i], value[i]!);
      this.visit(items, value[i]!);
      if (contains === undefined) continue;
      this.#steps += MISS_STEPS;
      this.visit(contains, value[i]!);
    }
  }

  #fields(schema: JsonObject, value: JsonObject): void {
    const { propertyNames, additionalProperties } = schema;
    const properties = mapOf(schema.properties);
    const dependent = mapOf(schema.dependentSchemas);
    const lists = Object.values(mapOf(schema.dependentRequired)).map((one) => listOf(one).length);
    const named = Object.keys(properties).length + Object.keys(dependent).length +
      listOf(schema.required).length + lists.reduce((sum, count) => sum + count + 1, 0);
    this.#steps += named * NAME_STEPS;
    for (const one of Object.values(dependent)) this.visit(one, value);
    for (const [name, item] of Object.entries(value)) {
      if (this.isTooMuch) return;
      this.visit(propertyNames, name);
      if (Object.hasOwn(properties, name)) this.visit(properties[name], item);
      this.visit(additionalProperties, item);
    }
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function mapOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function checkSchema(schema: Json | undefined, path: string, depth: number): void {
  if (typeof schema === "boolean") return;
  if (!isObject(schema)) return refuse(path, "no schema, expected an object or a boolean");
  if (depth >= DEPTH_MAX) refuse(path, `deeper than ${DEPTH_MAX} levels, expected flatter`);
  for (const [word, value] of Object.entries(schema)) {
    const shape = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (shape === undefined) {
      const nearest = suggest(word, Object.keys(WORDS));
      const hint = nearest === undefined ? "" : `, did you mean "${nearest}"?`;
      refuse(path, `"${word}", which constraints do not have${hint}`);
    }
    checkShape(shape, value, { path: `${path}/${word}`, depth });
  }
}

interface Place {
  readonly path: string;
  readonly depth: number;
}

function checkShape(shape: Shape, value: Json, place: Place): void {
  const { path, depth } = place;
  switch (shape) {
    case "schema":
      return checkSchema(value, path, depth + 1);
    case "schemas":
      if (!Array.isArray(value) || value.length === 0) refuse(path, "expected a list of schemas");
      for (const [i, one] of listOf(value).entries()) checkSchema(one, `${path}/${i}`, depth + 1);
      return;
    case "schemaMap":
      if (!isObject(value)) refuse(path, "expected schemas by name");
      for (const [name, one] of Object.entries(mapOf(value))) {
        if (name in Object.prototype) refuse(path, `"${name}", a reserved name`);
        checkSchema(one, `${path}/${name}`, depth + 1);
      }
      return;
    case "nameMap":
      if (!isObject(value) || !Object.values(value).every(isNames)) {
        refuse(path, "expected lists of names by name");
      }
      return;
    case "regex":
      return checkRegex(value, path);
    default:
      if (!CHECKS[shape](value)) refuse(path, EXPECTED[shape]);
  }
}

type Simple = Exclude<Shape, "schema" | "schemas" | "schemaMap" | "nameMap" | "regex">;

const CHECKS: { readonly [S in Simple]: (value: Json) => boolean } = {
  any: () => true,
  text: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  positive: (value) => typeof value === "number" && value > 0,
  count: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  names: isNames,
  type: (value) => {
    const types = Array.isArray(value) ? value : [value];
    return types.length > 0 && types.every((one) => TYPES.includes(one as string));
  },
  values: (value) => Array.isArray(value) && value.length > 0,
};

const EXPECTED: { readonly [S in Simple]: string } = {
  any: "",
  text: "expected text",
  number: "expected a number",
  positive: "expected a number over 0",
  count: "expected a whole number from 0",
  names: "expected a list of names, none of them reserved",
  type: `expected one or more of ${TYPES.join(", ")}`,
  values: "expected a list of values",
};

function isNames(value: Json): boolean {
  return Array.isArray(value) &&
    value.every((one) => typeof one === "string" && !(one in Object.prototype));
}

function checkRegex(value: Json, path: string): void {
  if (typeof value !== "string") return refuse(path, "expected text");
  const cost = patternCost(value);
  if (typeof cost === "string") refuse(path, cost);
}

function refuse(path: string, found: string): never {
  throw new SysError("EINVAL", `Cannot use constraint at "${path}": ${found}`, { path });
}

/** Words beside schemas may look like a pattern too; knowing too many does no harm. */
function costsIn(schema: Json, costs: Map<string, PatternCost>): void {
  if (typeof schema !== "object" || schema === null) return;
  for (const [key, value] of Object.entries(schema)) {
    if (key === "pattern" && typeof value === "string") costs.set(value, costOf(value));
    costsIn(value as Json, costs);
  }
}
