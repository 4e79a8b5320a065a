/**
 * A package for tests: what its folder holds, and how a file of it is forged.
 * @module
 */

import { canonical, hashOf, type JsonObject } from "../kernel/json.ts";
import { type Package, packageText } from "../runtime/package.ts";
import { buildPackage, type FolderFile } from "../runtime/package_build.ts";

/** A skill's text. */
export function skillText(name: string, more = ""): string {
  return `---\nname: ${name}\ndescription: Adds numbers up.\n${more}---\nAdd them, all of them.\n`;
}

/** The source of a tool, and its contract. */
export const TOOL = {
  "tools/count_lines.ts": `export default async ({ path }, os) => {
  const { text } = await os.file.read({ path });
  return { lines: text.split("\\n").length };
};
`,
  "tools/count_lines.tool.json": JSON.stringify({
    inputSchema: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
    rights: ["file.read(./notes/**)", "object.read(**)", "clock.now"],
  }),
};

/** A manifest, with other fields. */
export function manifest(more: object = {}): string {
  const needs = ["file.read(notes/**)", "skill.*(**)"];
  return JSON.stringify({ name: "reporter", needs, ...more });
}

/** The files of a folder, by path. */
export const FOLDER: Readonly<Record<string, string | Uint8Array>> = {
  "image.json": manifest(),
  "prompt.md": "Write a report.\n",
  "skills/sums/SKILL.md": skillText("sums", "allowed-tools: Bash(rm:*)\n"),
  "skills/sums/scripts/sum.py": "print(1)\n",
  "workspace/notes/mon.md": "Monday\n",
  "workspace/logo.png": new Uint8Array([0x89, 0x50, 0xff, 0]),
};

/** Those files, with some in place of others; undefined takes one away. */
export function folder(
  more: Readonly<Record<string, string | Uint8Array | undefined>> = {},
): FolderFile[] {
  return Object.entries({ ...FOLDER, ...more }).flatMap(([path, content]) => {
    if (content === undefined) return [];
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    return [{ path, bytes }];
  });
}

/** A package of those files. */
export function built(
  more: Readonly<Record<string, string | Uint8Array | undefined>> = {},
): Package {
  return buildPackage(folder(more));
}

/** The text of a package whose body somebody changed, with a hash that fits: none was built so. */
export function forged(change: (body: Record<string, unknown>) => void): string {
  const file = JSON.parse(packageText(built())) as Record<string, unknown>;
  const body = file["body"] as JsonObject & Record<string, unknown>;
  change(body);
  return `${canonical({ ...file, body, hash: hashOf(body) })}\n`;
}
