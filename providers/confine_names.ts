/**
 * What of a reach's folders has a name that rules take: found by looking through them.
 *
 * Invariants:
 *   U1. A name that nobody can hold against a pattern, or a folder that nobody can look through, is
 *       taken as well, or the whole is refused.
 *   U2. What has such a name is taken under its other names too, as far as they are in the folder.
 *   U3. How much is looked at, and for how long, is bounded; others go on meanwhile.
 *   U4. What is the runtime's own is taken wherever it stands, whatever rules say; a folder of it
 *       that is not there yet is made, for what is not there cannot be covered.
 * @module
 */

import { lstatSync, mkdirSync, readFileSync, type Stats } from "node:fs";
import { SysError } from "../kernel/errors.ts";
import { compileResource, matchSegments, splitResource } from "../kernel/grammar.ts";
import { LIMITS } from "../kernel/limits.ts";
import { isOwned, type Owned } from "../kernel/owned.ts";
import { type Area, isAtOrBelow, isSeen, type Reach } from "../kernel/reach.ts";
import { realClock } from "./clock.ts";

/** Something in an area that is not part of it, for its name. */
export interface Named {
  /** Canonical. */
  readonly path: string;
  readonly kind: "folder" | "link" | "file";
  /** Which thing it was. */
  readonly identity: string;
  /** Whether it is a second name of something that is hidden. */
  readonly isSecond: boolean;
}

/** What was found in each area, those above before those below. */
export type Names = ReadonlyMap<Area, readonly Named[]>;

/** Where a canonical path of the workspace is on the machine. */
export function hostPath(root: string, path: string): string {
  return path === "." ? root : `${root === "/" ? "" : root}${path.slice(1)}`;
}

/** The name of a thing, whatever leads to it. */
export function thing({ dev, ino }: Pick<Stats, "dev" | "ino">): string {
  return `${dev}:${ino}`;
}

/** What is there, no link followed; null for nothing. */
export function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

/** What rules take by name. Throws `ELIMIT` where there is too much, `EACCES` by U1. */
export async function namesIn(
  root: string | null,
  reach: Reach,
  entriesMax: number = LIMITS.confineEntriesMax,
): Promise<Names> {
  const found = new Map<Area, readonly Named[]>();
  const nowMs = realClock.now();
  const untilMs = nowMs + LIMITS.confineScanMsMax;
  const walk: Walk = { root: root ?? "/", entries: 0, entriesMax, untilMs, restMs: nowMs };
  for (const area of reach.areas) {
    if (root === null || area.kind === "file") continue;
    if (statOf(hostPath(root, area.path))?.isDirectory() !== true) continue;
    const named = await namedIn(walk, area, reach.owned ?? []);
    if (named.length > 0 || area.unseen.length > 0) found.set(area, named);
  }
  return found;
}

/** U4: makes folders of the runtime's own where a program could make them. */
export function makeOwned(root: string | null, { areas, owned = [] }: Reach): void {
  if (root === null) return;
  for (const { path, kind } of owned) {
    const isOpen = areas.some((area) =>
      area.writes && area.kind === "folder" && isAtOrBelow(path, area.path) &&
      !area.holes.some((hole) => isAtOrBelow(path, hole))
    );
    if (kind === "file" || !isOpen) continue;
    try {
      mkdirSync(hostPath(root, path), { mode: 0o700 });
    } catch {
      // It is there, or nothing can be made there by anybody.
    }
  }
}

/** Paths that are not what they were when the names were found, and that no program should see. */
export async function cameSince(
  root: string | null,
  reach: Reach,
  before: Names,
): Promise<readonly string[]> {
  if (before.size === 0) return [];
  const came = new Set<string>();
  for (const [area, named] of await namesIn(root, reach)) {
    const now = new Map(named.map((one) => [one.path, one]));
    const then = new Map((before.get(area) ?? []).map((one) => [one.path, one]));
    for (const { path, identity, isSecond } of now.values()) {
      if (then.get(path)?.identity === identity) continue;
      if (isSecond || !isSeen(reach, path)) came.add(path);
    }
    // What cannot be covered is not held either.
    for (const { path, kind, identity } of then.values()) {
      if (kind === "link" && now.get(path)?.identity !== identity) came.add(path);
    }
  }
  return [...came].sort();
}

