/**
 * Sandboxes as the broker sees them: where code that a model wrote is checked and run (G6).
 *
 * A sandbox gives the code one way out, `call`, and answers with a value whatever the code does: it
 * never throws because of it, and answers by its deadline. What a call may do is not its business:
 * authority is checked at the door.
 *
 * Invariants:
 *   X1. Nothing but JSON text crosses, in either direction, within `CageLimits`.
 *   X2. Calls are answered in the order in which `call` settled them.
 *   X3. After `run` has answered, or its signal was aborted, nothing of the run is heard any more.
 *   X4. A later run sees nothing of an earlier one; a cage serves one tenant in its life.
 * @module
 */

import type { Errno } from "../kernel/errors.ts";
import type { Json, JsonObject } from "../kernel/json.ts";

/** How strong the walls are: a locked child process, the same inside a jail, or only a Worker. */
export const TIERS: readonly Tier[] = ["process", "jail", "worker"];
/** How strong the walls are. */
export type Tier = "process" | "jail" | "worker";

/** What one run may use. Reaching one ends it, and names the limit. */
export interface CageLimits {
  /** Arguments of one call, as JSON text. */
  readonly argumentBytes: number;
  /** The answer to one call, as JSON text. */
  readonly replyBytes: number;
  /** What the tool returns, as JSON text. */
  readonly resultBytes: number;
  /** All that it logs in one run. */
  readonly logBytes: number;
  /** How deep arguments and the result may nest. */
  readonly jsonDepth: number;
  /** Calls that wait for an answer at a time. */
  readonly callsOutstanding: number;
  /** Calls in one run. */
  readonly calls: number;
  /** Timers set at a time. */
  readonly timers: number;
  /** How long the code may hold the turn in all: time in which none of its calls is out. */
  readonly wallMs: number;
  /** Processor time of the cage in one run, all threads together. */
  readonly cpuMs: number;
  /** Resident memory of the cage. */
  readonly memoryBytes: number;
}

/** How a call through the port came out. */
export type PortAnswer =
  & { readonly atMs: number }
  & (
    | { readonly ok: true; readonly reply: Json }
    | { readonly ok: false; readonly code: Errno; readonly message: string }
  );

/** One run of a tool. */
export interface CageRun {
  /** One version of one tool of one process. A cage never serves two. */
  readonly tenant: string;
  /** The tool's name, for messages. */
  readonly name: string;
  /** JavaScript: one module whose default export is the tool. */
  readonly code: string;
  readonly input: Json;
  /** What the code's clock says at first, in milliseconds since 1970. Replies move it. */
  readonly nowMs: number;
  /** 32 hexadecimal digits from which the code's chance comes. */
  readonly seed: string;
  readonly limits: CageLimits;
  /** Lets go of the run: the code is ended, and nobody hears of it. */
  readonly signal: AbortSignal;
  /** Told when the code can do no more until one of its calls is answered. May come again. */
  rested?(): void;
  /** The only way out. Never rejects. */
  call(name: string, args: Json): Promise<PortAnswer>;
}

/** How a run ended. `logs` is what the code wrote, one line each, within `logBytes`. */
export type CageEnd =
  & { readonly logs: readonly string[] }
  & (
    /** `ends` is the call that ends the step, to be made now that the tool has returned. */
    | {
      readonly kind: "returned";
      readonly output: Json;
      readonly ends: { readonly name: string; readonly args: Json } | null;
    }
    /** The tool threw; `code` when it threw what a call had answered. */
    | { readonly kind: "threw"; readonly message: string; readonly code: Errno | null }
    | { readonly kind: "limit"; readonly limit: keyof CageLimits }
    /** The cage broke, or did what no tool can do. */
    | { readonly kind: "died"; readonly message: string }
    /** The signal was aborted. */
    | { readonly kind: "stopped" }
  );

/** How many cages there are. */
export interface SandboxCounts {
  /** All cages. */
  readonly cages: number;
  /** Those that no tenant has had. */
  readonly warm: number;
  /** Those that run something. */
  readonly busy: number;
  /** Runs that wait for a cage. */
  readonly waiting: number;
}

/** Where generated code runs. */
export interface Sandbox {
  readonly tier: Tier;
  /** Runs a tool once. Never rejects. */
  run(run: CageRun): Promise<CageEnd>;
  /** How many cages there are; absent where nobody counts. */
  counts?(): SandboxCounts;
  /** Ends every cage. Runs under way answer "stopped". */
  close(): Promise<void>;
}

/** Something wrong with a source, and where. */
export interface Problem {
  /** 1 for the first line. */
  readonly line: number;
  /** 1 for the first column, in UTF-16 units. */
  readonly column: number;
  /** A sentence. */
  readonly message: string;
}

/** What was found in a source: JavaScript to run, or what is wrong with it. */
export type Checked =
  | { readonly ok: true; readonly code: string }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Checks sources without running them. */
export interface ToolCompiler {
  /** Rejects (`ELIMIT`, `EIO`, `ECANCELED`) only when it could not check at all, else answers. */
  check(tool: {
    readonly source: string;
    readonly inputSchema: JsonObject;
    readonly outputSchema: JsonObject | null;
  }): Promise<Checked>;
  /** Ends what it started. */
  close(): Promise<void>;
}

/** When a person has to look at a tool before it is registered. */
export const REVIEWS: readonly Review[] = ["always", "new-rights", "never"];
/** When a person has to look at a tool before it is registered. */
export type Review = "always" | "new-rights" | "never";

/** All that generated tools need; a runtime without one runs none. */
export interface Workshop {
  readonly sandbox: Sandbox;
  readonly compiler: ToolCompiler;
  readonly review: Review;
  /** What a run may use, unless its registration says otherwise. */
  readonly limits: CageLimits;
}
