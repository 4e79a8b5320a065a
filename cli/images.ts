/**
 * `images`: what processes can be started from, and making one of what a process has become.
 * @module
 */

import { type Pid, treeOf } from "../kernel/ids.ts";
import { realClock } from "../providers/clock.ts";
import { oneLine } from "../providers/printable.ts";
import { privateFile } from "../providers/private_file.ts";
import { treeAt } from "../runtime/history.ts";
import { imageOf } from "../runtime/portable.ts";
import { checkpointName, madeAgain, type MadeImage, MadeImages } from "../server/image_book.ts";
import { refOf, taken } from "../server/image_book.ts";
import { packageRef } from "../server/package_book.ts";
import type { Image } from "../server/wire.ts";
import { imageView } from "../server/view/image.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { isFile } from "./files.ts";
import { operatorOf } from "./order.ts";
import { list, show } from "./output.ts";
import { reading, TREE_CONTEXT } from "./store.ts";
import { systemOf } from "./system.ts";
import { imagesPath } from "./token.ts";
import { dateOf, short } from "./words.ts";
import { packageBook, packageFile, packageFor } from "./package_file.ts";
import { inspectPackage } from "./package_text.ts";
import { diffImages } from "./image_diff.ts";
import { codeHere, imageNamed, isPackage, known } from "./known_images.ts";
import { PACKAGE_VERBS } from "./packages.ts";

/** `images`. */
export const images: Command = {
  name: "images",
  group: "start",
  usage: "[ls | inspect NAME|HASH|FILE | commit PID NAME[@VERSION] | build FOLDER | " +
    "diff A B | import FILE | export NAME FILE | seed NAME FOLDER | rm NAME | " +
    "sign NAME --key FILE | verify NAME [--signed-by KEY] | keygen FILE]",
  about: "List and show images, build one of a folder, or make one of what a process is now",
  examples: ["libos images build ./reporter", "libos images commit p_3 reporter@2"],
  options: {
    to: { type: "string" },
    key: { type: "string" },
    "signed-by": { type: "string" },
  },
  words: [0, 3],
  remote: "prefer",
  run: async (at) => {
    const [verb = "ls", word, ref] = at.words;
    const packaged = Object.hasOwn(PACKAGE_VERBS, verb) ? PACKAGE_VERBS[verb] : undefined;
    if (packaged !== undefined && at.words.length === packaged[0] + 1) return await packaged[1](at);
    if (verb === "commit" && word !== undefined && ref !== undefined) {
      return await commit(at, word, namedBy(ref));
    }
    if (verb === "diff" && at.words.length === 3) return await diffImages(at);
    if (ref === undefined) {
      if (verb === "ls" && word === undefined) return listImages(at, await known(at));
      if (verb === "inspect" && word !== undefined) return await inspected(at, word);
    }
    throw new UsageError(`Cannot run "images ${verb}": expected images ${images.usage}`);
  },
};

type Name = Pick<MadeImage, "name" | "version">;

function namedBy(word: string): Name {
  const [, name, version = "1"] = /^([a-z][a-z0-9-]{0,63})(?:@([\w.-]{1,32}))?$/.exec(word) ?? [];
  if (name !== undefined) return { name, version };
  const expected = "expected NAME or NAME@VERSION, of small letters, digits and - after a letter";
  throw new UsageError(`Cannot make image "${oneLine(word)}": ${expected}`);
}

async function commit(at: Context, word: string, name: Name): Promise<number> {
  const { pid } = await systemOf(at).process(word);
  const { client } = at;
  const image = client === null
    ? await commitHere(at, pid as Pid, name)
    : await client.commit(pid, name.name, name.version);
  show(at, image, {
    name: image.ref,
    lines: [
      `${image.ref}  sha256:${image.hash}`,
      `made of ${pid} at line ${image.made?.seq ?? "?"}; ${toolsText(image)}`,
      client === null
        ? `libos serve brings it; then: libos spawn ${image.ref} "goal"`
        : `start it with: libos spawn ${image.ref} "goal"`,
    ],
  });
  return EXIT.ok;
}

