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
import { realClock } from "../providers/clock.ts";
import { pidOf } from "../runtime/line_text.ts";
import type { Client } from "../server/client.ts";
import type { EventView } from "../server/schema/evidence.ts";
import { eventView } from "../server/view/event.ts";
import { EXIT } from "./exit.ts";
import { padded, painter, safeJson, safeYaml } from "./output.ts";
import { findProcess, findTree, headsOf, reading } from "./store.ts";
import { type System, systemOf } from "./system.ts";
import { treesThere } from "./system_there.ts";
import { countOf, durationOf, timeOf } from "./words.ts";

const FOLLOW = { follow: { type: "boolean", short: "f" } } as const;

/** `logs`. */
export const logs: Command = {
  name: "logs",
  group: "processes",
  usage: "PID [-f] [--tree] [--since N|10m]",
  about: "Show what a process did, a line an event",
  examples: ["libos logs p_1", "libos logs p_1 -f --tree"],
  options: { ...FOLLOW, tree: { type: "boolean" }, since: { type: "string" } },
  words: [1, 1],
  remote: "same",
  async run(at) {
    const since = beginOf(at);
    const system = systemOf(at);
    const { pid, tree } = await system.process(at.words[0]!);
    const wanted = at.flags.on("tree") ? {} : { pid };
    const print = printerOf(at);
    let from = since.from;
    const look = async (): Promise<{ readonly isDone: boolean }> => {
      // Before the lines are read: what is written after this look wakes the next.
      const isDone = await isOver(system, tree, wanted.pid);
      for await (const line of system.lines(tree, { from, ...wanted })) {
        from = line.seq + 1;
        if (Date.parse(line.at) >= since.fromMs) print(line);
      }
      return { isDone };
    };
    if (at.flags.on("follow")) return await following(at, system, look);
    await look();
    return 0;
  },
};

/** Whether nothing more will come, of one process or of a whole tree. */
async function isOver(system: System, tree: string, pid: string | undefined): Promise<boolean> {
  if (pid !== undefined) return (await system.process(pid)).state === "ended";
  return (await system.processes({ all: false, tree })).every(({ state }) => state === "ended");
}

/** Prints lines, each with its process in a colour of its own. */
export function printerOf(at: Context): (line: EventView) => void {
  const paint = painter(at);
  return (line) => {
    if (at.format === "json" || at.format === "jsonl") return at.io.out(`${safeJson(line)}\n`);
    if (at.format === "yaml") return at.io.out(`---\n${safeYaml(line)}`);
    if (at.format === "name") return at.io.out(`${oneLine(`${line.tree}#${line.seq}`)}\n`);
    at.io.out(`${logText(line, paint)}\n`);
  };
}

const HEAD_COLOURS = ["cyan", "magenta", "blue", "green"] as const;

/** A line of a log as people read it. */
export function logText(line: EventView, paint: ReturnType<typeof painter>): string {
  const { pid, tree, word, text, decision, at } = line;
  const colour = decision === "deny" ? "red" : word === "ask" ? "yellow" : undefined;
  const body = `${timeOf(Date.parse(at))} ${padded(oneLine(word), 8)} ${oneLine(text)}`;
  const number = Number((pid ?? "").split(".")[1] ?? 1);
  const head = HEAD_COLOURS[(number - 1) % HEAD_COLOURS.length]!;
  const shown = colour === undefined ? body : paint(body, colour);
  return `${paint(padded(oneLine(pid ?? tree), 7), pid === null ? "dim" : head)} │ ${shown}`;
}

/** Where to begin: at a line, or at what happened a while ago. */
function beginOf(at: Context): { readonly from: number; readonly fromMs: number } {
  const word = at.flags.text("since");
  if (word !== undefined && /^\d+(ms|s|m|h|d)$/.test(word)) {
    return { from: 1, fromMs: realClock.now() - durationOf(word)! };
  }
  return { from: sinceOf(at), fromMs: 0 };
}

/** `events`. */
export const events: Command = {
  name: "events",
  group: "evidence",
  usage: "[TREE|PID] [-f] [--since N|10m]",
  about: "Print the lines of logs as JSON, a line an event",
  examples: ["libos events p_1 --since 10", "libos events -f"],
  options: { ...FOLLOW, since: { type: "string" } },
  words: [0, 1],
  remote: eventsThere,
  async run(at) {
    const [word] = at.words;
    const { fromMs } = beginOf(at);
    const tree = word === undefined
      ? undefined
      : await reading(at, (store) => findTree(store, word));
    const pid = word?.includes(".") === true
      ? await reading(at, async (store) => (await findProcess(store, word)).process.pid)
      : null;
    const lines: EventView[] = [];
    const exit = await printing(at, {
      trees: async (store) =>
        tree === undefined ? (await headsOf(store, true)).map((head) => head.tree) : [tree],
      print(line) {
        if (line.atMs < fromMs || (pid !== null && pidOf(line) !== pid)) return;
        printEvent(at, eventView(line, true), lines);
      },
      ended: tree === undefined ? undefined : null,
    });
    if (at.format === "json") at.io.out(`${safeJson(lines, 2)}\n`);
    return exit;
  },
};

/** Prints a line, whole; as one JSON value they are kept until all are there. */
function printEvent(at: Context, line: EventView, kept: EventView[]): void {
  if (at.format === "json") kept.push(line);
  else if (at.format === "name") at.io.out(`${oneLine(`${line.tree}#${line.seq}`)}\n`);
  else if (at.format === "yaml") at.io.out(`---\n${safeYaml(line)}`);
  else at.io.out(`${safeJson(line)}\n`);
}

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
  const { from: since } = beginOf(at);
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
  const each = (): Promise<{ readonly isDone: boolean }> => reading(at, look);
  if (at.flags.on("follow")) return await following(at, systemOf(at), each);
  await each();
  return 0;
}

/** Lines of a server's logs, with what each holds. */
async function eventsThere(at: Context, client: Client): Promise<number> {
  const system = systemOf(at);
  const [word] = at.words;
  const { from: since, fromMs } = beginOf(at);
  const process = word === undefined || /^t_/.test(word) ? undefined : await system.process(word);
  const only = word === undefined ? undefined : (await treesThere(client, word))[0];
  const pid = word?.includes(".") === true ? process?.pid : undefined;
  const next = new Map<string, number>();
  const lines: EventView[] = [];
  const look = async (): Promise<{ readonly isDone: boolean }> => {
    const trees = only === undefined ? await treesThere(client, undefined) : [only];
    let isDone = only !== undefined;
    for (const tree of trees) {
      if (only !== undefined) isDone = await isOver(system, tree, undefined);
      const query = { from: next.get(tree) ?? since, pid, reveal: true, limit: 500 };
      for await (const line of client.all<EventView>(`/v1/trees/${tree}/events`, query)) {
        next.set(tree, line.seq + 1);
        if (Date.parse(line.at) >= fromMs) printEvent(at, line, lines);
      }
    }
    return { isDone };
  };
  const exit = at.flags.on("follow") ? await following(at, system, look) : (await look(), EXIT.ok);
  if (at.format === "json") at.io.out(`${safeJson(lines, 2)}\n`);
  return exit;
}
