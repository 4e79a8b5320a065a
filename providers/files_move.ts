/**
 * Taking names away: removing a file, and giving something another name.
 *
 * Invariants:
 *   V1. A name that is taken is never replaced: it is reserved first, by what was proven to be in
 *       the held folder.
 *   V2. Where folders are only checked, nothing is removed that was not looked at under a name of
 *       ours; what turns out to be another gets its name back, while there is a way to it.
 * @module
 */

import type { BigIntStats } from "node:fs";
import { codeOf } from "./files_error.ts";
import { type Folder, isSame, type Mark } from "./files_folder.ts";
import { refusal, tempName, type Want } from "./files_path.ts";
import { CANNOT_LINK, discard, makeFolder, reserve, stage, TRIES_MAX } from "./files_stage.ts";

/** A name in a held folder. */
export interface Place {
  readonly folder: Folder;
  readonly name: string;
}

/** Removes a file or an empty folder that was looked at. */
export function removeHeld({ folder, name }: Place, looked: BigIntStats, want: Want): void {
  const { host } = folder;
  const isFolder = looked.isDirectory();
  if (folder.isAnchored) {
    if (isFolder) host.rmdir(folder.at(name));
    else host.unlink(folder.at(name));
    return;
  }
  const isFull = isFolder && folder.names(name).length > 0;
  if (isFull) throw refusal("EINVAL", want, "is not empty, expected an empty folder");
  folder.verify(name, looked);
  const temp = tempName();
  host.rename(folder.at(name), folder.at(temp));
  try {
    folder.verify(temp, looked);
    if (isFolder) host.rmdir(folder.at(temp));
  } catch (thrown) {
    // Both names are in one folder, wherever that is.
    if (!persists(() => host.rename(folder.at(temp), folder.at(name)))) throw doubt(want);
    throw thrown;
  }
  if (!isFolder) discard(folder, temp);
}

/** Gives what was looked at another name; one that is taken is `EEXIST`. */
export function moveHeld(from: Place, to: Place, moved: BigIntStats, want: Want): void {
  const isFolder = moved.isDirectory();
  const mark = isFolder ? makeFolder(to, 0o700) : reserveFile(to);
  try {
    if (!from.folder.isAnchored) provenTogether(from, to, { moved, mark });
    from.folder.host.rename(from.folder.at(from.name), to.folder.at(to.name));
  } catch (thrown) {
    unreserve(to, { mark, isFolder });
    throw thrown;
  }
  try {
    to.folder.verify(to.name, moved);
  } catch {
    if (takenBack(from, to, moved)) throw refusal("EIO", want, "changed while it was in use");
    throw doubt(want);
  }
}

function doubt(want: Want) {
  return refusal("EINDOUBT", want, "the host failed after the change");
}

/** Both at once: while one is proven at length, the other could go. */
function provenTogether(
  from: Place,
  to: Place,
  { moved, mark }: { readonly moved: Mark; readonly mark: Mark },
): void {
  from.folder.verify(from.name, moved, () => to.folder.verify(to.name, mark, null));
}

/** Puts back what went elsewhere, or came from elsewhere, while the way there is still open. */
function takenBack(from: Place, to: Place, moved: Mark): boolean {
  return persists(() => {
    const there = to.folder.look(to.name);
    const isOurs = isSame(there, moved) && !to.folder.holds();
    const isForeign = there !== undefined && !isSame(there, moved) && !from.folder.holds();
    if (!isOurs && !isForeign) throw new RangeError("not there now");
    from.folder.host.rename(to.folder.at(to.name), from.folder.at(from.name));
  });
}

function reserveFile({ folder, name }: Place): Mark {
  if (folder.isAnchored) return reserve(folder.host, folder.at(name));
  const { temp, mark } = stage(folder, new Uint8Array(), undefined);
  try {
    folder.host.link(folder.at(temp), folder.at(name));
    return mark;
  } catch (thrown) {
    if (!CANNOT_LINK.has(codeOf(thrown) ?? "")) throw thrown;
    return reserve(folder.host, folder.at(name));
  } finally {
    discard(folder, temp);
  }
}

/** Lets a reserved name go, unless it is another thing's by now. */
function unreserve(
  { folder, name }: Place,
  { mark, isFolder }: { readonly mark: Mark; readonly isFolder: boolean },
): void {
  persists(() => {
    if (!isSame(folder.look(name), mark)) throw new RangeError("not there now");
    if (isFolder) folder.host.rmdir(folder.at(name));
    else folder.host.unlink(folder.at(name));
  });
}

/** Often: while a folder is swapped to and fro, the way is open only at times. */
function persists(job: () => void): boolean {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    try {
      job();
      return true;
    } catch {
      // Not now.
    }
  }
  return false;
}
