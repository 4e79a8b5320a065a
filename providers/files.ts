/**
 * Files under one root of the host.
 *
 * Invariants:
 *   F1. What is read or written is what was named: no link is followed (not even inside the root,
 *       where it would be another name of something with other rights), no hard link is used, no
 *       other spelling is taken, and what was opened is compared with what is named afterwards.
 *   F2. Nothing outside the root is read, made, changed or removed. How far this holds against a
 *       process that changes the root meanwhile depends on how folders are held: see `Folder`.
 *   F3. A call that throws anything but `EINDOUBT` has changed nothing.
 *   F4. Pipes, devices and sockets are never used; they are listed as "other".
 *   F5. What is the runtime's own is neither read nor changed, and no folder that it is in moved.
 *   F6. A call acts in one turn, without `await`: no other call of this process comes between.
 *
 * Needs `--allow-read` and `--allow-write` for the root, and no more.
 * @module
 */

import { type BigIntStats, closeSync, constants, fstatSync, readSync } from "node:fs";
import { isAbsolute, resolve as absolute } from "node:path";
import type { SysError } from "../kernel/errors.ts";
import { sha256 } from "../kernel/json.ts";
import { LIMITS } from "../kernel/limits.ts";
import { OWNED, type Owned as OwnedPath } from "../kernel/owned.ts";
import type { FileEntry, Files, FileStat } from "../kernel/world.ts";
import { translated } from "./files_error.ts";
import type { Host } from "./files_host.ts";
import { Owned } from "./owned.ts";
import { Folder, isSame, type Root, rootAt, SAFE_FLAGS } from "./files_folder.ts";
import { faultOf, isTempName, namesOf, refusal, refuseUnstable, type Want } from "./files_path.ts";
import { moveHeld, removeHeld } from "./files_move.ts";
import { makeFolder, publish, stage, sweep } from "./files_stage.ts";

/** How a root is used. */
export interface RootedFilesOptions {
  /** Use files with several names. Each name then acts for all: rights on one are rights on all. */
  readonly allowHardLinks?: boolean;
  /** False: never hold folders through `/proc`, even where it is possible. */
  readonly anchor?: boolean;
  /** What in it is the runtime's own, and refused. */
  readonly owned?: Owned;
  /** How paths are walked, for tests that come in between. */
  readonly host?: Host;
}

/** Files under one root. */
export class RootedFiles implements Files {
  readonly #root: Root;
  readonly #allowHardLinks: boolean;
  readonly #owned: readonly OwnedPath[];

  private constructor(root: Root, options: RootedFilesOptions) {
    this.#root = root;
    this.#allowHardLinks = options.allowHardLinks === true;
    this.#owned = root.owned.inRoot(root.path);
  }

