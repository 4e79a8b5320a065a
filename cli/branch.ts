/**
 * Branching off: `fork`, a new tree from an earlier position of another.
 * @module
 */

import { explainCall } from "../broker/calls/capability.ts";
import type { BranchEdits } from "../kernel/branch.ts";
import { SysError } from "../kernel/errors.ts";
import { type Pid, treeNumber, treeOf } from "../kernel/ids.ts";
import type { Process, State } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import { treeAt } from "../runtime/history.ts";
import type { Command, Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { readText } from "./files.ts";
import { show } from "./output.ts";
import { checkpointAt, owning, positionOf, positionText } from "./position.ts";
import { forkThere } from "./state_there.ts";
import { findProcess, reading, TREE_CONTEXT } from "./store.ts";
import { budgetOf } from "./words.ts";

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
      const { tree } = await treeAt(store, state.tree, seq, TREE_CONTEXT);
      checkModel(tree, edits.model);
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

async function editsOf(at: Context): Promise<BranchEdits> {
  const { flags } = at;
  const [goal, model, message] = ["goal", "model", "message"].map((name) => flags.text(name));
  const policy = flags.text("policy");
  const budget = budgetOf(flags.texts("budget"));
  return {
    ...(goal === undefined ? {} : { goal }),
    ...(model === undefined ? {} : { model }),
    ...(message === undefined ? {} : { message }),
    ...(policy === undefined ? {} : { policy: await readText(at, policy) }),
    ...(Object.keys(budget).length === 0 ? {} : { budget }),
  };
}

/** Refuses a model that the root could never call: a fork brings no new authority. */
function checkModel(tree: Tree, model: string | undefined): void {
  const pid: Pid = `p_${treeNumber(tree.state.tree)}`;
  const process = tree.state.processes[pid];
  if (model === undefined || process === undefined) return;
  const nowMs = tree.state.atMs;
  const { decision } = explainCall(
    { tree, process, pid, nowMs },
    `model.generate(${model})`,
    {},
  );
  if (decision === "allow" || decision === "ask") return;
  const held = [...tree.caps.heldBy([pid])].filter(({ right }) => right === "model.generate")
    .map(({ resource }) => resource);
  const expected = held.length === 0 ? "it may use none" : `expected one of ${held.join(", ")}`;
  throw new SysError(
    "EPERM",
    `Cannot fork "${pid}" with model "${model}": not its own, ${expected}`,
  );
}

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
