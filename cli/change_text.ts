/**
 * What differs between two states of a tree, as people read it.
 * @module
 */

import type { ChangeView } from "../server/schema/memory.ts";
import { aligned, type Column } from "./output.ts";
import { short } from "./words.ts";

/** How changes are put into a table. */
export const CHANGE_COLUMNS: readonly Column<ChangeView>[] = [
  { head: "PART", of: ({ part }) => part },
  { head: "ID", of: ({ id }) => short(id, 24) },
  { head: "CHANGE", of: ({ change }) => change },
  { head: "WAS", of: ({ was }) => short(was ?? "-", 50) },
  { head: "IS", of: ({ is, was }) => is === was ? "same words" : short(is ?? "-", 50) },
  { head: "FIELDS", wide: true, of: ({ fields }) => fields.join(", ") || "-" },
];

const ROWS_SHOWN = 40;

/** Changes as lines; the first of them when there are many. */
export function changeLines(rows: readonly ChangeView[]): string[] {
  const cells = rows.slice(0, ROWS_SHOWN).map(({ part, id, was, is, fields }) => [
    part,
    short(id, 24),
    was === is ? `${short(is ?? "-", 60)} (${fields.join(", ")})` : wasIs(was, is),
  ]);
  const more = rows.length - ROWS_SHOWN;
  return [...aligned(cells), ...(more > 0 ? [`and ${more} more`] : [])];
}

function wasIs(was: string | null, is: string | null): string {
  if (was === null) return `comes: ${short(is ?? "", 60)}`;
  if (is === null) return `goes: ${short(was, 60)}`;
  return `${short(was, 60)} → ${short(is, 60)}`;
}