  /** Opens a folder as a root, and removes what crashed writers left in it. */
  static open(root: string, options: RootedFilesOptions = {}): Promise<RootedFiles> {
    const want: Want = { verb: "open", path: root };
    return inTurn(want, () => {
      const path = isAbsolute(root) ? root : absolute(root);
      const files = new RootedFiles(rootAt(path, options, want), options);
      sweep(files.#root);
      return files;
    });
  }

  /** Whether folders are held by the host itself, so that no swap of a folder can matter. */
  get isAnchored(): boolean {
    return this.#root.isAnchored;
  }

  /** The whole of a file. */
  read(path: string, options: { readonly bytesMax: number }): Promise<Uint8Array> {
    const want: Want = { verb: "read", path };
    return this.#inParent(want, (folder, name) => {
      const bytes = this.#readFile(folder, { name, want, bytesMax: options.bytesMax });
      if (bytes === undefined) throw refusal("ENOENT", want, "absent, expected a file");
      return bytes;
    });
  }

  /** Replaces or makes a file in one step. */
  write(
    path: string,
    bytes: Uint8Array,
    options: { readonly create: boolean; readonly replace: boolean },
  ): Promise<void> {
    const want: Want = { verb: "write", path };
    return this.#inParent(want, (folder, name) => {
      refuseUnstable(want);
      const old = folder.find(name);
      if (old === undefined && !options.create) {
        throw refusal("ENOENT", want, "absent, expected a file to replace");
      }
      if (old !== undefined) this.#refuseUnusable(old, want);
      if (old !== undefined && !options.replace) throw refusal("EEXIST", want, "exists already");
      const mode = old === undefined ? undefined : Number(old.mode & 0o777n);
      publish(folder, stage(folder, bytes, mode), { name, replace: options.replace, want });
    });
  }

  /** The entries of a folder by name, in the order of UTF-16 code units. */
  list(path: string, options: { readonly entriesMax: number }): Promise<readonly FileEntry[]> {
    const want: Want = { verb: "list", path };
    return this.#inFolder(want, namesOf, (folder) => {
      const names = folder.names().filter((name) => !isTempName(name));
      if (names.length > options.entriesMax) {
        throw refusal("ELIMIT", want, `more than ${options.entriesMax} entries, expected fewer`);
      }
      const entries = names.sort().flatMap((name) => {
        const stats = folder.look(name);
        // A name that no call takes is shown, and as nothing that could be used.
        return stats === undefined
          ? []
          : [{ name, kind: isUsable(folder, name) ? kindOf(stats) : "other" }];
      });
      folder.verify();
      return entries;
    });
  }

  /** What is there; undefined when nothing is. */
  stat(path: string): Promise<FileStat | undefined> {
    const want: Want = { verb: "stat", path };
    if (path === "") {
      return this.#inFolder(want, namesOf, (folder) => {
        return { kind: "directory", bytes: 0, modifiedMs: Number(folder.own().mtimeMs) };
      });
    }
    return absentAs(undefined, () =>
      this.#inParent(want, (folder, name) => {
        const stats = folder.find(name);
        if (stats === undefined) return undefined;
        folder.verify(name, stats);
        const kind = kindOf(stats);
        const bytes = kind === "file" ? Number(stats.size) : 0;
        return { kind, bytes, modifiedMs: Number(stats.mtimeMs) };
      }));
  }

  /** Makes a folder; its parent must be there. */
  mkdir(path: string): Promise<void> {
    const want: Want = { verb: "make", path };
    return this.#inParent(want, (folder, name) => {
      refuseUnstable(want);
      if (folder.find(name) !== undefined) throw refusal("EEXIST", want, "exists already");
      makeFolder({ folder, name });
      afterwards(want, () => {
        folder.sync();
        folder.verify();
      });
    });
  }

  /** Gives a file or folder another name; never replaces anything. */
  move(from: string, to: string): Promise<void> {
    const wantFrom: Want = { verb: "move", path: from };
    const want: Want = { verb: "move", path: to };
    return this.#inParent(wantFrom, (source, oldName) => {
      const names = parentNames(want);
      refuseUnstable(want);
      if (to.startsWith(`${from}/`)) throw refusal("EINVAL", want, "would be in itself");
      const moved = source.find(oldName);
      if (moved === undefined) throw refusal("ENOENT", wantFrom, "absent");
      if (!moved.isDirectory()) this.#refuseUnusable(moved, wantFrom);
      else if (this.#root.owned.isAbove(moved)) throw refusal("EACCES", wantFrom, OWNED);
      const target = Folder.open(this.#root, names, want);
      try {
        const newName = to.slice(to.lastIndexOf("/") + 1);
        if (target.find(newName) !== undefined) throw refusal("EEXIST", want, "exists already");
        source.verify(oldName, moved);
        const place = { folder: target, name: newName };
        translated(want, () => moveHeld({ folder: source, name: oldName }, place, moved, want));
        afterwards(want, () => {
          target.sync();
          source.sync();
        });
      } finally {
        target.close();
      }
    });
  }

  /** Removes a file or an empty folder. */
  remove(path: string): Promise<void> {
    const want: Want = { verb: "remove", path };
    return this.#inParent(want, (folder, name) => {
      const stats = folder.find(name);
      if (stats === undefined) throw refusal("ENOENT", want, "absent");
      // One name of several is as good to remove as an only one.
      if (!stats.isDirectory()) refuseSpecial(stats, want);
      folder.verify(name, stats);
      removeHeld({ folder, name }, stats, want);
      afterwards(want, () => {
        folder.sync();
        folder.verify();
      });
    });
  }

  /** SHA-256 of a file's content; null when there is no file. */
  digest(path: string): Promise<string | null> {
    const want: Want = { verb: "digest", path };
    return absentAs(null, () =>
      this.#inParent(want, (folder, name) => {
        if (folder.find(name)?.isDirectory()) return null;
        const bytes = this.#readFile(folder, { name, want, bytesMax: LIMITS.fileBytesMax });
        return bytes === undefined ? null : sha256(bytes);
      }));
  }

  /** What in the root is the runtime's own: canonical paths. */
  owned(): readonly OwnedPath[] {
    return this.#owned;
  }

  #inFolder<T>(want: Want, way: (want: Want) => string[], job: (folder: Folder) => T): Promise<T> {
    return inTurn(want, () => {
      const folder = Folder.open(this.#root, way(want), want);
      try {
        return job(folder);
      } finally {
        folder.close();
      }
    });
  }

  #inParent<T>(want: Want, job: (folder: Folder, name: string) => T): Promise<T> {
    const name = want.path.slice(want.path.lastIndexOf("/") + 1);
    return this.#inFolder(want, parentNames, (folder) => job(folder, name));
  }

  #readFile(
    folder: Folder,
    what: { readonly name: string; readonly want: Want; readonly bytesMax: number },
  ): Uint8Array | undefined {
    const { name, want } = what;
    const named = folder.find(name);
    if (named === undefined) return undefined;
    this.#refuseUnusable(named, want);
    const fd = folder.host.open(folder.at(name), constants.O_RDONLY | SAFE_FLAGS);
    try {
      const opened = fstatSync(fd, { bigint: true });
      if (!isSame(opened, named)) throw refusal("EIO", want, "changed while it was opened");
      this.#refuseUnusable(opened, want);
      const bytes = readAll(fd, Number(opened.size), what);
      // Again: what was opened must have been what the path names, also at the end.
      folder.verify(name, opened);
      this.#refuseUnusable(fstatSync(fd, { bigint: true }), want);
      return bytes;
    } finally {
      closeSync(fd);
    }
  }

  #refuseUnusable(stats: BigIntStats, want: Want): void {
    refuseSpecial(stats, want);
    if (stats.isDirectory()) throw refusal("EINVAL", want, "is a folder, expected a file");
    if (stats.nlink <= 1n) return;
    if (!this.#allowHardLinks) {
      throw refusal("EACCES", want, "has several names (hard links), expected one");
    }
    if (this.#root.owned.isThing(stats)) throw refusal("EACCES", want, OWNED);
  }
}

