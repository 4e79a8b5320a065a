/**
 * Branching off: `fork`, a new tree from an earlier position of another.
 * @module
 */

import type { BranchEdits } from "../kernel/branch.ts";
import { treeOf } from "../kernel/ids.ts";
import type { Process, State } from "../kernel/state.ts";
import { editsOf } from "./branch_edits.ts";
import type { Command } from "./command.ts";
import { EXIT } from "./exit.ts";
import { show } from "./output.ts";
import { checkpointAt, owning, positionOf, positionText } from "./position.ts";
import { forkThere } from "./state_there.ts";
import { findProcess, reading } from "./store.ts";

/** `fork`. */
export const fork: Command = {
  name: "fork",
  group: "state",
  usage: "PID AT [--goal G] [--model M] [--message TEXT] [--budget K=N] [--policy FILE]",
  about: "Start a new tree from a checkpoint or line of a process's tree; nothing runs yet",
  examples: [
    'libos fork p_1 draft --goal "Write it for children"',
    'libos fork p_1 120 --model openai-compatible/small --message "Be brief"',
  ],
  options: {
    goal: { type: "string" },
    model: { type: "string" },
    message: { type: "string", short: "m" },
    budget: { type: "string", multiple: true },
  },
  words: [2, 2],
  remote: forkThere,
  async run(at) {
    const [word, wanted] = at.words as [string, string];
    const edits = await editsOf(at);
    const from = await reading(at, async (store) => {
      const { tree: { state }, process: { pid } } = await findProcess(store, word);
      const seq = positionOf(state, wanted);
      return { pid, tree: state.tree, seq, checkpoint: checkpointAt(state, seq) };
    });
    const { pid, state } = await owning(at, `fork "${from.pid}"`, async (runtime) => {
      const { pid } = await (await runtime.get(from.pid))!.fork(from.seq, edits);
      return { pid, state: (await runtime.node.open(treeOf(pid))).state };
    });
    const process = state.processes[pid]!;
    const run = runText(state, process, edits);
    show(at, { pid, tree: treeOf(pid), from, goal: goalOf(process), run }, {
      name: pid,
      lines: [
        `${pid} is a fork of ${from.pid} at ${positionText(from.seq, from.checkpoint)}`,
        ...lateLine(process, edits),
        "It shares the workspace, and has no finite uses and no approvals of the other",
        `Run it with: ${run}`,
      ],
    });
    return EXIT.ok;
  },
};

function goalOf({ goal, upcoming }: Process): string {
  return upcoming?.goal ?? goal;
}

/** What was changed holds from the next step on, when one is in hand. */
function lateLine({ upcoming, step }: Process, { goal, model }: BranchEdits): string[] {
  if (upcoming === undefined || (goal === undefined && model === undefined)) return [];
  const what = [goal === undefined ? [] : ["goal"], model === undefined ? [] : ["model"]].flat();
  const late = `step ${step} is in hand, and ends with the old`;
  return [`Its new ${what.join(" and ")} holds from step ${step + 1} on: ${late}`];
}

/** How to run it: the file is known only for the built-in image. */
function runText(state: State, process: Process, edits: BranchEdits): string {
  const image = state.images[process.upcoming?.image ?? process.image];
  const isAgent = image?.name === "agent" && image.program === "model-loop";
  const model = isAgent || edits.model !== undefined ? " --model URL --model-id NAME" : "";
  const jit = Object.keys(state.tools).length === 0 ? "" : " --jit";
  return `libos run ${isAgent ? "agent" : "FILE"} ${process.pid} --resume${jit}${model}`;
}
