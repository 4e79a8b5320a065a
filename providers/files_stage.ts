/**
 * Writing in one step: a whole new file beside the old one, then one change of a name.
 *
 * Invariants:
 *   W1. Content goes only into a file that was proven to be in the held folder, and a name only to
 *       a file or folder that was. Where folders are only checked, a swap can leave an empty one
 *       elsewhere, under a name that is nobody's.
 *   W2. A name leads to all of the old content or all of the new, also after a crash.
 *   W3. What a crash leaves is a file or an empty folder with one of our names: never listed, never
 *       taken as a path, removed when the root is next opened.
 * @module
 */

import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, writeSync } from "node:fs";
import { Panic } from "../kernel/errors.ts";
import { codeOf } from "./files_error.ts";
import type { Host } from "./files_host.ts";
import { Folder, type Mark, type Root, SAFE_FLAGS } from "./files_folder.ts";
import { isTempName, refusal, tempName, type Want } from "./files_path.ts";

/** A file which is complete on disk and has no name of its own yet. */
export interface Staged {
  readonly temp: string;
  readonly mark: Mark;
}

const NEW_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | SAFE_FLAGS;
/** What is nowhere. */
const NOTHING: Mark = { dev: -1n, ino: -1n };
const TEMP_AGE_MS_MAX = 3_600_000;
/** How often is tried to set right what a swap left. */
export const TRIES_MAX = 100;
const SWEEP_ENTRIES_MAX = 100_000;
/** What a file system without hard links answers. */
export const CANNOT_LINK = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** Writes all of `bytes` into a new file of the folder; `mode` is that of the file it replaces. */
export function stage(folder: Folder, bytes: Uint8Array, mode: number | undefined): Staged {
  const temp = tempName();
  folder.verify();
  const fd = folder.host.open(folder.at(temp), NEW_FLAGS, mode === undefined ? 0o666 : 0o600);
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
    if (to.replace) folder.host.rename(folder.at(staged.temp), target);
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

/** Takes a name that must be free, with an empty file; throws `EEXIST`. */
export function reserve(host: Host, path: string): Mark {
  const fd = host.open(path, NEW_FLAGS, 0o600);
  try {
    return fstatSync(fd, { bigint: true });
  } finally {
    closeSync(fd);
  }
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
      const isOurs = stats !== undefined && isTempName(name);
      const isOld = isOurs && Date.now() - Number(stats.mtimeMs) > TEMP_AGE_MS_MAX;
      if (isOurs && stats.isDirectory()) {
        // Never anything but empty, unless it is somebody else's.
        if (isOld && folder.host.names(folder.at(name)).length === 0) {
          folder.host.rmdir(folder.at(name));
        }
      } else if (stats?.isDirectory()) todo.push([...names, name]);
      // With a second name it was published already, and only this name of it was left.
      else if (isOurs && stats.isFile() && (isOld || stats.nlink > 1n)) {
        folder.host.unlink(folder.at(name));
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
    folder.host.link(temp, target);
  } catch (thrown) {
    if (!CANNOT_LINK.has(codeOf(thrown) ?? "")) throw thrown;
    // Without links the name is taken by an empty file first: a crash now would leave that.
    reserve(folder.host, target);
    try {
      folder.host.rename(temp, target);
    } catch (failed) {
      folder.host.unlink(target);
      throw failed;
    }
    return;
  }
  discard(folder, staged.temp);
}

/** Makes a folder under a name that was looked for and is free. */
export function makeFolder(
  { folder, name }: { readonly folder: Folder; readonly name: string },
  mode = 0o777,
): Mark {
  const { host } = folder;
  folder.verify();
  if (folder.isAnchored) {
    host.mkdir(folder.at(name), mode);
    return folder.look(name) ?? NOTHING;
  }
  const temp = tempName();
  host.mkdir(folder.at(temp), mode);
  try {
    const mark = folder.look(temp) ?? NOTHING;
    folder.verify(temp, mark);
    // Both names are in one folder: if that was swapped, the new one is not found in it.
    host.rename(folder.at(temp), folder.at(name));
    return mark;
  } catch (thrown) {
    discard(folder, temp, true);
    throw thrown;
  }
}

/** Removes what is temporary; nobody else has its name, so it is safe wherever that leads. */
export function discard(folder: Folder, temp: string, isFolder = false): void {
  // Often: while a folder is swapped to and fro, the file is found only at times.
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    try {
      if (isFolder) folder.host.rmdir(folder.at(temp));
      else folder.host.unlink(folder.at(temp));
      return;
    } catch {
      // What is left in the end is swept later.
    }
  }
}
