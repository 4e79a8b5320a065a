/**
 * Going back: `rollback`, with what it would do shown first.
 *
 * Invariants:
 *   R1. What was shown is what is done: the store is owned from the showing to the doing.
 *   R2. Nothing is changed without a yes at a terminal, or `-y`.
 * @module
 */

import type { Message } from "../kernel/event.ts";
import { type Pid, type TreeId, treeOf } from "../kernel/ids.ts";
import { canonical } from "../kernel/json.ts";
import { openIntents } from "../kernel/process.ts";
import type { LaterEffect } from "../kernel/rewind.ts";
import type { Checkpoint, State } from "../kernel/state.ts";
import type { Store } from "../kernel/store.ts";
import type { Files } from "../kernel/world.ts";
import { RootedFiles } from "../providers/files.ts";
import { oneLine } from "../providers/printable.ts";
import { openTerminal } from "../providers/terminal.ts";
import type { Restored } from "../runtime/rewind.ts";
import { type FileUndo, planUndo } from "../runtime/undo.ts";
import type { ChangeView } from "../server/schema/memory.ts";
import { changeRows } from "../server/view/position.ts";
import { changeLines } from "./change_text.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { resultText } from "../runtime/line_text.ts";
import { aligned, show } from "./output.ts";
import { goOnText } from "./decided.ts";
import { backTo, checkpointAt, owning, positionOf, positionText } from "./position.ts";
import { rollbackThere } from "./state_there.ts";
import { findProcess, reading, workspaceOf } from "./store.ts";
import { short, spanOf } from "./words.ts";

/** `rollback`. */
export const rollback: Command = {
  name: "rollback",
  group: "state",
  usage: "PID AT [--files] [--preview] [-y]",
  about: "Take a process's whole tree back to a checkpoint or line, its files too with --files",
  examples: ["libos rollback p_1 draft --files --preview", "libos rollback p_1 ck_1.1 -y"],
  options: { files: { type: "boolean" }, preview: { type: "boolean" } },
  words: [2, 2],
  remote: rollbackThere,
  async run(at) {
    const [word, wanted] = at.words as [string, string];
    const { flags, io } = at;
    const pid = await reading(at, async (store) => {
      const { process, tree: { state } } = await findProcess(store, word);
      positionOf(state, wanted);
      return process.pid;
    });
    if (flags.on("preview")) return await showPreview(at, pid, wanted);
    if (!flags.on("yes") && !io.isInteractive) {
      const expected = "expected -y; --preview tells what it would do";
      throw new UsageError(`Cannot take "${pid}" back: nobody is there to be asked, ${expected}`);
    }
    return await owning(at, `take "${pid}" back`, async (runtime) => {
      const tree = await runtime.node.open(treeOf(pid));
      await runtime.node.durable(tree);
      const { store, world } = runtime.node.options;
      const plan = await planOf(store, tree.state, { pid, wanted, files: world.files });
      if (!flags.on("yes") && !await isWanted(at, plan)) {
        io.err("Nothing was done\n");
        return EXIT.error;
      }
      const restored = await (await runtime.get(pid))!.restore(plan.to, {
        files: flags.on("files"),
      });
      show(at, { pid, tree: plan.tree, checkpoint: plan.checkpoint, ...restored }, {
        name: pid,
        lines: [...doneLines(plan, restored, flags.on("files")), goOnText(tree)],
      });
      const isWhole = !flags.on("files") || restored.files.every(({ state }) => state === "done");
      return isWhole ? EXIT.ok : EXIT.error;
    });
  },
};

/** What going back would do. */
interface Plan {
  readonly pid: Pid;
  readonly tree: TreeId;
  /** The line it goes back to, and the checkpoint that names it. */
  readonly to: number;
  readonly checkpoint: Checkpoint | null;
  /** The last line now. */
  readonly now: number;
  readonly agoMs: number;
  /** From what is now to what will be. */
  readonly changes: readonly ChangeView[];
  readonly effects: readonly LaterEffect[];
  readonly messages: readonly Message[];
  readonly files: readonly FileUndo[];
  /** Why it would be refused; null when it would not. */
  readonly refused: string | null;
}

async function planOf(store: Store, now: State, given: {
  readonly pid: Pid;
  readonly wanted: string;
  readonly files: Files | null;
}): Promise<Plan> {
  const { pid, wanted, files } = given;
  const to = positionOf(now, wanted);
  const { past, since, state } = await backTo(store, now, to);
  const see = `see libos effects ${now.tree} --open`;
  const doubtful = Object.values(now.processes).find((one) => openIntents(one).length > 0);
  return {
    pid,
    tree: now.tree,
    to,
    checkpoint: checkpointAt(now, to),
    now: now.seq,
    agoMs: now.atMs - past.tree.state.atMs,
    changes: changeRows(now, state),
    effects: since.effects,
    messages: since.messages,
    files: files === null ? [] : await planUndo(files, since.touches),
    refused: doubtful === undefined
      ? null
      : `an effect of ${doubtful.pid} is under way or in doubt; ${see}`,
  };
}

