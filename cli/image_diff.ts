/**
 * `images diff`: what differs between two images, packages or made of processes.
 *
 * Two packages are compared with all that is in them. An image that was made of a process has
 * nothing but what it is: then both are compared by what `images inspect` shows.
 * @module
 */

import { oneLine } from "../providers/printable.ts";
import {
  mapChanges,
  type PackageChange,
  packageChanges,
  setChanges,
  valueChange,
} from "../runtime/package_diff.ts";
import { imageOfPackage } from "../runtime/package_image.ts";
import { imageView } from "../server/view/image.ts";
import type { Image } from "../server/wire.ts";
import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { isFile } from "./files.ts";
import { imageNamed, isPackage, known } from "./known_images.ts";
import { painter, safeJson, safeYaml } from "./output.ts";
import { packageFile, packageFor } from "./package_file.ts";

/** `images diff A B`. */
export async function diffImages(at: Context): Promise<number> {
  const [, a, b] = at.words as [string, string, string];
  if (await hasPackage(at, a) && await hasPackage(at, b)) {
    const [one, two] = [await packageFor(at, a), await packageFor(at, b)];
    return told(at, { from: one.hash, to: two.hash, changes: packageChanges(one, two) });
  }
  const [one, two] = [await imageFor(at, a), await imageFor(at, b)];
  return told(at, { from: one.hash, to: two.hash, changes: imageChanges(one, two) });
}

async function hasPackage(at: Context, word: string): Promise<boolean> {
  return await isFile(at, word) || await isPackage(at, word);
}

async function imageFor(at: Context, word: string): Promise<Image> {
  if (!await isFile(at, word)) return imageNamed(await known(at), word);
  const image = await imageOfPackage(await packageFile(at, word), { compiler: null });
  return imageView({ image, made: null, labels: {} });
}

/** What differs: first what is asked for and given, then what agents are told, then the rest. */
function imageChanges(a: Image, b: Image): PackageChange[] {
  const text = (value: string | null | undefined): string => value ?? "-";
  const written = ({ generated }: Image) =>
    generated.map(({ name, hash }) => [name, hash] as const);
  return [
    ...setChanges("request", a.requests, b.requests),
    ...setChanges("grant at the start", a.start?.grants ?? [], b.start?.grants ?? []),
    ...setChanges("tool", a.tools, b.tools),
    ...mapChanges("tool that was written", written(a), written(b)),
    ...valueChange("program", a.program, b.program),
    ...valueChange("model", text(a.model), text(b.model)),
    ...valueChange("goal at the start", text(a.start?.goal), text(b.start?.goal)),
    ...valueChange("instructions", a.instructions, b.instructions),
    ...valueChange("package", text(a.package), text(b.package)),
    ...valueChange("name", a.ref, b.ref),
  ];
}

function told(at: Context, answer: {
  readonly from: string;
  readonly to: string;
  readonly changes: readonly PackageChange[];
}): number {
  const { io, format } = at;
  const { changes } = answer;
  if (format === "json") io.out(`${safeJson(answer, 2)}\n`);
  else if (format === "yaml") io.out(safeYaml(answer));
  else if (format === "jsonl") { for (const change of changes) io.out(`${safeJson(change)}\n`); }
  else if (format === "name") { for (const { what, name } of changes) say(at, `${what} ${name}`); }
  else if (changes.length === 0) io.err("No difference\n");
  else tellChanges(at, changes);
  return EXIT.ok;
}

function tellChanges(at: Context, changes: readonly PackageChange[]): void {
  const paint = painter(at);
  const colour = { "+": "green", "-": "red", "~": "yellow" } as const;
  for (const { what, name, mark, detail } of changes) {
    at.io.out(`${paint(oneLine(`${mark} ${what} ${name}`.trimEnd()), colour[mark])}\n`);
    if (detail !== "") { for (const line of detail.split("\n")) say(at, `    ${line}`); }
  }
}

function say({ io }: Context, line: string): void {
  io.out(`${oneLine(line)}\n`);
}
