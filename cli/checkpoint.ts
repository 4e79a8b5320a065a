/**
 * Named positions of a log: `checkpoint ls | create | inspect | diff`.
 * @module
 */

import { byAge } from "../kernel/checkpoint.ts";
import { type StateSummary, summaryOf } from "../kernel/describe.ts";
import { SysError } from "../kernel/errors.ts";
import type { EventMap, Line } from "../kernel/event.ts";
import { type TreeId, treeOf } from "../kernel/ids.ts";
import type { Checkpoint, State } from "../kernel/state.ts";
import { realClock } from "../providers/clock.ts";
import { treeAt } from "../runtime/history.ts";
import { CHANGE_COLUMNS, changeRows } from "./change_text.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { give, operatorOf } from "./order.ts";
import { aligned, list, show } from "./output.ts";
import { checkpointAt, positionOf, positionText, treeNamed } from "./position.ts";
import { checkpointThere } from "./state_there.ts";
import { findProcess, headsOf, reading, TREE_CONTEXT, treeIn } from "./store.ts";
import { dateOf, short, spanOf } from "./words.ts";

const NAME_LENGTH_MAX = 256;

/** `checkpoint`. */
export const checkpoint: Command = {
  name: "checkpoint",
  group: "state",
  usage: "ls [PID|TREE] | create PID NAME | inspect PID AT | diff PID FROM [TO]",
  about: "Name positions of a tree's log, look at them, and compare them (AT: id, name or line)",
  examples: ["libos checkpoint create p_1 draft", "libos checkpoint diff p_1 draft"],
  options: {},
  words: [0, 4],
  remote: checkpointThere,
  async run(at) {
    const [verb = "ls", word, first, second, ...rest] = at.words;
    if (rest.length === 0) {
      if (verb === "ls" && first === undefined) return await ls(at, word);
      if (word !== undefined && first !== undefined) {
        if (verb === "diff") return await diff(at, word, { from: first, to: second });
        if (verb === "create" && second === undefined) return await create(at, word, first);
        if (verb === "inspect" && second === undefined) return await inspect(at, word, first);
      }
    }
    throw new UsageError(`Cannot run "checkpoint ${verb}": expected ${checkpoint.usage}`);
  },
};

interface Row extends Checkpoint {
  readonly tree: TreeId;
}

async function ls(at: Context, word: string | undefined): Promise<number> {
  const rows = await reading(at, async (store) => {
    const trees = word !== undefined
      ? [await treeNamed(store, word)]
      : await Promise.all((await headsOf(store, true)).map(({ tree }) => treeIn(store, tree)));
    return trees.flatMap(({ state }): Row[] =>
      byAge(state).map((one) => ({ tree: state.tree, ...one }))
    );
  });
  const nowMs = realClock.now();
  list(at, rows, {
    columns: [
      { head: "ID", of: ({ id }) => id },
      { head: "NAME", of: ({ name }) => short(name, 40) },
      { head: "LINE", of: ({ seq }) => `#${seq}` },
      { head: "AGE", of: ({ atMs }) => spanOf(nowMs - atMs) },
      { head: "BY", of: ({ by }) => by },
      { head: "AUTO", of: ({ auto }) => auto ?? "-" },
      { head: "AT", wide: true, of: ({ atMs }) => dateOf(atMs) },
    ],
    name: ({ id }) => id,
    none: "No checkpoints; libos checkpoint create PID NAME makes one",
  });
  return EXIT.ok;
}

async function create(at: Context, word: string, name: string): Promise<number> {
  if (!/\S/.test(name) || name.length > NAME_LENGTH_MAX || /^#?\d+$/.test(name)) {
    const expected = `expected 1 to ${NAME_LENGTH_MAX} characters, and no number: that is a line`;
    throw new UsageError(`Cannot take a checkpoint "${short(name, 40)}": ${expected}`);
  }
  const { pid } = await reading(at, async (store) => (await findProcess(store, word)).process);
  const by = operatorOf(at);
  const { lines } = await give(at, treeOf(pid), { kind: "checkpoint", name, by });
  const made = takenIn(lines, { name, by });
  show(at, { pid, ...made }, {
    name: made.id,
    lines: [`${made.id} ${JSON.stringify(name)} is line ${made.seq} of ${pid}`],
  });
  return EXIT.ok;
}

/** The checkpoint that an order made, as its lines say. */
function takenIn(
  lines: readonly Line[],
  wanted: { readonly name: string; readonly by: string },
): Checkpoint {
  for (const { type, data, seq, atMs } of lines.toReversed()) {
    if (type !== "checkpoint.taken") continue;
    const taken = data as EventMap["checkpoint.taken"];
    const { name, by, auto } = taken;
    if (name === wanted.name && by === wanted.by && auto === null) return { ...taken, seq, atMs };
  }
  throw new SysError("EIO", `Cannot find checkpoint "${wanted.name}": no line says it was taken`);
}

async function inspect(at: Context, word: string, wanted: string): Promise<number> {
  const found = await reading(at, async (store) => {
    const { state: now } = await treeNamed(store, word);
    const seq = positionOf(now, wanted);
    const { tree } = await treeAt(store, now.tree, seq, TREE_CONTEXT);
    return { tree: now.tree, checkpoint: checkpointAt(now, seq), ...summaryOf(tree.state) };
  });
  show(at, found, { name: `${found.tree}#${found.seq}`, lines: summaryLines(found) });
  return EXIT.ok;
}

function summaryLines(
  found: StateSummary & {
    readonly tree: TreeId;
    readonly checkpoint: Checkpoint | null;
  },
): string[] {
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

async function diff(at: Context, word: string, wanted: {
  readonly from: string;
  readonly to: string | undefined;
}): Promise<number> {
  const rows = await reading(at, async (store) => {
    const { state: now } = await treeNamed(store, word);
    const stateOf = async (position: string): Promise<State> =>
      (await treeAt(store, now.tree, positionOf(now, position), TREE_CONTEXT)).tree.state;
    const before = await stateOf(wanted.from);
    return changeRows(before, wanted.to === undefined ? now : await stateOf(wanted.to));
  });
  list(at, rows, {
    columns: CHANGE_COLUMNS,
    name: ({ part, id }) => `${part}/${id}`,
    none: "Nothing differs",
  });
  return EXIT.ok;
}
