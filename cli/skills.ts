/**
 * `skills`: what agents would find in folders of skills, or in an image, before they do.
 * @module
 */

import { resolve } from "node:path";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseSkill, type Skill, type Skills } from "../kernel/skill.ts";
import { oneLine, printable } from "../providers/printable.ts";
import { FolderSkills } from "../providers/skills.ts";
import { PackageSkills } from "../runtime/package_files.ts";
import type { RuntimeOptions } from "../runtime/runtime_options.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { list, show } from "./output.ts";
import { packageFor } from "./package_file.ts";
import { short } from "./words.ts";

/** The option of commands whose agents may load skills. */
export const SKILLS_OPTION = {
  skills: { type: "string", multiple: true },
} as const satisfies Command["options"];

/** The runtime's option that it sets. */
export function skillsFor({ flags, io }: Context): Pick<RuntimeOptions, "skills"> {
  const folders = flags.texts("skills").map((folder) => resolve(io.cwd, folder));
  return folders.length === 0 ? {} : { skills: folders };
}

/** `skills`. */
export const skills: Command = {
  name: "skills",
  group: "tools",
  usage: "[ls | show NAME [FILE]] --skills FOLDER… | --image NAME|FILE",
  about: "List the skills of folders or of an image, or show one and what it says it uses",
  examples: [
    "libos skills ls --skills ./skills",
    "libos skills show sums scripts/sum.py --image reporter",
  ],
  options: { ...SKILLS_OPTION, image: { type: "string" } },
  words: [0, 3],
  remote: "prefer",
  run: async (at) => {
    const [verb = "ls", name, file] = at.words;
    if (verb === "ls" && name === undefined) return await listed(at, await sourceOf(at));
    if (verb === "show" && name !== undefined) {
      const source = await sourceOf(at);
      return file === undefined
        ? await shown(at, source, name)
        : await printed(at, source, { name, file });
    }
    throw new UsageError(`Cannot run "skills ${oneLine(verb)}": expected skills ${skills.usage}`);
  },
};

interface Source {
  readonly skills: Skills;
  /** What an agent that reads them has read. */
  readonly standing: string;
}

async function sourceOf(at: Context): Promise<Source> {
  const image = at.flags.text("image");
  const { skills: folders } = skillsFor(at);
  if ((image === undefined) === (folders === undefined)) {
    throw new UsageError("Cannot find skills: expected --skills FOLDER, or --image NAME|FILE");
  }
  if (folders !== undefined) {
    const standing = "untrusted: nobody vouches for a folder, unless a rule does";
    return { skills: await FolderSkills.open(folders), standing };
  }
  const { body } = await packageFor(at, image!);
  return {
    skills: new PackageSkills(body.files),
    standing: "that of the image's instructions, for agents of this image only",
  };
}

async function read({ skills }: Source, name: string): Promise<Skill> {
  const bytes = await skills.read(name, "SKILL.md", LIMITS.skillBytesMax);
  try {
    return parseSkill(name, new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (thrown) {
    if (thrown instanceof SysError) throw thrown;
    throw new SysError("EINVAL", `Cannot use skill "${name}": no UTF-8, expected text`);
  }
}

async function listed(at: Context, source: Source): Promise<number> {
  const found: Skill[] = [];
  for (const name of await source.skills.names()) {
    try {
      found.push(await read(source, name));
    } catch (thrown) {
      if (!(thrown instanceof SysError)) throw thrown;
      at.io.err(`${oneLine(thrown.message)}\n`);
    }
  }
  list(at, found, {
    columns: [
      { head: "SKILL", of: ({ name }) => name },
      { head: "SAYS IT USES", of: ({ allowedTools }) => short(allowedTools ?? "-", 32) },
      { head: "FOR", of: ({ description }) => short(description, 72) },
    ],
    name: ({ name }) => name,
    json: ({ instructions: _, ...facts }) => facts,
    none: "No skills: each is a folder with a SKILL.md",
  });
  return EXIT.ok;
}

async function shown(at: Context, source: Source, name: string): Promise<number> {
  const skill = await read(source, name);
  const files = await source.skills.paths(name);
  const { allowedTools, description, instructions, license } = skill;
  show(at, { ...skill, files, standing: source.standing }, {
    name,
    lines: [
      `Skill:    ${name}`,
      `For:      ${description}`,
      ...(license === undefined ? [] : [`License:  ${license}`]),
      `Uses:     ${
        allowedTools === undefined ? "-" : `${allowedTools}, it says: a claim, which opens nothing`
      }`,
      `Standing: ${source.standing}`,
      ...files.map((path) => `File:     ${path}`),
      "Instructions:",
      ...instructions.split("\n").map((line) => `  ${line}`),
    ],
  });
  return EXIT.ok;
}

async function printed({ io }: Context, { skills }: Source, one: {
  readonly name: string;
  readonly file: string;
}): Promise<number> {
  const bytes = await skills.read(one.name, one.file, LIMITS.skillBytesMax);
  io.out(`${printable(new TextDecoder().decode(bytes)).replace(/\n$/, "")}\n`);
  return EXIT.ok;
}
