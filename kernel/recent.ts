/**
 * The latest calls of a tree: what a rule that somebody thinks of would have covered. Derived from
 * lines as they are applied, and no part of the state.
 * @module
 */

import type { CallHead, Line } from "./event.ts";
import { matchResource, type Pattern } from "./grammar.ts";
import { LIMITS } from "./limits.ts";

/** Calls on what is not the caller's own, the latest of them. */
export class Recent {
  readonly #needs: CallHead["decision"]["needs"][] = [];
  #next = 0;

  /** Hears of a line. */
  hear({ type, data }: Line): void {
    if (type !== "call.done" && type !== "call.intent") return;
    const { needs } = (data as CallHead).decision;
    const [first] = needs;
    // Each process works in its own memory all the time, and nobody is asked about that.
    if (first === undefined || first.right.startsWith("object.")) return;
    this.#needs[this.#next] = needs;
    this.#next = (this.#next + 1) % LIMITS.callsRecentKept;
  }

  /** How many of them a right on a pattern of resources covers. */
  count({ right, resource }: Pattern): number {
    return this.#needs.filter((needs) =>
      needs.some((need) => need.right === right && matchResource(resource, need.resource))
    ).length;
  }
}
