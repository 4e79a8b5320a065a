/**
 * Reach: what of the workspace a program may see that a process starts, and whether it has a
 * network. The system's jail around the program is made from it.
 *
 * A program asks nobody, so it gets only what its process could take at any time without being
 * asked, and only in whole pieces: folders with all that is below them, and single files.
 *
 * Invariants:
 *   R1. Nothing is in a reach that its process could not do by calls of its own. What is counted,
 *       constrained, bound to one call or over too soon gives no reach.
 *   R2. What a deny, an ask or a sink could touch, whatever it says of labels, is not in it: one
 *       on a plain path leaves a hole there, one on a pattern of names hides what is so named. What
 *       a person granted for any call is asked about no more.
 *   R3. Who sees a folder may read, list and stat all of it; who writes it may also write, make,
 *       move and remove all of it.
 *   R4. No wall keeps a program from making a name. So where a pattern of names takes changes and
 *       no reading, nothing there is written, unless each change is judged by itself as well.
 *   R5. Nothing that is the runtime's own is in a reach.
 *   R6. What a program says is as secret as the most secret of what it sees, and nobody vouches for
 *       it. Who sees what is more secret than files are has no network.
 * @module
 */

import type { HeldCapability } from "./capability.ts";
import { coversText, isGrant, standing } from "./chain.ts";
import { matchResource, matchRight, overlaps, type Pattern, splitResource } from "./grammar.ts";
import type { Pid } from "./ids.ts";
import { isOwned, type Owned } from "./owned.ts";
import { CONNECT, mustWriteOutHost, writesOutHost } from "./net.ts";
import { hashOf } from "./json.ts";
import { joinLabels, type Label } from "./label.ts";
import { markOf, markUnder } from "./mark.ts";
import { toProviderPath } from "./path.ts";
import type { Policy } from "./policy.ts";
import type { Tree } from "./tree.ts";

/** A piece of the workspace. */
export interface Area {
  /** Canonical: `.` or `./a/b`. */
  readonly path: string;
  /** A folder with all below it, or one file. */
  readonly kind: "folder" | "file";
  /** Whether it may be changed. */
  readonly writes: boolean;
  /** Paths in it, with all below them, that are not part of it. */
  readonly holes: readonly string[];
  /** Patterns of paths: what matches one, with all below it, is not part of it. */
  readonly unseen: readonly string[];
}

/** What a program may see. */
export interface Reach {
  /** Those above before those below, and what is only read before what is written. */
  readonly areas: readonly Area[];
  /** What is in no area, whatever these say: the runtime's own. */
  readonly owned?: readonly Owned[];
  /** Whether it has the network of the machine, without any door. */
  readonly net: boolean;
  /** What all that it says carries: it may have read whatever it sees. */
  readonly label: Label;
}

/** What files carry that no rule labels, and whatever strangers' programs say. */
const UNLABELLED: Label = { sensitivity: "internal", trust: "untrusted" };

/** The reach of what may see nothing. */
export const NO_REACH: Reach = { areas: [], net: false, label: UNLABELLED };

/** Whose reach, and for how long. */
export interface ReachQuery {
  readonly pid: Pid;
  readonly nowMs: number;
  /** When the program will have ended; what is over before gives nothing. */
  readonly untilMs: number;
  /** Each change is judged by itself as well, so what is only asked about does not narrow those. */
  readonly judgesChanges?: true;
  /** What of the workspace is the runtime's own. */
  readonly owned: readonly Owned[];
  /** Nobody judges what it connects to: then it reaches all that this machine does. */
  readonly judgesNoConnection?: true;
}

const READS = ["file.read", "file.list", "file.stat"] as const;
const CHANGES = ["file.write", "file.mkdir", "file.move", "file.remove"] as const;
/**
 * What a capability names besides, letter by letter, for a network in which nobody judges where a
 * program connects: whatever is private is in it.
 */
const PRIVATE = "private";

/** What a program that the process starts may see. Pure. */
export function reachOf(tree: Tree, query: ReachQuery): Reach {
  const at: Looking = {
    tree,
    query,
    image: tree.state.processes[query.pid]?.image,
    held: [...tree.caps.heldBy(tree.reach(query.pid))],
    limits: limiting(tree, query),
  };
  const found: Area[] = [];
  for (const { path, kind } of candidates(at)) {
    for (const writes of [false, true]) {
      const area = areaOf(at, { path, kind, writes });
      if (area !== null) found.push(area);
    }
  }
  found.sort(byPlace);
  const areas = found.filter((area) => !found.some((other) => contains(other, area)));
  const label = labelOf(tree, areas);
  const net = isCovered(at, CONNECT, "**") &&
    (query.judgesNoConnection !== true || isCovered(at, CONNECT, PRIVATE)) &&
    hashOf(label) === hashOf(UNLABELLED) &&
    !at.limits.some(({ pattern }) => meetsNoun(pattern.right, "net."));
  return { areas, owned: query.owned, net, label };
}

