/**
 * Skills in folders of this machine.
 *
 * Invariants:
 *   K4. Nothing is read but through rooted files: no link is followed, no path leaves a folder.
 *   K5. Of two folders, a skill is taken from the one that was given first.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { isSkillName, type Skills } from "../kernel/skill.ts";
import type { Files } from "../kernel/world.ts";
import { RootedFiles } from "./files.ts";

/** Skills in folders; each is looked at when it is asked for. */
export class FolderSkills implements Skills {
  readonly #roots: readonly Files[];

  private constructor(roots: readonly Files[]) {
    this.#roots = roots;
  }

  /** Opens folders. Errors: those of files, for one that is not there. */
  static async open(folders: readonly string[]): Promise<FolderSkills> {
    return new FolderSkills(await Promise.all(folders.map(opened)));
  }

  async names(): Promise<readonly string[]> {
    const found = new Set<string>();
    for (const root of this.#roots) {
      for (const { name, kind } of await root.list("", { entriesMax: LIMITS.skillsMax })) {
        if (kind !== "directory" || !isSkillName(name)) continue;
        if (await isSkill(root, name)) found.add(name);
      }
    }
    return [...found].sort();
  }

  async paths(skill: string): Promise<readonly string[]> {
    const root = await this.#rootOf(skill);
    const found: string[] = [];
    const look = async (folder: string, depth: number): Promise<void> => {
      const left = LIMITS.skillFilesMax - found.length;
      for (const { name, kind } of await root.list(folder, { entriesMax: Math.max(1, left) })) {
        const path = `${folder}/${name}`;
        if (kind === "file") found.push(path.slice(skill.length + 1));
        if (kind === "directory" && depth < LIMITS.skillDepthMax) await look(path, depth + 1);
      }
    };
    await look(skill, 1);
    return found.sort();
  }

  async read(skill: string, path: string, bytesMax: number): Promise<Uint8Array> {
    const root = await this.#rootOf(skill);
    return await root.read(`${skill}/${path}`, { bytesMax });
  }

  async #rootOf(skill: string): Promise<Files> {
    if (isSkillName(skill)) {
      for (const root of this.#roots) if (await isSkill(root, skill)) return root;
    }
    throw new SysError(
      "ENOENT",
      `Cannot find skill "${skill}": absent, expected one of skill.list`,
    );
  }
}

async function opened(folder: string): Promise<Files> {
  try {
    return await RootedFiles.open(folder);
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "ENOENT") throw error;
    throw new SysError("ENOENT", `Cannot find skills in "${folder}": absent, expected a folder`);
  }
}

async function isSkill(root: Files, name: string): Promise<boolean> {
  try {
    return (await root.stat(`${name}/SKILL.md`))?.kind === "file";
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
}
