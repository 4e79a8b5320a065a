/**
 * Which images there are: those of the server, else of the store here, packages among them.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { oneLine } from "../providers/printable.ts";
import { privateFile } from "../providers/private_file.ts";
import { loadValue } from "../runtime/load.ts";
import type { Code } from "../runtime/portable.ts";
import { madeAgain, MadeImages } from "../server/image_book.ts";
import type { Image } from "../server/wire.ts";
import { imageView } from "../server/view/image.ts";
import type { Store } from "../kernel/store.ts";
import type { Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { imagesHere, packageBook } from "./package_file.ts";
import { reading } from "./store.ts";
import { imagesPath } from "./token.ts";

/** The images of the server; without one, those that were made of processes of the store. */
export async function known(at: Context): Promise<readonly Image[]> {
  if (at.client !== null) return await at.client.images();
  const found: Image[] = (await imagesHere(at)).map((image) =>
    imageView({ image, made: null, labels: {} })
  );
  const list = new MadeImages(privateFile(imagesPath(at))).list();
  // Packages are there without a store.
  if (list.length === 0 && found.length > 0) return found;
  return await reading(at, async (store) => {
    for (const made of list) {
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
export function codeHere(store: Store): Code {
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

/** The image that a name, `name@version`, or the beginning of a hash means. */
export function imageNamed(items: readonly Image[], word: string): Image {
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

/** Whether a word names a package that is kept. */
export async function isPackage(at: Context, word: string): Promise<boolean> {
  if (at.client === null) return packageBook(at).named(word) !== undefined;
  return (await at.client.packages()).some(({ ref, hash }) =>
    ref === word || ref.startsWith(`${word}@`) || hash.startsWith(word)
  );
}
