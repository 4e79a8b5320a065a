/**
 * A folder held for one call: how it was reached, and proof that it is still what was named.
 *
 * Two ways to hold one:
 *   anchored: every folder on the path is opened relative to the one before, and all acts go
 *     through `/proc/self/fd/⟨n⟩/⟨name⟩`. A folder that is swapped for a link changes nothing,
 *     since no path is walked twice. Deno opens `/proc` only with `--allow-all`, and only then
 *     hands `O_NOFOLLOW` to the host untouched.
 *   checked: paths are walked, and the walk is proven before and after. Under scoped permissions
 *     Deno resolves links itself before it opens, so neither `O_NOFOLLOW` nor the permission stops
 *     a link; only the proof does. It asks for the same answers many times over, so a process that
 *     flips a folder at random is met. What cannot be closed so is the instant between the proof
 *     and the one system call after it, for calls that take a name away or bring one, and a list of
 *     names that is read between two proofs: do not share a root with hostile processes in this
 *     mode.
 *
 * Invariants:
 *   D1. No link is followed below the root: each segment is a folder, stored under that very name.
 *   D2. The root is the folder that it was when it was opened.
 *   D3. What `verify` accepted was reached through exactly the held folders.
 * @module
 */

import { type BigIntStats, closeSync, constants, fstatSync, fsyncSync } from "node:fs";
import { basename, join } from "node:path";
import { codeOf } from "./files_error.ts";
import { HOST, type Host } from "./files_host.ts";
import { OWNED } from "../kernel/owned.ts";
import { isExact, refusal, type Want } from "./files_path.ts";
import { Owned } from "./owned.ts";

/** Which thing of the host something is. */
export interface Mark {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** The root of all paths. */
export interface Root {
  readonly path: string;
  readonly mark: Mark;
  readonly isAnchored: boolean;
  readonly host: Host;
  /** What of the machine no name may lead to. */
  readonly owned: Owned;
}

// Enough that answers which change at random are never right all the time.
const CHECKED_ROUNDS = 16;
const FOLDER_FLAGS = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0);
/** Never follow, never wait for a pipe's other end. */
export const SAFE_FLAGS = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
// A host without a way to make a folder's entries durable says one of these.
const CANNOT_SYNC = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "EISDIR", "EACCES", "EPERM"]);

/** Looks at the root once; `anchor: false` never uses `/proc`. */
export function rootAt(
  path: string,
  options: { readonly anchor?: boolean; readonly host?: Host; readonly owned?: Owned },
  want: Want,
): Root {
  const { host = HOST, owned = Owned.nothing } = options;
  const stats = host.stat(path, { bigint: true });
  if (!stats.isDirectory()) throw refusal("EINVAL", want, "no folder, expected one");
  const isAnchored = options.anchor !== false && canAnchor(path, host);
  return { path, mark: { dev: stats.dev, ino: stats.ino }, isAnchored, host, owned };
}

/** Whether two looks saw the same thing. */
export function isSame(one: Mark | undefined, other: Mark): boolean {
  return one !== undefined && one.dev === other.dev && one.ino === other.ino;
}

/** A folder and the way to it. The caller closes it. */
export class Folder {
  readonly #root: Root;
  readonly #want: Want;
  readonly #names: string[] = [];
  readonly #marks: Mark[] = [];
  readonly #fds: number[] = [];

  private constructor(root: Root, want: Want) {
    this.#root = root;
    this.#want = want;
  }

  /** Walks `names` down from the root. */
  static open(root: Root, names: readonly string[], want: Want): Folder {
    const folder = new Folder(root, want);
    try {
      folder.#enterRoot();
      for (const name of names) folder.#enter(name);
      return folder;
    } catch (thrown) {
      folder.close();
      throw thrown;
    }
  }

  /** Whether the host itself holds it, so that no swap matters. */
  get isAnchored(): boolean {
    return this.#root.isAnchored;
  }

  /** How names in it are reached. */
  get host(): Host {
    return this.#root.host;
  }

  /** Lets go of all that is held. */
  close(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }

  /** The host's path of the folder, or of a name in it. */
  at(name?: string): string {
    return this.#at(this.#names.length, name);
  }

  /** The folder itself. */
  own(): BigIntStats {
    const stats = this.host.stat(this.at(), { bigint: true });
    this.verify();
    return stats;
  }

  /** What a name leads to, without following it; undefined when there is nothing. */
  look(name: string): BigIntStats | undefined {
    return look(this.host, this.at(name));
  }

