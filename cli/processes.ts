/**
 * Looking at processes: `ps` and `describe`.
 * @module
 */

import { realClock } from "../providers/clock.ts";
import type { CapabilityView } from "../server/schema/authority.ts";
import type { EventView } from "../server/schema/evidence.ts";
import type { ProcessView } from "../server/schema/process.ts";
import type { Command, Context } from "./command.ts";
import { watching } from "./follow.ts";
import { UsageError } from "./exit.ts";
import { aligned, list, show } from "./output.ts";
import { branches, budgetText, capabilityRows, endText, flat } from "./process_text.ts";
import { processColumns, stateText } from "./process_text.ts";
import { type System, systemOf } from "./system.ts";
import { short, spanOf } from "./words.ts";

const EVENTS_SHOWN = 8;

type State = ProcessView["state"];
type Reason = NonNullable<ProcessView["waiting"]>["reason"];
const STATES = ["ready", "running", "waiting", "paused", "canceling", "ended"] as const;
const REASONS = ["person", "message", "child", "timer", "call", "away", "paused", "node"] as const;

/** `ps`. */
export const ps: Command = {
  name: "ps",
  group: "processes",
  usage: "[-a] [-t] [-w] [-l K=V] [--state S]",
  about: "List processes",
  examples: ["libos ps -t", "libos ps -o name -l team=ops --state waiting/person"],
  options: {
    all: { type: "boolean", short: "a" },
    tree: { type: "boolean", short: "t" },
    watch: { type: "boolean", short: "w" },
    label: { type: "string", short: "l", multiple: true },
    state: { type: "string" },
  },
  words: [0, 0],
  remote: "same",
  async run(at) {
    const system = systemOf(at);
    if (at.flags.on("watch")) return await watching(at, system, () => once(at, system));
    await once(at, system);
    return 0;
  },
};

/** The state that is wanted, `waiting` or `waiting/person`. */
function stateOf(word: string | undefined): string | undefined {
  if (word === undefined) return undefined;
  const [state, reason, more] = word.split("/");
  const isReason = reason === undefined ||
    state === "waiting" && more === undefined && REASONS.includes(reason as Reason);
  if (STATES.includes(state as State) && isReason) return word;
  const reasons = REASONS.map((one) => `waiting/${one}`);
  const expected = [...STATES, ...reasons].join(", ");
  throw new UsageError(`Cannot list state "${word}": unknown, expected ${expected}`);
}

async function once(at: Context, system: System): Promise<void> {
  const { flags } = at;
  const all = flags.on("all");
  const [state, labels] = [stateOf(flags.text("state")), flags.texts("label")];
  const found = await system.processes({
    all,
    state,
    labels,
  });
  list(at, flags.on("tree") ? branches(found) : found.map(flat), {
    columns: processColumns(realClock.now()),
    name: ({ pid }) => pid,
    json: ({ branch: _, ...rest }) => rest,
    none: state !== undefined || labels.length > 0
      ? "No such processes"
      : all
      ? "No processes yet"
      : "No live processes; libos ps -a shows those that ended",
  });
}

/** `describe`. */
export const describe: Command = {
  name: "describe",
  group: "processes",
  usage: "PID",
  about: "Tell everything about one process",
  examples: ["libos describe p_1", "libos describe p_1.2 -o json"],
  options: {},
  words: [1, 1],
  remote: "same",
  async run(at) {
    const system = systemOf(at);
    const process = await system.process(at.words[0]!);
    const { pid } = process;
    const [capabilities, events] = [await system.held(pid), await lastLines(system, process)];
    show(at, { ...process, capabilities, events }, {
      name: pid,
      lines: describeLines(process, { capabilities, events }),
    });
    return 0;
  },
};

/** The latest lines of a process, newest first. */
export async function lastLines(
  system: System,
  { pid, tree }: ProcessView,
  most = EVENTS_SHOWN,
): Promise<EventView[]> {
  const found: EventView[] = [];
  for await (const line of system.lines(tree, { from: 1, pid })) {
    if (line.type === "cap.granted") continue;
    found.push(line);
    if (found.length > most) found.shift();
  }
  return found.reverse();
}

/** All that is shown of a process, a line each. */
export function describeLines(process: ProcessView, rest: {
  readonly capabilities: readonly CapabilityView[];
  readonly events: readonly EventView[];
}): string[] {
  const nowMs = realClock.now();
  const { waiting, outcome, calls, tools } = process;
  const since = waiting === null ? "" : ` since ${spanOf(nowMs - Date.parse(waiting.since))}` +
    (waiting.on === null ? "" : ` on ${waiting.on}`);
  const state = outcome === null ? `${stateText(process)}${since}` : endText(outcome);
  return [
    `Name:       ${process.pid}  (${process.image} sha256:${process.imageHash.slice(0, 12)})`,
    `Parent:     ${process.parent ?? "-"}`,
    `Owner:      ${process.owner}`,
    `State:      ${state}`,
    `Goal:       ${process.goal}`,
    `Folder:     ${process.cwd}`,
    ...(process.elsewhere === true ? ["Node:       another one; orders reach it there"] : []),
    `Started:    ${process.startedAt.replace(/\.\d+Z$/, "Z")}, step ${process.step}`,
    `Budget:     ${budgetText(process, nowMs)}`,
    `Calls:      ${calls.allowed} allow, ${calls.asked} ask, ${calls.denied} deny`,
    "Capabilities:",
    ...capabilityRows(rest.capabilities, nowMs).map((line) => `  ${line}`),
    `Tools:      ${tools.length} ${short(tools.join(", "), 100)}`,
    "Events:",
    ...aligned(rest.events.map(({ seq, at, word, text }) => [
      `  ${spanOf(nowMs - Date.parse(at))}`,
      `#${seq}`,
      word,
      text,
    ])),
  ];
}
