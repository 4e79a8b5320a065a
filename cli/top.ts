/**
 * `top`: processes on a whole screen, live.
 * @module
 */

import { SysError, toOutcome } from "../kernel/errors.ts";
import { realClock } from "../providers/clock.ts";
import { openScreen, type Screen } from "../providers/screen.ts";
import { ServerRefusal } from "../server/client.ts";
import type { EventView } from "../server/schema/evidence.ts";
import type { ProcessView } from "../server/schema/process.ts";
import type { Command, Context } from "./command.ts";
import { EXIT, UsageError } from "./exit.ts";
import { logText } from "./logs.ts";
import type { Io } from "./io.ts";
import { aligned } from "./output.ts";
import { describeLines, lastLines } from "./processes.ts";
import { requestColumns } from "./request_text.ts";
import { type System, systemOf } from "./system.ts";
import { EMPTY, frameOf, pressed, type TopState, type Wish, withData } from "./top_view.ts";
import { budgetOf } from "./words.ts";

const LOGS_SHOWN = 200;
const BEAT_MS = 1_000;

/** Runs a command line, and prints to what it is given. */
type RunLine = (argv: readonly string[], io: Io) => Promise<number>;

/** `top`; `runLine` is what `:` does. */
export const topOf = (runLine: RunLine): Command => ({
  name: "top",
  group: "processes",
  usage: "[--once] [-a]",
  about: "Show processes on the whole screen, live; ? tells the keys",
  examples: ["libos top", "libos top --once"],
  options: {
    once: { type: "boolean", short: "n" },
    all: { type: "boolean", short: "a" },
  },
  words: [0, 1],
  remote: "same",
  async run(at) {
    const system = systemOf(at);
    if (at.flags.on("once")) {
      const found = await read(system, at.flags.on("all"));
      const state = withData(EMPTY, ...found);
      const rows = state.processes.length + 4;
      const nowMs = realClock.now();
      const frame = frameOf(state, { columns: 200, rows, nowMs, isColoured: false });
      at.io.out(frame.slice(0, -1).map((row) => `${row.trimEnd()}\n`).join("").trimEnd() + "\n");
      return EXIT.ok;
    }
    if (!at.io.isTerminal || !at.io.isInteractive) {
      throw new UsageError("Cannot show top: no terminal, expected one, or --once for one frame");
    }
    // Before the screen is taken, so that what is wrong is read.
    await system.processes({ all: false });
    using screen = openScreen();
    return await new Top(at, { system, screen, runLine }).run();
  },
});

/** Processes, and how many requests wait. */
async function read(system: System, all: boolean): Promise<[ProcessView[], number]> {
  const processes = await system.processes({ all });
  return [processes, (await system.requests()).length];
}

class Top {
  readonly #at: Context;
  readonly #system: System;
  readonly #screen: Screen;
  readonly #runLine: RunLine;
  readonly #over = new AbortController();
  #state: TopState = EMPTY;

  constructor(at: Context, parts: {
    readonly system: System;
    readonly screen: Screen;
    readonly runLine: RunLine;
  }) {
    this.#at = at;
    this.#system = parts.system;
    this.#screen = parts.screen;
    this.#runLine = parts.runLine;
  }

