/**
 * Packages as words of the command line name them: a file, or one that is kept.
 * @module
 */

import { dirname, join } from "node:path";
import { canonical } from "../kernel/json.ts";
import { SysError } from "../kernel/errors.ts";
import { PackageShelf } from "../providers/package_folder.ts";
import { oneLine } from "../providers/printable.ts";
import type { AgentImage } from "../runtime/image.ts";
import type { Package } from "../runtime/package.ts";
import { imageOfPackage } from "../runtime/package_image.ts";
import { openWorkshop } from "../runtime/workshop.ts";
import { checkedPackage, PackageBook, packageRef } from "../server/package_book.ts";
import type { Context } from "./command.ts";
import { isFile, readText } from "./files.ts";
import { dbPath } from "./store.ts";
import { jitOptions } from "./tool_file.ts";

/** Where the packages of a store are. */
export function packagesPath(at: Context): string {
  return join(dirname(dbPath(at)), "packages");
}

/** The packages that are kept beside the store. */
export function packageBook(at: Context): PackageBook {
  return new PackageBook(new PackageShelf(packagesPath(at)));
}

/** The package that a word means: a file, else one that is kept here or on the server. */
export async function packageFor(at: Context, word: string): Promise<Package> {
  if (await isFile(at, word)) return await packageFile(at, word);
  if (at.client === null) return await packageBook(at).read(word);
  return await checkedPackage(`${canonical(await at.client.packageFile(word))}\n`);
}

/** Reads a package's file. Throws `EINTEGRITY`, and what else `readPackage` does. */
export async function packageFile(at: Context, file: string): Promise<Package> {
  return await checkedPackage(await readText(at, file));
}

/** All that are kept here; of one that is damaged, it is said on standard error. */
export async function packagesHere(at: Context): Promise<readonly Package[]> {
  const book = packageBook(at);
  const found: Package[] = [];
  for (const label of book.list()) {
    try {
      found.push(await book.open(label));
    } catch (thrown) {
      if (!(thrown instanceof SysError)) throw thrown;
      at.io.err(`${oneLine(`${packageRef(label)}: ${thrown.message}`)}\n`);
    }
  }
  return found;
}

/** Images of all that are kept: they run nothing, and what runs of them finds its skills. */
export async function imagesHere(at: Context): Promise<readonly AgentImage[]> {
  const packages = await packagesHere(at);
  return await Promise.all(packages.map((one) => imageOfPackage(one, { compiler: null })));
}

/** What `run` starts of a package: its tools are compiled now, where tools may run. */
export async function startablePackage(
  at: Context,
  one: Package,
  model: string | undefined,
): Promise<AgentImage> {
  if (one.body.tools.length === 0) return await imageOfPackage(one, { compiler: null, model });
  const jit = jitOptions(at);
  if (jit === false) {
    const names = one.body.tools.map(({ name }) => name).join(", ");
    const sentence = `Cannot run image "${packageRef(one.body)}": it brings generated tools`;
    throw new SysError("ENOSYS", `${sentence} (${names}), expected --jit`);
  }
  const workshop = (await openWorkshop({ jit }))!;
  try {
    return await imageOfPackage(one, { compiler: workshop.compiler, model });
  } finally {
    await Promise.all([workshop.sandbox.close(), workshop.compiler.close()]);
  }
}

/** Says what a package asks for before it is started: nothing of it is granted by that. */
export function tellNeeds({ io, format, flags }: Context, { body }: Package): void {
  if (flags.on("quiet") || (format !== "table" && format !== "wide")) return;
  const seed = body.files.filter(({ path }) => path.startsWith("workspace/")).length;
  const ref = packageRef(body);
  const lines = [
    ...(body.needs.length === 0
      ? []
      : [`${ref} will ask for (nothing is granted by that; --grant and --ask do):`]),
    ...body.needs.map((need) => `  ${need}`),
    ...(seed === 0 ? [] : [`${ref} brings ${seed} files: libos images seed ${ref} FOLDER`]),
  ];
  for (const line of lines) io.err(`${oneLine(line)}\n`);
}