function inTurn<T>(want: Want, job: () => T): Promise<T> {
  return new Promise((resolve) => resolve(translated(want, job)));
}

function parentNames(want: Want): string[] {
  const names = namesOf(want);
  if (names.length === 0) throw refusal("EINVAL", want, "is the root, expected a path in it");
  return names.slice(0, -1);
}

function refuseSpecial(stats: BigIntStats, want: Want): void {
  if (stats.isSymbolicLink()) {
    throw refusal("EACCES", want, "is a symbolic link, which is never followed");
  }
  if (stats.isFile() || stats.isDirectory()) return;
  throw refusal("EACCES", want, "is a special file, expected a regular one");
}

function isUsable(folder: Folder, name: string): boolean {
  return faultOf(name) === undefined && !folder.owns(name);
}

function kindOf(stats: BigIntStats): FileEntry["kind"] {
  if (stats.isFile()) return "file";
  return stats.isDirectory() ? "directory" : "other";
}

function readAll(
  fd: number,
  size: number,
  what: { readonly want: Want; readonly bytesMax: number },
): Uint8Array {
  const { want, bytesMax } = what;
  const tooLarge = `larger than ${bytesMax} bytes, expected less`;
  if (size > bytesMax) throw refusal("ELIMIT", want, tooLarge);
  // One byte more than it should have: a file that grows is noticed.
  let bytes = new Uint8Array(Math.min(size, bytesMax) + 1);
  let filled = 0;
  while (true) {
    const count = readSync(fd, bytes, filled, bytes.length - filled, null);
    filled += count;
    if (filled > bytesMax) throw refusal("ELIMIT", want, tooLarge);
    if (count === 0) return bytes.slice(0, filled);
    if (filled < bytes.length) continue;
    const larger = new Uint8Array(Math.min(bytes.length * 2, bytesMax) + 1);
    larger.set(bytes);
    bytes = larger;
  }
}

function afterwards(want: Want, job: () => void): void {
  try {
    job();
  } catch {
    throw refusal("EINDOUBT", want, "the host failed after the change");
  }
}

async function absentAs<T, N>(nothing: N, job: () => Promise<T>): Promise<T | N> {
  try {
    return await job();
  } catch (thrown) {
    if ((thrown as SysError).code === "ENOENT") return nothing;
    throw thrown;
  }
}
