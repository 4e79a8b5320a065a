/**
 * Text from agents, made safe for a terminal.
 *
 * Invariants:
 *   P1. What is printed shows every character that could move the cursor, colour, hide, reorder or
 *       join text as an escape; none acts.
 *   P2. Text of an agent is told from ours: each of its lines is set behind a bar.
 * @module
 */

// Controls but the line feed, line separators, bidi, zero-width, invisible, tags and private use.
const UNSAFE = new RegExp(
  "[\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\u2800]",
  "gu",
);
// More than these on one letter reach into the lines above and below.
const MARKS = /(\p{M}{3})\p{M}+/gu;
const BAR = "  │ ";

/** The text with every unsafe character but the line feed as a visible escape. */
export function printable(text: string): string {
  return text.replace(MARKS, "$1").replace(UNSAFE, (char) => {
    if (char === "\n") return char;
    if (char === "\t") return "  ";
    return `\\u{${char.codePointAt(0)?.toString(16)}}`;
  });
}

/** Like `printable`, on one line. */
export function oneLine(text: string): string {
  return printable(text).replaceAll("\n", "\\n");
}

/** A word as it can be put into a command: quoted where a shell would read it otherwise. */
export function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (word.search(UNSAFE) < 0) return `'${word.replaceAll("'", "'\\''")}'`;
  const hex = (char: string): string => char.codePointAt(0)!.toString(16).padStart(8, "0");
  return `$'${word.replace(/[\\']/g, "\\$&").replace(UNSAFE, (char) => `\\U${hex(char)}`)}'`;
}

/** Like `printable`, each line behind a bar, at most `lengthMax` characters. */
export function quoted(text: string, lengthMax: number): { text: string; isCut: boolean } {
  const isCut = text.length > lengthMax;
  const shown = printable(isCut ? text.slice(0, lengthMax) : text).replaceAll("\n", `\n${BAR}`);
  const rest = isCut ? `\n  … ${text.length - lengthMax} characters more` : "";
  return { text: `${BAR}${shown}${rest}`, isCut };
}