/** As a server does: what is refused comes before the position gets its name. */
async function commitHere(at: Context, pid: Pid, name: Name): Promise<Image> {
  const made = new MadeImages(privateFile(imagesPath(at)));
  const ref = refOf(name);
  const hashAt = (seq: number): Promise<string> =>
    reading(at, async (store) => {
      const { tree } = await treeAt(store, treeOf(pid), seq, TREE_CONTEXT);
      return (await imageOf(codeHere(store), tree, pid, name)).sha256;
    });
  const again = (one: MadeImage): Promise<Image> =>
    reading(at, async (store) => imageView(await madeAgain(store, codeHere(store), one)));
  const packaged = packageBook(at).list().find((one) => packageRef(one) === ref);
  if (packaged !== undefined) throw taken(ref, packaged.hash);
  const there = made.list().find((one) => refOf(one) === ref);
  if (there !== undefined) {
    const { seq } = await systemOf(at).process(pid);
    if (await hashAt(seq) !== there.hash) throw taken(ref, there.hash);
    return await again(there);
  }
  const { id, seq } = await systemOf(at).checkpoint(pid, checkpointName(ref));
  const record: MadeImage = {
    ...name,
    hash: await hashAt(seq),
    pid,
    seq,
    checkpoint: id,
    by: operatorOf(at),
    at: new Date(realClock.now()).toISOString(),
  };
  made.add(record);
  return await again(record);
}

function toolsText({ generated, tools }: Image): string {
  const written = generated.map(({ name, hash }) => `${name} ${hash.slice(0, 12)}`).join(", ");
  return `${tools.length} tools${written === "" ? "" : `, generated: ${written}`}`;
}

function listImages(at: Context, items: readonly Image[]): number {
  list(at, items, {
    columns: [
      { head: "IMAGE", of: ({ ref }) => ref },
      { head: "HASH", of: (one) => (one.package ?? one.hash).slice(0, 12) },
      { head: "PROGRAM", of: ({ program }) => program },
      { head: "MODEL", of: ({ model }) => model ?? "-" },
      {
        head: "MADE OF",
        of: (one) => one.made?.pid ?? (one.package === null ? "-" : "package"),
      },
      {
        head: "TOOLS",
        of: ({ generated, tools }) =>
          short([...generated.map(({ name }) => name), ...tools].join(", "), 60) || "-",
      },
    ],
    name: ({ ref }) => ref,
    none: at.client === null
      ? "No images; libos images commit PID NAME makes one of a process, build one of a folder"
      : "No images; libos serve FILE… brings some, libos images commit makes one",
  });
  return EXIT.ok;
}

/** A file, or the package that is kept under a name, or else any image. */
async function inspected(at: Context, word: string): Promise<number> {
  if (await isFile(at, word)) return inspectPackage(at, await packageFile(at, word));
  if (await isPackage(at, word)) return inspectPackage(at, await packageFor(at, word));
  return inspect(at, imageNamed(await known(at), word));
}

function inspect(at: Context, image: Image): number {
  const { made } = image;
  show(at, image, {
    name: image.ref,
    lines: [
      `Image:    ${image.ref}  sha256:${image.hash}`,
      `Program:  ${image.program}`,
      `Model:    ${image.model ?? "-"}`,
      `Tools:    ${image.tools.join(", ") || "-"}`,
      ...image.generated.map(({ name, hash }) => `Written:  ${name}  sha256:${hash}`),
      `Requests: ${image.requests.join(", ") || "nothing"}`,
      ...(image.start === null ? [] : [
        `Started:  ${image.start.goal ?? "-"}`,
        ...image.start.grants.map((rule) => `  with ${rule}`),
      ]),
      ...(made === null ? [] : [
        `Made of:  ${made.pid} at ${made.checkpoint} (line ${made.seq}) by ${made.by}, ` +
        dateOf(Date.parse(made.at)),
      ]),
      "Instructions:",
      ...image.instructions.split("\n").map((line) => `  ${line}`),
    ],
  });
  return EXIT.ok;
}
