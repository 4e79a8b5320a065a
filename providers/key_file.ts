/**
 * Files that hold a secret: whole whenever they are there, and readable by their owner only.
 * @module
 */

import { dirname } from "node:path";
import { SysError } from "../kernel/errors.ts";

/** The text of a file; `EACCES` when others than its owner may read it. */
export function readPrivate(path: string): string {
  try {
    const { mode } = Deno.statSync(path);
    // Windows has no modes.
    if (mode !== null && Deno.build.os !== "windows" && (mode & 0o077) !== 0) {
      const has = `mode ${(mode & 0o777).toString(8)}`;
      throw new SysError("EACCES", `Cannot use key file "${path}": ${has}, expected 600`);
    }
    return Deno.readTextFileSync(path);
  } catch (thrown) {
    throw fileFailure(thrown, `read key file "${path}"`);
  }
}

/** Makes a file with mode 600, synced with its name; `EEXIST` when it is there. */
export function writePrivate(path: string, text: string): void {
  try {
    using opened = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
    writeAll(opened, text);
    syncFolder(path);
  } catch (thrown) {
    throw fileFailure(thrown, `make key file "${path}"`);
  }
}

/** Writes a text and waits for the disk. */
export function writeAll(file: Deno.FsFile, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  file.syncSync();
}

/** Makes a new name durable. */
export function syncFolder(path: string): void {
  if (Deno.build.os === "windows") return;
  using folder = Deno.openSync(dirname(path), { read: true });
  folder.syncSync();
}

/** What kept a file from being read or written, in our words; `what` completes "Cannot …". */
export function fileFailure(thrown: unknown, what: string): SysError {
  if (thrown instanceof SysError) return thrown;
  const refused = (code: "EEXIST" | "ENOENT" | "EACCES" | "EIO", state: string) =>
    new SysError(code, `Cannot ${what}: ${state}`);
  if (thrown instanceof Deno.errors.AlreadyExists) return refused("EEXIST", "it exists already");
  if (thrown instanceof Deno.errors.NotFound) return refused("ENOENT", "absent, expected a path");
  if (thrown instanceof Deno.errors.PermissionDenied || thrown instanceof Deno.errors.NotCapable) {
    return refused("EACCES", "not permitted");
  }
  return refused("EIO", thrown instanceof Error ? thrown.name : "unknown failure");
}
