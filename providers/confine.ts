/**
 * The system's jail around a program of the machine: what its reach says of the workspace, the
 * programs and libraries of the system, read-only, and nothing else.
 *
 * Inside are `/usr` with its links, the loader's cache, certificates, a `/tmp` of its own, `/dev`
 * with null, zero and urandom, and a `/proc` that knows no other process. The workspace stands
 * where it stands outside, as far as the reach goes.
 *
 * Invariants:
 *   F1. What is not named here is not there: no home, no `/run`, no `/var`, no socket of the
 *       machine.
 *   F2. Nothing of the workspace is mounted through a link: a piece that is one, or is below one,
 *       is left out, and what was mounted is compared before the program starts.
 *   F3. A hole is never mounted; where it cannot be covered, what stands beside it is mounted one
 *       by one.
 *   F4. What rules take by name is covered where it stands; in a folder that is written, no folder
 *       above it can be moved, so that it keeps its name.
 *   F5. Where a link is the runtime's own no program writes beside it: it could put another there.
 * @module
 */

import { readdirSync, readlinkSync } from "node:fs";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import { isOwned } from "../kernel/owned.ts";
import { type Area, isAtOrBelow, type Reach } from "../kernel/reach.ts";
import { hostPath, type Named, type Names, statOf, thing } from "./confine_names.ts";
import { WALLS } from "./jail.ts";

/** Where the list of users comes in, which names one. */
export const USERS_FD = 4;
/** What that list is. */
export const USERS = "agent:x:65534:65534::/tmp:/bin/sh\n";

/** What of the system a program needs; what is not there is left out. */
const SYSTEM: readonly string[] = [
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
  "/lib32",
  "/lib64",
  "/libx32",
  "/etc/ld.so.cache",
  "/etc/alternatives",
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/pki/tls/certs",
  "/etc/pki/ca-trust/extracted",
  "/etc/ca-certificates",
];
/** The same, for who has a network. */
const NETWORK: readonly string[] = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"];
/** What says where names are looked up, and which there are. */
export const NAMES: readonly string[] = ["hosts", "nsswitch.conf"];
const DEVICES: readonly string[] = ["/dev/null", "/dev/zero", "/dev/urandom"];

/** A folder or file of the workspace as it is mounted. */
export interface Mount {
  /** Where it is, outside and inside. */
  readonly at: string;
  readonly writes: boolean;
  /** Which thing it was when it was looked at. */
  readonly identity: string;
}

/** What is hidden, and must not be what stands there inside. */
export type Cover = Omit<Mount, "writes">;

/** Where a program is to run. */
export interface Place {
  /** The workspace, an absolute path without links; null for none. */
  readonly root: string | null;
  /** The working directory in it, canonical. */
  readonly cwd: string;
  readonly reach: Reach;
  /** More of the machine that it may read: absolute paths. */
  readonly reads?: readonly string[];
  /** A folder with the files by which names are found, in place of the machine's own. */
  readonly names?: string;
}

/** Arguments of the jail's program, and what they mount of the workspace. */
export interface Walls {
  readonly args: readonly string[];
  readonly mounts: readonly Mount[];
  readonly covers: readonly Cover[];
}

/**
 * The walls of a place, with what rules take there by name. Throws `EACCES` for a link, `ELIMIT`
 * for too many pieces, `EAGAIN` for names that are not what they were.
 */
export function wallsOf(place: Place, proc: boolean, names: Names = new Map()): Walls {
  const { root, reach, reads = [] } = place;
  if (root === "/") {
    const expected = "expected a folder in it";
    throw new SysError("EACCES", `Cannot confine a program: its workspace is "/", ${expected}`);
  }
  // What is ours is no piece of its own, whoever was granted it.
  const areas = reach.areas.filter(({ path }) => !isOwned(reach.owned, path));
  const mounting: Mounting = {
    root: root ?? "/",
    args: [],
    mounts: [],
    covers: [],
    late: [],
    areas,
    names,
  };
  if (root !== null) { for (const area of areas) mountArea(mounting, area); }
  checkCount(mounting);
  refuseOwnLinks(reach.owned, names);
  const cwd = root === null ? "/tmp" : hostPath(root, place.cwd);
  const args = [
    ...WALLS.filter((wall) => wall !== "--unshare-net" || !reach.net).filter((wall) =>
      // The child's environment comes with the jail's own.
      wall !== "--clearenv"
    ),
    ...SYSTEM.flatMap(ofSystem),
    ...namesOf(place),
    ...proc ? ["--proc", "/proc"] : [],
    ...DEVICES.flatMap((device) => ["--dev-bind", device, device]),
    ...["fd", "stdin", "stdout", "stderr"].flatMap((name, i) => [
      "--symlink",
      i === 0 ? "/proc/self/fd" : `/proc/self/fd/${i - 1}`,
      `/dev/${name}`,
    ]),
    "--size",
    String(LIMITS.confineTmpBytesMax),
    "--tmpfs",
    "/tmp",
    "--ro-bind-data",
    String(USERS_FD),
    "/etc/passwd",
    ...reads.flatMap((path) => ["--ro-bind", path, path]),
    "--dir",
    cwd,
    ...mounting.args,
    ...mounting.late,
    "--remount-ro",
    "/",
    "--chdir",
    cwd,
    "--",
  ];
  return { args, mounts: mounting.mounts, covers: mounting.covers };
}

