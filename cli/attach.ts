/**
 * `attach`: what a process does and what its model says, live, with a line to talk to it.
 * @module
 */

import { SysError, toOutcome } from "../kernel/errors.ts";
import { openKeys } from "../providers/screen.ts";
import { oneLine } from "../providers/printable.ts";
import { ServerRefusal } from "../server/client.ts";
import type { Command, Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { printerOf } from "./logs.ts";
import { type System, systemOf } from "./system.ts";

/** `attach`. */
export const attach: Command = {
  name: "attach",
  group: "processes",
  usage: "PID [--since N]",
  about: "Follow a process and talk to it: a line is a message; Ctrl-C detaches, and it goes on",
  examples: ["libos attach p_1", "libos attach p_1 --host http://127.0.0.1:7777"],
  options: {},
  words: [1, 1],
  remote: "prefer",
  async run(at) {
    const system = systemOf(at);
    const { pid, tree, seq } = await system.process(at.words[0]!);
    return await new Attached(at, system, { pid, tree, from: Math.max(1, seq - 20) }).run();
  },
};

interface Place {
  readonly pid: string;
  readonly tree: string;
  /** The first line that is shown. */
  readonly from: number;
}

class Attached {
  readonly #at: Context;
  readonly #system: System;
  readonly #place: Place;
  readonly #over = new AbortController();
  readonly #isTyping: boolean;
  #from: number;
  #exit: number = EXIT.ok;
  /** What the model says on the line that has no end yet. */
  #partial = "";
  #typed = "";

  constructor(at: Context, system: System, place: Place) {
    this.#at = at;
    this.#system = system;
    this.#place = place;
    this.#from = place.from;
    this.#isTyping = at.io.isInteractive && at.io.isTerminal;
  }

  async run(): Promise<number> {
    const { pid } = this.#place;
    const detach = (): void => {
      this.#exit = EXIT.interrupted;
      this.#over.abort();
    };
    const off = this.#at.io.onInterrupt(detach);
    const failed = Promise.withResolvers<never>();
    const over = new Promise<void>((resolve) => {
      this.#over.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    using keys = this.#isTyping ? openKeys() : null;
    try {
      if (this.#isTyping) {
        this.#print(`Attached to ${oneLine(pid)}: a line is a message to it; Ctrl-C detaches`);
      }
      const jobs = [this.#follow(), this.#hear()];
      if (keys !== null) jobs.push(this.#type(keys.keys(), detach));
      for (const job of jobs) job.catch(failed.reject);
      await Promise.race([over, failed.promise]);
      this.#flush();
      if (this.#isTyping) this.#at.io.out("\r\x1b[K");
      if (this.#exit !== EXIT.ok) this.#at.io.err(`Detached; ${oneLine(pid)} goes on\n`);
      return this.#exit;
    } finally {
      this.#over.abort();
      off();
    }
  }

  async #follow(): Promise<void> {
    const { pid, tree } = this.#place;
    const print = printerOf({
      ...this.#at,
      io: { ...this.#at.io, out: (text) => this.#print(text.replace(/\n$/, "")) },
    });
    for await (const _ of this.#system.changes(this.#over.signal)) {
      const isEnded = (await this.#system.process(pid)).state === "ended";
      for await (const line of this.#system.lines(tree, { from: this.#from, pid })) {
        this.#from = line.seq + 1;
        this.#flush();
        print(line);
      }
      if (isEnded) this.#over.abort();
    }
  }

  async #hear(): Promise<void> {
    for await (const { pid, text } of this.#system.texts(this.#over.signal)) {
      if (pid !== this.#place.pid || this.#at.format !== "table") continue;
      const lines = (this.#partial + text).split("\n");
      this.#partial = lines.pop()!;
      for (const line of lines) this.#print(`  │ ${oneLine(line)}`);
      this.#draw();
    }
  }

  async #type(keys: AsyncIterable<string>, detach: () => void): Promise<void> {
    for await (const key of keys) {
      if (key === "ctrl-c" || key === "ctrl-d") return detach();
      if (key === "enter") await this.#send();
      else if (key === "backspace") this.#typed = [...this.#typed].slice(0, -1).join("");
      else if (key === "ctrl-u") this.#typed = "";
      else if ([...key].length === 1) this.#typed += key;
      this.#draw();
    }
    detach();
  }

  async #send(): Promise<void> {
    const data = this.#typed.trim();
    this.#typed = "";
    if (data === "") return;
    try {
      await this.#system.send(this.#place.pid, { type: "message", data, interrupt: false });
    } catch (thrown) {
      if (!(thrown instanceof SysError) && !(thrown instanceof ServerRefusal)) throw thrown;
      const { message } = thrown instanceof SysError ? toOutcome(thrown) : thrown;
      this.#print(oneLine(message));
    }
  }

  /** Ends the line that the model is at. */
  #flush(): void {
    const partial = this.#partial;
    this.#partial = "";
    if (partial !== "") this.#print(`  │ ${oneLine(partial)}`);
  }

  /** Prints a line above the one that is typed. */
  #print(line: string): void {
    this.#at.io.out(`${this.#isTyping ? "\r\x1b[K" : ""}${line}${this.#isTyping ? "\r\n" : "\n"}`);
    this.#draw();
  }

  /** The line that is typed, and what the model is saying meanwhile. */
  #draw(): void {
    if (!this.#isTyping || this.#over.signal.aborted) return;
    const said = [...oneLine(this.#partial)].slice(-40).join("");
    const shown = said === "" ? "" : `${said}… `;
    const typed = [...oneLine(this.#typed)].slice(-60).join("");
    this.#at.io.out(`\r\x1b[K${shown}> ${typed}`);
  }
}
