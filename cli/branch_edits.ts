/**
 * What a fork is to have different, as options of the command line say it.
 * @module
 */

import { type BranchEdits, checkEdits } from "../kernel/branch.ts";
import type { Context } from "./command.ts";
import { readText } from "./files.ts";
import { budgetOf, usage } from "./words.ts";

/** What is to be different, of the options. */
export async function editsOf(at: Context): Promise<BranchEdits> {
  const { flags } = at;
  const [goal, model, message] = ["goal", "model", "message"].map((name) => flags.text(name));
  const policy = flags.text("policy");
  const budget = budgetOf(flags.texts("budget"));
  const edits = {
    ...(goal === undefined ? {} : { goal }),
    ...(model === undefined ? {} : { model }),
    ...(message === undefined ? {} : { message }),
    ...(policy === undefined ? {} : { policy: await readText(at, policy) }),
    ...(Object.keys(budget).length === 0 ? {} : { budget }),
  };
  usage(() => checkEdits(edits));
  return edits;
}
