/**
 * What a server may see for one process: what both its mount and the process may.
 *
 * Invariants:
 *   V1. Nothing is in it that is not in both.
 * @module
 */

import type { McpMount } from "./mcp_lock.ts";
import { type Area, isAtOrBelow, isUnseen, NO_REACH, type Reach } from "./reach.ts";

/** The reach of a mount by itself, as its owner gave it. */
export function mountReach({ areas, net }: Pick<McpMount, "areas" | "net">): Reach {
  return {
    areas: areas.map(({ path, writes }): Area => {
      return { path, kind: "folder", writes, holes: [], unseen: [] };
    }),
    net,
    label: NO_REACH.label,
  };
}

/**
 * What is in both. The network is the mount's to give: a program without a door to judge it by is
 * its owner's choice, not its caller's.
 */
export function sharedReach(mount: Reach, caller: Reach): Reach {
  const found = new Map<string, Area>();
  for (const ours of mount.areas) {
    for (const theirs of caller.areas) {
      const area = both(ours, theirs);
      if (area === null) continue;
      const key = `${area.kind} ${area.path} ${area.writes}`;
      const known = found.get(key);
      // Two grants of the same piece: the one with less taken is within the reach as well.
      if (known === undefined || taken(area) < taken(known)) found.set(key, area);
    }
  }
  const areas = [...found.values()].sort((a, b) =>
    a.path.split("/").length - b.path.split("/").length ||
    Number(a.writes) - Number(b.writes) || (a.path < b.path ? -1 : 1)
  );
  return { areas, owned: caller.owned ?? [], net: mount.net, label: caller.label };
}

function both(ours: Area, theirs: Area): Area | null {
  const writes = ours.writes && theirs.writes;
  if (isAtOrBelow(theirs.path, ours.path)) return { ...theirs, writes };
  if (theirs.kind === "file" || !isAtOrBelow(ours.path, theirs.path)) return null;
  if (theirs.holes.some((hole) => isAtOrBelow(ours.path, hole))) return null;
  const holes = theirs.holes.filter((hole) => isAtOrBelow(hole, ours.path));
  if (isUnseen(theirs, ours.path)) return null;
  return { ...ours, writes, holes, unseen: theirs.unseen };
}

function taken({ holes, unseen }: Area): number {
  return holes.length + unseen.length;
}
