/**
 * Skills: listed, loaded into the prompt, read resource by resource, and let go again.
 *
 * A skill grants nothing. Its scripts are texts: they run as generated tools, proposed, reviewed
 * and caged like any other, or not at all.
 * @module
 */

import { z } from "zod";
import { SysError } from "../../kernel/errors.ts";
import { type Json, sha256 } from "../../kernel/json.ts";
import { LIMITS } from "../../kernel/limits.ts";
import { fullName } from "../../kernel/names.ts";
import { resolvePath } from "../../kernel/path.ts";
import { labelFor } from "../../kernel/policy.ts";
import { isSkillName, parseSkill } from "../../kernel/skill.ts";
import { pathShape } from "../shapes.ts";
import { someSkills, sourceOf } from "../skills_of.ts";
import { type CallContext, syscall } from "../syscall.ts";
import { decodeText } from "./file.ts";

const skillName = z.string().min(1).max(64)
  .refine(isSkillName, "expected small letters, digits and single hyphens");

/** A path inside a skill, which cannot leave it: `scripts/sum.ts`. */
function inside(path: string): string {
  const resolved = resolvePath(".", path);
  if (!resolved.startsWith("./") || resolved === "./") {
    throw new SysError("EINVAL", `Cannot read "${path}" of a skill: expected a file in it`);
  }
  return resolved.slice(2);
}

async function namesOf(at: Pick<CallContext, "tree" | "process" | "world">): Promise<string[]> {
  const names = await Promise.all(someSkills(at).map(({ skills }) => skills.names()));
  return [...new Set(names.flat())].sort();
}

/** Calls on skills. */
export const skillCalls = {
  "skill.list": syscall({
    about: "List the skills that can be loaded, with what each is for",
    effect: "observe",
    port: "closed",
    args: z.strictObject({
      skill: skillName.optional().describe("Only this one, with its files"),
    }),
    reply: z.strictObject({
      skills: z.array(z.looseObject({ name: z.string() })),
      refused: z.array(z.string()),
      files: z.array(z.string()).optional(),
    }),
    needs: ({ skill }) => [{ right: "skill.list", resource: skill ?? "*" }],
    async run(at, { skill }) {
      const own = skill === undefined ? undefined : await sourceOf(at, skill);
      const files = own === undefined ? {} : { files: [...await own.skills.paths(skill!)] };
      const found: Record<string, Json>[] = [];
      const refused: string[] = [];
      for (const name of skill === undefined ? await namesOf(at) : [skill]) {
        try {
          const { skills, label } = own ?? await sourceOf(at, name);
          // Why it is refused, and what its files are called, are its words as well.
          at.taint(labelFor(at.tree.policy, "skill.read", `${name}/SKILL.md`) ?? label);
          const bytes = await skills.read(name, "SKILL.md", LIMITS.skillBytesMax);
          const { instructions: _, ...facts } = parseSkill(name, decodeText(name, bytes));
          found.push(facts as unknown as Record<string, Json> & { name: string });
        } catch (error) {
          if (!(error instanceof SysError)) throw error;
          refused.push(error.message);
        }
      }
      return { skills: found, refused, ...files };
    },
  }),
  "skill.read": syscall({
    about: "Read a file of a skill: its instructions, a reference, a script as text",
    effect: "observe",
    port: "closed",
    args: z.strictObject({
      skill: skillName,
      path: pathShape.default("SKILL.md"),
      encoding: z.enum(["utf8", "base64"]).default("utf8"),
    }),
    reply: z.strictObject({ text: z.string(), bytes: z.number(), sha256: z.string() }),
    needs: ({ skill, path }) => [{ right: "skill.read", resource: `${skill}/${inside(path)}` }],
    async run(at, { skill, path, encoding }) {
      const file = inside(path);
      const { skills, label } = await sourceOf(at, skill);
      const bytes = await skills.read(skill, file, LIMITS.skillBytesMax);
      at.taint(labelFor(at.tree.policy, "skill.read", `${skill}/${file}`) ?? label);
      const text = encoding === "utf8" ? decodeText(`${skill}/${file}`, bytes) : bytes.toBase64();
      return { text, bytes: bytes.length, sha256: sha256(bytes) };
    },
  }),
  "skill.load": syscall({
    about: "Put a skill's instructions into every prompt from now on; it grants nothing",
    effect: "mutate",
    port: "closed",
    args: z.strictObject({ skill: skillName }),
    reply: z.looseObject({ object: z.string(), description: z.string() }),
    needs: ({ skill }) => [{ right: "skill.load", resource: skill }],
    async compose(at, { skill }) {
      const read = await at.sys("skill.read", { skill }) as { readonly text: string };
      const { instructions, ...facts } = parseSkill(skill, read.text);
      const object = `skills/${skill}`;
      const value = `Skill "${skill}": ${facts.description}\n\n${instructions}`;
      await at.sys("object.create", { name: object, type: "text", value });
      await at.sys("context.pin", { object, kind: "fact" });
      return { object, ...facts };
    },
  }),
  "skill.unload": syscall({
    about: "Let a skill that was loaded leave the prompts",
    effect: "mutate",
    port: "closed",
    args: z.strictObject({ skill: skillName }),
    reply: z.strictObject({}),
    needs: ({ skill }, at) => [{
      right: "object.delete",
      resource: fullName(at.process.pid, `skills/${skill}`),
    }],
    async compose(at, { skill }) {
      const object = `skills/${skill}`;
      await at.sys("context.unpin", { object });
      await at.sys("object.delete", { object });
      return {};
    },
  }),
};
