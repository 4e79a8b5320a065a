/**
 * What differs between two states of a tree, as people read it.
 * @module
 */

import { type Change, changesBetween } from "../kernel/describe.ts";
import type { Collection } from "../kernel/patch.ts";
import { lifeState } from "../kernel/process.ts";
import type {
  Checkpoint,
  Namespace,
  ObjectRecord,
  Process,
  RequestRecord,
  State,
  ToolRecord,
} from "../kernel/state.ts";
import type { HeldCapability } from "../kernel/capability.ts";
import type { ImageData, Message } from "../kernel/event.ts";
import { aligned, type Column } from "./output.ts";
import { answerText } from "../runtime/line_text.ts";
import { short } from "./words.ts";

/** One thing that differs, with what it was and what it is. */
export interface ChangeRow extends Change {
  /** What it was, in words; null where it was not there. */
  readonly was: string | null;
  /** What it is, in words; null where it is gone. */
  readonly is: string | null;
}

/** What differs between two states, with words for both. */
export function changeRows(before: State, after: State): ChangeRow[] {
  return changesBetween(before, after).map((change) => {
    const { part, id } = change;
    return { ...change, was: entryText(before, part, id), is: entryText(after, part, id) };
  });
}

/** How changes are put into a table. */
export const CHANGE_COLUMNS: readonly Column<ChangeRow>[] = [
  { head: "PART", of: ({ part }) => part },
  { head: "ID", of: ({ id }) => short(id, 24) },
  { head: "CHANGE", of: ({ change }) => change },
  { head: "WAS", of: ({ was }) => short(was ?? "-", 50) },
  { head: "IS", of: ({ is, was }) => is === was ? "same words" : short(is ?? "-", 50) },
  { head: "FIELDS", wide: true, of: ({ fields }) => fields.join(", ") || "-" },
];

const ROWS_SHOWN = 40;

/** Changes as lines; the first of them when there are many. */
export function changeLines(rows: readonly ChangeRow[]): string[] {
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

type Tellers = { readonly [P in Collection]: (entry: never) => string };

const TELLERS: Tellers = {
  images: ({ name, version }: ImageData) => `${name}@${version}`,
  processes: ({ life, step, goal }: Process) =>
    `${lifeState(life)}, step ${step}, "${short(goal, 30)}"`,
  caps: ({ right, resource, subject, usesMax, usesSpent }: HeldCapability) => {
    const uses = usesMax === null ? "" : `, ${usesMax - usesSpent} uses left`;
    return `${right}(${resource}) of ${subject}${uses}`;
  },
  objects: ({ name, list, items, version, deletedSeq }: ObjectRecord) => {
    if (deletedSeq !== null) return `/${name}, deleted`;
    return list ? `/${name}, ${items.length} items` : `/${name}@${version}`;
  },
  namespaces: ({ owner }: Namespace) => `of ${owner}`,
  requests: ({ kind, pid, status, answer }: RequestRecord) =>
    `${kind} of ${pid}, ${answer === null ? status : answerText(answer)}`,
  mail: (messages: readonly Message[]) => `${messages.length} messages wait`,
  tools: ({ name, hash }: ToolRecord) => `${name} ${hash.slice(0, 12)}`,
  checkpoints: ({ name, seq }: Checkpoint) => `"${name}" at line ${seq}`,
};

function entryText(state: State, part: Collection, id: string): string | null {
  const entries = state[part] as { readonly [id: string]: unknown };
  if (!Object.hasOwn(entries, id)) return null;
  // The table has a teller for each part, which the compiler cannot follow through a union.
  return (TELLERS[part] as (entry: unknown) => string)(entries[id]);
}
