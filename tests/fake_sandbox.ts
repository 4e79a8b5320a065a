/**
 * A sandbox without walls, for tests of what stands on this side of the port: its tools are
 * functions of the test, found by their source text.
 * @module
 */

import type {
  CageEnd,
  CageRun,
  Checked,
  PortAnswer,
  Sandbox,
  ToolCompiler,
  Workshop,
} from "../broker/sandbox.ts";
import { type Errno, SysError } from "../kernel/errors.ts";
import type { Json } from "../kernel/json.ts";
import { CAGE_LIMITS } from "../kernel/limits.ts";

/** What a fake tool is given. */
export interface FakeOs {
  call(name: string, args: Json): Promise<Json>;
  log(text: string): void;
  ends(name: string, args: Json): void;
  now(): number;
  readonly seed: string;
  readonly signal: AbortSignal;
}

/** The body of a fake tool. */
export type FakeBody = (input: Json, os: FakeOs) => Promise<Json> | Json;

/** Runs functions of the test in place of sources. */
export class FakeWorkshop implements Sandbox, ToolCompiler, Workshop {
  readonly tier = "worker";
  readonly limits = CAGE_LIMITS;
  readonly review: Workshop["review"];
  readonly bodies: Map<string, FakeBody> = new Map();
  /** Runs that were started, and how many are going on. */
  started = 0;
  running = 0;

  constructor(review: Workshop["review"] = "never") {
    this.review = review;
  }

  get sandbox(): Sandbox {
    return this;
  }

  get compiler(): ToolCompiler {
    return this;
  }

  check({ source }: { readonly source: string }): Promise<Checked> {
    if (this.bodies.has(source)) return Promise.resolve({ ok: true, code: source });
    const message = "Cannot find this body, expected one of the test's";
    return Promise.resolve({ ok: false, problems: [{ line: 1, column: 1, message }] });
  }

  async run(run: CageRun): Promise<CageEnd> {
    this.started += 1;
    this.running += 1;
    try {
      return await this.#play(run);
    } finally {
      this.running -= 1;
    }
  }

  #play(run: CageRun): Promise<CageEnd> {
    const logs: string[] = [];
    let nowMs = run.nowMs;
    let ends: { name: string; args: Json } | null = null;
    const os: FakeOs = {
      seed: run.seed,
      signal: run.signal,
      now: () => nowMs,
      log: (text) => void logs.push(text),
      ends: (name, args) => void (ends = { name, args }),
      async call(name, args) {
        const answer: PortAnswer = await run.call(name, args);
        // A message's handler runs to its end before the next message is heard.
        await new Promise<void>((resolve) => setTimeout(resolve, 0));
        nowMs = Math.max(nowMs, answer.atMs);
        if (answer.ok) return answer.reply;
        throw new SysError(answer.code, answer.message);
      },
    };
    const stopped = new Promise<CageEnd>((resolve) => {
      const stop = (): void => resolve({ kind: "stopped", logs });
      if (run.signal.aborted) stop();
      run.signal.addEventListener("abort", stop, { once: true });
    });
    const body = this.bodies.get(run.code)!;
    const made = (async (): Promise<CageEnd> => {
      try {
        return { kind: "returned", output: await body(run.input, os) ?? null, ends, logs };
      } catch (error) {
        const code: Errno | null = error instanceof SysError ? error.code : null;
        return { kind: "threw", message: (error as Error).message, code, logs };
      }
    })();
    return Promise.race([made, stopped]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
