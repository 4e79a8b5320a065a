/**
 * `budget`: what a process used up, and how much more it may.
 * @module
 */

import { info } from "../runtime/process.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { give, operatorOf } from "./order.ts";
import { show } from "./output.ts";
import { budgetText } from "./processes.ts";
import { findProcess, reading } from "./store.ts";
import { budgetOf } from "./words.ts";

/** `budget`. */
export const budget: Command = {
  name: "budget",
  group: "state",
  usage: "PID [set tokens=N usd=N …]",
  about: "Show or set what a process may use up",
  examples: ["libos budget p_1", "libos budget p_1 set tokens=50000 usd=0.5 wall=1h"],
  options: {},
  words: [1, 16],
  async run(at) {
    const [word, verb, ...limits] = at.words;
    if (verb !== undefined && (verb !== "set" || limits.length === 0)) {
      throw new UsageError(`Cannot run "budget": expected ${budget.usage}`);
    }
    if (verb === "set") await set(at, word!, limits);
    const found = await reading(at, async (store) => {
      const { tree, process } = await findProcess(store, word!);
      return info(tree.state, process);
    });
    show(at, { pid: found.pid, spent: found.spent, budget: found.budget }, {
      name: found.pid,
      lines: [`${found.pid}   ${budgetText(found)}`],
    });
    return 0;
  },
};

async function set(at: Context, word: string, words: readonly string[]): Promise<void> {
  const limits = budgetOf(words);
  const { tree, process } = await reading(at, (store) => findProcess(store, word));
  await give(at, tree.state.tree, {
    kind: "budget",
    pid: process.pid,
    limits,
    by: operatorOf(at),
  });
}
