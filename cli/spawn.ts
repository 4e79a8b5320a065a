/**
 * `spawn` and `wait`: starting a process on a server, and waiting until one has ended.
 * @module
 */

import { oneLine, printable, quoted } from "../providers/printable.ts";
import { realClock } from "../providers/clock.ts";
import { checkCredentialName } from "../kernel/credential.ts";
import type { Errno } from "../kernel/errors.ts";
import { textOf } from "../runtime/line_text.ts";
import type { ProcessView } from "../server/schema/process.ts";
import type { Command, Context, Flags } from "./command.ts";
import { EXIT, type ExitCode, exitOf, UsageError } from "./exit.ts";
import { isFile } from "./files.ts";
import { following } from "./follow.ts";
import { safeJson, safeYaml, show } from "./output.ts";
import { endText, stateText } from "./process_text.ts";
import { type System, systemOf } from "./system.ts";
import { budgetOf, durationOf, labelsOf, patternOf, valueOf } from "./words.ts";

/** `spawn`. */
export const spawn: Command = {
  name: "spawn",
  group: "start",
  usage: '[-d] IMAGE ["goal"] [--grant R] [--ask R] [--deny R] [--budget K=N] [--label K=V]',
  about: "Start an agent on a server, of an image that it knows; -d does not wait for its end",
  examples: [
    "libos spawn -d reporter \"Write it up\" --grant 'file.read(./notes/**)'",
    'libos spawn reporter "Write it up" --host http://127.0.0.1:7777 --budget tokens=50000',
  ],
  options: {
    detach: { type: "boolean", short: "d" },
    grant: { type: "string", multiple: true },
    ask: { type: "string", multiple: true },
    deny: { type: "string", multiple: true },
    credential: { type: "string", multiple: true },
    budget: { type: "string", multiple: true },
    label: { type: "string", multiple: true, short: "l" },
    input: { type: "string" },
    key: { type: "string" },
    timeout: { type: "string" },
    "no-wait": { type: "boolean" },
  },
  words: [1, 2],
  remote: "only",
  async run(at) {
    const { flags, words: [image, goal] } = at;
    await refuseFile(at, image!);
    const budget = budgetOf(flags.texts("budget"));
    const input = flags.text("input");
    const key = flags.text("key");
    const process = await at.client!.spawn({
      image: image!,
      // What its file says, as libos run takes it; what is said here comes besides.
      defaults: true,
      ...(goal === undefined ? {} : { goal }),
      grants: [...rulesAt(flags), ...flags.texts("credential").map(credentialRule)],
      labels: labelsOf(flags.texts("label")),
      ...(Object.keys(budget).length === 0 ? {} : { budget: budget as Record<string, number> }),
      ...(input === undefined ? {} : { input: valueOf(input) }),
    }, key === undefined ? {} : { idempotencyKey: key });
    if (!flags.on("detach")) return await waited(at, systemOf(at), process.pid);
    show(at, process, { name: process.pid, lines: [process.pid] });
    return EXIT.ok;
  },
};

/** A server runs what it was started with: a file here is none of its images yet. */
async function refuseFile(at: Context, word: string): Promise<void> {
  if (!await isFile(at, word)) return;
  const how = word.endsWith(".json")
    ? `libos images import ${word}`
    : `libos serve ${word} where it runs`;
  const expected = `expected ${how}, then libos spawn NAME`;
  throw new UsageError(`Cannot spawn "${word}": a server starts images that it knows, ${expected}`);
}

function rulesAt(flags: Flags): string[] {
  return (["allow", "ask", "deny"] as const).flatMap((effect) =>
    flags.texts(effect === "allow" ? "grant" : effect).map((word) => {
      const { right, resource } = patternOf(word);
      return `${effect} ${right}(${resource})`;
    })
  );
}

/** The server's credentials are its own: only their names can be said from here. */
function credentialRule(name: string): string {
  checkCredentialName(name);
  return `allow credential.use(${name})`;
}

/** `wait`. */
export const wait: Command = {
  name: "wait",
  group: "processes",
  usage: "PID [--timeout 10m] [--no-wait]",
  about: "Wait until a process has ended, and tell how; --no-wait stops where a person is asked",
  examples: ["libos wait p_1", "libos wait p_1 --timeout 10m -q"],
  options: { timeout: { type: "string" }, "no-wait": { type: "boolean" } },
  words: [1, 1],
  remote: "same",
  async run(at) {
    const system = systemOf(at);
    durationOf(at.flags.text("timeout"));
    const { pid } = await system.process(at.words[0]!);
    return await waited(at, system, pid);
  },
};

async function waited(at: Context, system: System, pid: string): Promise<number> {
  const ms = durationOf(at.flags.text("timeout"));
  const over = new AbortController();
  let isLate = false;
  const timed = {
    ...at,
    io: {
      ...at.io,
      onInterrupt(listener: () => void) {
        const off = at.io.onInterrupt(listener);
        if (ms === undefined) return off;
        void realClock.sleep(ms, over.signal).then(() => {
          isLate = true;
          listener();
        }, () => {});
        return off;
      },
    },
  };
  let last: ProcessView | undefined;
  try {
    const exit = await following(timed, system, async () => {
      last = await system.process(pid);
      const asks = last.state === "waiting" && last.waiting?.reason === "person";
      return { isDone: last.state === "ended" || (asks && at.flags.on("no-wait")) };
    });
    if (isLate) {
      const state = last === undefined ? "live" : stateText(last);
      at.io.err(`${pid} is ${state} still, after ${at.flags.text("timeout")}\n`);
      return EXIT.timeout;
    }
    if (exit !== EXIT.ok) return exit;
  } finally {
    over.abort();
  }
  if (last!.state !== "ended") {
    at.io.err(`Waits for an answer: ${oneLine(last!.waiting?.on ?? pid)}\n`);
    return EXIT.waiting;
  }
  return await tellEnd(at, system, last!);
}

async function tellEnd(at: Context, system: System, process: ProcessView): Promise<ExitCode> {
  const { io, format, flags } = at;
  const { pid, outcome, spent } = process;
  const result = await system.result(pid);
  const text = oneLine(`${pid} ${endText(outcome!)}`);
  if (format === "json") io.out(`${safeJson({ pid, outcome, result, spent }, 2)}\n`);
  else if (format === "jsonl") io.out(`${safeJson({ pid, outcome, result, spent })}\n`);
  else if (format === "yaml") io.out(safeYaml({ pid, outcome, result, spent }));
  else if (format === "name") io.out(`${oneLine(pid)}\n`);
  else if (flags.on("quiet")) {
    if (result !== null) io.out(`${printable(textOf(result))}\n`);
  } else {
    io.out(`${text}\n`);
    if (result !== null) io.out(`result\n${quoted(textOf(result), Infinity).text}\n`);
  }
  return exitFor(outcome!);
}

function exitFor({ kind, code }: NonNullable<ProcessView["outcome"]>): ExitCode {
  if (kind === "exited") return code === 0 ? EXIT.ok : EXIT.error;
  return kind === "failed" ? exitOf(code as Errno) : EXIT.error;
}
