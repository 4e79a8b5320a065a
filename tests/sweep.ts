/**
 * How much of a sweep is done, and which positions those are: `LIBOS_SWEEP`.
 *
 * `all`: each position. `K/N`: the Kth of N pieces, which together are all, each once. `N`: every
 * Nth, from one that the seed says. Unset: a sample, for every test run.
 * What happens at a position comes from the seed and the position alone: a piece of a sweep, or
 * `K/N` with as many pieces as there are positions, does there what the whole does.
 * @module
 */

import { SeededRandom } from "../testing.ts";

/** Every so many-th position; `from` 0 is the first, null one that the seed says. */
export interface Stride {
  readonly every: number;
  readonly from: number | null;
}

/** Reads `LIBOS_SWEEP`; null for a sample. */
export function strideOf(text: string | undefined): Stride | null {
  if (text === undefined || text === "") return null;
  if (text === "all") return { every: 1, from: 0 };
  const [, first, last] = /^(\d+)(?:\/(\d+))?$/.exec(text) ?? [];
  const [k, n] = [Number(first), Number(last ?? first)];
  if (!(n >= 1 && k >= 1 && k <= n)) {
    throw new Error(`Cannot sweep "${text}": LIBOS_SWEEP is "all", "N", or "K/N" with K up to N`);
  }
  return { every: n, from: last === undefined ? null : k - 1 };
}

/** What is swept in this run; null for a sample. */
export const SWEEP: Stride | null = strideOf(Deno.env.get("LIBOS_SWEEP"));

/** What the run is drawn from. */
export const SEED = Number(Deno.env.get("LIBOS_SEED") ?? Date.now() % 1_000_000);

/** Which of so many positions are taken, from 0. */
export function taken(count: number, { every, from }: Stride, seed: number = SEED): number[] {
  const first = from ?? new SeededRandom(seed).below(every);
  const positions: number[] = [];
  for (let at = first; at < count; at += every) positions.push(at);
  return positions;
}

/** The chance at one position, whatever other positions are taken. */
export function chanceAt(position: number, seed: number = SEED): SeededRandom {
  return new SeededRandom(seed * 100_003 + position);
}

/** Says what is covered, positions counted from 1. */
export function covered(positions: readonly number[], count: number, what: string): string {
  const some = positions.slice(0, 3).map((at) => at + 1);
  const last = positions.at(-1);
  const list = positions.length > 4 ? `${some.join(", ")}, … ${last! + 1}` : some.join(", ");
  const which = positions.length === count ? "all of them" : `at ${list}`;
  return `${positions.length} of ${count} ${what} (${which}), LIBOS_SEED=${SEED}`;
}
