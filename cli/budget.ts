/**
 * `budget`: what a process used up, and how much more it may.
 * @module
 */

import { realClock } from "../providers/clock.ts";
import type { ProcessView } from "../server/schema/process.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { list, show } from "./output.ts";
import { budgetBar, budgetText } from "./process_text.ts";
import { type System, systemOf } from "./system.ts";
import { budgetOf } from "./words.ts";

/** `budget`. */
export const budget: Command = {
  name: "budget",
  group: "state",
  usage: "[PID [set tokens=N usd=N …]]",
  about: "Show what processes used up, or set what one may use up",
  examples: ["libos budget p_1", "libos budget p_1 set tokens=50000 usd=0.5 wall=1h"],
  options: {},
  words: [0, 16],
  remote: "same",
  async run(at) {
    const [word, verb, ...limits] = at.words;
    if (verb !== undefined && (verb !== "set" || limits.length === 0)) {
      throw new UsageError(`Cannot run "budget": expected ${budget.usage}`);
    }
    const wanted = budgetOf(limits);
    const system = systemOf(at);
    if (word === undefined) return await listBudgets(at, system);
    const { pid } = await system.process(word);
    if (verb === "set") await system.limit(pid, wanted);
    const found = await system.process(pid);
    show(at, { pid, spent: found.spent, budget: found.budget }, {
      name: pid,
      lines: [`${pid}   ${budgetText(found, realClock.now())}`],
    });
    return 0;
  },
};

async function listBudgets(at: Context, system: System): Promise<number> {
  const found = await system.processes({ all: false });
  const nowMs = realClock.now();
  list<ProcessView>(at, found, {
    columns: [
      { head: "PID", of: ({ pid }) => pid },
      { head: "BUDGET", of: (one) => budgetBar(one) },
      { head: "USED", of: (one) => budgetText(one, nowMs) },
    ],
    name: ({ pid }) => pid,
    json: ({ pid, spent, budget }) => ({ pid, spent, budget }),
    none: "No live processes",
  });
  return 0;
}
