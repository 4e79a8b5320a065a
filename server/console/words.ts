/**
 * Text as the console shows it: ages, numbers, and what agents wrote with every character visible.
 *
 * Invariants:
 *   W1. Whatever an agent wrote is shown as text, and no character of it hides, reorders or joins.
 * @module
 */

const UNSAFE = new RegExp(
  "[\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\u2800]",
  "gu",
);
const MARKS = /(\p{M}{3})\p{M}+/gu;

/** What an agent wrote, with what could not be seen as a visible escape. */
export function visible(text: string): string {
  return text.replace(MARKS, "$1").replace(UNSAFE, (char) => {
    if (char === "\n" || char === "\t") return char;
    return `\\u{${char.codePointAt(0)!.toString(16)}}`;
  });
}

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000]] as const;

/** A length of time: `1m52s`. */
export function spanOf(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const first = UNITS.findIndex(([, length]) => ms >= length);
  const [unit, length] = UNITS[first]!;
  const next = UNITS[first + 1];
  const rest = next === undefined ? 0 : Math.floor((ms % length) / next[1]);
  return `${Math.floor(ms / length)}${unit}${rest === 0 ? "" : `${rest}${next![0]}`}`;
}

/** How long ago, or how long until. */
export function ageOf(at: string, nowMs: number): string {
  return spanOf(Math.abs(nowMs - Date.parse(at)));
}

/** A number as people read it: `18.2k`. */
export function countOf(value: number): string {
  if (value < 1_000) return String(Math.round(value * 100) / 100);
  if (value < 1_000_000) return `${(value / 1_000).toFixed(1)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

/** Money: `$0.041`. */
export function moneyOf(usd: number): string {
  return `$${usd >= 1 ? usd.toFixed(2) : usd.toFixed(3)}`;
}

/** The time of day, as the one who reads has it. */
export function timeOf(at: string): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, "0")).join(":");
}
