/**
 * `images`: what a server can start processes from.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { ImageView } from "../server/schema/memory.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { refuseLater } from "./later.ts";
import { list, show } from "./output.ts";
import { short } from "./words.ts";

/** `images`. */
export const images: Command = {
  name: "images",
  group: "start",
  usage: "[ls | inspect NAME|HASH]",
  about: "List the images that a server can start, or show one",
  examples: ["libos images", "libos images inspect reporter -o yaml"],
  options: {},
  words: [0, 2],
  remote: "only",
  run: async (at) => {
    const [verb = "ls", word] = at.words;
    const { items } = await at.client!.get<{ readonly items: readonly ImageView[] }>("/v1/images");
    if (verb === "ls" && word === undefined) return listImages(at, items);
    if (verb === "inspect" && word !== undefined) return inspect(at, imageOf(items, word));
    throw new UsageError(`Cannot run "images ${verb}": expected ${images.usage}`);
  },
  refuse: ([verb]) => refuseLater("images", verb),
};

function listImages(at: Context, items: readonly ImageView[]): number {
  list(at, items, {
    columns: [
      { head: "IMAGE", of: ({ ref }) => ref },
      { head: "HASH", of: ({ hash }) => hash.slice(0, 12) },
      { head: "PROGRAM", of: ({ program }) => program },
      { head: "MODEL", of: ({ model }) => model ?? "-" },
      { head: "TOOLS", of: ({ tools }) => short(tools.join(", "), 60) || "-" },
    ],
    name: ({ ref }) => ref,
    none: "No images; libos serve FILE… brings some",
  });
  return EXIT.ok;
}

/** The image that a name, `name@version`, or the beginning of a hash means. */
function imageOf(items: readonly ImageView[], word: string): ImageView {
  const named = items.filter(({ ref }) => ref === word || ref.startsWith(`${word}@`));
  const near = named.length > 0 || word === ""
    ? named
    : items.filter(({ hash }) => hash.startsWith(word));
  const [only] = near;
  if (near.length > 1) {
    const some = near.slice(0, 5).map(({ ref }) => ref).join(", ");
    const state = `${near.length} begin so, expected one of ${some}`;
    throw new UsageError(`Cannot tell which image "${word}" is: ${state}`);
  }
  if (only !== undefined) return only;
  throw new SysError("ENOENT", `Cannot find image "${word}": absent, expected one of libos images`);
}

function inspect(at: Context, image: ImageView): number {
  show(at, image, {
    name: image.ref,
    lines: [
      `Image:    ${image.ref}  sha256:${image.hash}`,
      `Program:  ${image.program}`,
      `Model:    ${image.model ?? "-"}`,
      `Tools:    ${image.tools.join(", ") || "-"}`,
      `Requests: ${image.requests.join(", ") || "nothing"}`,
      "Instructions:",
      ...image.instructions.split("\n").map((line) => `  ${line}`),
    ],
  });
  return EXIT.ok;
}
