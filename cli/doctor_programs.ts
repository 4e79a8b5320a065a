/**
 * Whether programs of the machine can be confined here.
 * @module
 */

import { Programs } from "../providers/confined.ts";
import type { Finding } from "./doctor_cages.ts";

/** What was found of the walls around programs, which were tried. */
export function programFinding(): Finding {
  const { works, why } = new Programs().confinement();
  const detail = works
    ? `${why}: each sees what its process may, no other process, and no network of its own`
    : `unconfined: ${why}; what could do harm is asked about each time`;
  return { what: "programs", state: works ? "ok" : "note", detail };
}
