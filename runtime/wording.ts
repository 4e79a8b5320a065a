/**
 * Lengths of time and of text as people read them.
 * @module
 */

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000]] as const;

/** A length of time in its two greatest units: `1m52s`. */
export function spanOf(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  const first = UNITS.findIndex(([, length]) => ms >= length);
  const [unit, length] = UNITS[first]!;
  const whole = `${Math.floor(ms / length)}${unit}`;
  const next = UNITS[first + 1];
  if (next === undefined) return whole;
  const rest = Math.floor((ms % length) / next[1]);
  return rest === 0 ? whole : `${whole}${rest}${next[0]}`;
}

/** A number of things: `1 file`, `2 files`. */
export function plural(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

/** A text cut to `lengthMax` characters. */
export function short(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1).toWellFormed()}…`;
}
