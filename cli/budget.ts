/**
 * `budget`: what a process used up, and how much more it may.
 * @module
 */

import { realClock } from "../providers/clock.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./exit.ts";
import { show } from "./output.ts";
import { budgetText } from "./process_text.ts";
import { systemOf } from "./system.ts";
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
  remote: "same",
  async run(at) {
    const [word, verb, ...limits] = at.words;
    if (verb !== undefined && (verb !== "set" || limits.length === 0)) {
      throw new UsageError(`Cannot run "budget": expected ${budget.usage}`);
    }
    const wanted = budgetOf(limits);
    const system = systemOf(at);
    const { pid } = await system.process(word!);
    if (verb === "set") await system.limit(pid, wanted);
    const found = await system.process(pid);
    show(at, { pid, spent: found.spent, budget: found.budget }, {
      name: pid,
      lines: [`${pid}   ${budgetText(found, realClock.now())}`],
    });
    return 0;
  },
};