/** The join of all that is in these areas. */
function labelOf(tree: Tree, areas: readonly Area[]): Label {
  let label = UNLABELLED;
  for (const rule of tree.policy.labels) {
    const meets = areas.some(({ path, kind }) =>
      overlaps(rule.pattern, {
        right: "file.read",
        resource: kind === "folder" ? `${path}/**` : path,
      })
    );
    if (meets) label = joinLabels(label, rule.label);
  }
  for (const { path, kind } of areas) {
    const at = toProviderPath(path);
    const mark = kind === "folder" ? markUnder(tree.state.marks, at) : markOf(tree.state.marks, at);
    if (mark !== null) label = joinLabels(label, mark);
  }
  return label;
}

/** The folders and files of a reach as people read them. */
export function describeReach(reach: Reach): string {
  const areas = reach.areas.map(({ path, kind, writes, holes, unseen }) => {
    const name = kind === "folder" ? `${path}/**` : path;
    const taken = [...holes, ...unseen];
    const without = taken.length === 0 ? "" : ` without ${taken.join(", ")}`;
    return `${writes ? "writes" : "reads"} ${name}${without}`;
  });
  const files = areas.length === 0 ? "sees no file of the workspace" : areas.join("; ");
  return `${files}; ${reach.net ? "has the network" : "no network"}`;
}

/** Whether a path of the workspace is in a reach. */
export function isSeen(reach: Reach, path: string): boolean {
  return !isOwned(reach.owned, path) &&
    reach.areas.some((area) =>
      isAtOrBelow(path, area.path) && (area.kind === "folder" || path === area.path) &&
      !area.holes.some((hole) => isAtOrBelow(path, hole)) && !isUnseen(area, path)
    );
}

/** Whether a path, or one above it, matches what an area is without. */
export function isUnseen({ unseen }: Pick<Area, "unseen">, path: string): boolean {
  for (let at = path; at.includes("/"); at = at.slice(0, at.lastIndexOf("/"))) {
    if (unseen.some((pattern) => matchResource(pattern, at))) return true;
  }
  return false;
}

/** What a program may say carries that sees all of the workspace. */
export function labelOfAll(tree: Tree): Label {
  return labelOf(tree, [{ path: ".", kind: "folder", writes: false, holes: [], unseen: [] }]);
}

/** Whether `path` is `above` or lies below it. */
export function isAtOrBelow(path: string, above: string): boolean {
  return above === "." || path === above || path.startsWith(`${above}/`);
}

interface Looking {
  readonly tree: Tree;
  readonly query: ReachQuery;
  readonly image: string | undefined;
  readonly held: readonly HeldCapability[];
  /** What rules and sinks are about that take something away. */
  readonly limits: readonly Limit[];
}

interface Limit {
  readonly pattern: Pattern;
  readonly by: "ask" | "deny" | "sink";
}

type Place = Pick<Area, "path" | "kind">;

/** What takes something away, of the tree and of the process's line. */
function limiting(tree: Tree, { pid, nowMs }: ReachQuery): readonly Limit[] {
  const inForce = ({ rules, sinks }: Policy, sinceMs: number): Limit[] => [
    ...rules.filter(({ effect, expiresMs }) =>
      effect !== "allow" && (expiresMs === null || nowMs < sinceMs + expiresMs)
    ).map(({ pattern, effect }) => ({
      pattern,
      by: effect === "ask" ? "ask" as const : "deny" as const,
    })),
    ...sinks.map(({ pattern }) => ({ pattern, by: "sink" as const })),
  ];
  const found = inForce(tree.policy, tree.state.policy.sinceMs);
  for (const one of tree.lineage(pid)) {
    const process = tree.state.processes[one]!;
    if (process.rules === "") continue;
    found.push(...inForce(tree.rulesOf(process), process.startedMs));
  }
  return found;
}

/** The pieces that capabilities name. */
function candidates({ held }: Looking): readonly Place[] {
  const places = new Map<string, Place>();
  for (const { right, resource } of held) {
    if (![...READS, ...CHANGES].some((one) => matchRight(right, one))) continue;
    const place = placeOf(resource);
    if (place !== null) places.set(`${place.kind} ${place.path}`, place);
  }
  return [...places.values()];
}

function placeOf(resource: string): Place | null {
  if (resource === "**") return { path: ".", kind: "folder" };
  const whole = resource.endsWith("/**");
  const path = whole ? resource.slice(0, -3) : resource;
  if (path.includes("*")) return null;
  if (path !== "." && !path.startsWith("./")) return null;
  return { path, kind: whole ? "folder" : "file" };
}

