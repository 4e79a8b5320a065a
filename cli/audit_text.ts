/**
 * What checking a store came to, as it is printed.
 * @module
 */

import type { AuditReport } from "../runtime/audit.ts";
import type { CheckedView } from "../server/schema/evidence.ts";
import { several } from "./audit_parts.ts";
import type { Context } from "./command.ts";
import { list } from "./output.ts";
import { dateOf } from "./words.ts";

/** What was found of a tree; of the seals, when its tree is null. */
export interface Finding extends Omit<CheckedView, "seals"> {
  /** Said of seals only. */
  readonly seals?: Pick<AuditReport, "unsealed" | "anchored" | "head" | "faults">;
}

/** Prints what was found. */
export function listChecked(at: Context, found: readonly Finding[]): void {
  list(at, found, {
    columns: [
      { head: "TREE", of: ({ tree }) => tree ?? "(seals)" },
      { head: "LINES", of: ({ lines }) => String(lines) },
      {
        head: "HEAD",
        of: ({ head }) => head && `sha256:${at.format === "wide" ? head : head.slice(0, 16)}`,
      },
      { head: "CHAIN", of: chainText },
    ],
    name: ({ tree }) => tree ?? "(seals)",
    none: "No trees yet",
  });
}

function chainText({ broken, erased, seals }: Finding): string {
  if (broken !== null) return `BROKEN: ${broken}`;
  const gone = erased === 0 ? "" : `, ${several(erased, "payload")} erased as the log says`;
  if (seals === undefined) return `OK${gone}`;
  const { head, unsealed, anchored } = seals;
  const compared = anchored === 0 ? "" : `, ${several(anchored, "head")} kept elsewhere compared`;
  return `OK, sealed ${dateOf(head!.at)}, ${several(unsealed, "line")} since${compared}`;
}