/** How long at a time others have to wait. */
const SLICE_MS = 20;
/** What stands for bytes that are no text. */
const UNREADABLE = "\uFFFD";

interface Walk {
  readonly root: string;
  readonly untilMs: number;
  readonly entriesMax: number;
  entries: number;
  restMs: number;
}

interface Looking {
  readonly walk: Walk;
  readonly area: Area;
  readonly owned: readonly Owned[];
  readonly globs: readonly ReturnType<typeof compileResource>[];
}

interface Folder {
  readonly path: string;
  readonly segments: readonly string[];
  /** Whether it, or one above it, is hidden. */
  readonly isHidden: boolean;
}

/** What is hidden, and what is not: only its paths. */
interface Sorted {
  readonly named: Named[];
  readonly others: string[];
  /** Things that have other names as well. */
  readonly hidden: Set<string>;
  hasSecond: boolean;
}

async function namedIn(
  walk: Walk,
  area: Area,
  owned: readonly Owned[],
): Promise<readonly Named[]> {
  const top: Folder = { path: area.path, segments: splitResource(area.path), isHidden: false };
  const looking: Looking = { walk, area, owned, globs: area.unseen.map(compileResource) };
  if (area.unseen.length === 0) {
    const ours = nothing();
    await lookThrough(looking, takeOwned(looking, ours), ours);
    // Nothing else is to be found, unless something of ours has a second name somewhere.
    if (!ours.hasSecond) return inOrder(ours);
  }
  const sorted = nothing();
  await lookThrough(looking, [top], sorted);
  if (sorted.hasSecond || hasMounts(walk.root)) await takeSeconds(walk, sorted);
  return inOrder(sorted);
}

function nothing(): Sorted {
  return { named: [], others: [], hidden: new Set(), hasSecond: false };
}

function inOrder({ named }: Sorted): readonly Named[] {
  const depth = ({ path }: Named): number => path.split("/").length;
  return named.sort((a, b) => depth(a) - depth(b));
}

async function lookThrough(
  { walk, area, owned, globs }: Looking,
  folders: Folder[],
  sorted: Sorted,
): Promise<void> {
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    for (const { name, isDirectory, isSymlink } of await listed(walk, at, sorted)) {
      const path = `${at.path}/${name}`;
      if (area.holes.some((hole) => isAtOrBelow(path, hole))) continue;
      const spelled = spellings(name).map((one) => [...at.segments, one]);
      const isNamed = !at.isHidden && (isOwned(owned, path) ||
        spelled.some((segments) => globs.some((glob) => matchSegments(glob, segments))));
      if (isNamed) take(walk, path, sorted);
      const isHidden = isNamed || at.isHidden;
      if (isDirectory) folders.push({ path, segments: spelled[0]!, isHidden });
      else if (isHidden) note(walk, path, sorted);
      else if (!isSymlink) sorted.others.push(path);
    }
  }
}

/** U4: hides what is the runtime's own in an area; the folders of it, to be looked through. */
function takeOwned({ walk, area, owned }: Looking, sorted: Sorted): Folder[] {
  const found: Folder[] = [];
  for (const folder of new Set(owned.map(({ path }) => path.slice(0, path.lastIndexOf("/"))))) {
    // What lies in a folder of ours is covered with it, once.
    if (!isAtOrBelow(folder, area.path) || isOwned(owned, folder)) continue;
    for (const { name, isDirectory } of entriesIn(hostPath(walk.root, folder))) {
      const path = `${folder}/${name}`;
      if (!isOwned(owned, path) || area.holes.some((hole) => isAtOrBelow(path, hole))) continue;
      take(walk, path, sorted);
      if (isDirectory) found.push({ path, segments: splitResource(path), isHidden: true });
      else note(walk, path, sorted);
    }
  }
  return found;
}

