/**
 * The skills of a process: those of its image's package, and then those of the runtime's folders.
 *
 * Of two with one name, that of the package is taken: its author knew which one was meant. What a
 * package's skill says has the standing of the package's instructions, as both are under one hash
 * which a person chose; what a folder's says is vouched for by nobody.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { BOTTOM, type Label } from "../kernel/label.ts";
import type { Skills } from "../kernel/skill.ts";
import type { CallContext } from "./syscall.ts";

type At = Pick<CallContext, "tree" | "process" | "world">;

/** Skills, and what their texts carry unless a rule says otherwise. */
export interface SkillSource {
  readonly skills: Skills;
  readonly label: Label;
}

/** Whoever wrote a skill in a folder, nobody here vouched for it. */
const FOLDER_LABEL: Label = { sensitivity: "internal", trust: "untrusted" };

/** Where a process finds skills, first those that come first. */
export function skillSources({ tree, process, world }: At): readonly SkillSource[] {
  const { package: hash } = tree.state.images[process.image]!;
  const own = hash === undefined ? undefined : world.packaged?.(hash);
  return [
    ...(own === undefined ? [] : [{ skills: own, label: BOTTOM }]),
    ...(world.skills === undefined ? [] : [{ skills: world.skills, label: FOLDER_LABEL }]),
  ];
}

/** The same; `ENOSYS` where there is none. */
export function someSkills(at: At): readonly SkillSource[] {
  const sources = skillSources(at);
  if (sources.length > 0) return sources;
  const expected = "expected createRuntime({ skills: [folder] }), or some in the image's package";
  throw new SysError("ENOSYS", `Cannot use skills: this runtime has none, ${expected}`);
}

/** Where a skill is taken from. One that is in none before is the last one's, or refused by it. */
export async function sourceOf(at: At, skill: string): Promise<SkillSource> {
  const sources = someSkills(at);
  for (const source of sources.slice(0, -1)) {
    if ((await source.skills.names()).includes(skill)) return source;
  }
  return sources.at(-1)!;
}
