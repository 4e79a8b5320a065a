/**
 * Whether programs of the machine can be confined here.
 * @module
 */

import { Programs, systemCountsProcesses } from "../providers/confined.ts";
import type { Finding } from "./doctor_cages.ts";

/** What was found of the walls around programs, which were tried. */
export function programFinding(): Finding {
  const { works, why } = new Programs().confinement();
  const detail = works
    ? `${why}: each sees what its process may, but for names that rules take, no other process, ` +
      `and no network of its own. ${bounds(systemCountsProcesses())}`
    : `unconfined: ${why}; what could do harm is asked about each time`;
  return { what: "programs", state: works ? "ok" : "note", detail };
}

/** What holds what they use, and what nothing holds. */
export function bounds(isCounted: boolean): string {
  const counted = isCounted
    ? "processes by the system"
    : "processes by looking on, fifty times a second";
  return `Bounded: time, processors, memory, the size of each file, ${counted}. ` +
    "Not bounded: all that they write together, the turns of the disk and the net";
}
