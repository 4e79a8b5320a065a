/**
 * What a tree is to be started with, looked at before anything is made of it.
 * @module
 */

import { POLICIES } from "../broker/forms.ts";
import { SysError } from "../kernel/errors.ts";
import { spellPattern } from "../kernel/path.ts";
import { neverMatches, unknownRight } from "../kernel/policy.ts";
import { type AgentImage, budgetLimits } from "./image.ts";
import { checkRule, formatRule, type Rule } from "./rule.ts";
import type { SpawnOptions } from "./runtime_options.ts";

/** Refuses what nobody could mean with `EINVAL`, also from callers that have no types. */
export function checkSpawn(image: AgentImage, options: SpawnOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new SysError("EINVAL", "Cannot start a tree: no options, expected an object with a goal");
  }
  const { goal, budget, grants = [], ceiling = [], images = [] } = options;
  for (const [name, list] of Object.entries({ grants, ceiling, images })) {
    if (Array.isArray(list)) continue;
    throw new SysError("EINVAL", `Cannot start a tree: ${name} are no list, expected an array`);
  }
  for (const one of [image, ...images]) checkImage(one);
  if (typeof goal !== "string") {
    const state = goal === undefined ? "no goal" : `goal "${goal}" is no text`;
    throw new SysError("EINVAL", `Cannot start image "${image.ref}": ${state}, expected a string`);
  }
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
