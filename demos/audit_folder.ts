/**
 * The folder that is audited, checked before anything is started.
 * @module
 */

import { SysError } from "@agent-libos/core";
import { SKIPPED } from "./audit_reader.ts";

/** The real path of a folder with something in it. Throws `ENOENT`, `EINVAL` or `EACCES`. */
export function openFolder(path: string): string {
  const refused = `Cannot audit "${path}"`;
  try {
    const real = Deno.realPathSync(path);
    if (!Deno.statSync(real).isDirectory) {
      throw new SysError("EINVAL", `${refused}: a file, expected a folder`);
    }
    let isEmpty = true;
    for (const { name } of Deno.readDirSync(real)) {
      if (!SKIPPED.has(name)) isEmpty = false;
      if (!isEmpty) break;
    }
    if (isEmpty) throw new SysError("EIO", `${refused}: the folder is empty, expected files in it`);
    return real;
  } catch (thrown) {
    if (thrown instanceof SysError) throw thrown;
    if (thrown instanceof Deno.errors.NotFound) {
      throw new SysError("ENOENT", `${refused}: absent, expected the path of a folder`);
    }
    if (
      thrown instanceof Deno.errors.PermissionDenied || thrown instanceof Deno.errors.NotCapable
    ) {
      throw new SysError("EACCES", `${refused}: not readable by this user`);
    }
    throw new SysError("EIO", `${refused}: ${thrown instanceof Error ? thrown.message : thrown}`);
  }
}
