/**
 * Money that is held for calls under way: what a turn of a model may cost at most, until what it
 * did cost is known.
 *
 * Invariants:
 *   H1. What is held counts as spent for whoever asks meanwhile, in the process and all above it.
 *   H2. It is held in the turn in which it was found affordable, and let go after the outcome.
 *   H3. Nothing of it is in the log: after a crash a call that was under way holds again.
 * @module
 */

import { affordBeside, type Held, leftOf } from "../kernel/budget.ts";
import { LIMITS } from "../kernel/limits.ts";
import { priceOf, type Pricing } from "../kernel/price.ts";
import type { Process } from "../kernel/state.ts";
import type { Tree } from "../kernel/tree.ts";
import type { Call } from "./call.ts";

const held = new WeakMap<Tree, Set<Held>>();

/** What a call may cost at most. */
export interface Most {
  readonly usd: number;
  /** The most tokens that it may write, for that. */
  readonly outputTokens: number;
}

/** Refuses with `EBUDGET` what the budget does not bear beside the calls under way (H1). */
export function affordMost({ tree, process, def, args }: Call, prepared: unknown): void {
  const usd = mostOf(def, { tree, process }, { args, prepared })?.usd;
  if (usd === undefined) return;
  affordBeside(tree.state, process, { usd, held: heldIn(tree) });
}

/** Runs an effect while what it may cost is held for it (H2). */
export function holding<T>(
  { tree, process, def, args }: Call,
  prepared: unknown,
  job: () => Promise<T>,
): Promise<T> {
  const most = mostOf(def, { tree, process }, { args, prepared });
  if (most === undefined) return job();
  return heldFor(tree, { pid: process.pid, usd: most.usd }, job);
}

async function heldFor<T>(tree: Tree, hold: Held, job: () => Promise<T>): Promise<T> {
  const all = held.get(tree) ?? new Set();
  held.set(tree, all);
  all.add(hold);
  try {
    return await job();
  } finally {
    all.delete(hold);
  }
}

function mostOf(
  def: Call["def"],
  of: { readonly tree: Tree; readonly process: Process },
  given: { readonly args: unknown; readonly prepared: unknown },
): Most | undefined {
  if (def.effect !== "emit" || !("run" in def) || given.prepared === undefined) return undefined;
  return def.most?.(of, given.args as never, given.prepared as never);
}

/** Money that is held for calls of a tree under way. */
export function heldIn(tree: Tree): readonly Held[] {
  return [...held.get(tree) ?? []];
}

/**
 * What a turn may cost at most: undefined where no price or no limit in money is known. Where the
 * caller sets no bound to what is written, half of what the rest of the budget buys is one.
 */
export function mostOfTurn(
  { tree, process }: { readonly tree: Tree; readonly process: Process },
  pricing: Pricing | undefined,
  turn: { readonly inputTokens: number; readonly outputTokens: number | undefined },
): Most | undefined {
  if (pricing === undefined) return undefined;
  const left = leftOf(tree.state, process, heldIn(tree));
  if (left === undefined) return undefined;
  // What is read may be new to the endpoint's cache, which can be dearer.
  const inputUsd = Math.max(pricing.inputUsd, pricing.cacheWriteUsd ?? 0);
  const { inputTokens } = turn;
  const read = priceOf({ inputTokens, outputTokens: 0 }, { ...pricing, inputUsd });
  const bought = pricing.outputUsd === 0
    ? Infinity
    : Math.max(0, left - read) / (pricing.outputUsd / 1_000_000);
  const own = Math.max(LIMITS.outputTokensMin, Math.floor(bought / 2));
  const outputTokens = turn.outputTokens ?? Math.min(own, LIMITS.outputTokensHeld);
  return { usd: read + outputTokens * pricing.outputUsd / 1_000_000, outputTokens };
}
