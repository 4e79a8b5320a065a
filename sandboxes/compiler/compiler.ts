/**
 * Checks sources with the TypeScript compiler, in a child process that is kept warm.
 *
 * Invariants:
 *   T1. No source is parsed in this process, and none is ever run.
 *   T2. A check is answered when its child had `toolCheckMsMax` of the processor's time, whatever
 *       the source; where the machine gives it none, after six times as many milliseconds.
 *   T3. A child that was late, broke or ended is killed, and the next check starts another.
 *   T4. Checks are answered one by one, in the order in which they came.
 *
 * The child may read the compiler's folder and nothing else; in the system's jail nothing else is
 * there but its own code. That is files beside this one: a package that was loaded over the network
 * has no such files, and cannot start it.
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Checked, ToolCompiler } from "../../broker/sandbox.ts";
import type { Children } from "../../kernel/child.ts";
import { SysError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Clock } from "../../kernel/world.ts";
import type { Source } from "./checker.ts";
import { CompilerProcess } from "./process.ts";
import { hasSourceUrl, textProblems } from "./text.ts";

const CHECKS_WAITING_MAX = 64;

/** What a compiler is made of. */
export interface TypeScriptCompilerOptions {
  readonly children: Children;
  readonly clock: Clock;
  /** Whether to put the system's jail around the child; then without one nothing is checked. */
  readonly jail?: boolean;
  /** Path of the compiler's main file; else where this package's own import leads. */
  readonly typescript?: string;
}

/** Checks sources against the types of the port. */
export class TypeScriptCompiler implements ToolCompiler {
  readonly #options: TypeScriptCompilerOptions;
  readonly #closing = new AbortController();
  #process: CompilerProcess | undefined;
  /** Ends of children that were killed. */
  readonly #ending = new Set<Promise<unknown>>();
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #idle = new AbortController();

  /** Starts nothing yet. */
  constructor(options: TypeScriptCompilerOptions) {
    this.#options = options;
  }

  /** Starts the child, so that the first check does not wait for it. Rejects as `check` does. */
  async warm(): Promise<void> {
    await this.#inTurn(() => this.#ready());
  }

  /**
   * Rejects with `ELIMIT` when a schema is too large or too many checks wait, with `EIO` when the
   * child cannot be started, and with `ECANCELED` after `close`.
   */
  async check(tool: Source): Promise<Checked> {
    const { source, inputSchema, outputSchema } = tool;
    const problems = textProblems(source);
    if (problems.length > 0) return { ok: false, problems };
    for (const schema of [inputSchema, outputSchema]) bound(schema);
    return await this.#inTurn(() => this.#ask({ source, inputSchema, outputSchema }));
  }

  /** Ends the child, and waits until nothing of it is left; checks under way are rejected. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#idle.abort();
    this.#drop();
    await Promise.all(this.#ending);
  }

  async #ask(source: Source): Promise<Checked> {
    let leftMs: number = LIMITS.toolCheckMsMax;
    while (true) {
      const process = await this.#ready();
      const wasUsed = process.isUsed;
      const fromMs = this.#options.clock.now();
      const answer = await process.ask(source, leftMs);
      if (typeof answer === "object") return confirmed(answer);
      this.#drop();
      this.#alive();
      leftMs -= Math.max(0, this.#options.clock.now() - fromMs);
      // What earlier checks left behind may have ended it: a fresh one is asked once.
      if (answer !== "gone" || !wasUsed || leftMs <= 0) return refused("the source is too complex");
    }
  }

  async #ready(): Promise<CompilerProcess> {
    this.#alive();
    if (this.#process !== undefined) return this.#process;
    const { children, clock, jail = false, typescript = located() } = this.#options;
    if (jail) await jailed(children);
    const process = await CompilerProcess.start({ children, clock, typescript, jail });
    this.#process = process;
    if (this.#closing.signal.aborted) this.#drop();
    this.#alive();
    return process;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= CHECKS_WAITING_MAX) {
      const state = `${this.#waiting} checks wait`;
      throw new SysError("ELIMIT", `Cannot check the source: ${state}, expected fewer`);
    }
    this.#waiting++;
    this.#idle.abort();
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      this.#waiting--;
      if (this.#waiting === 0) this.#rest();
    }
  }

  /** Lets go of a child which nobody needs for a while. */
  #rest(): void {
    if (this.#process === undefined) return;
    this.#idle = new AbortController();
    const { signal } = this.#idle;
    this.#options.clock.sleep(LIMITS.cageIdleMsMax, signal).then(() => this.#drop(), () => {});
  }

  #drop(): void {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    process.kill();
    this.#ending.add(process.ended);
    void process.ended.then(() => this.#ending.delete(process.ended));
  }

  #alive(): void {
    if (!this.#closing.signal.aborted) return;
    throw new SysError("ECANCELED", "Cannot check the source: the compiler is closed");
  }
}

async function jailed(children: Children): Promise<void> {
  const { works, why } = await children.jail();
  if (!works) throw new SysError("ENOSYS", `Cannot start the compiler in a jail: ${why}`);
}

function located(): string {
  const url = import.meta.resolve("typescript");
  if (url.startsWith("file:") && import.meta.url.startsWith("file:")) return fileURLToPath(url);
  const expected = "expected this package and typescript in local folders";
  throw new SysError("EIO", `Cannot start the compiler: its files are remote, ${expected}`);
}

function bound(schema: Source["outputSchema"]): void {
  const bytes = new TextEncoder().encode(JSON.stringify(schema)).length;
  if (bytes <= LIMITS.toolSchemaBytesMax) return;
  const expected = `expected ${LIMITS.toolSchemaBytesMax} at most`;
  throw new SysError("ELIMIT", `Cannot check the source: a schema of ${bytes} bytes, ${expected}`);
}

/** A compiler puts parts of strings together; nothing it makes may look like a directive. */
function confirmed(checked: Checked): Checked {
  return checked.ok && hasSourceUrl(checked.code) ? refused("it makes a source URL") : checked;
}

function refused(why: string): Checked {
  const message = `Cannot check the types: ${why}, expected plainer types and expressions`;
  return { ok: false, problems: [{ line: 1, column: 1, message }] };
}