function checkCount({ mounts, covers }: Mounting): void {
  const count = mounts.length + covers.length;
  if (count <= LIMITS.confineMountsMax) return;
  const most = `expected at most ${LIMITS.confineMountsMax}: grants of smaller folders, or rules`;
  throw new SysError(
    "ELIMIT",
    `Cannot confine a program: ${count} mounts, ${most} that name folders`,
    { limit: "confineMountsMax" },
  );
}

/** F5 */
function refuseOwnLinks(owned: Reach["owned"], names: Names): void {
  for (const [{ writes }, named] of names) {
    const link = named.find(({ kind, path }) => kind === "link" && isOwned(owned, path));
    if (!writes || link === undefined) continue;
    const state =
      `"${link.path}" belongs to the runtime itself and is a link, which nothing covers`;
    const expected = "expected what it leads to in its place, or no grant to write there";
    throw new SysError("EACCES", `Cannot confine a program: ${state}, ${expected}`);
  }
}

/** Which thing a plain path of the workspace is; null where it is absent or leads over a link. */
export function identityOf(root: string, path: string): string | null {
  const names = path === "." ? [] : path.slice(2).split("/");
  let at = root;
  let stat = statOf(at);
  for (const [i, name] of names.entries()) {
    if (stat === null || !stat.isDirectory()) return null;
    at = `${at === "/" ? "" : at}/${name}`;
    stat = statOf(at);
    if (i < names.length - 1 && stat?.isDirectory() !== true) return null;
  }
  if (stat === null || !(stat.isDirectory() || stat.isFile())) return null;
  return thing(stat);
}

interface Mounting {
  readonly root: string;
  readonly args: string[];
  readonly mounts: Mount[];
  readonly covers: Cover[];
  readonly late: string[];
  readonly areas: readonly Area[];
  readonly names: Names;
}

function mountArea(into: Mounting, area: Area): void {
  const { path, kind, holes } = area;
  const stat = statOf(hostPath(into.root, path));
  // Not there, or not what the grant says: nothing to show.
  if (identityOf(into.root, path) === null) return;
  if (kind === "file") {
    if (stat?.isFile() === true && stat.nlink === 1) mount(into, path, area.writes);
    return;
  }
  if (stat?.isFile() === true) mount(into, path, area.writes);
  else if (holes.every((hole) => isCoverable(into, path, hole))) mountCovered(into, area);
  else mountBeside(into, area, path);
  coverNames(into, area);
}

/** Whether a hole can be covered for good: it is there, and its parent is what is mounted. */
function isCoverable({ root }: Mounting, path: string, hole: string): boolean {
  const parent = hole.slice(0, hole.lastIndexOf("/"));
  return parent === path && identityOf(root, hole) !== null;
}

function mountCovered(into: Mounting, area: Area): void {
  mount(into, area.path, area.writes);
  for (const hole of area.holes) {
    const readable = area.writes &&
      into.areas.some((other) =>
        !other.writes && other.kind === "folder" && isAtOrBelow(hole, other.path) &&
        !other.holes.some((one) => isAtOrBelow(hole, one) || isAtOrBelow(one, hole))
      );
    if (readable) {
      mount(into, hole, false);
      continue;
    }
    const at = hostPath(into.root, hole);
    const stat = statOf(at)!;
    if (stat.isDirectory()) {
      into.args.push("--tmpfs", at);
      // Only when all is mounted: something in the hole may be shown after all.
      into.late.push("--remount-ro", at);
    } else into.args.push("--ro-bind", "/dev/null", at);
    into.covers.push({ at, identity: thing(stat) });
  }
}

