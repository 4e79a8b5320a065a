/**
 * The sandbox of Workers: the bare realm in a Worker of this process, and no wall around that.
 *
 * It is for who wants no child process and says so. What remains: code that fills memory, or that
 * spends the time of native code (a regular expression, a large sort), takes this process with it
 * or goes on after its end; processor time and memory are not measured; local time is the host's.
 * @module
 */

import type { CageEnd, CageRun, Sandbox, SandboxCounts } from "../broker/sandbox.ts";
import type { Clock, Random } from "../kernel/world.ts";
import { Cage } from "./cage.ts";
import type { Surface } from "./guest/os.ts";
import { moduleUrl, WORKER_TEXT } from "./guest_text.ts";
import type { Link, LinkEnd } from "./link.ts";
import { Pool } from "./pool.ts";

/** What a sandbox of Workers is made of. */
export interface WorkerSandboxParts {
  readonly clock: Clock;
  readonly random: Random;
  /** What tools can call. */
  readonly surface: Surface;
  /**
   * Says that this process was started with `--unstable-worker-options`, or with `"unstable":
   * ["worker-options"]` in its `deno.json`. Without it the runtime ends the whole process at the
   * first run, and nothing in the process can tell beforehand.
   */
  readonly hasWorkerOptions: true;
  /** Hears how long each cage took to start. */
  readonly started?: (ms: number) => void;
  /** Whether to start cages before the first is needed, and keep some. @default false */
  readonly warm?: boolean;
}

/** Runs tools in Workers of this process. */
export class WorkerSandbox implements Sandbox {
  readonly tier = "worker";
  readonly #pool: Pool;

  /** Starts nothing before the first run, unless it shall be warm. */
  constructor(parts: WorkerSandboxParts) {
    const start = () =>
      new Cage({ ...parts, link: new WorkerLink(), memoryBytesMax: Number.POSITIVE_INFINITY });
    const { clock, started, warm = false } = parts;
    this.#pool = new Pool({ start, clock, warm, ...(started === undefined ? {} : { started }) });
  }

  /** Runs a tool once. Never rejects. */
  run(run: CageRun): Promise<CageEnd> {
    return this.#pool.run(run);
  }

  /** How many cages there are. */
  counts(): SandboxCounts {
    return this.#pool.counts();
  }

  /** Ends every cage. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** A link to a Worker of this process. */
class WorkerLink implements Link {
  readonly ended: Promise<LinkEnd>;
  readonly #worker: Worker;
  readonly #over = Promise.withResolvers<LinkEnd>();

  constructor() {
    this.ended = this.#over.promise;
    const options = { type: "module", deno: { permissions: "none" } } as const;
    this.#worker = new Worker(moduleUrl(WORKER_TEXT), options as WorkerOptions);
    this.#worker.onerror = (event) => {
      // Without it, an error in the Worker would end this process.
      event.preventDefault();
      this.#end("its worker ended with an error");
    };
    // After one of these a Worker delivers nothing more.
    this.#worker.onmessageerror = () => this.#end("it sent what is no text");
  }

  send(text: string): void {
    this.#worker.postMessage(text);
  }

  hear(listener: (text: string) => void): void {
    this.#worker.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (typeof data !== "string") return this.#end("it sent what is no text");
      try {
        listener(data);
      } catch {
        // Whatever it sent, what is thrown here would end this process.
        this.#end("it sent what cannot be heard");
      }
    };
  }

  usage(): null {
    return null;
  }

  kill(): void {
    this.#end("it was ended");
  }

  #end(why: string): void {
    this.#worker.onmessage = null;
    this.#worker.terminate();
    this.#over.resolve({ why, isMemory: false });
  }
}
