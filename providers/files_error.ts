/**
 * What the host says when it fails, in the words of the closed set.
 *
 * Invariants:
 *   X1. No sentence holds a path of the host: only the path that was named.
 * @module
 */

import { Panic, SysError } from "../kernel/errors.ts";
import type { Errno } from "../kernel/errors.ts";
import { refusal, type Want } from "./files_path.ts";

const SENTENCES: Readonly<Record<string, readonly [Errno, string]>> = {
  ENOENT: ["ENOENT", "absent"],
  ENOTDIR: ["ENOENT", "a part of the path is no folder"],
  EISDIR: ["EINVAL", "is a folder, expected a file"],
  EEXIST: ["EEXIST", "exists already"],
  EINVAL: ["EINVAL", "the host takes no such path"],
  ENAMETOOLONG: ["EINVAL", "too long for the host"],
  EILSEQ: ["EINVAL", "the host takes no such name"],
  EXDEV: ["EINVAL", "on another file system, expected the same"],
  ELOOP: ["EACCES", "is a symbolic link, which is never followed"],
  ENXIO: ["EACCES", "is a special file, expected a regular one"],
  ENODEV: ["EACCES", "is a special file, expected a regular one"],
  EACCES: ["EACCES", "the host refuses"],
  EPERM: ["EACCES", "the host refuses"],
  EROFS: ["EACCES", "the host refuses, its file system is read-only"],
  EBUSY: ["EACCES", "the host refuses, it is in use"],
  EFBIG: ["ELIMIT", "larger than the host takes"],
  ENOSPC: ["ENOSPC", "the disk is full"],
  EDQUOT: ["ENOSPC", "the disk quota is used up"],
};

/** Runs a job of a call; whatever it throws becomes a `SysError`. A `Panic` goes on. */
export function translated<T>(want: Want, job: () => T): T {
  try {
    return job();
  } catch (thrown) {
    throw translate(want, thrown);
  }
}

/** The host's own code of what was thrown, such as "ENOENT". */
export function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || thrown instanceof SysError) return undefined;
  const { code } = thrown as Error & { code?: unknown };
  if (typeof code === "string") return code;
  // Calls of Deno itself carry the number only in their text.
  if (thrown instanceof Deno.errors.NotFound) return "ENOENT";
  if (thrown instanceof Deno.errors.AlreadyExists) return "EEXIST";
  return undefined;
}

function translate(want: Want, thrown: unknown): SysError {
  if (thrown instanceof Panic) throw thrown;
  if (thrown instanceof SysError) return thrown;
  if (thrown instanceof Deno.errors.NotCapable) {
    const flag = /--allow-[a-z]+/.exec(thrown.message)?.[0] ?? "--allow-read";
    return refusal("EACCES", want, `the host refuses, expected ${flag} for the root`);
  }
  const code = codeOf(thrown) ?? "";
  if (code === "ENOTEMPTY") {
    return want.verb === "move" || want.verb === "make"
      ? refusal("EEXIST", want, "exists already")
      : refusal("EINVAL", want, "is not empty, expected an empty folder");
  }
  const known = SENTENCES[code];
  if (known !== undefined) return refusal(known[0], want, known[1]);
  return refusal("EIO", want, `the host failed (${code || "no code"})`);
}