/** Covers what rules take by name (F4). A link leads to what is there under its own name. */
function coverNames(into: Mounting, area: Area): void {
  const named = (into.names.get(area) ?? []).filter(({ kind }) => kind !== "link");
  if (area.writes) { for (const path of aboveOf(area, named)) mount(into, path, true); }
  for (const one of named) {
    const at = hostPath(into.root, one.path);
    checkSame(into, one);
    const shown = into.areas.filter((other) => other !== area && shows(into, other, one.path));
    if (area.writes && shown.some(({ writes, kind }) => !writes && kind === "folder")) {
      mount(into, one.path, false);
      continue;
    }
    if (one.kind === "folder") into.args.push("--tmpfs", at);
    else into.args.push("--ro-bind", "/dev/null", at);
    // What another piece shows stands over it afterwards.
    if (shown.length > 0) continue;
    if (one.kind === "folder") into.late.push("--remount-ro", at);
    into.covers.push({ at, identity: one.identity });
  }
}

/** Folders between an area and what is hidden there, those above first; none that has a hole. */
function aboveOf({ path: top, holes }: Area, named: readonly Named[]): readonly string[] {
  const above = new Set<string>();
  for (const { path } of named) {
    for (let end = path.indexOf("/", top.length + 1); end > 0; end = path.indexOf("/", end + 1)) {
      above.add(path.slice(0, end));
    }
  }
  return [...above].filter((path) => !holes.some((hole) => isAtOrBelow(hole, path)))
    .sort((a, b) => a.split("/").length - b.split("/").length);
}

/** Whether a piece shows a path with all below it. */
function shows({ names }: Mounting, area: Area, path: string): boolean {
  if (area.kind === "file") return area.path === path;
  const meets = (one: string): boolean => isAtOrBelow(one, path) || isAtOrBelow(path, one);
  return isAtOrBelow(path, area.path) && !area.holes.some(meets) &&
    !(names.get(area) ?? []).some((one) => meets(one.path));
}

/** Nothing is covered but what was found, and by no link. */
function checkSame({ root }: Mounting, { path, identity }: Named): void {
  const stat = statOf(hostPath(root, path));
  const parent = path.slice(0, path.lastIndexOf("/"));
  if (stat !== null && thing(stat) === identity && identityOf(root, parent) !== null) return;
  throw new SysError("EAGAIN", `Cannot confine a program: "${path}" changed meanwhile`);
}

/** What stands beside the holes, one by one. */
function mountBeside(into: Mounting, area: Area, folder: string): void {
  for (const name of entriesOf(hostPath(into.root, folder))) {
    const path = `${folder}/${name}`;
    if (area.holes.some((hole) => isAtOrBelow(path, hole))) continue;
    if (into.names.get(area)?.some((one) => one.path === path) === true) continue;
    const at = hostPath(into.root, path);
    const stat = statOf(at);
    if (stat?.isSymbolicLink() === true) {
      // In a folder that was mounted already there is the link itself.
      if (!area.writes && !into.args.includes(at)) {
        into.args.push("--symlink", readlinkSync(at), at);
      }
      continue;
    }
    const leads = area.holes.some((hole) => isAtOrBelow(hole, path));
    if (leads && stat?.isDirectory() === true) mountBeside(into, area, path);
    else if (!leads) mount(into, path, area.writes);
    if (into.mounts.length > LIMITS.confineMountsMax) return;
  }
}

function mount(into: Mounting, path: string, writes: boolean): void {
  const identity = identityOf(into.root, path);
  if (identity === null) return;
  const at = hostPath(into.root, path);
  into.args.push(writes ? "--bind" : "--ro-bind", at, at);
  into.mounts.push({ at, writes, identity });
}

/** By which files names are found. */
function namesOf({ reach, names }: Place): string[] {
  if (names === undefined) return reach.net ? NETWORK.flatMap(ofSystem) : [];
  return NAMES.flatMap((file) => ["--ro-bind", `${names}/${file}`, `/etc/${file}`]);
}

/** A piece of the system as it is: a link stays one. */
function ofSystem(path: string): readonly string[] {
  const stat = statOf(path);
  if (stat === null) return [];
  if (stat.isSymbolicLink() && !path.startsWith("/etc/")) {
    return ["--symlink", readlinkSync(path), path];
  }
  return ["--ro-bind-try", path, path];
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
