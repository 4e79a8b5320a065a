/**
 * Closing several things of which one may fail.
 * @module
 */

/** Closes each in turn, whatever the ones before throw; then throws what was thrown first. */
export async function closeAll(closes: Iterable<() => Promise<unknown>>): Promise<void> {
  const faults: unknown[] = [];
  for (const close of closes) await close().catch((error) => faults.push(error));
  if (faults.length > 0) throw faults[0];
}