  async run(): Promise<number> {
    const offs = [
      this.#at.io.onInterrupt(() => this.#over.abort()),
      this.#screen.onResize(() => this.#draw()),
    ];
    const failed = Promise.withResolvers<never>();
    const over = new Promise<void>((resolve) => {
      this.#over.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    try {
      for (const job of [this.#listen(), this.#beat(), this.#type()]) job.catch(failed.reject);
      await Promise.race([over, failed.promise]);
      return EXIT.ok;
    } finally {
      this.#over.abort();
      for (const off of offs) off();
    }
  }

  async #listen(): Promise<void> {
    for await (const _ of this.#system.changes(this.#over.signal)) {
      const found = await read(this.#system, this.#at.flags.on("all"));
      // Keys that were pressed meanwhile have had their effect.
      this.#state = withData(this.#state, ...found);
      this.#draw();
    }
  }

  /** Ages grow although nothing happens. */
  async #beat(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await realClock.sleep(BEAT_MS, this.#over.signal).catch(() => {});
      this.#draw();
    }
  }

  async #type(): Promise<void> {
    for await (const key of this.#screen.keys()) {
      const { state, wish } = pressed(this.#state, key);
      this.#state = state;
      if (wish?.do === "quit") break;
      if (wish !== undefined) await this.#do(wish);
      this.#draw();
    }
    this.#over.abort();
  }

  #draw(): void {
    if (this.#over.signal.aborted) return;
    const noColour = this.#at.io.env("NO_COLOR");
    this.#screen.draw(frameOf(this.#state, {
      ...this.#screen.size(),
      nowMs: realClock.now(),
      isColoured: noColour === undefined || noColour === "",
    }));
  }

  async #do(wish: Exclude<Wish, { readonly do: "quit" }>): Promise<void> {
    try {
      await this.#done(wish);
    } catch (thrown) {
      const isTold = thrown instanceof SysError || thrown instanceof ServerRefusal ||
        thrown instanceof UsageError;
      if (!isTold) throw thrown;
      const said = thrown instanceof SysError ? toOutcome(thrown).message : thrown.message;
      this.#state = { ...this.#state, said };
    }
  }

  async #done(wish: Exclude<Wish, { readonly do: "quit" }>): Promise<void> {
    const { selected } = this.#state;
    switch (wish.do) {
      case "command":
        return await this.#command(wish.line);
      case "approvals":
        return this.#open("Requests that wait", await this.#requests());
      case "signal":
        for (const pid of wish.pids) await this.#system.signal(pid, wish.signal, "");
        return this.#say(`${wish.signal}: ${wish.pids.join(", ")}`);
    }
    if (selected === null) return;
    const process = await this.#system.process(selected);
    switch (wish.do) {
      case "describe": {
        const capabilities = await this.#system.held(selected);
        const events = await lastLines(this.#system, process);
        return this.#open(selected, describeLines(process, { capabilities, events }));
      }
      case "logs": {
        const lines: EventView[] = await lastLines(this.#system, process, LOGS_SHOWN);
        return this.#open(
          `Logs of ${selected}, newest first`,
          lines.map((line) => logText(line, (text) => text)),
        );
      }
      case "checkpoint": {
        const { id } = await this.#system.checkpoint(selected, wish.name);
        return this.#say(`${id} is where ${process.tree} is now`);
      }
      case "budget":
        await this.#system.limit(selected, budgetOf(wish.limits.split(/\s+/)));
        return this.#say(`${selected} may use ${wish.limits} now`);
    }
  }

  /** Runs a command and shows what it said; one that would not end, or wants the screen, is not. */
  async #command(line: string): Promise<void> {
    const { flags, io } = this.#at;
    const argv = commandWords(line, this.#state.selected);
    const given = ["db", "host", "token", "context", "workspace"].flatMap((name) => {
      const value = flags.text(name);
      return value === undefined ? [] : [`--${name}`, value];
    });
    const keys = flags.texts("store-key").flatMap((file) => ["--store-key", file]);
    const said: string[] = [];
    const hear = (text: string): void => void said.push(text);
    const quiet = { isTerminal: false, isInteractive: false, isProgressShown: false };
    const exit = await this.#runLine([...argv, ...given, ...keys], {
      ...io,
      ...quiet,
      out: hear,
      err: hear,
    });
    const lines = said.join("").trimEnd().split("\n");
    this.#open(`libos ${line}${exit === EXIT.ok ? "" : ` (exit ${exit})`}`, lines);
  }

  async #requests(): Promise<string[]> {
    const columns = requestColumns(realClock.now()).filter(({ wide }) => wide !== true);
    const found = await this.#system.requests();
    if (found.length === 0) return ["Nothing waits for an answer"];
    return [
      ...aligned([
        columns.map(({ head }) => head),
        ...found.map((one) => columns.map(({ of }) => of(one))),
      ]),
      "",
      "Answer them with libos approvals watch, approve and deny",
    ];
  }

  #open(title: string, lines: readonly string[]): void {
    this.#state = { ...this.#state, pane: { title, lines, from: 0 } };
  }

  #say(said: string): void {
    this.#state = { ...this.#state, said };
  }
}

/** They want the terminal, or do not end. */
const NOT_HERE: readonly string[] = ["top", "attach", "serve", "run", "demo", "wait"];
const ENDLESS = /^(-\w*[fw]\w*|--follow|--watch)$/;

/** The words of a command line, with quotes taken off; `%` is the process that is selected. */
export function commandWords(line: string, selected: string | null): string[] {
  const words = [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)]
    .map(([, one, two, plain]) => plain === "%" ? selected ?? "%" : one ?? two ?? plain ?? "");
  if (words[0] === "libos") words.shift();
  const [name = "", verb] = words;
  const isEndless = words.some((word) => ENDLESS.test(word)) ||
    (name === "approvals" && verb === "watch") ||
    (name === "spawn" && !words.some((word) => word === "-d" || word === "--detach"));
  if (!NOT_HERE.includes(name) && !name.startsWith("-") && !isEndless) return words;
  throw new UsageError(`Cannot run "${name}" here: it does not end by itself, or wants the screen`);
}
