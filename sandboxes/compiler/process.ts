/**
 * The child process in which sources are checked, as its parent sees it.
 * @module
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Checked, Problem } from "../../broker/sandbox.ts";
import type { Child, Children } from "../../kernel/child.ts";
import { SysError } from "../../kernel/errors.ts";
import { LIMITS } from "../../kernel/limits.ts";
import type { Clock } from "../../kernel/world.ts";
import { given } from "../given.ts";
import type { Source } from "./checker.ts";
import { fromFrames, toFrame } from "./frames.ts";
import { visible } from "./text.ts";

/** The old generation of the compiler's heap; it holds about 90 MB when it is warm. */
const HEAP_MEGABYTES = 256;
/** What the runtime reserves for itself and one isolate, and the heap. */
const DATA_BYTES = 1_200 * 2 ** 20;

/** Where the code of the child is, with all that it imports. */
const OWN_FOLDERS = ["./", "../../broker/", "../../kernel/"]
  .map((folder) => new URL(folder, import.meta.url));
const DENIED = ["write", "net", "env", "run", "ffi", "sys", "import"];

/** What a compiler process is started with. */
export interface CompilerParts {
  readonly children: Children;
  readonly clock: Clock;
  /** Path of the compiler's main file. */
  readonly typescript: string;
  /** Whether to put the system's jail around it. */
  readonly jail: boolean;
}

/** Why there is no answer: the time was over, the process was, or the compiler gave up. */
export type Silence = "late" | "gone" | "overcome";

/** One child. Asked one thing at a time. */
export class CompilerProcess {
  readonly #child: Child;
  readonly #clock: Clock;
  readonly #frames: AsyncGenerator<unknown, void, void>;
  #served = 0;

  private constructor(child: Child, clock: Clock) {
    this.#child = child;
    this.#clock = clock;
    this.#frames = fromFrames(child.output, LIMITS.cageFrameBytesMax);
  }

  /** Resolves when it is warm. Rejects with `EIO` when it cannot be started. */
  static async start(parts: CompilerParts): Promise<CompilerProcess> {
    const { children, clock, typescript, jail } = parts;
    const reads = [...OWN_FOLDERS.map((folder) => fileURLToPath(folder)), dirname(typescript)];
    const args = argumentsOf(typescript);
    const child = children.start({ args, dataBytesMax: DATA_BYTES, jail, reads });
    const process = new CompilerProcess(child, clock);
    const ready = await process.#next(LIMITS.cageStartMsMax);
    if (typeof ready === "object") return process;
    child.kill();
    const why = ready === "late" ? "late" : `ended with code ${(await child.ended).code}`;
    throw new SysError("EIO", `Cannot start the compiler: ${why}, expected a process that serves`);
  }

  /** Resolves when nothing of it is left. */
  get ended(): Promise<unknown> {
    return this.#child.ended;
  }

  /** Whether it has answered before. */
  get isUsed(): boolean {
    return this.#served > 0;
  }

  /** What it found, or why it says nothing; then it has to be killed. */
  async ask(source: Source, ms: number): Promise<Checked | Silence> {
    const answer = this.#next(ms);
    try {
      await this.#child.write(toFrame(source));
    } catch {
      this.kill();
    }
    const next = await answer;
    if (typeof next !== "object") return next;
    if (isRecord(next.value) && next.value["overcome"] === true) return "overcome";
    const checked = checkedOf(next.value);
    if (checked === undefined) return "gone";
    this.#served++;
    return checked;
  }

  /** Ends it. */
  kill(): void {
    this.#child.kill();
  }

  async #next(ms: number): Promise<{ readonly value: unknown } | "late" | "gone"> {
    const stop = new AbortController();
    const time = { clock: this.#clock, signal: stop.signal };
    const late = given(this.#child, ms, time).then(() => "late", () => "late" as const);
    const frame = this.#frames.next().then(
      ({ done, value }) => done === true ? "gone" as const : { value },
      () => "gone" as const,
    );
    try {
      return await Promise.race([frame, late as Promise<"late">]);
    } finally {
      stop.abort();
    }
  }
}

function argumentsOf(typescript: string): readonly string[] {
  return [
    "run",
    "--no-prompt",
    "--no-config",
    "--no-lock",
    "--no-npm",
    "--no-remote",
    "--cached-only",
    "--no-check",
    "--quiet",
    `--allow-read=${dirname(typescript)}`,
    ...DENIED.map((permission) => `--deny-${permission}`),
    `--v8-flags=--max-old-space-size=${HEAP_MEGABYTES},--disallow-code-generation-from-strings`,
    fileURLToPath(new URL("child.ts", import.meta.url)),
    typescript,
  ];
}

/** What a child says is not believed to have the right shape, nor to be fit to be shown. */
function checkedOf(value: unknown): Checked | undefined {
  if (!isRecord(value)) return undefined;
  const { ok, code, problems } = value;
  if (ok === true) return typeof code === "string" ? { ok, code } : undefined;
  if (ok !== false || !Array.isArray(problems) || problems.length === 0) return undefined;
  if (problems.length > LIMITS.toolProblemsShownMax || !problems.every(isProblem)) return undefined;
  return {
    ok,
    problems: problems.map(({ line, column, message }) => ({
      line,
      column,
      message: visible(message),
    })),
  };
}

function isProblem(value: unknown): value is Problem {
  if (!isRecord(value)) return false;
  const { line, column, message } = value;
  return isPlace(line) && isPlace(column) && typeof message === "string";
}

function isPlace(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
