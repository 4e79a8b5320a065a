/**
 * What a tree is to be started with, looked at before anything is made of it.
 * @module
 */

import { POLICIES } from "../broker/forms.ts";
import { SysError } from "../kernel/errors.ts";
import { type Json, plain } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { spellPattern } from "../kernel/path.ts";
import { neverMatches, unknownRight } from "../kernel/policy.ts";
import { near } from "../kernel/suggest.ts";
import { type AgentImage, budgetLimits } from "./image.ts";
import { checkRule, formatRule, type Rule } from "./rule.ts";
import type { SpawnOptions } from "./runtime_options.ts";

/** What an option has to be. */
interface Shape {
  is(value: unknown): boolean;
  /** What to say of one that is not. */
  readonly state: string;
  readonly expected: string;
}

const ANY: Shape = { is: () => true, state: "", expected: "" };
const LIST: Shape = { is: Array.isArray, state: "are no list", expected: "an array" };
const TEXT: Shape = {
  is: (value) => typeof value === "string" && value !== "",
  state: "is no text",
  expected: "a string that is not empty",
};
const TEXTS: Shape = {
  is: (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.values(value).every((one) => typeof one === "string"),
  state: "are no texts by their names",
  expected: "an object of strings",
};
const PRIORITY: Shape = {
  is: (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 100,
  state: "is out of range",
  expected: "a whole number from 1 to 100",
};

/** What is more to say of one that may be anything here is said where it is read. */
const OPTIONS: { readonly [K in keyof Required<SpawnOptions>]: Shape } = {
  goal: ANY,
  input: ANY,
  grants: LIST,
  budget: ANY,
  labels: TEXTS,
  cwd: TEXT,
  priority: PRIORITY,
  idempotencyKey: TEXT,
  ceiling: LIST,
  by: TEXT,
  retainDays: ANY,
  nodeSelector: TEXTS,
  images: LIST,
};

/** Refuses what nobody could mean with `EINVAL` or `ELIMIT`, also from callers without types. */
export function checkSpawn(image: AgentImage, options: SpawnOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new SysError("EINVAL", "Cannot start a tree: no options, expected an object with a goal");
  }
  for (const [name, value] of Object.entries(options)) checkOption(name, value);
  const { goal, labels = {}, budget, grants = [], ceiling = [], images = [] } = options;
  for (const one of [image, ...images]) checkImage(one);
  if (typeof goal !== "string") {
    const state = goal === undefined ? "no goal" : `goal "${goal}" is no text`;
    throw new SysError("EINVAL", `Cannot start image "${image.ref}": ${state}, expected a string`);
  }
  bound("characters of a goal", goal.length, "goalBytesMax");
  bound("labels", Object.keys(labels).length, "labelsPerProcessMax");
  budgetLimits(budget);
  for (const rule of [...grants, ...ceiling]) {
    checkRule(rule);
    // A grant of what no call needs does no harm; a rule over it would be thought to hold.
    const wrong = unknownRight(rule.right, POLICIES) ??
      (isSpoken(rule) ? neverMatches(spellPattern(rule, "."), POLICIES) : undefined);
    if (wrong === undefined) continue;
    throw new SysError("EINVAL", `Cannot use rule "${formatRule(rule)}": ${wrong}`);
  }
}

/** Whether it says something of single calls: a bare deny hides tools as well. */
function isSpoken({ effect, resource }: Rule): boolean {
  return effect === "ask" || (effect === "deny" && resource !== "**");
}

function checkOption(name: string, value: unknown): void {
  if (!Object.hasOwn(OPTIONS, name)) {
    const known = Object.keys(OPTIONS);
    const expected = `expected one of ${known.join(", ")}${near(name, known)}`;
    throw new SysError("EINVAL", `Cannot start a tree with "${name}": unknown, ${expected}`);
  }
  const { is, state, expected } = OPTIONS[name as keyof SpawnOptions];
  if (value === undefined || is(value)) return;
  const isShown = state.startsWith("is ") && typeof value !== "object";
  const shown = isShown ? ` "${String(value)}"` : "";
  throw new SysError(
    "EINVAL",
    `Cannot start a tree: ${name}${shown} ${state}, expected ${expected}`,
  );
}

function bound(
  what: string,
  found: number,
  limit: "goalBytesMax" | "labelsPerProcessMax",
): void {
  if (found <= LIMITS[limit]) return;
  const sentence = `Cannot start a tree with ${found} ${what}: expected at most ${LIMITS[limit]}`;
  throw new SysError("ELIMIT", sentence, { limit });
}

const INPUT = { depthMax: LIMITS.jsonDepthMax, bytesMax: LIMITS.birthBytesMax };

/** A copy of what goes with a goal, which its giver changes no more. */
export function inputOf({ input = null }: SpawnOptions): Json {
  return plain(input, INPUT, "the input of a tree");
}

function checkImage(image: AgentImage): void {
  if (typeof image?.data === "object" && Array.isArray(image.tools)) return;
  const expected = "expected what defineImage() gives";
  throw new SysError("EINVAL", `Cannot start a tree from "${image}": no image, ${expected}`);
}

/** Refuses images with a model that the runtime does not know, with `ENOSYS`. */
export function checkModels(
  images: readonly AgentImage[],
  knows: (model: string) => boolean,
): void {
  const unknown = images.map(({ data }) => data.model).find((id) => id !== null && !knows(id));
  if (unknown === undefined) return;
  const expected = "expected one of this runtime's; give it as an image's model or in models";
  throw new SysError("ENOSYS", `Cannot use model "${unknown}": unknown, ${expected}`);
}
