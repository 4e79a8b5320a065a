/**
 * Generated tools: what agents wrote, who let it in, and trying one by hand.
 * @module
 */

import { toolsThere } from "./tools_there.ts";
import { isId } from "../kernel/ids.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { refuseLater } from "./later.ts";
import { give, operatorOf } from "./order.ts";
import { show } from "./output.ts";
import { approve, deny } from "./decide.ts";
import { reading } from "./store.ts";
import { findReview, findStanding, versionOf } from "./tool_known.ts";
import { checkTool } from "./tool_check.ts";
import { newTool } from "./tool_new.ts";
import { listTools, printSource, showTool } from "./tool_show.ts";
import { tryTool } from "./tool_try.ts";

/** What each verb does, how many words it takes, and which options. */
const VERBS: {
  readonly [verb: string]: {
    readonly usage: string;
    readonly words: readonly [number, number];
    run(at: Context, word: string): Promise<number>;
  };
} = {
  ls: { usage: "ls [PID]", words: [0, 1], run: (at) => listTools(at, at.words[1]) },
  show: { usage: "show NAME|VERSION", words: [1, 1], run: showTool },
  source: { usage: "source NAME|VERSION [--diff]", words: [1, 1], run: printSource },
  approve: { usage: "approve NAME|VERSION|REQUEST", words: [1, 1], run: approveTool },
  deny: { usage: "deny NAME|VERSION|REQUEST -m WHY", words: [1, 1], run: denyTool },
  revoke: { usage: "revoke NAME|VERSION [-m WHY]", words: [1, 1], run: revoke },
  new: { usage: "new NAME", words: [1, 1], run: newTool },
  test: { usage: "test FILE", words: [1, 1], run: checkTool },
  run: { usage: "run FILE [--grant R] [--ask R] [--input JSON]", words: [1, 1], run: tryTool },
};

/** They touch no store. */
const FILE_VERBS = ["new", "test", "run"];

/** `tools`. */
export const tools: Command = {
  name: "tools",
  group: "tools",
  usage: Object.values(VERBS).map(({ usage }) => usage).join(" | "),
  about: "Look at the tools agents wrote, let them in, take them back; write, test and try one",
  examples: [
    "libos tools source csv_sum --diff",
    "libos tools run lines.ts --grant 'file.read(./**)' --input '{\"path\":\"./README.md\"}'",
  ],
  options: {
    tree: { type: "string" },
    diff: { type: "boolean" },
    message: { type: "string", short: "m" },
    scope: { type: "string" },
    for: { type: "string" },
    uses: { type: "string" },
    rule: { type: "string" },
    grant: { type: "string", multiple: true },
    ask: { type: "string", multiple: true },
    deny: { type: "string", multiple: true },
    input: { type: "string" },
    isolation: { type: "string" },
    timeout: { type: "string" },
  },
  words: [0, 2],
  refuse: ([verb]) => refuseLater("tools", verb),
  remote: (at, client) =>
    FILE_VERBS.includes(at.words[0]!) ? tools.run(at) : toolsThere(at, client),
  async run(at) {
    const [verb = "ls", word = "", ...rest] = at.words;
    const known = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
    if (known === undefined) {
      const expected = `expected ${Object.keys(VERBS).join(", ")}`;
      throw new UsageError(`Cannot run "tools ${verb}": no such verb, ${expected}`);
    }
    const given = (at.words.length > 1 ? 1 : 0) + rest.length;
    const [least, most] = known.words;
    if (given >= least && given <= most) return await known.run(at, word);
    throw new UsageError(`Cannot run "tools ${verb}": expected tools ${known.usage}`);
  },
};

async function approveTool(at: Context, word: string): Promise<number> {
  return await approve.run({ ...at, words: [await requestOf(at, word)] });
}

async function denyTool(at: Context, word: string): Promise<number> {
  return await deny.run({ ...at, words: [await requestOf(at, word)] });
}

async function requestOf(at: Context, word: string): Promise<string> {
  if (isId("req", word)) return word;
  return await reading(at, (store) => findReview(store, word, at.flags.text("tree")));
}

async function revoke(at: Context, word: string): Promise<number> {
  const story = await reading(at, (store) => findStanding(store, word, at.flags.text("tree")));
  const { record: { hash, name }, tree } = story;
  const by = operatorOf(at);
  const reason = at.flags.text("message") ?? "";
  const { lines } = await give(at, tree, { kind: "revoke-tool", hash, by, reason });
  const from = story.registrations.filter(({ ended }) => ended === null).map(({ pid }) => pid);
  show(at, { tool: hash, name, tree, by, reason, from, seq: lines.at(-1)?.seq ?? null }, {
    name: hash,
    lines: [
      `revoked ${name} ${versionOf(story)} in ${tree} by ${by}${
        reason === "" ? "" : `: ${reason}`
      }`,
      from.length === 0
        ? "no live process had it; it is never registered again there"
        : `taken from ${from.join(", ")}; it is never registered again there`,
    ],
  });
  return 0;
}