async function showPreview(at: Context, pid: Pid, wanted: string): Promise<number> {
  const files = await RootedFiles.open(workspaceOf(at));
  const plan = await reading(at, async (store) => {
    const { tree } = await findProcess(store, pid);
    return await planOf(store, tree.state, { pid, wanted, files });
  });
  show(at, plan, { name: pid, lines: planLines(plan, at.flags.on("files")) });
  return EXIT.ok;
}

/** Shows the plan and asks; only a yes is one. */
async function isWanted(at: Context, plan: Plan): Promise<boolean> {
  const terminal = openTerminal();
  const lines = planLines(plan, at.flags.on("files")).map((line) => `${oneLine(line)}\n`);
  terminal.write(lines.join(""));
  terminal.discard?.();
  terminal.write(`Take ${plan.tree} back to line ${plan.to}? [yes] or nothing > `);
  const said = (await terminal.read())?.trim().toLowerCase();
  return said === "y" || said === "yes";
}

function planLines(plan: Plan, withFiles: boolean): string[] {
  const { pid, tree, to, checkpoint, now, agoMs, changes, messages, refused } = plan;
  const where = positionText(to, checkpoint);
  const ago = `${spanOf(agoMs)} before its last line, ${now}`;
  const files = fileLines(plan.files);
  return [
    `${pid}, with all of ${tree}, would go back to ${where}: ${ago}`,
    ...(refused === null ? [] : [`It would be refused: ${refused}`]),
    ...section(`What changes in ${tree} (${changes.length})`, changeLines(changes)),
    "What was spent, revoked and answered since stays so.",
    ...section("Outside, this stands", effectLines(plan, withFiles)),
    ...section("Messages that are not delivered again", messageLines(messages)),
    ...section(withFiles ? "Files" : "Files that --files would put back", files),
  ];
}

function doneLines(plan: Plan, restored: Restored, withFiles: boolean): string[] {
  const { pid, checkpoint } = plan;
  const { to, at, files, messages, effects } = restored;
  const heads = withFiles ? "Files" : "Files are as they were left; --files would put back";
  return [
    `${pid} is back at ${positionText(to, checkpoint)}; line ${at} says so`,
    ...section(heads, fileLines(files)),
    ...section("Outside, this stands", effectLines({ effects, files }, withFiles)),
    ...section("Messages that are not delivered again", messageLines(messages)),
  ];
}

function section(head: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [head, ...lines.map((line) => `  ${line}`)];
}

function fileLines(files: readonly FileUndo[]): string[] {
  return aligned(files.map(({ path, action, state, why }) => [
    state,
    action,
    `./${path}`,
    why,
  ]));
}

const EFFECTS_SHOWN = 20;

/** Effects that stand: those on files that are put back do not, and calls of models are counted. */
function effectLines({ effects, files }: {
  readonly effects: readonly LaterEffect[];
  readonly files: readonly FileUndo[];
}, withFiles: boolean): string[] {
  const isBack = ({ state }: FileUndo) => withFiles && (state === "ready" || state === "done");
  // A path that is as it was needs no undoing.
  const left = new Set(files.filter((file) => !isBack(file)).map(({ path }) => path));
  const stands = effects.filter(({ touches, result }) => {
    if (result !== null && !result.ok && result.code !== "EINDOUBT") return false;
    return touches.length === 0 || touches.some(({ path }) => left.has(path));
  });
  const models = stands.filter(({ name }) => name === "model.generate").length;
  const others = stands.filter(({ name }) => name !== "model.generate");
  const rows = others.slice(0, EFFECTS_SHOWN).map(({ seq, pid, name, args, touches, result }) => [
    `#${seq}`,
    pid,
    name,
    touches.map(({ path }) => `./${path}`).join(" → ") || short(canonical(args), 60),
    result === null ? "in doubt" : resultText(result),
  ]);
  const more = others.length - rows.length;
  return [
    ...aligned(rows),
    ...(more > 0 ? [`and ${more} more; see libos effects`] : []),
    ...(models > 0 ? [`${models} calls of models were paid for`] : []),
  ];
}

function messageLines(messages: readonly Message[]): string[] {
  return aligned(messages.map(({ id, from, to, data }) => [
    id,
    `${from} to ${to}`,
    short(canonical(data), 60),
  ]));
}
