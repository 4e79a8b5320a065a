/**
 * Policy files: `policy check | test | fmt | show | load | unused`.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import { checkPolicy, formatPolicy } from "../kernel/policy.ts";
import { printable } from "../providers/printable.ts";
import { readLines } from "../runtime/load.ts";
import { unusedRules } from "../runtime/unused_rules.ts";
import type { Command, Context } from "./command.ts";
import { listUnused, policyThere } from "./evidence_there.ts";
import { EXIT, UsageError } from "./exit.ts";
import { readText, writeText } from "./files.ts";
import { give, operatorOf } from "./order.ts";
import { show } from "./output.ts";
import { replay } from "./replay.ts";
import { findTree, headsOf, reading, TREE_CONTEXT, treeIn } from "./store.ts";

/** They touch no store. */
const FILE_VERBS = ["check", "fmt"];

/** `policy`. */
export const policy: Command = {
  name: "policy",
  group: "authority",
  usage: "check FILE | test FILE PID [--until N] | fmt FILE [--write] | load FILE [--tree T] | " +
    "show [T] | unused [T]",
  about: "Check, format, load and show policies",
  examples: ["libos policy check libos.policy", "libos policy load libos.policy --tree t_1"],
  options: { tree: { type: "string" }, write: { type: "boolean" }, until: { type: "string" } },
  words: [1, 3],
  remote: (at, client) =>
    FILE_VERBS.includes(at.words[0]!) ? policy.run(at) : policyThere(at, client),
  run(at) {
    const [verb, word, pid] = at.words;
    if (verb === "test" && word !== undefined && pid !== undefined) return test(at, word, pid);
    if (pid !== undefined) throw new UsageError(`Cannot run "policy ${verb}": too many words`);
    if (verb === "show") return showPolicy(at, word ?? at.flags.text("tree"));
    if (verb === "unused") return unused(at, word ?? at.flags.text("tree"));
    if (word !== undefined) {
      if (verb === "check") return check(at, word);
      if (verb === "fmt") return format(at, word);
      if (verb === "load") return load(at, word);
    }
    throw new UsageError(`Cannot run "policy ${verb}": expected ${policy.usage}`);
  },
};

/** Holds a policy against what a process did: exit 7 where it would have gone another way. */
async function test(at: Context, file: string, pid: string): Promise<number> {
  const until = at.flags.text("until");
  const flags = at.flags.with({ policy: file, ...(until === undefined ? {} : { until }) });
  return await replay.run({ ...at, words: [pid], flags });
}

async function check(at: Context, file: string): Promise<number> {
  const text = await readText(at, file);
  try {
    const read = checkPolicy(text, TREE_CONTEXT);
    const [rules, labels, sinks] = [read.rules.length, read.labels.length, read.sinks.length];
    const counts = { file, rules, labels, sinks, errors: [] };
    show(at, counts, {
      name: file,
      lines: [`${file}: ${rules} rules, ${labels} labels, ${sinks} sinks, no errors`],
    });
    return EXIT.ok;
  } catch (error) {
    const errors = errorsOf(error);
    if (errors === undefined) throw error;
    show(at, { file, errors }, {
      name: file,
      lines: errors.map(({ line, message }) => `${file}:${line}: ${message}`),
    });
    return EXIT.error;
  }
}

interface Wrong {
  readonly line: number;
  readonly message: string;
}

function errorsOf(error: unknown): readonly Wrong[] | undefined {
  if (!(error instanceof SysError) || error.code !== "EINVAL") return undefined;
  return error.detail?.["errors"] as readonly Wrong[] | undefined;
}

async function format(at: Context, file: string): Promise<number> {
  const text = formatPolicy(checkPolicy(await readText(at, file), TREE_CONTEXT));
  if (at.flags.on("write")) await writeText(at, file, text);
  else at.io.out(at.io.isTerminal ? printable(text) : text);
  return EXIT.ok;
}

async function showPolicy(at: Context, word: string | undefined): Promise<number> {
  const { id, text } = await reading(at, async (store) => {
    const id = await findTree(store, word);
    return { id, text: (await treeIn(store, id)).state.policy.text };
  });
  const lines = text === "" ? [`# ${id} has no policy`] : text.trimEnd().split("\n");
  show(at, { tree: id, text }, { name: id, lines });
  return EXIT.ok;
}

/** A policy's text, and how many rules it has. */
export async function policyIn(
  at: Context,
  file: string,
): Promise<{ readonly text: string; readonly count: number }> {
  const text = await readText(at, file);
  return { text, count: checkPolicy(text, TREE_CONTEXT).rules.length };
}

/** Loads a policy into one tree, or into all that are live. */
async function load(at: Context, file: string): Promise<number> {
  const { text, count } = await policyIn(at, file);
  const word = at.flags.text("tree");
  const trees: TreeId[] = await reading(
    at,
    async (store) =>
      word === undefined
        ? (await headsOf(store, false)).map(({ tree }) => tree)
        : [await findTree(store, word)],
  );
  for (const tree of trees) {
    await give(at, tree, { kind: "policy", text, by: operatorOf(at) });
  }
  return showLoaded(at, file, { trees, count });
}

/** Prints what was loaded into which trees. */
export function showLoaded(at: Context, file: string, { trees, count }: {
  readonly trees: readonly string[];
  readonly count: number;
}): number {
  show(at, { trees, rules: count }, {
    name: file,
    lines: [`loaded ${count} rules into ${trees.join(", ") || "no tree: none is live"}`],
  });
  return EXIT.ok;
}

/** Rules of a tree's policy which decided no call so far. */
async function unused(at: Context, word: string | undefined): Promise<number> {
  const rules = await reading(at, async (store) => {
    const id = await findTree(store, word);
    const { policy } = await treeIn(store, id);
    return await unusedRules(policy, readLines(store, id));
  });
  return listUnused(at, rules);
}
