/**
 * A small file that only its owner may read, changed by several programs on one machine.
 *
 * Invariants:
 *   F1. The file is whole whenever it is there: it is written beside its place, synced and renamed.
 *   F2. Changes come one after another, whichever program makes them: each holds a lock beside it.
 *   F3. It and its folder's new entry are readable by their owner only, from the first byte on.
 *   F4. What is looked at is what is read; nothing but a file is, so that nobody waits.
 * @module
 */

import { dirname } from "node:path";
import { SysError } from "../kernel/errors.ts";

/** A small file of text. */
export interface PrivateFile {
  /** Changes whenever the content may have. */
  stamp(): string;
  /** The text; null when there is no file. Throws `EACCES` when others may read it. */
  read(): string | null;
  /** Replaces the text by what `change` makes of it; what it throws leaves the file as it was. */
  update(change: (text: string | null) => string): void;
}

/** A file at a path. */
export function privateFile(path: string): PrivateFile {
  return {
    stamp: () => stampOf(path),
    read: () => readPrivate(path),
    update(change) {
      Deno.mkdirSync(dirname(path), { recursive: true });
      using lock = Deno.openSync(`${path}.lock`, { create: true, write: true, mode: 0o600 });
      lock.lockSync(true);
      writePrivate(path, change(readPrivate(path)));
    },
  };
}

/** One that is kept in memory only. */
export function memoryFile(): PrivateFile {
  let text: string | null = null;
  let count = 0;
  return {
    stamp: () => String(count),
    read: () => text,
    update(change) {
      text = change(text);
      count += 1;
    },
  };
}

/** A change less than this ago may be followed by one that the host gives the same times. */
const FRESH_MS = 2_000;
let looks = 0;

function stampOf(path: string): string {
  try {
    const { ctime, mtime, size, ino } = Deno.statSync(path);
    const changedMs = ctime?.getTime() ?? mtime?.getTime() ?? Infinity;
    const fresh = Date.now() - changedMs < FRESH_MS ? `:${looks += 1}` : "";
    return `${changedMs}:${mtime?.getTime()}:${size}:${ino}${fresh}`;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return "";
    throw refused(path, thrown);
  }
}

function readPrivate(path: string): string | null {
  try {
    mustBePrivate(path, Deno.statSync(path));
    using file = Deno.openSync(path);
    const { size } = mustBePrivate(path, file.statSync());
    const bytes = new Uint8Array(size);
    let at = 0;
    for (let count: number | null = 0; count !== null && at < size; at += count ?? 0) {
      count = file.readSync(bytes.subarray(at));
    }
    return new TextDecoder().decode(bytes.subarray(0, at));
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw refused(path, thrown);
  }
}

function mustBePrivate(path: string, info: Deno.FileInfo): Deno.FileInfo {
  const { mode, isFile } = info;
  const isOpen = mode !== null && Deno.build.os !== "windows" && (mode & 0o077) !== 0;
  if (isFile && !isOpen) return info;
  const state = isFile ? "others may read it, expected mode 0600" : "no file, expected one";
  throw new SysError("EACCES", `Cannot use "${path}": ${state}`);
}

function writePrivate(path: string, text: string): void {
  const beside = `${path}.new`;
  try {
    Deno.removeSync(beside);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw refused(path, thrown);
  }
  try {
    {
      using file = Deno.openSync(beside, { createNew: true, write: true, mode: 0o600 });
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      file.syncSync();
    }
    Deno.renameSync(beside, path);
  } catch (thrown) {
    throw refused(path, thrown);
  }
}

function refused(path: string, thrown: unknown): unknown {
  if (thrown instanceof SysError || !(thrown instanceof Error)) return thrown;
  return new SysError("EIO", `Cannot use "${path}": ${thrown.message}`);
}
