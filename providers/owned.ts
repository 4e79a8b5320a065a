/**
 * What of the machine is a runtime's own: its store, its keys, the tokens of its server. No call on
 * files reaches it and no program sees it, whatever was granted.
 *
 * Invariants:
 *   O1. A thing is ours by the folder that it is in and its name there, not by the path that leads
 *       to it: over a link or another mount that folder is the same.
 *   O2. What stands beside a file of ours under its name and more (`x.db-wal`, `x.db.key`) is ours,
 *       whether or not it is there already.
 *   O3. No folder that holds what is ours is moved.
 *   O4. What is ours over a link is ours with each link on the way, as they are when we begin.
 * @module
 */

import {
  type BigIntStats,
  lstatSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { isBesideOwned, type Owned as OwnedPath } from "../kernel/owned.ts";

/** Which thing of the host something is. */
type Mark = Pick<BigIntStats, "dev" | "ino">;

/** How much of our own folders is looked through for second names. */
const ENTRIES_MAX = 10_000;
/** Links that are followed from one name. */
const HOPS_MAX = 40;

/** What is a runtime's own, by absolute paths of the machine. */
export class Owned {
  /** Nothing is. */
  static readonly nothing: Owned = new Owned([]);
  readonly #all: readonly OwnedPath[];

  private constructor(all: readonly OwnedPath[]) {
    this.#all = all;
  }

  /** Files and folders that are there or will be; of one that is a link, what it leads to (O4). */
  static of(paths: readonly OwnedPath[]): Owned {
    return new Owned(paths.flatMap(({ path, kind }) => {
      return hopsOf(resolve(path)).map((hop) => ({ path: hop, kind }));
    }));
  }

  /** Whether a name in a folder is ours (O1, O2). */
  has(folder: Mark, name: string): boolean {
    return this.#all.some((one) =>
      isBesideOwned(one, name) &&
      isSame(lookedAt(() => statSync(dirname(one.path), { bigint: true })), folder)
    );
  }

  /** Whether a folder holds what is ours, at any depth (O3). */
  isAbove(folder: Mark): boolean {
    return this.#all.some(({ path }) => {
      for (let at = realOf(dirname(path));; at = dirname(at)) {
        if (isSame(lookedAt(() => statSync(at, { bigint: true })), folder)) return true;
        if (dirname(at) === at) return false;
      }
    });
  }

  /** Whether a thing that has several names is one of ours under another. */
  isThing(thing: Mark): boolean {
    const left = { entries: ENTRIES_MAX };
    return this.#all.some((own) => besides(own).some((one) => leadsTo(one, thing, left)));
  }

  /** Where in a root they are: canonical paths, `./a/b`; none for what is elsewhere. */
  inRoot(root: string): readonly OwnedPath[] {
    const top = realOf(resolve(root));
    const found = new Map<string, OwnedPath>();
    for (const { path, kind } of this.#all) {
      const at = relative(top, join(realOf(dirname(path)), basename(path))).split(sep).join("/");
      if (at === "" || at === ".." || at.startsWith("../")) continue;
      found.set(`./${at}`, { path: `./${at}`, kind });
    }
    return [...found.values()];
  }
}

/** A path, and where each link leads that it is: absolute paths. */
function hopsOf(path: string): readonly string[] {
  const hops = [path];
  for (let at = path; hops.length <= HOPS_MAX;) {
    const target = lookedAt(() => readlinkSync(at));
    if (target === undefined) break;
    at = resolve(realOf(dirname(at)), target);
    hops.push(at);
  }
  return hops;
}

/** A path of ours, and what stands beside it under its name and more. */
function besides(own: OwnedPath): readonly string[] {
  const folder = dirname(own.path);
  const names = lookedAt(() => readdirSync(folder)) ?? [];
  return names.filter((name) => isBesideOwned(own, name)).map((name) => join(folder, name));
}

function leadsTo(path: string, thing: Mark, left: { entries: number }): boolean {
  left.entries -= 1;
  // More than anybody keeps there: then what has several names is held to be ours.
  if (left.entries < 0) return true;
  const stats = lookedAt(() => lstatSync(path, { bigint: true }));
  if (isSame(stats, thing)) return true;
  if (stats?.isDirectory() !== true) return false;
  const names = lookedAt(() => readdirSync(path)) ?? [];
  return names.some((name) => leadsTo(join(path, name), thing, left));
}

/** A path without links, as far as it is there. */
function realOf(path: string): string {
  const real = lookedAt(() => realpathSync.native(path));
  if (real !== undefined) return real;
  return dirname(path) === path ? path : join(realOf(dirname(path)), basename(path));
}

function isSame(one: Mark | undefined, other: Mark): boolean {
  return one !== undefined && one.dev === other.dev && one.ino === other.ino;
}

/** What is found; undefined where nothing is, or where nobody may look. */
function lookedAt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
