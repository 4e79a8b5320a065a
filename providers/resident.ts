/**
 * How much memory this program has.
 * @module
 */

/** Resident memory in bytes. */
export function residentBytes(): number {
  return Deno.memoryUsage().rss;
}
