/**
 * Revealing: values that agents read and wrote are shown only where somebody asks for them, who
 * may; the tree's log says who looked, before it is shown.
 *
 * Invariants:
 *   V1. What a call carried (arguments, answers, messages, results) is in no answer that was not
 *       asked to reveal it; a role below operator is refused. What a right names is shown: of a
 *       tool of a server without a binding that is its arguments.
 *   V2. The log has the name of whoever looks before they are answered. Whoever reads the same
 *       kind of thing of one tree on and on is written down once a minute, or following a log
 *       would write it on and on.
 * @module
 */

import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Clock } from "../kernel/world.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Env } from "./api.ts";
import { need } from "./auth.ts";

/** Whether values are asked for. */
export const revealShape = z.enum(["true", "false"]).default("false").openapi({
  description: "`true` adds values; role operator, and the tree's log says who looked",
});

/** What somebody looks at. */
export interface Looked {
  /** What it is, as the log says it: `lines`, `obj_1.3@2`. */
  readonly what: string;
  /** Who looks. */
  readonly by: string;
}

/** Who looked at what of late. */
export class Reveals {
  readonly #runtime: Runtime;
  readonly #clock: Clock;
  readonly #lastMs = new Map<string, number>();

  /** Nobody has looked yet. */
  constructor(runtime: Runtime, clock: Clock) {
    this.#runtime = runtime;
    this.#clock = clock;
  }

  /** Writes into a tree's log that somebody looks at something of it. */
  async note(tree: TreeId, { what, by }: Looked): Promise<void> {
    await this.#runtime.order(tree, { kind: "reveal", what, by });
  }

  /** The same for what is read on and on: once a minute (V2). */
  async noteOften(tree: TreeId, looked: Looked): Promise<void> {
    const key = `${tree} ${looked.what} ${looked.by}`;
    const nowMs = this.#clock.now();
    const lastMs = this.#lastMs.get(key);
    if (lastMs !== undefined && Math.abs(nowMs - lastMs) < LIMITS.revealNoteMs) return;
    await this.note(tree, looked);
    this.#lastMs.delete(key);
    this.#lastMs.set(key, nowMs);
    if (this.#lastMs.size > LIMITS.revealsKept) {
      this.#lastMs.delete(this.#lastMs.keys().next().value!);
    }
  }
}

/** Whether values are to be shown; refuses who asks for them and may not (V1). */
export async function isRevealed(c: Context<Env>, reveal: "true" | "false"): Promise<boolean> {
  if (reveal === "false") return false;
  await need("operator")(c, () => Promise.resolve());
  return true;
}
