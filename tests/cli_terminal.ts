/**
 * A command at a terminal of its own, by `script`: what is typed, and what its screen was sent.
 * @module
 */

import { existsSync } from "node:fs";
import type { Place } from "./cli_place.ts";

const SCRIPT = "/usr/bin/script";
const ROOT = new URL("..", import.meta.url);

/** A test at a terminal; where none can be made it is skipped, and says so. */
export function terminalTest(name: string, run: () => Promise<void>): void {
  const hasScript = Deno.build.os === "linux" && existsSync(SCRIPT);
  Deno.test({
    name: hasScript ? name : `${name} (skipped: there is no ${SCRIPT} to make a terminal with)`,
    ignore: !hasScript,
    fn: run,
  });
}

/** A command at a terminal of 100 columns and 30 rows. */
export class AtTerminal {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #parts: AsyncIterator<string>;
  #from = 0;
  /** All that was sent to the screen. */
  screen = "";

  /** Starts it. */
  constructor(place: Place, ...argv: string[]) {
    const config = new URL("deno.json", ROOT).pathname;
    const entry = new URL("cli/main.ts", ROOT).pathname;
    const words = [Deno.execPath(), "run", "-A", "--no-prompt", "--config", config, entry, ...argv];
    const line = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
    this.#process = new Deno.Command(SCRIPT, {
      args: ["-qec", `stty cols 100 rows 30; exec ${line}`, "/dev/null"],
      cwd: place.folder,
      env: { LIBOS_OPERATOR: "cleo", EDITOR: "", VISUAL: "", TERM: "xterm" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    const decoded = this.#process.stdout.pipeThrough(new TextDecoderStream());
    this.#parts = decoded[Symbol.asyncIterator]();
  }

  /** Reads on until the screen was sent `text` after the last that was waited for. */
  async shows(text: string): Promise<void> {
    for (;;) {
      const at = this.screen.indexOf(text, this.#from);
      if (at >= 0) {
        this.#from = at + text.length;
        return;
      }
      const { done, value } = await this.#parts.next();
      if (done === true) throw new Error(`ended, not "${text}"\n${this.screen}`);
      this.screen += value;
    }
  }

  /** Types. */
  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  /** Waits for its end; the exit code. */
  async ended(): Promise<number> {
    for (let next = await this.#parts.next(); next.done !== true;) {
      this.screen += next.value;
      next = await this.#parts.next();
    }
    await this.#writer.close().catch(() => {});
    return (await this.#process.status).code;
  }
}
