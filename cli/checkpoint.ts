/**
 * Named positions of a log: `checkpoint ls | create | inspect | diff`.
 * @module
 */

import { byAge } from "../kernel/checkpoint.ts";
import type { State } from "../kernel/state.ts";
import { treeAt } from "../runtime/history.ts";
import { checkpointView } from "../server/view/memory.ts";
import { changeRows, positionView } from "../server/view/position.ts";
import { listChanges, listCheckpoints, showState } from "./checkpoint_text.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { show } from "./output.ts";
import { positionOf, treeNamed } from "./position.ts";
import { checkpointThere } from "./state_there.ts";
import { headsOf, reading, TREE_CONTEXT, treeIn } from "./store.ts";
import { systemOf } from "./system.ts";
import { short } from "./words.ts";

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
  remote: (at, client) =>
    at.words[0] === "create" ? checkpoint.run(at) : checkpointThere(at, client),
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

async function ls(at: Context, word: string | undefined): Promise<number> {
  const rows = await reading(at, async (store) => {
    const trees = word !== undefined
      ? [await treeNamed(store, word)]
      : await Promise.all((await headsOf(store, true)).map(({ tree }) => treeIn(store, tree)));
    return trees.flatMap(({ state }) => byAge(state).map((one) => checkpointView(state, one)));
  });
  return listCheckpoints(at, rows);
}

async function create(at: Context, word: string, name: string): Promise<number> {
  if (!/\S/.test(name) || name.length > NAME_LENGTH_MAX || /^#?\d+$/.test(name)) {
    const expected = `expected 1 to ${NAME_LENGTH_MAX} characters, and no number: that is a line`;
    throw new UsageError(`Cannot take a checkpoint "${short(name, 40)}": ${expected}`);
  }
  const system = systemOf(at);
  const { pid } = await system.process(word);
  const made = await system.checkpoint(pid, name);
  show(at, { pid, ...made }, {
    name: made.id,
    lines: [`${made.id} ${JSON.stringify(name)} is line ${made.seq} of ${pid}`],
  });
  return EXIT.ok;
}

async function inspect(at: Context, word: string, wanted: string): Promise<number> {
  return showState(
    at,
    await reading(at, async (store) => {
      const { state: now } = await treeNamed(store, word);
      const { tree } = await treeAt(store, now.tree, positionOf(now, wanted), TREE_CONTEXT);
      return positionView(now, tree.state);
    }),
  );
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
  return listChanges(at, rows);
}
