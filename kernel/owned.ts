/**
 * What of a workspace is the runtime's own: its store, its keys, the tokens of its server.
 *
 * Invariants:
 *   O1. It is nobody's to use, whatever was granted: files refuse it, and walls hide it.
 *   O2. A file of ours is ours with what stands beside it under its name and more.
 * @module
 */

/** What a call is told that leads to what is the runtime's own. */
export const OWNED = "belongs to the runtime itself, which no grant opens, expected another path";

/** A file or folder that is the runtime's own. */
export interface Owned {
  /** Canonical in a workspace, `./a/b`; absolute on a machine. It need not be there. */
  readonly path: string;
  /** A file is ours with what stands beside it under its name and more, such as `x.db-wal`. */
  readonly kind: "folder" | "file";
}

/** Whether a canonical path is the runtime's own, or below what is. */
export function isOwned(owned: readonly Owned[] = [], path: string): boolean {
  return owned.some((one) => {
    const folder = one.path.slice(0, one.path.lastIndexOf("/") + 1);
    if (!path.startsWith(folder)) return false;
    const [name = ""] = path.slice(folder.length).split("/");
    return isBesideOwned(one, name);
  });
}

/** Whether a name in the folder of something owned is its name, in any case, or beside it (O2). */
export function isBesideOwned({ path, kind }: Owned, name: string): boolean {
  const own = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  const asked = name.toLowerCase();
  if (asked === own) return true;
  return kind === "file" && asked.startsWith(own) && /^[-.]/.test(asked.slice(own.length));
}
