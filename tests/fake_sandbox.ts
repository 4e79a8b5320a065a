/**
 * A sandbox without walls, for tests of what stands on this side of the port: its tools are
 * functions of the test, found by their source text.
 * @module
 */

import { setImmediate } from "node:timers";
import type {
  CageEnd,
  CageRun,
  Checked,
  PortAnswer,
  Sandbox,
  ToolCompiler,
  Workshop,
} from "../broker/sandbox.ts";
import type { Args, Sys } from "../broker/client.ts";
import { type Errno, SysError } from "../kernel/errors.ts";
import type { Json } from "../kernel/json.ts";
import { CAGE_LIMITS } from "../kernel/limits.ts";
import type { VirtualClock } from "../testing.ts";

/** What a fake tool is given. */
export interface FakeOs {
  call(name: string, args: Json): Promise<Json>;
  log(text: string): void;
  ends(name: string, args: Json): void;
  /** Says that the body does nothing more until it is answered. */
  rest(): void;
  now(): number;
  readonly seed: string;
  readonly signal: AbortSignal;
}

/** Thrown by a body: the cage ends like this, whatever the body did. */
export class Fate extends Error {
  /** An end other than returning. */
  constructor(readonly end: Exclude<CageEnd, { kind: "returned" }>) {
    super(end.kind);
  }
}

/** Proposes and registers a fake tool, whose source is its name unless it says otherwise. */
export async function install(
  sys: Sys,
  name: string,
  given: Partial<Args<"tool.propose">> = {},
): Promise<string> {
  const { tool } = await sys.tool.propose(contract(name, given));
  await sys.tool.register({ tool });
  return tool;
}

/** A proposal with as little in it as there may be. */
export function contract(
  name: string,
  given: Partial<Args<"tool.propose">> = {},
): Args<"tool.propose"> {
  const inputSchema = { type: "object" } as const;
  return { name, description: `Does ${name}`, inputSchema, source: name, ...given };
}

/** Runs a world until nothing can go on, and lets the time pass that running tools wait for. */
export async function drive(
  world: {
    readonly os: { runUntilIdle(): Promise<void> };
    readonly clock: VirtualClock;
  },
  isOver: () => boolean = () => false,
): Promise<void> {
  let isIdle = false;
  const idle = world.os.runUntilIdle().finally(() => isIdle = true);
  idle.catch(() => {});
  while (!isIdle && !isOver()) {
    // Real turns, too: a tool's handlers run one a turn.
    await new Promise<void>((resolve) => void setImmediate(resolve));
    await world.clock.settle();
    if (!isIdle && world.clock.pending() > 0) await world.clock.advanceToNext();
  }
  if (isIdle) await idle;
}

/** The body of a fake tool. */
export type FakeBody = (input: Json, os: FakeOs) => Promise<Json> | Json;

/** Runs functions of the test in place of sources. */
export class FakeWorkshop implements Sandbox, ToolCompiler, Workshop {
  readonly tier = "worker";
  readonly limits: Workshop["limits"];
  readonly review: Workshop["review"];
  readonly bodies: Map<string, FakeBody> = new Map();
  /** Runs that were started, and how many are going on. */
  started = 0;
  running = 0;

  constructor(review: Workshop["review"] = "never", limits: Workshop["limits"] = CAGE_LIMITS) {
    this.review = review;
    this.limits = limits;
  }

  /** A workshop that knows these bodies. */
  static of(
    bodies: Readonly<Record<string, FakeBody>>,
    review: Workshop["review"] = "never",
  ): FakeWorkshop {
    const made = new FakeWorkshop(review);
    for (const [source, body] of Object.entries(bodies)) made.bodies.set(source, body);
    return made;
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
      rest: () => run.rested?.(),
      async call(name, args) {
        const answer: PortAnswer = await run.call(name, args);
        // A message's handler runs to its end before the next message is heard.
        await new Promise<void>((resolve) => void setImmediate(resolve));
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
        if (error instanceof Fate) return error.end;
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
