/**
 * Tools as the broker sees them: a name, a schema, and code that holds no authority.
 * @module
 */

import type { JsonObject } from "../kernel/json.ts";
import type { Sys } from "./client.ts";

/** What a tool's code is given: the door, and nothing else. */
export interface ToolContext {
  /** The calling process. */
  readonly pid: string;
  /** The call's id. */
  readonly call: string;
  /** The only way to do anything. */
  readonly sys: Sys;
  /** Aborted when the process is stopped. */
  readonly signal: AbortSignal;
  /** The same whenever this call is run again. */
  readonly idempotencyKey: string;
}

/** A model-facing function: a thin wrapper over system calls. */
export interface Tool {
  /** What models call it; unique in a runtime. */
  readonly name: string;
  /** What it does, for the model. */
  readonly description: string;
  /** JSON Schema of the input, for the model. `parse` is what checks. */
  readonly inputSchema: JsonObject;
  /** The calls it makes; a bare deny of one hides the tool. */
  readonly uses: readonly string[];
  /** Checks and converts what the model wrote; throws `SysError` of `EINVAL`. */
  parse(input: unknown): unknown | Promise<unknown>;
  /** Does the work through `context.sys`. */
  execute(input: unknown, context: ToolContext): unknown | Promise<unknown>;
}
