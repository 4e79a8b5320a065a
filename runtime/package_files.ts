/**
 * The files in a package: names that every system can hold, contents in one writing, and skills.
 *
 * Invariants:
 *   N1. A name is a plain path below `skills/` or `workspace/`: no way out, no absolute path, and
 *       nothing that two systems read differently.
 *   N2. No two names are one on a system that does not tell capitals apart, and none is both a
 *       file and a folder.
 *   N3. A content has one writing: text where it is UTF-8, else base64. So it has one hash.
 *   N4. Skills are where people look for them: directly below `skills/`, and never inside another.
 * @module
 */

import { z } from "zod";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { resolvePath } from "../kernel/path.ts";
import { parseSkill, type Skill, type Skills } from "../kernel/skill.ts";

/** A file of a package: `text`, or `base64` where it is no UTF-8. */
export interface PackageFile {
  /** `skills/…` or `workspace/…`, with "/" between. */
  readonly path: string;
  /** Its content as text. */
  readonly text?: string | undefined;
  /** Its content, where it is no text. */
  readonly base64?: string | undefined;
}

/** A file as the text of a package has it. */
export const PACKAGE_FILE: z.ZodType<PackageFile> = z.strictObject({
  path: z.string(),
  text: z.string().optional(),
  base64: z.string().optional(),
});

// What some system takes for something else: a stream, a pattern, a device, a name without its end.
const AMBIGUOUS = /[<>:"|?*]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;
const PLACE = /^(skills\/[^/]+|workspace)\/[^/]/;

/** Throws `EINVAL` for names that break N1 or N2. */
export function checkPaths(paths: readonly string[]): void {
  const taken = new Map<string, string>();
  for (const path of paths) {
    const refuse = (found: string): never => {
      throw new SysError("EINVAL", `Cannot pack ${JSON.stringify(path)}: ${found}`);
    };
    if (resolvePath(".", path) !== `./${path}`) refuse("no plain path, expected one");
    if (!PLACE.test(path)) refuse("expected a file of workspace/ or of a skill, skills/NAME/");
    const segments = path.split("/");
    if (segments.length > LIMITS.packageDepthMax) refuse("it lies too deep");
    if (segments.some((name) => AMBIGUOUS.test(name))) {
      refuse("some systems take a name in it for something else, expected another name");
    }
    for (let count = 1; count <= segments.length; count++) {
      const part = segments.slice(0, count).join("/");
      const key = part.toLowerCase();
      const known = taken.get(key);
      const isFile = count === segments.length;
      const spelt = isFile ? part : `${part}/`;
      if (known !== undefined && (known !== spelt || isFile)) {
        refuse(`it cannot lie beside ${JSON.stringify(known)}, expected another name`);
      }
      taken.set(key, spelt);
    }
  }
}

/** A content as a package has it (N3). */
export function packedFile(path: string, bytes: Uint8Array): PackageFile {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return { path, text };
  } catch {
    return { path, base64: bytes.toBase64() };
  }
}

/** The content of a file. Throws `EINVAL` for one that is written in another way than N3 says. */
export function contentOf({ path, text, base64 }: PackageFile): Uint8Array {
  let bytes: Uint8Array | undefined;
  try {
    if (base64 === undefined) bytes = new TextEncoder().encode(text);
    else bytes = Uint8Array.fromBase64(base64, { lastChunkHandling: "strict" });
  } catch {
    bytes = undefined;
  }
  const again = bytes === undefined ? undefined : packedFile(path, bytes);
  if (bytes !== undefined && again?.text === text && again?.base64 === base64) return bytes;
  throw new SysError(
    "EINVAL",
    `Cannot read "${path}" of a package: it is not written as files are`,
  );
}

/** The skills of a package, each read and checked (N4). Throws `EINVAL`. */
export function skillsIn(files: readonly PackageFile[]): readonly Skill[] {
  const found = new Map<string, Skill | null>();
  for (const file of files) {
    const [place, name = "", ...rest] = file.path.split("/");
    if (place !== "skills") continue;
    const inside = rest.join("/");
    if (!found.has(name)) found.set(name, null);
    const bytes = contentOf(file);
    if (bytes.length > LIMITS.skillBytesMax) {
      const most = `expected ${LIMITS.skillBytesMax} at most`;
      const sentence = `Cannot pack "${file.path}": ${bytes.length} bytes, ${most}`;
      throw new SysError("ELIMIT", sentence, { limit: "skillBytesMax" });
    }
    const last = rest.at(-1)!.toLowerCase();
    if (last === "image.json" || (last === "skill.md" && inside !== "SKILL.md")) {
      const why = "a skill says nothing for others, expected SKILL.md beside the other skills";
      throw new SysError("EINVAL", `Cannot pack "${file.path}": ${why}`);
    }
    if (inside === "SKILL.md") found.set(name, parseSkill(name, file.text ?? ""));
  }
  return [...found].map(([name, skill]) => {
    if (skill !== null) return skill;
    throw new SysError("EINVAL", `Cannot pack "skills/${name}": no SKILL.md, expected one`);
  });
}

/** The skills of a package, as agents are shown them. */
export class PackageSkills implements Skills {
  readonly #files: ReadonlyMap<string, PackageFile>;

  /** Of files that were checked. */
  constructor(files: readonly PackageFile[]) {
    this.#files = new Map(
      files.filter(({ path }) => path.startsWith("skills/"))
        .map((file) => [file.path.slice("skills/".length), file]),
    );
  }

  names(): Promise<readonly string[]> {
    const names = [...this.#files.keys()].map((path) => path.slice(0, path.indexOf("/")));
    return Promise.resolve([...new Set(names)].sort());
  }

  async paths(skill: string): Promise<readonly string[]> {
    const found = [...this.#files.keys()].filter((path) => path.startsWith(`${skill}/`))
      .map((path) => path.slice(skill.length + 1));
    if (found.length > 0) return await Promise.resolve(found.sort());
    const expected = "absent, expected one of skill.list";
    throw new SysError("ENOENT", `Cannot find skill "${skill}": ${expected}`);
  }

  async read(skill: string, path: string, bytesMax: number): Promise<Uint8Array> {
    const file = this.#files.get(`${skill}/${path}`);
    const bytes = file === undefined ? undefined : contentOf(file);
    if (bytes !== undefined && bytes.length <= bytesMax) return await Promise.resolve(bytes);
    const [code, why] = bytes === undefined
      ? ["ENOENT", "absent, expected a file of the skill"] as const
      : ["ELIMIT", `${bytes.length} bytes, expected ${bytesMax} at most`] as const;
    throw new SysError(code, `Cannot read file "${path}" of skill "${skill}": ${why}`);
  }
}
