/**
 * Orders to processes: `pause`, `resume`, `cancel`, `kill`, `send`.
 * @module
 */

import { info } from "../runtime/process.ts";
import type { Signal } from "../kernel/process.ts";
import type { Command, Context } from "./command.ts";
import { give, operatorOf } from "./order.ts";
import { show } from "./output.ts";
import { stateText } from "./processes.ts";
import { findProcess, reading } from "./store.ts";
import { valueOf } from "./words.ts";

function signal(name: Signal, about: string): Command {
  return {
    name,
    group: "processes",
    usage: "PID [-m WHY]",
    about,
    examples: [`libos ${name} p_1`, `libos ${name} p_1.2 -m "by request"`],
    options: { message: { type: "string", short: "m" } },
    words: [1, 1],
    run: (at) => sendSignal(at, name),
  };
}

/** `pause`. */
export const pause = signal("pause", "Stop a process and all below it for a while");
/** `resume`. */
export const resume = signal("resume", "Let a paused process go on");
/** `cancel`. */
export const cancel = signal("cancel", "End a process once what it sent has come home");
/** `kill`. */
export const kill = signal("kill", "End a process and all below it at once");

async function sendSignal(at: Context, name: Signal): Promise<number> {
  const { tree, process } = await reading(at, (store) => findProcess(store, at.words[0]!));
  const { isRunning } = await give(at, tree.state.tree, {
    kind: "signal",
    pid: process.pid,
    signal: name,
    reason: at.flags.text("message") ?? "",
    by: operatorOf(at),
  });
  const found = await reading(at, async (store) => {
    const later = await findProcess(store, process.pid);
    return info(later.tree.state, later.process);
  });
  const hint = isRunning || name !== "resume"
    ? []
    : [`Go on with: libos run FILE ${found.pid} --resume`];
  show(at, found, { name: found.pid, lines: [`${found.pid} is ${stateText(found)}`, ...hint] });
  return 0;
}

/** `send`. */
export const send: Command = {
  name: "send",
  group: "processes",
  usage: "PID TEXT [--type T] [--interrupt] [--json]",
  about: "Send a message to a process",
  examples: [
    'libos send p_1 "look at ./notes as well"',
    "libos send p_1 '{\"level\":2}' --json --type setting --interrupt",
  ],
  options: {
    type: { type: "string" },
    interrupt: { type: "boolean" },
    json: { type: "boolean" },
  },
  words: [2, 2],
  async run(at) {
    const { flags, words: [word, text] } = at;
    const { tree, process } = await reading(at, (store) => findProcess(store, word!));
    await give(at, tree.state.tree, {
      kind: "message",
      to: process.pid,
      from: `person:${operatorOf(at)}`,
      type: flags.text("type") ?? "message",
      data: flags.on("json") ? valueOf(text!) : text!,
      interrupt: flags.on("interrupt"),
      replyTo: null,
      label: { sensitivity: "public", trust: "user" },
    });
    show(at, { to: process.pid, sent: true }, {
      name: process.pid,
      lines: [`sent to ${process.pid}`],
    });
    return 0;
  },
};
