/**
 * The sandbox of child processes: a locked child, a Worker without permissions in it, and a bare
 * realm in that (G6). Each of the three holds if another fails.
 * @module
 */

import type { CageEnd, CageRun, Sandbox, SandboxCounts } from "../broker/sandbox.ts";
import type { Children } from "../kernel/child.ts";
import { SysError } from "../kernel/errors.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { Cage } from "./cage.ts";
import type { Surface } from "./guest/os.ts";
import { CHILD_WORKER_TEXT, moduleUrl, RELAY_TEXT } from "./guest_text.ts";
import { PipeLink } from "./link.ts";
import { Pool } from "./pool.ts";

const MIB = 2 ** 20;
/** What the runtime holds of a cage's memory before any tool has run. */
const RUNTIME_BYTES = 64 * MIB;
/** What two isolates reserve and do not use. */
const RESERVED_BYTES = 1_400 * MIB;
/**
 * One thread collects, for helpers cost a small heap more than they save; and a heap that was made
 * small may grow to five times what is kept before the engine collects within a run.
 */
const GC = "--single-threaded-gc,--heap-growing-percent=400";
/**
 * Loops are compiled while they run once they have run long. Sooner, two that only start the cage
 * would be, and all of both compilers stays in its memory for those.
 */
const LOOPS = "--invocation-count-for-osr=4000,--invocation-count-for-maglev-osr=4000";
const NO_TEXT_AS_CODE = "--disallow-code-generation-from-strings";
const DENIED = ["read", "write", "net", "env", "run", "ffi", "sys", "import"];

/** What a sandbox of child processes is made of. */
export interface ProcessSandboxParts {
  readonly children: Children;
  readonly clock: Clock;
  readonly random: Random;
  /** What tools can call. */
  readonly surface: Surface;
  /** Whether to put the system's jail around each child. @default false */
  readonly jail?: boolean;
  /** Hears how long each cage took to start. */
  readonly started?: (ms: number) => void;
  /** Whether to start cages before the first is needed, and keep some. @default false */
  readonly warm?: boolean;
}

/**
 * Runs tools in child processes.
 *
 * With `jail`, every child is put in the operating system's jail too; where there is none, every
 * run answers that it could not be started. It never runs a tool behind fewer walls than asked for.
 */
export class ProcessSandbox implements Sandbox {
  /** "jail" when there is one around each child. */
  readonly tier: "process" | "jail";
  readonly #pool: Pool;
  readonly #jail: Promise<void> | null;

  /** Starts nothing before the first run, unless it shall be warm. */
  constructor(parts: ProcessSandboxParts) {
    const { children, jail = false, warm = false } = parts;
    this.tier = jail ? "jail" : "process";
    this.#jail = jail ? jailed(children) : null;
    this.#jail?.catch(() => {});
    const start = (memoryBytes: number) => startCage({ ...parts, jail }, memoryBytes);
    const { clock, started } = parts;
    this.#pool = new Pool({
      start,
      clock,
      warm,
      ...(started === undefined ? {} : { started }),
    });
  }

  /** Runs a tool once. Never rejects. */
  async run(run: CageRun): Promise<CageEnd> {
    try {
      await this.#jail;
    } catch (error) {
      return { kind: "died", message: (error as Error).message, logs: [] };
    }
    return await this.#pool.run(run);
  }

  /** How many cages there are. */
  counts(): SandboxCounts {
    return this.#pool.counts();
  }

  /** Ends every cage, and waits until nothing of them is left. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}

async function jailed(children: Children): Promise<void> {
  const { works, why } = await children.jail();
  if (!works) throw new SysError("ENOSYS", `Cannot run tools in a jail: ${why}`);
}

function startCage(parts: ProcessSandboxParts & { jail: boolean }, memoryBytes: number): Cage {
  const child = parts.children.start({
    args: argumentsOf(memoryBytes, RELAY_TEXT),
    dataBytesMax: RESERVED_BYTES + memoryBytes,
    jail: parts.jail,
  });
  const link = new PipeLink(child);
  link.send(CHILD_WORKER_TEXT);
  const memoryBytesMax = Math.floor(memoryBytes * 0.75);
  return new Cage({ ...parts, link, memoryBytesMax });
}

/** With what the runtime is started whose main isolate is a module. */
export function argumentsOf(memoryBytes: number, module: string): readonly string[] {
  const heapMib = Math.max(16, Math.floor((memoryBytes - RUNTIME_BYTES) / MIB));
  return [
    "run",
    "--no-prompt",
    "--no-config",
    "--no-lock",
    "--no-npm",
    "--no-remote",
    "--cached-only",
    "--no-check",
    "--no-code-cache",
    "--quiet",
    "--unstable-worker-options",
    ...DENIED.map((permission) => `--deny-${permission}`),
    `--v8-flags=${[`--max-old-space-size=${heapMib}`, NO_TEXT_AS_CODE, GC, LOOPS]}`,
    moduleUrl(module),
  ];
}