function entriesIn(folder: string): readonly Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch {
    return [];
  }
}

/** What stands in a folder; nothing where it is gone. */
async function listed(walk: Walk, at: Folder, sorted: Sorted): Promise<readonly Deno.DirEntry[]> {
  await spend(walk, at.path, 0);
  let entries: Deno.DirEntry[] = [];
  try {
    entries = [...Deno.readDirSync(hostPath(walk.root, at.path))];
  } catch (error) {
    const isGone = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isGone) refuseUnreadable(at.path);
    // Who owns it could open it.
    else if (!at.isHidden) take(walk, at.path, sorted);
  }
  await spend(walk, at.path, entries.length);
  return entries;
}

/** Hides what stands at a path, unless it is gone. */
function take(walk: Walk, path: string, { named }: Sorted): void {
  const stat = statOf(hostPath(walk.root, path));
  if (stat === null) return refuseUnreadable(path);
  const kind = stat.isSymbolicLink() ? "link" : stat.isDirectory() ? "folder" : "file";
  named.push({ path, kind, identity: thing(stat), isSecond: false });
}

/** Remembers a hidden file, for its other names. */
function note(walk: Walk, path: string, sorted: Sorted): void {
  const stat = statOf(hostPath(walk.root, path));
  if (stat === null || stat.isSymbolicLink()) return;
  sorted.hidden.add(thing(stat));
  sorted.hasSecond ||= stat.nlink > 1;
}

async function takeSeconds(walk: Walk, { named, others, hidden }: Sorted): Promise<void> {
  for (const [i, path] of others.entries()) {
    if (i % 256 === 0) await spend(walk, path, 0);
    const stat = statOf(hostPath(walk.root, path));
    if (stat === null || !hidden.has(thing(stat))) continue;
    named.push({ path, kind: "file", identity: thing(stat), isSecond: true });
  }
}

/** As patterns are held against it: they are in NFC, and none but `**` is like a name `**`. */
function spellings(name: string): readonly string[] {
  const plain = name === "**" ? "*" : name;
  const composed = plain.normalize("NFC");
  return composed === plain ? [plain] : [composed, plain];
}

/** U1: nothing stands where a name leads that is not the name's own bytes. */
function refuseUnreadable(path: string): void {
  if (!path.includes(UNREADABLE)) return;
  const expected = "expected one in UTF-8 where rules take names";
  throw new SysError("EACCES", `Cannot confine a program: the name "${path}" is none, ${expected}`);
}

/** U3 */
async function spend(walk: Walk, path: string, entries: number): Promise<void> {
  walk.entries += entries;
  const isLate = realClock.now() > walk.untilMs;
  if (walk.entries > walk.entriesMax || isLate) {
    const found = isLate ? `${LIMITS.confineScanMsMax} ms` : `${walk.entriesMax} entries`;
    const state = `rules take names there, and ${found} were not enough to find them ("${path}")`;
    const limit = isLate ? "confineScanMsMax" : "confineEntriesMax";
    const expected = "expected grants of smaller folders, or rules that name folders";
    throw new SysError("ELIMIT", `Cannot confine a program: ${state}, ${expected}`, { limit });
  }
  if (realClock.now() < walk.restMs) return;
  await realClock.sleep(0);
  walk.restMs = realClock.now() + SLICE_MS;
}

/** Whether something is mounted in the workspace: it may be there twice. */
function hasMounts(root: string): boolean {
  if (Deno.build.os !== "linux") return false;
  const below = `${root === "/" ? "" : root}/`;
  return readFileSync("/proc/self/mountinfo", "utf8").split("\n").some((line) => {
    const at = (line.split(" ")[4] ?? "").replace(
      /\\([0-7]{3})/g,
      (_, digits) => String.fromCharCode(parseInt(digits, 8)),
    );
    return at.startsWith(below);
  });
}
