/**
 * The time of a child: what a machine with much else to do did not give it is not held against it.
 * @module
 */

import type { Clock } from "../kernel/world.ts";

/** How many times as long a child may take that is not given the processor. */
const STRETCH = 6;
/** Fewest milliseconds between two looks at what it had. */
const LOOK_MS = 20;

/** What may know how much of the processor's time it had; null where the system does not tell. */
interface Timed {
  usage(): { readonly cpuMs: number } | null;
}

/**
 * Resolves when a child had `ms` of the processor's time from now on: not before as many went by,
 * and when `STRETCH` times as many did at the latest. Where nobody can tell, when as many went by.
 * Rejects when `signal` aborts.
 */
export async function given(
  child: Timed,
  ms: number,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const beforeMs = child.usage()?.cpuMs ?? 0;
  for (let leftMs = ms, wentMs = 0; leftMs > 0;) {
    const nextMs = Math.max(LOOK_MS, leftMs);
    await clock.sleep(nextMs, signal);
    wentMs += nextMs;
    const used = child.usage();
    if (used === null) return;
    leftMs = Math.min(ms - (used.cpuMs - beforeMs), ms * STRETCH - wentMs);
  }
}
