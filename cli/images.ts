/**
 * `images`: what processes can be started from, and making one of what a process has become.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { type Pid, treeOf } from "../kernel/ids.ts";
import { realClock } from "../providers/clock.ts";
import { oneLine } from "../providers/printable.ts";
import { privateFile } from "../providers/private_file.ts";
import { treeAt } from "../runtime/history.ts";
import { loadValue } from "../runtime/load.ts";
import { type Code, imageOf } from "../runtime/portable.ts";
import { checkpointName, madeAgain, type MadeImage, MadeImages } from "../server/image_book.ts";
import { refOf, taken } from "../server/image_book.ts";
import type { Image } from "../server/wire.ts";
import { imageView } from "../server/view/image.ts";
import type { Store } from "../kernel/store.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { refuseLater } from "./later.ts";
import { operatorOf } from "./order.ts";
import { list, show } from "./output.ts";
import { reading, TREE_CONTEXT } from "./store.ts";
import { systemOf } from "./system.ts";
import { imagesPath } from "./token.ts";
import { dateOf, short } from "./words.ts";

/** `images`. */
export const images: Command = {
  name: "images",
  group: "start",
  usage: "[ls | inspect NAME|HASH | commit PID NAME[@VERSION]]",
  about: "List the images that can be started, show one, or make one of what a process is now",
  examples: ["libos images inspect reporter -o yaml", "libos images commit p_3 reporter@2"],
  options: {},
  words: [0, 3],
  remote: "prefer",
  run: async (at) => {
    const [verb = "ls", word, ref] = at.words;
    if (verb === "commit" && word !== undefined && ref !== undefined) {
      return await commit(at, word, namedBy(ref));
    }
    if (ref === undefined) {
      if (verb === "ls" && word === undefined) return listImages(at, await known(at));
      if (verb === "inspect" && word !== undefined) {
        return inspect(at, imageNamed(await known(at), word));
      }
    }
    throw new UsageError(`Cannot run "images ${verb}": expected images ${images.usage}`);
  },
  refuse: ([verb]) => refuseLater("images", verb),
};

type Name = Pick<MadeImage, "name" | "version">;

function namedBy(word: string): Name {
  const [, name, version = "1"] = /^([a-z][a-z0-9-]{0,63})(?:@([\w.-]{1,32}))?$/.exec(word) ?? [];
  if (name !== undefined) return { name, version };
  const expected = "expected NAME or NAME@VERSION, of small letters, digits and - after a letter";
  throw new UsageError(`Cannot make image "${oneLine(word)}": ${expected}`);
}

/** The images of the server; without one, those that were made of processes of the store. */
async function known(at: Context): Promise<readonly Image[]> {
  if (at.client !== null) return await at.client.images();
  return await reading(at, async (store) => {
    const found: Image[] = [];
    for (const made of new MadeImages(privateFile(imagesPath(at))).list()) {
      try {
        found.push(imageView(await madeAgain(store, codeHere(store), made)));
      } catch (thrown) {
        if (!(thrown instanceof SysError)) throw thrown;
        at.io.err(`${oneLine(thrown.message)}\n`);
      }
    }
    return found;
  });
}

/** Code stays where it runs: here its names are enough. */
function codeHere(store: Store): Code {
  return {
    program: () => () => Promise.resolve(),
    tool: (name) => ({
      name,
      description: "",
      inputSchema: {},
      uses: [],
      parse: (input) => Promise.resolve(input),
      execute: () => Promise.resolve(null),
    }),
    load: (tree, hash) => loadValue(store, tree, hash),
  };
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
      { head: "HASH", of: ({ hash }) => hash.slice(0, 12) },
      { head: "PROGRAM", of: ({ program }) => program },
      { head: "MODEL", of: ({ model }) => model ?? "-" },
      { head: "MADE OF", of: ({ made }) => made?.pid ?? "-" },
      {
        head: "TOOLS",
        of: ({ generated, tools }) =>
          short([...generated.map(({ name }) => name), ...tools].join(", "), 60) || "-",
      },
    ],
    name: ({ ref }) => ref,
    none: at.client === null
      ? "No images; libos images commit PID NAME makes one of a process"
      : "No images; libos serve FILE… brings some, libos images commit makes one",
  });
  return EXIT.ok;
}

/** The image that a name, `name@version`, or the beginning of a hash means. */
function imageNamed(items: readonly Image[], word: string): Image {
  const exact = items.filter(({ ref, hash }) => ref === word || hash === word);
  const named = exact.length > 0 ? exact : items.filter(({ ref }) => ref.startsWith(`${word}@`));
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
