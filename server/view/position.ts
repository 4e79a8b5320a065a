/**
 * Positions of a log as the API shows them: what a tree was there, and what differs between two.
 * @module
 */

import { byAge } from "../../kernel/checkpoint.ts";
import { type Change, changesBetween, summaryOf } from "../../kernel/describe.ts";
import { lifeState } from "../../kernel/process.ts";
import type {
  Checkpoint,
  Collection,
  Namespace,
  ObjectRecord,
  Process,
  RequestRecord,
  State,
  ToolRecord,
} from "../../kernel/state.ts";
import type { HeldCapability } from "../../kernel/capability.ts";
import type { ImageData, Message } from "../../kernel/event.ts";
import { answerText } from "../../runtime/line_text.ts";
import { short } from "../../runtime/wording.ts";
import type { StateView } from "../schema/evidence.ts";
import type { ChangesView, ChangeView } from "../schema/memory.ts";
import { checkpointView } from "./memory.ts";

/** What a tree was at a position; `now` is the tree, which knows the position's name. */
export function positionView(now: State, past: State): StateView {
  const named = byAge(now).find(({ seq }) => seq === past.seq);
  return {
    tree: now.tree,
    checkpoint: named === undefined ? null : checkpointView(now, named),
    ...structuredClone(summaryOf(past)) as Omit<StateView, "tree" | "checkpoint">,
  };
}

/** What differs between two positions, with words for what was and what is. */
export function changesView(before: State, after: State): ChangesView {
  return { from: before.seq, to: after.seq, items: changeRows(before, after) };
}

/** What differs between two states, with words for both. */
export function changeRows(before: State, after: State): ChangeView[] {
  return changesBetween(before, after).map((change: Change) => {
    const { part, id, fields } = change;
    const was = entryText(before, part, id);
    return { ...change, fields: [...fields], was, is: entryText(after, part, id) };
  });
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
