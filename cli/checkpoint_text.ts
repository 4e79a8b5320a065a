/**
 * Checkpoints, states and what differs between two, as they are printed.
 * @module
 */

import { realClock } from "../providers/clock.ts";
import type { StateView } from "../server/schema/evidence.ts";
import type { ChangeView, CheckpointView } from "../server/schema/memory.ts";
import { CHANGE_COLUMNS } from "./change_text.ts";
import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { aligned, list, show } from "./output.ts";
import { positionText } from "./position.ts";
import { dateOf, short, spanOf } from "./words.ts";

/** Prints named positions. */
export function listCheckpoints(at: Context, rows: readonly CheckpointView[]): number {
  const nowMs = realClock.now();
  list(at, rows, {
    columns: [
      { head: "ID", of: ({ id }) => id },
      { head: "NAME", of: ({ name }) => short(name, 40) },
      { head: "LINE", of: ({ seq }) => `#${seq}` },
      { head: "AGE", of: (one) => spanOf(nowMs - Date.parse(one.at)) },
      { head: "BY", of: ({ by }) => by },
      { head: "AUTO", of: ({ auto }) => auto ?? "-" },
      { head: "AT", wide: true, of: (one) => dateOf(Date.parse(one.at)) },
    ],
    name: ({ id }) => id,
    none: "No checkpoints; libos checkpoint create PID NAME makes one",
  });
  return EXIT.ok;
}

/** Prints what differs. */
export function listChanges(at: Context, rows: readonly ChangeView[]): number {
  list(at, rows, {
    columns: CHANGE_COLUMNS,
    name: ({ part, id }) => `${part}/${id}`,
    none: "Nothing differs",
  });
  return EXIT.ok;
}

/** Prints what a tree was at a position. */
export function showState(at: Context, found: StateView): number {
  show(at, found, { name: `${found.tree}#${found.seq}`, lines: summaryLines(found) });
  return EXIT.ok;
}

function summaryLines(found: StateView): string[] {
  const { tree, checkpoint, seq, atMs, processes, objects, capabilities, requests, tools } = found;
  const part = (name: string, rows: readonly (readonly string[])[]): string[] => {
    const more = found.more[name.toLowerCase()];
    return rows.length === 0 ? [] : [
      `${name}:`,
      ...aligned(rows).map((line) => `  ${line}`),
      ...(more === undefined ? [] : [`  and ${more} more`]),
    ];
  };
  return [
    `${tree} at ${positionText(seq, checkpoint)}  ${dateOf(atMs)}`,
    ...part(
      "Processes",
      processes.map(({ pid, state, step, context, spent, goal }) => [
        pid,
        state,
        `step ${step}`,
        `${context} items of context`,
        `${spent["tokens"] ?? 0} tokens`,
        short(goal, 60),
      ]),
    ),
    ...part("Objects", objects.map(({ name, version }) => [`/${name}`, `version ${version}`])),
    ...part("Capabilities", capabilities.map(({ subject, rule }) => [subject, rule])),
    ...part("Requests", requests.map(({ id, pid, what }) => [id, pid, short(what, 80)])),
    ...part("Tools", tools.map(({ pid, name, tool }) => [pid, name, tool.slice(0, 12)])),
  ];
}
