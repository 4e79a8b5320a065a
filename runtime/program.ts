/**
 * Programs: user space. A process runs one step after another; a step is one turn of its program.
 *
 * A step may be run again from the top, so it must do the same calls in the same order until it
 * gets past what it has done already. It keeps nothing between steps but Object Memory.
 * @module
 */

import type { Sys } from "../broker/client.ts";
import type { Json } from "../kernel/json.ts";
import type { Pid } from "../kernel/ids.ts";

/** What a step is given. */
export interface StepContext {
  /** The process whose step it is. */
  readonly pid: Pid;
  /** 1 for the first step of a process. */
  readonly step: number;
  /** What the process is to do. */
  readonly goal: string;
  /** Data that came with the goal; null when there was none. */
  readonly input: Json;
  /** The image's instructions and model. */
  readonly instructions: string;
  /** `provider/model`, or null when the image names none. */
  readonly model: string | null;
  /** The only way to do anything. */
  readonly sys: Sys;
  /** Aborted when the process is stopped. */
  readonly signal: AbortSignal;
}

/** One step. A process ends when its program calls `process.exit`, or throws. */
export type Program = (context: StepContext) => Promise<void>;
