/**
 * Reading logs: `logs` for people, `events` for programs.
 * @module
 */

import type { Line } from "../kernel/event.ts";
import type { Pid, TreeId } from "../kernel/ids.ts";
import type { Store } from "../kernel/store.ts";
import { oneLine } from "../providers/printable.ts";
import { headOf, readLines } from "../runtime/load.ts";
import type { Command, Context } from "./command.ts";
import { following } from "./follow.ts";
import { lineText, pidOf } from "../runtime/line_text.ts";
import { padded, painter, safeJson } from "./output.ts";
import { findProcess, findTree, headsOf, reading } from "./store.ts";
import { countOf, timeOf } from "./words.ts";

const FOLLOW = { follow: { type: "boolean", short: "f" } } as const;

/** `logs`. */
export const logs: Command = {
  name: "logs",
  group: "processes",
  usage: "PID [-f] [--tree] [--since N]",
  about: "Show what a process did, a line an event",
  examples: ["libos logs p_1", "libos logs p_1 -f --tree"],
  options: { ...FOLLOW, tree: { type: "boolean" }, since: { type: "string" } },
  words: [1, 1],
  async run(at) {
    const paint = painter(at);
    sinceOf(at);
    const { id, pid } = await reading(at, async (store) => {
      const { tree, process } = await findProcess(store, at.words[0]!);
      return { id: tree.state.tree, pid: process.pid };
    });
    const wanted = at.flags.on("tree") ? null : pid;
    return await printing(at, {
      trees: () => Promise.resolve([id]),
      print(line) {
        const about = pidOf(line);
        if (wanted !== null && about !== wanted) return;
        if (at.format === "json" || at.format === "jsonl") {
          at.io.out(`${safeJson(line)}\n`);
          return;
        }
        const { word, text } = lineText(line);
        const colour = text.includes("DENY") ? "red" : word === "ask" ? "yellow" : undefined;
        const head = padded(about ?? id, 7);
        const body = `${timeOf(line.atMs)} ${padded(word, 8)} ${oneLine(text)}`;
        const shown = colour === undefined ? body : paint(body, colour);
        at.io.out(`${paint(head, "dim")} │ ${shown}\n`);
      },
      ended: wanted,
    });
  },
};

/** `events`. */
export const events: Command = {
  name: "events",
  group: "evidence",
  usage: "[TREE|PID] [-f] [--since N]",
  about: "Print the lines of logs as JSON, a line an event",
  examples: ["libos events p_1 --since 10", "libos events -f"],
  options: { ...FOLLOW, since: { type: "string" } },
  words: [0, 1],
  async run(at) {
    const [word] = at.words;
    sinceOf(at);
    const tree = word === undefined
      ? undefined
      : await reading(at, (store) => findTree(store, word));
    const pid = word?.includes(".") === true
      ? await reading(at, async (store) => (await findProcess(store, word)).process.pid)
      : null;
    const lines: Line[] = [];
    const exit = await printing(at, {
      trees: async (store) =>
        tree === undefined ? (await headsOf(store, true)).map((head) => head.tree) : [tree],
      print(line) {
        if (pid !== null && pidOf(line) !== pid) return;
        if (at.format === "json") lines.push(line);
        else if (at.format === "name") at.io.out(`${line.tree}#${line.seq}\n`);
        else at.io.out(`${safeJson(line)}\n`);
      },
      ended: tree === undefined ? undefined : null,
    });
    if (at.format === "json") at.io.out(`${safeJson(lines, 2)}\n`);
    return exit;
  },
};

function sinceOf({ flags }: Context): number {
  return countOf(flags.text("since"), "--since") ?? 1;
}

interface Printing {
  trees(store: Store): Promise<readonly TreeId[]>;
  print(line: Line): void;
  /** Following ends with this process; null: with the tree; undefined: never. */
  readonly ended: Pid | null | undefined;
}

async function printing(at: Context, job: Printing): Promise<number> {
  const since = sinceOf(at);
  const next = new Map<TreeId, number>();
  let isOver = false;
  const look = async (store: Store): Promise<{ readonly isDone: boolean }> => {
    for (const tree of await job.trees(store)) {
      const from = next.get(tree) ?? since;
      const head = await headOf(store, tree);
      if (job.ended !== undefined && !head.summary.live) isOver = true;
      if (head.seq < from) continue;
      for await (const line of readLines(store, tree, from)) {
        job.print(line);
        next.set(tree, line.seq + 1);
        if (line.type === "process.ended" && pidOf(line) === job.ended) isOver = true;
      }
    }
    return { isDone: isOver };
  };
  if (at.flags.on("follow")) return await following(at, look);
  await reading(at, look);
  return 0;
}
