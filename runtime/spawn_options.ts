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
import { ANY, checkGiven, LIST, type Shapes, TEXT, TEXTS, wholeNumber } from "./given.ts";
import { type AgentImage, budgetLimits } from "./image.ts";
import { checkRule, formatRule, type Rule } from "./rule.ts";
import type { SpawnOptions } from "./runtime_options.ts";

const OPTIONS: Shapes<SpawnOptions> = {
  goal: ANY,
  input: ANY,
  grants: LIST,
  budget: ANY,
  labels: TEXTS,
  cwd: TEXT,
  priority: wholeNumber(1, 100),
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
  checkGiven("Cannot start a tree", options, OPTIONS);
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
