/**
 * Writing in one step: a whole new file beside the old one, then one change of a name.
 *
 * Invariants:
 *   W1. Content goes only into a file that was proven to be in the held folder. Where folders are
 *       only checked, a swap can leave an empty file elsewhere, under a name that is nobody's.
 *   W2. A name leads to all of the old content or all of the new, also after a crash.
 *   W3. What a crash leaves is a file with one of our names: never listed, never taken as a path,
 *       removed when the root is next opened.
 * @module
 */

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { Panic } from "../kernel/errors.ts";
import { codeOf } from "./files_error.ts";
import { Folder, type Mark, type Root, SAFE_FLAGS } from "./files_folder.ts";
import { isTempName, refusal, tempName, type Want } from "./files_path.ts";

/** A file which is complete on disk and has no name of its own yet. */
export interface Staged {
  readonly temp: string;
  readonly mark: Mark;
}

const NEW_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | SAFE_FLAGS;
const TEMP_AGE_MS_MAX = 3_600_000;
const DISCARD_TRIES_MAX = 100;
const SWEEP_ENTRIES_MAX = 100_000;
// What a file system without hard links answers.
const CANNOT_LINK = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** Writes all of `bytes` into a new file of the folder; `mode` is that of the file it replaces. */
export function stage(folder: Folder, bytes: Uint8Array, mode: number | undefined): Staged {
  const temp = tempName();
  folder.verify();
  const fd = openSync(folder.at(temp), NEW_FLAGS, mode === undefined ? 0o666 : 0o600);
  let isOpen = true;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    const mark = { dev, ino };
    folder.verify(temp, mark);
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at);
    if (mode !== undefined) fchmodSync(fd, mode);
    fsyncSync(fd);
    isOpen = false;
    closeSync(fd);
    folder.verify(temp, mark);
    return { temp, mark };
  } catch (thrown) {
    if (isOpen) closeSync(fd);
    discard(folder, temp);
    throw thrown;
  }
}

/** Gives a staged file its name. Unless `replace`, a name which is taken is `EEXIST`. */
export function publish(
  folder: Folder,
  staged: Staged,
  to: { readonly name: string; readonly replace: boolean; readonly want: Want },
): void {
  const target = folder.at(to.name);
  try {
    // Both names are in one folder: if that was swapped, the staged file is not found in it.
    if (to.replace) renameSync(folder.at(staged.temp), target);
    else publishNew(folder, staged, target);
  } catch (thrown) {
    discard(folder, staged.temp);
    throw thrown;
  }
  try {
    folder.sync();
    folder.verify(to.name, staged.mark);
  } catch {
    throw refusal("EINDOUBT", to.want, "the host failed after the change");
  }
}

/** Takes a name that must be free, with an empty file or folder; throws `EEXIST`. */
export function reserve(path: string): void {
  closeSync(openSync(path, NEW_FLAGS, 0o600));
}

/**
 * Removes what writers left who never came back. Bounded, and silent: what cannot be swept hurts
 * nobody.
 */
export function sweep(root: Root): void {
  const todo: (readonly string[])[] = [[]];
  let left = SWEEP_ENTRIES_MAX;
  for (let names = todo.pop(); names !== undefined && left > 0; names = todo.pop()) {
    try {
      left -= sweepFolder(root, names, todo);
    } catch (thrown) {
      // A folder may go or be closed to us at any time.
      if (thrown instanceof Panic) throw thrown;
    }
  }
}

function sweepFolder(root: Root, names: readonly string[], todo: (readonly string[])[]): number {
  const folder = Folder.open(root, names, { verb: "open", path: names.join("/") });
  try {
    const all = folder.names();
    folder.verify();
    for (const name of all) {
      const stats = folder.look(name);
      if (stats?.isDirectory()) todo.push([...names, name]);
      // With a second name it was published already, and only this name of it was left.
      else if (stats?.isFile() && isTempName(name)) {
        const isOld = Date.now() - Number(stats.mtimeMs) > TEMP_AGE_MS_MAX;
        if (isOld || stats.nlink > 1n) unlinkSync(folder.at(name));
      }
    }
    return all.length + 1;
  } finally {
    folder.close();
  }
}

function publishNew(folder: Folder, staged: Staged, target: string): void {
  const temp = folder.at(staged.temp);
  try {
    linkSync(temp, target);
  } catch (thrown) {
    if (!CANNOT_LINK.has(codeOf(thrown) ?? "")) throw thrown;
    // Without links the name is taken by an empty file first: a crash now would leave that.
    reserve(target);
    try {
      renameSync(temp, target);
    } catch (failed) {
      unlinkSync(target);
      throw failed;
    }
    return;
  }
  discard(folder, staged.temp);
}

/** Removes a temporary file; nobody else has its name, so it is safe wherever that leads. */
function discard(folder: Folder, temp: string): void {
  // Often: while a folder is swapped to and fro, the file is found only at times.
  for (let tries = 0; tries < DISCARD_TRIES_MAX; tries++) {
    try {
      return unlinkSync(folder.at(temp));
    } catch {
      // What is left in the end is swept later.
    }
  }
}