/** A piece as far as no rule takes it; null where nothing of it is left. */
function areaOf(at: Looking, want: Place & Pick<Area, "writes">): Area | null {
  const { path, kind, writes } = want;
  const pattern = kind === "folder" ? `${path}/**` : path;
  const reads = kind === "folder" ? READS : [READS[0]];
  const changes = kind === "folder" ? CHANGES : [CHANGES[0]];
  const rights = writes ? [...reads, ...changes] : reads;
  if (!rights.every((right) => isCovered(at, right, pattern))) return null;
  const holes = new Set<string>();
  const unseen = new Set<string>();
  for (const limit of at.limits) {
    const { right, resource } = limit.pattern;
    // Whoever reads a file or writes it sees how large it is; so a rule on stat counts, too.
    const touches = (rights: readonly string[]): boolean =>
      rights.some((one) =>
        matchRight(right, one) && !isAnswered(at, limit, { right: one, resource: pattern })
      );
    const isRead = touches(READS);
    if (!isRead && !(writes && touches(CHANGES))) continue;
    if (!overlaps({ right: "*", resource }, { right: "*", resource: pattern })) continue;
    const hole = plainOf(resource);
    if (hole !== null) {
      if (isAtOrBelow(path, hole)) return null;
      holes.add(hole);
      continue;
    }
    if (isUnseen({ unseen: [resource] }, path)) return null;
    // R4
    if (!isRead && at.query.judgesChanges !== true) return null;
    unseen.add(resource);
  }
  return { ...want, holes: outermost([...holes]), unseen: [...unseen].sort() };
}

/** Whether a limit is judged by itself each time, or a person has spoken on all of a pattern. */
function isAnswered(at: Looking, { by }: Limit, { right, resource }: Pattern): boolean {
  const changes: readonly string[] = CHANGES;
  if (by === "deny") return false;
  if (at.query.judgesChanges === true && changes.includes(right)) return true;
  return by === "ask" && isCovered({ ...at, held: at.held.filter(isGrant) }, right, resource);
}

/** The path of a pattern that is one, or all below one; null where it is about names. */
function plainOf(resource: string): string | null {
  const segments = splitResource(resource);
  const plain = segments.at(-1) === "**" ? segments.slice(0, -1) : segments;
  if (plain.some((segment) => segment.includes("*"))) return null;
  return plain.length === 0 ? "." : plain.join("/");
}

function outermost(paths: readonly string[]): readonly string[] {
  return paths.filter((path) => !paths.some((other) => other !== path && isAtOrBelow(path, other)))
    .sort();
}

/** Whether a capability, with its whole chain, gives a right on all of a pattern (R1). */
function isCovered(at: Looking, right: string, pattern: string): boolean {
  const segments = splitResource(pattern);
  return at.held.some((cap) => {
    for (let one: HeldCapability | undefined = cap; one !== undefined;) {
      if (!isPlain(at, one) || !coversText(one, right, segments)) return false;
      const isOpen = !mustWriteOutHost(right, segments) ||
        writesOutHost(splitResource(one.resource), segments);
      if (!isOpen) return false;
      if (one.parent === null) return true;
      one = at.tree.caps.get(one.parent);
    }
    return false;
  });
}

/** Whether it opens whatever it covers, any number of times, for long enough. */
function isPlain({ query, image }: Looking, cap: HeldCapability): boolean {
  return standing(cap, query.untilMs) === null && cap.usesMax === null &&
    cap.bytesMax === null && cap.constraint === null && (cap.grant?.argsHash ?? null) === null &&
    (cap.image === undefined || cap.image === image);
}

/** Whether a pattern of rights may match one that begins so. */
function meetsNoun(right: string, noun: string): boolean {
  return right === "*" || right.startsWith(noun);
}

function byPlace(a: Area, b: Area): number {
  const depth = a.path.split("/").length - b.path.split("/").length;
  return depth || Number(a.writes) - Number(b.writes) || (a.path < b.path ? -1 : 1);
}

/** Whether all of `inner` is in `outer` as it is. */
function contains(outer: Area, inner: Area): boolean {
  if (outer === inner || outer.kind === "file" || (inner.writes && !outer.writes)) return false;
  if (!isAtOrBelow(inner.path, outer.path)) return false;
  const all = { right: "*", resource: inner.kind === "file" ? inner.path : `${inner.path}/**` };
  const isShown = (pattern: string): boolean =>
    !inner.unseen.includes(pattern) && overlaps({ right: "*", resource: pattern }, all);
  if (outer.unseen.some(isShown)) return false;
  return outer.holes.every((hole) =>
    inner.holes.some((own) => isAtOrBelow(hole, own)) ||
    !(isAtOrBelow(inner.path, hole) || isAtOrBelow(hole, inner.path))
  );
}
