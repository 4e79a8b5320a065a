/**
 * Closing several things of which one may fail, or take for ever.
 *
 * What takes longer than `closeDrainMsMax` is told to end, and what does not end within
 * `closeMsMax` then is left: its intent stays open, as if the kernel had died then (G5).
 * @module
 */

import type { Clock } from "../kernel/world.ts";

/** Closes each in turn, whatever the ones before throw; then throws what was thrown first. */
export async function closeAll(closes: Iterable<() => Promise<unknown>>): Promise<void> {
  const faults: unknown[] = [];
  for (const close of closes) await close().catch((error) => faults.push(error));
  if (faults.length > 0) throw faults[0];
}

/** Waits until nothing runs and nothing is on its way, but no longer than `msMax`. */
export async function untilIdle(isBusy: () => boolean, given: {
  readonly sending: ReadonlyMap<string, Promise<unknown>>;
  readonly clock: Clock;
  readonly msMax: number;
}): Promise<void> {
  const { sending, clock, msMax } = given;
  const over = new AbortController();
  const late = clock.sleep(msMax, over.signal).then(() => over.abort(), () => {});
  while (isBusy() && !over.signal.aborted) {
    await Promise.race([late, Promise.allSettled([...sending.values()])]);
    await new Promise<void>((resolve) => clock.soon(resolve));
  }
  over.abort();
  await late;
}
