/**
 * Packages on this machine: the folder that one is built of, and the shelf where they are kept.
 *
 * Invariants:
 *   B1. Nothing is packed but plain files under the folder: a link, a device, a pipe, or a file
 *       with a second name is refused, and not left out.
 *   B2. A package on the shelf is a file `name@version.hash.json`, whole whenever it is there, and
 *       readable by its owner only. Its name is a label: what it is, its content says.
 * @module
 */

import { join } from "node:path";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { RootedFiles } from "./files.ts";
import { syncFolder, writeAll } from "./key_file.ts";
import { privateFile } from "./private_file.ts";

/** Reads all files of a folder, in a fixed order. Throws `EINVAL` for what is none, `ELIMIT`. */
export async function readPackageFolder(
  folder: string,
): Promise<{ readonly path: string; readonly bytes: Uint8Array }[]> {
  const root = await RootedFiles.open(folder);
  const found: { readonly path: string; readonly bytes: Uint8Array }[] = [];
  let left: number = LIMITS.packageBytesMax;
  const look = async (under: string, depth: number): Promise<void> => {
    const entriesMax = LIMITS.packageFilesMax;
    for (const { name, kind } of await root.list(under, { entriesMax })) {
      const path = under === "" ? name : `${under}/${name}`;
      if (kind === "directory") {
        if (depth >= LIMITS.packageDepthMax) {
          throw over(path, "packageDepthMax", "it lies too deep");
        }
        await look(path, depth + 1);
        continue;
      }
      if (kind !== "file") {
        const state = `it is a ${kind === "other" ? "device, a pipe or the like" : kind}`;
        const sentence = `Cannot pack ${JSON.stringify(path)}: ${state}, expected a plain file`;
        throw new SysError("EINVAL", sentence);
      }
      if (found.length >= LIMITS.packageFilesMax) {
        throw over(path, "packageFilesMax", "too many files");
      }
      const bytes = await root.read(path, { bytesMax: left });
      left -= bytes.length;
      found.push({ path, bytes });
    }
  };
  await look("", 1);
  return found;
}

function over(path: string, limit: keyof typeof LIMITS, why: string): SysError {
  const most = `expected ${LIMITS[limit]} at most`;
  return new SysError("ELIMIT", `Cannot pack ${JSON.stringify(path)}: ${why}, ${most}`, { limit });
}

/** Puts files into a folder that is there; none is written if one of them would be replaced. */
export async function writeSeed(
  folder: string,
  files: readonly { readonly path: string; readonly bytes: Uint8Array }[],
): Promise<void> {
  const root = await RootedFiles.open(folder);
  for (const { path } of files) {
    const there = await root.stat(path);
    if (there === undefined) continue;
    const expected = "expected no such file; nothing was written";
    throw new SysError("EEXIST", `Cannot write "${path}": it exists already, ${expected}`);
  }
  for (const { path, bytes } of files) {
    const segments = path.split("/");
    for (let count = 1; count < segments.length; count++) {
      const parent = segments.slice(0, count).join("/");
      if (await root.stat(parent) === undefined) await root.mkdir(parent);
    }
    await root.write(path, bytes, { create: true, replace: false });
  }
}

/** A package by its label. */
export interface Shelved {
  readonly name: string;
  readonly version: string;
  readonly hash: string;
}

const LABEL = /^([a-z][a-z0-9-]{0,63})@([\w-][\w.-]{0,31})\.([0-9a-f]{64})\.json$/;

/** Where packages are kept, by their labels. */
export interface Shelf {
  /** What is there, in order of name and version. */
  list(): readonly Shelved[];
  /** The text of one. Throws `ENOENT`. */
  read(one: Shelved): string;
  /** Writes one, or writes it anew with other signatures. */
  put(one: Shelved, text: string): void;
  /** Takes one away; false when it was not there. */
  remove(one: Shelved): boolean;
}

/** Packages that are kept in memory only. */
export class MemoryShelf implements Shelf {
  readonly #kept = new Map<string, { readonly one: Shelved; readonly text: string }>();

  list(): readonly Shelved[] {
    return [...this.#kept.values()].map(({ one }) => one).sort(byLabel);
  }

  read(one: Shelved): string {
    const kept = this.#kept.get(labelOf(one));
    if (kept === undefined) throw gone(one);
    return kept.text;
  }

  put(one: Shelved, text: string): void {
    this.#kept.set(labelOf(one), { one, text });
  }

  remove(one: Shelved): boolean {
    return this.#kept.delete(labelOf(one));
  }
}

function labelOf({ name, version, hash }: Shelved): string {
  return `${name}@${version}.${hash}`;
}

function byLabel(a: Shelved, b: Shelved): number {
  return labelOf(a) < labelOf(b) ? -1 : 1;
}

function gone({ name, version }: Shelved): SysError {
  return new SysError("ENOENT", `Cannot read image "${name}@${version}": it was taken away`);
}

/** The packages that are kept beside a store. */
export class PackageShelf implements Shelf {
  readonly #folder: string;

  /** Kept in `folder`, which is made when the first package comes. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  list(): readonly Shelved[] {
    const found: Shelved[] = [];
    try {
      for (const { name: file, isFile } of Deno.readDirSync(this.#folder)) {
        const [, name, version, hash] = LABEL.exec(file) ?? [];
        if (isFile && hash !== undefined) found.push({ name: name!, version: version!, hash });
      }
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.NotFound)) throw refused("look at", thrown);
    }
    return found.sort(byLabel);
  }

  read(one: Shelved): string {
    const text = privateFile(this.#path(one)).read();
    if (text === null) throw gone(one);
    return text;
  }

  put(one: Shelved, text: string): void {
    try {
      Deno.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      // A name that nobody else writes; what a crash leaves there is no label.
      const beside = Deno.makeTempFileSync({ dir: this.#folder, prefix: ".new-" });
      {
        using file = Deno.openSync(beside, { write: true });
        writeAll(file, text);
      }
      Deno.renameSync(beside, this.#path(one));
      syncFolder(this.#path(one));
    } catch (thrown) {
      throw refused("write", thrown);
    }
  }

  remove(one: Shelved): boolean {
    try {
      Deno.removeSync(this.#path(one));
      return true;
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return false;
      throw refused("remove", thrown);
    }
  }

  #path(one: Shelved): string {
    return join(this.#folder, `${labelOf(one)}.json`);
  }
}

function refused(verb: string, thrown: unknown): SysError {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new SysError("EIO", `Cannot ${verb} a package: ${why}`);
}
