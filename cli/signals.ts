/**
 * Orders to processes: `pause`, `resume`, `cancel`, `kill`, `send`.
 * @module
 */

import { type Signal, SIGNALS } from "../kernel/process.ts";
import type { Command, Context } from "./command.ts";
import { UsageError } from "./exit.ts";
import { show } from "./output.ts";
import { stateText } from "./process_text.ts";
import { systemOf } from "./system.ts";
import { valueOf } from "./words.ts";

function signal(name: Signal, about: string): Command {
  return {
    name,
    group: "processes",
    usage: `PID [-m WHY]${name === "kill" ? " [-s SIGNAL]" : ""}`,
    about,
    examples: [`libos ${name} p_1`, `libos ${name} p_1.2 -m "by request"`],
    options: {
      message: { type: "string", short: "m" },
      ...(name === "kill" ? { signal: { type: "string", short: "s" } } as const : {}),
    },
    words: [1, 1],
    remote: "same",
    run: (at) => sendSignal(at, signalOf(at.flags.text("signal") ?? name)),
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

function signalOf(word: string): Signal {
  if ((SIGNALS as readonly string[]).includes(word)) return word as Signal;
  throw new UsageError(`Cannot send "${word}": unknown, expected ${SIGNALS.join(", ")}`);
}

async function sendSignal(at: Context, name: Signal): Promise<number> {
  const system = systemOf(at);
  const { pid } = await system.process(at.words[0]!);
  const reason = at.flags.text("message") ?? "";
  const { process, isRunning } = await system.signal(pid, name, reason);
  const hint = isRunning || name !== "resume" ? [] : [`Go on with: libos run FILE ${pid} --resume`];
  show(at, process, { name: pid, lines: [`${pid} is ${stateText(process)}`, ...hint] });
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
  remote: "same",
  async run(at) {
    const { flags, words: [word, text] } = at;
    const system = systemOf(at);
    const { pid } = await system.process(word!);
    await system.send(pid, {
      type: flags.text("type") ?? "message",
      data: flags.on("json") ? valueOf(text!) : text!,
      interrupt: flags.on("interrupt"),
    });
    show(at, { to: pid, sent: true }, { name: pid, lines: [`sent to ${pid}`] });
    return 0;
  },
};
