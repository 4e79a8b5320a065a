/**
 * `images build`, `import`, `export`, `sign`, `verify`, `keygen`, `seed` and `rm`: images
 * as files, named by the hash of what is in them.
 * @module
 */

import { resolve } from "node:path";
import { SysError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/parse.ts";
import { loadPackageKey, makePackageKey, publicKeyOf } from "../providers/package_key.ts";
import { readPackageFolder, writeSeed } from "../providers/package_folder.ts";
import { privateFile } from "../providers/private_file.ts";
import { type Package, packageText } from "../runtime/package.ts";
import { buildPackage } from "../runtime/package_build.ts";
import { contentOf } from "../runtime/package_files.ts";
import { openWorkshop } from "../runtime/workshop.ts";
import { MadeImages, refOf, taken } from "../server/image_book.ts";
import { packageRef, signedPackage } from "../server/package_book.ts";
import { packageView } from "../server/view/package.ts";
import type { Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { isFile, makeText, readText, writeText } from "./files.ts";
import { show } from "./output.ts";
import { packageBook, packageFile, packageFor } from "./package_file.ts";
import { imageOfPackage } from "../runtime/package_image.ts";
import { isReservedPath } from "./reserved.ts";
import { imagesPath } from "./token.ts";
import { plural } from "./words.ts";

/** The verbs that work on packages, each with how many words it takes after it. */
export const PACKAGE_VERBS: Readonly<
  Record<string, readonly [words: number, run: (at: Context) => Promise<number>]>
> = {
  build: [1, build],
  import: [1, take],
  export: [2, give],
  sign: [1, sign],
  verify: [1, verify],
  keygen: [1, keygen],
  seed: [2, seed],
  rm: [1, remove],
};

/** Builds a package of a folder, whose tools have to compile, and keeps it. */
async function build(at: Context): Promise<number> {
  const one = buildPackage(await readPackageFolder(resolve(at.io.cwd, at.words[1]!)));
  if (one.body.tools.length > 0) {
    const workshop = (await openWorkshop({ jit: {} }))!;
    try {
      await imageOfPackage(one, { compiler: workshop.compiler });
    } finally {
      await Promise.all([workshop.sandbox.close(), workshop.compiler.close()]);
    }
  }
  const to = at.flags.text("to");
  if (to !== undefined) await newFile(at, to, one);
  else await keep(at, one);
  return told(at, one, to === undefined ? [] : [`written to ${to}`]);
}

/** Brings a package's file; with `--signed-by`, only where that key signed it. */
async function take(at: Context): Promise<number> {
  const one = await packageFile(at, at.words[1]!);
  await demandSignature(at, one);
  return told(at, await keep(at, one));
}

async function give(at: Context): Promise<number> {
  const [, word, file] = at.words as [string, string, string];
  const one = await packageFor(at, word);
  await newFile(at, file, one);
  return told(at, one, [`written to ${file}`]);
}

async function keep(at: Context, one: Package): Promise<Package> {
  const ref = packageRef(one.body);
  if (at.client === null) {
    const made = new MadeImages(privateFile(imagesPath(at))).list();
    const known = made.find((image) => refOf(image) === ref);
    if (known !== undefined) throw taken(ref, known.hash);
    return (await packageBook(at).add(one)).one;
  }
  await at.client.keepPackage(
    parseJson(packageText(one)) as Parameters<typeof at.client.keepPackage>[0],
  );
  return one;
}

async function newFile(at: Context, file: string, one: Package): Promise<void> {
  if (await makeText(at, file, packageText(one))) return;
  throw new SysError("EEXIST", `Cannot write "${file}": it exists already, expected a new file`);
}

/** What was built or brought: what it asks for is the first thing that is said. */
function told(at: Context, one: Package, more: readonly string[] = []): number {
  const { body, hash, signatures } = one;
  const asks = body.needs.length === 0 ? "asks for nothing" : `asks for ${body.needs.join(", ")}`;
  const skills = packageView(one).skills.length;
  const brings = [
    plural(body.tools.length, "generated tool"),
    plural(skills, "skill"),
    plural(body.files.filter(({ path }) => path.startsWith("workspace/")).length, "file"),
  ].join(", ");
  show(at, packageView(one), {
    name: packageRef(body),
    lines: [
      `${packageRef(body)}  sha256:${hash}`,
      asks,
      `brings ${brings}${
        signatures.length === 0 ? "" : `; ${plural(signatures.length, "signature")}`
      }`,
      ...more,
    ],
  });
  return EXIT.ok;
}

/** Adds a signature: to a file where the word is one, else to the package that is kept. */
async function sign(at: Context): Promise<number> {
  const word = at.words[1]!;
  const path = at.flags.text("key");
  if (path === undefined) {
    throw new UsageError("Cannot sign: no key, expected --key FILE; libos images keygen makes one");
  }
  const key = await loadPackageKey(resolve(at.io.cwd, path));
  const signed = await signedPackage(await packageFor(at, word), key);
  if (await isFile(at, word)) await writeText(at, word, packageText(signed));
  else await keep(at, signed);
  return told(at, signed, [`signed by ${key.key}`]);
}

/** Tells who signed it; with `--signed-by`, fails where that key did not. */
async function verify(at: Context): Promise<number> {
  const one = await packageFor(at, at.words[1]!);
  await demandSignature(at, one);
  const keys = one.signatures.map(({ key }) => key);
  show(at, { ref: packageRef(one.body), hash: one.hash, signedBy: keys }, {
    name: packageRef(one.body),
    lines: [
      `${packageRef(one.body)}  sha256:${one.hash}  whole`,
      ...(keys.length === 0 ? ["nobody signed it"] : keys.map((key) => `signed by ${key}`)),
    ],
  });
  return EXIT.ok;
}

/** Throws `EINTEGRITY` unless the key of `--signed-by` signed it, where there is one. */
async function demandSignature(at: Context, one: Package): Promise<void> {
  const word = at.flags.text("signed-by");
  if (word === undefined) return;
  const key = await publicKeyOf(await isFile(at, word) ? await readText(at, word) : word);
  if (one.signatures.some((signature) => signature.key === key)) return;
  const ref = packageRef(one.body);
  const sentence = `Cannot use image "${ref}": ${key} did not sign it`;
  const found = one.signatures.map((signature) => signature.key).join(", ") || "nobody";
  throw new SysError("EINTEGRITY", `${sentence}, expected it to have; ${found} did`);
}

async function keygen(at: Context): Promise<number> {
  const file = at.words[1]!;
  const key = await makePackageKey(resolve(at.io.cwd, file));
  show(at, { file, key }, { name: key, lines: [`made ${file}`, `its public half: ${key}`] });
  return EXIT.ok;
}

/** Puts the files that a package brings into a folder, where none of them is yet. */
async function seed(at: Context): Promise<number> {
  const [, word, folder] = at.words as [string, string, string];
  const one = await packageFor(at, word);
  const files = one.body.files.filter(({ path }) => path.startsWith("workspace/"))
    .map((file) => ({ path: file.path.slice("workspace/".length), bytes: contentOf(file) }));
  const paths = files.map(({ path }) => path);
  const reserved = paths.find(isReservedPath);
  if (reserved !== undefined) {
    const why = "it would say what runs there, and by which rules";
    const sentence = `Cannot write "${reserved}" of a package: ${why}`;
    throw new SysError("EACCES", `${sentence}, expected none; nothing was written`);
  }
  await writeSeed(resolve(at.io.cwd, folder), files);
  show(at, { ref: packageRef(one.body), folder, files: paths }, {
    name: packageRef(one.body),
    lines: paths.length === 0 ? ["It brings no files"] : paths.map((path) => `made ${path}`),
  });
  return EXIT.ok;
}

async function remove(at: Context): Promise<number> {
  const word = at.words[1]!;
  const { ref, hash } = at.client === null
    ? removedHere(at, word)
    : await at.client.removePackage(word);
  show(at, { ref, hash }, { name: ref, lines: [`removed ${ref}  sha256:${hash}`] });
  return EXIT.ok;
}

function removedHere(at: Context, word: string): { readonly ref: string; readonly hash: string } {
  const label = packageBook(at).remove(word);
  return { ref: packageRef(label), hash: label.hash };
}