  /** Whether a name in it is the runtime's own. */
  owns(name: string): boolean {
    return this.#root.owned.has(this.#marks.at(-1) ?? this.#root.mark, name);
  }

  /** Like `look`; refuses what is ours, and a name which is another spelling of what is stored. */
  find(name: string): BigIntStats | undefined {
    if (this.owns(name)) throw refusal("EACCES", this.#want, OWNED);
    const stats = this.look(name);
    if (stats === undefined || stats.isSymbolicLink()) return stats;
    const isStored = isExact(name, {
      identity: (spelling) => {
        const found = this.look(spelling);
        return found && `${found.dev}:${found.ino}`;
      },
      realName: (spelling) => basename(this.host.real(this.at(spelling))),
      names: () => this.names(),
    });
    if (isStored) return stats;
    throw refusal("EACCES", this.#want, "stored under another spelling, expected the exact name");
  }

  /** All names in the folder, or in one that is in it, in no order. */
  names(name?: string): string[] {
    return this.host.names(this.at(name));
  }

  /**
   * Throws `EIO` unless the folder is where it was, and `name` in it is what `mark` says. `beside`
   * is proven before each look; null: one look.
   */
  verify(name?: string, mark?: Mark, beside?: (() => void) | null): void {
    const rounds = this.#root.isAnchored || beside === null ? 1 : CHECKED_ROUNDS;
    for (let round = 0; round < rounds; round++) {
      beside?.();
      if (!this.holds() || (name !== undefined && mark && !isSame(this.look(name), mark))) {
        throw refusal("EIO", this.#want, "changed while it was in use");
      }
    }
  }

  /** Makes the folder's entries durable, where the host can. */
  sync(): void {
    const own = this.#fds.at(-1);
    try {
      const fd = own ?? this.host.open(this.at(), FOLDER_FLAGS);
      try {
        fsyncSync(fd);
      } finally {
        if (own === undefined) closeSync(fd);
      }
    } catch (thrown) {
      if (!CANNOT_SYNC.has(codeOf(thrown) ?? "")) throw thrown;
    }
  }

  #enterRoot(): void {
    let stats: BigIntStats;
    if (this.#root.isAnchored) {
      const fd = this.host.open(this.#root.path, FOLDER_FLAGS);
      this.#fds.push(fd);
      stats = fstatSync(fd, { bigint: true });
    } else {
      stats = this.host.stat(this.#root.path, { bigint: true });
    }
    if (isSame(stats, this.#root.mark)) return;
    throw refusal("EACCES", this.#want, "the root was replaced, expected the one that was opened");
  }

  #enter(name: string): void {
    const found = this.find(name);
    if (found === undefined) throw refusal("ENOENT", this.#want, "absent");
    if (found.isSymbolicLink()) {
      throw refusal("EACCES", this.#want, "leads through a symbolic link, which is never followed");
    }
    if (!found.isDirectory()) throw refusal("ENOENT", this.#want, "a part of it is no folder");
    let mark: Mark = found;
    if (this.#root.isAnchored) {
      const fd = this.host.open(this.at(name), FOLDER_FLAGS | SAFE_FLAGS);
      this.#fds.push(fd);
      mark = fstatSync(fd, { bigint: true });
    }
    this.#names.push(name);
    this.#marks.push({ dev: mark.dev, ino: mark.ino });
  }

  #at(depth: number, name?: string): string {
    const own = this.#root.isAnchored
      ? `/proc/self/fd/${this.#fds[depth]}`
      : join(this.#root.path, ...this.#names.slice(0, depth));
    return name === undefined ? own : join(own, name);
  }

  /** Whether the folder is where it was, at one look. */
  holds(): boolean {
    const root = this.host.stat(this.#root.path, { bigint: true, throwIfNoEntry: false });
    if (!isSame(root, this.#root.mark)) return false;
    return this.#names.every((name, depth) => {
      const mark = this.#marks[depth];
      return mark !== undefined && isSame(look(this.host, this.#at(depth, name)), mark);
    });
  }
}

function look(host: Host, path: string): BigIntStats | undefined {
  try {
    return host.lstat(path, { bigint: true });
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG") return undefined;
    throw thrown;
  }
}

function canAnchor(path: string, host: Host): boolean {
  if (Deno.build.os !== "linux") return false;
  let fd: number | undefined;
  try {
    fd = host.open(path, FOLDER_FLAGS);
    const through = host.stat(`/proc/self/fd/${fd}/.`, { bigint: true });
    return isSame(through, fstatSync(fd, { bigint: true }));
  } catch {
    return false;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
