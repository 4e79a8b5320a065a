/**
 * A folder with a store and agents, and ways to call the command line in it.
 * @module
 */

import { main } from "../cli/main.ts";
import type { Io } from "../cli/io.ts";

const ROOT = new URL("..", import.meta.url);

/** What a command said, and how it ended. */
export interface Said {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** A command that runs in this process. */
export interface Running {
  readonly said: Promise<Said>;
  interrupt(): void;
  /** Resolves once standard output holds `text`. */
  shows(text: string): Promise<void>;
  /** What standard output holds by now. */
  out(): string;
  /** Exit codes of `exitNow`. */
  readonly exits: readonly number[];
}

/** Agents for the tests, by file name. */
const AGENTS: { readonly [file: string]: string } = {
  "greeter.ts": `import { allow, ask, defineImage } from "@agent-libos/core";
const image = defineImage({
  name: "greeter",
  program: async ({ sys, goal }) => {
    const { entries } = await sys.file.list({ path: "." });
    try {
      await sys.file.read({ path: "./secret.env" });
    } catch { /* refused */ }
    await sys.file.write({ path: "./out.md", text: goal });
    await sys.process.exit({ result: { found: entries.length > 0, evil: "a\\u001b[31m\\u202eb" } });
  },
});
export default { image, spawn: { grants: [allow("file.list", "."), ask("file.write", "./out*")] } };
`,
  "asker.ts": `import { allow, defineImage } from "@agent-libos/core";
import { scriptedModel } from "@agent-libos/core/testing";
const turns = [{ tool: "human_ask", input: { prompt: "Which colour?" } }, "It is so"];
const image = defineImage({ name: "asker", model: scriptedModel(turns) });
export default { image, spawn: { goal: "Ask", grants: [allow("human.ask", "**")] } };
`,
  "gated.ts": `import { allow, defineImage } from "@agent-libos/core";
const image = defineImage({
  name: "gated",
  program: async ({ sys }) => {
    globalThis.gate.started();
    await globalThis.gate.opened;
    await sys.file.write({ path: "./gated.md", text: "done" });
    await sys.process.exit({ result: "through" });
  },
});
export default { image, spawn: { goal: "Wait", grants: [allow("file.write", "./gated.md")] } };
`,
  "refused.ts": `import { defineImage } from "@agent-libos/core";
export default defineImage({
  name: "refused",
  program: async ({ sys }) => {
    await sys.file.read({ path: "./secret.env" });
  },
});
`,
  "spender.ts": `import { defineImage } from "@agent-libos/core";
import { scriptedModel } from "@agent-libos/core/testing";
const list = { tool: "object_list", input: {} };
export default defineImage({ name: "spender", model: scriptedModel([list, list, "Done"]) });
`,
  "waiter.ts": `import { defineImage } from "@agent-libos/core";
export default defineImage({
  name: "waiter",
  program: async ({ sys }) => {
    const { messages } = await sys.message.receive({});
    await sys.process.exit({ result: messages[0].data });
  },
});
`,
  "nothing.ts": "export default 7;\n",
};

/** A folder of its own, with the agents in it. */
export class Place implements AsyncDisposable {
  readonly folder: string;
  /** Variables of the environment that commands in this process see. */
  readonly variables: Record<string, string> = {};
  /** What is typed, one after the other, where commands in this process ask for a secret. */
  readonly secrets: string[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes one. */
  static async make(): Promise<Place> {
    const place = new Place(await Deno.makeTempDir({ prefix: "libos-cli-" }));
    for (const [file, text] of Object.entries(AGENTS)) await place.write(file, text);
    return place;
  }

  /** Where the store is. */
  get db(): string {
    return `${this.folder}/.libos/libos.db`;
  }

  /** Writes a file. */
  async write(file: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/${file}`, text);
  }

  /** Reads a file. */
  async read(file: string): Promise<string> {
    return await Deno.readTextFile(`${this.folder}/${file}`);
  }

  /** Runs a command in this process until it ends. */
  async libos(...argv: string[]): Promise<Said> {
    return await this.start(...argv).said;
  }

  /** What `-o json` of a command gives; throws unless it succeeds. */
  async json<T>(...argv: string[]): Promise<T> {
    const { exit, out, err } = await this.libos(...argv, "-o", "json");
    if (exit !== 0) throw new Error(`libos ${argv.join(" ")}: exit ${exit}\n${err}`);
    return JSON.parse(out) as T;
  }

  /** Starts a command in this process. */
  start(...argv: string[]): Running {
    const held = { out: "", err: "" };
    const exits: number[] = [];
    const listeners = new Set<() => void>();
    const watchers = new Set<() => void>();
    const io: Io = {
      out(text) {
        held.out += text;
        for (const watch of watchers) watch();
      },
      err: (text) => held.err += text,
      isTerminal: false,
      isProgressShown: false,
      isInteractive: false,
      env: (name) => name === "LIBOS_OPERATOR" ? "ada" : this.variables[name],
      secret: () => Promise.resolve(this.secrets.shift() ?? ""),
      cwd: this.folder,
      onInterrupt(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      exitNow: (code) => exits.push(code),
    };
    const said = main(argv, io).then((exit) => ({ exit, ...held }));
    return {
      said,
      exits,
      out: () => held.out,
      interrupt: () => listeners.forEach((listener) => listener()),
      shows: (text) => {
        const shown = new Promise<void>((resolve) => {
          const watch = (): void => void (held.out.includes(text) && resolve());
          watchers.add(watch);
          watch();
        });
        // A command that ends first would never show it.
        const over = said.then(({ exit, out, err }) => {
          if (!out.includes(text)) {
            throw new Error(`ended with ${exit}, not "${text}"\n${out}${err}`);
          }
        });
        return Promise.race([shown, over]);
      },
    };
  }

  /** Starts a command as a process of its own. */
  spawn(...argv: string[]): Child {
    const config = new URL("deno.json", ROOT).pathname;
    const entry = new URL("cli/main.ts", ROOT).pathname;
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--config", config, entry, ...argv],
      cwd: this.folder,
      env: { LIBOS_OPERATOR: "bob" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    return new Child(command.spawn());
  }

  /** Removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A command that runs as a process. */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #err: Promise<string>;
  #out = "";

  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#lines = process.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    this.#err = new Response(process.stderr).text();
  }

  /** Reads on until standard output holds `text`. */
  async shows(text: string): Promise<void> {
    while (!this.#out.includes(text)) {
      const { done, value } = await this.#lines.next();
      if (done === true) throw new Error(`ended, not "${text}"\n${this.#out}${await this.#err}`);
      this.#out += value;
    }
  }

  /** Sends SIGINT. */
  interrupt(): void {
    this.kill("SIGINT");
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Waits for its end. */
  async said(): Promise<Said> {
    for (let next = await this.#lines.next(); next.done !== true;) {
      this.#out += next.value;
      next = await this.#lines.next();
    }
    const { code } = await this.#process.status;
    return { exit: code, out: this.#out, err: await this.#err };
  }
}
