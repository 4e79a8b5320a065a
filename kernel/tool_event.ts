/**
 * Events of generated tools.
 * @module
 */

import type { ValueRef } from "./event.ts";
import type { Pid } from "./ids.ts";
import type { JsonObject } from "./json.ts";

/** What can happen to a generated tool. */
export interface ToolEvents {
  /** A model wrote a version of a tool, and it was checked; nobody can call it yet. */
  "tool.proposed": {
    readonly hash: string;
    readonly name: string;
    readonly description: string;
    readonly inputSchema: JsonObject;
    readonly outputSchema: JsonObject | null;
    readonly rights: readonly string[];
    readonly source: ValueRef;
    readonly code: ValueRef;
    readonly tests: ValueRef;
    readonly testCount: number;
    /** Its author, or "image". */
    readonly by: Pid | "image";
  };
  /** A version's tests were run in a cage. */
  "tool.tested": {
    readonly hash: string;
    readonly by: Pid;
    readonly passed: number;
    readonly failed: number;
  };
  /** A version stands in a process's tool table. */
  "tool.registered": {
    readonly pid: Pid;
    readonly name: string;
    readonly hash: string;
    /** What a call of it may use at most, with paths and names as they hold. */
    readonly rights: readonly string[];
    readonly limits: { readonly [name: string]: number | undefined };
    readonly from: "proposal" | "image" | "parent";
    /** Whether a person looked at it and agreed. */
    readonly reviewed: boolean;
  };
  /** A process has a generated tool no longer. */
  "tool.unregistered": {
    readonly pid: Pid;
    readonly name: string;
    readonly by: string;
    readonly reason: string;
  };
  /** A version was taken back from all processes of the tree, for good. */
  "tool.revoked": { readonly hash: string; readonly by: string; readonly reason: string };
}
