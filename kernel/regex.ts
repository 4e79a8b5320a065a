/**
 * Which regular expressions may be run on text from outside, and what they may cost.
 *
 * The engine backtracks. So only expressions are taken whose worst case is a polynomial that can be
 * read off: no look-around, no back-reference, and no repetition of a group which itself can repeat
 * or choose.
 * @module
 */

/** The worst case on a text of n characters is about `choices * spins * n ** degree` steps. */
export interface PatternCost {
  readonly degree: number;
  readonly choices: number;
  /** Steps of repetitions whose number is written out: `a{9}` takes nine where `a` takes one. */
  readonly spins: number;
}

const SOURCE_MAX = 256;
const DEGREE_MAX = 4;
const CHOICES_MAX = 256;
/** `{n}` up to this many times. */
const REPEAT_MAX = 256;

interface Scan {
  readonly source: string;
  at: number;
  loops: number;
  choices: number;
  quantifiers: number;
  /** Atoms that one way through takes, each as often as is written out. */
  atoms: number;
  spins: number;
  /** What went wrong, as "found, expected". */
  wrong: string | null;
}

/** The cost of an expression, or a sentence on why it may not be used. */
export function patternCost(source: string): PatternCost | string {
  if (source.length > SOURCE_MAX) {
    return `${source.length} characters, expected at most ${SOURCE_MAX}`;
  }
  try {
    new RegExp(source, "u");
  } catch {
    return "no regular expression, expected one (with flag u)";
  }
  const none = { loops: 0, choices: 1, quantifiers: 0, atoms: 0, spins: 0 };
  const scan: Scan = { source, at: 0, ...none, wrong: null };
  const bars = alternatives(scan);
  if (scan.wrong !== null) return scan.wrong;
  const anchored = source.startsWith("^") && bars === 0;
  const degree = scan.loops + (anchored ? 0 : 1);
  if (degree > DEGREE_MAX) {
    return `${scan.loops} repetitions, expected at most ${DEGREE_MAX - (anchored ? 0 : 1)}`;
  }
  if (scan.choices > CHOICES_MAX) return `too many choices, expected at most ${CHOICES_MAX}`;
  return { degree, choices: scan.choices, spins: Math.max(1, scan.spins) };
}

// Reads up to the end or an unmatched ")"; returns how many "|" there were at this level.
function alternatives(scan: Scan): number {
  let bars = 0;
  while (scan.at < scan.source.length && scan.wrong === null) {
    const char = scan.source[scan.at];
    if (char === ")") break;
    if (char === "|") {
      bars++;
      scan.at++;
      continue;
    }
    const { quantifiers, choices, atoms } = scan;
    const isGroup = char === "(";
    atom(scan);
    if (!isGroup) scan.atoms++;
    if (scan.wrong !== null) break;
    const varies = isGroup && (scan.quantifiers > quantifiers || scan.choices > choices);
    quantifier(scan, varies, scan.atoms - atoms);
  }
  scan.choices *= bars + 1;
  return bars;
}

function atom(scan: Scan): void {
  const { source } = scan;
  const char = source[scan.at];
  if (char === "\\") return escape(scan);
  if (char === "[") {
    scan.at++;
    while (source[scan.at] !== "]") scan.at += source[scan.at] === "\\" ? 2 : 1;
    scan.at++;
    return;
  }
  if (char !== "(") {
    scan.at++;
    return;
  }
  scan.at++;
  if (source[scan.at] === "?") {
    if (source[scan.at + 1] !== ":") {
      scan.wrong = `"(?${source[scan.at + 1]}", expected "(" or "(?:"`;
      return;
    }
    scan.at += 2;
  }
  alternatives(scan);
  scan.at++;
}

function escape(scan: Scan): void {
  const { source } = scan;
  const char = source[scan.at + 1] ?? "";
  if (/[1-9k]/.test(char)) {
    scan.wrong = `back-reference "\\${char}", expected none`;
    return;
  }
  scan.at += 2;
  if (/[pPu]/.test(char) && source[scan.at] === "{") scan.at = source.indexOf("}", scan.at) + 1;
}

function quantifier(scan: Scan, varies: boolean, atoms: number): void {
  const match = /^(?:[*+?]|\{(\d+)(,)?(\d*)\})\??/.exec(scan.source.slice(scan.at));
  if (match === null) return;
  scan.at += match[0].length;
  scan.quantifiers++;
  if (match[0].startsWith("?")) {
    scan.choices *= 2;
    return;
  }
  if (varies) {
    scan.wrong = `"${match[0]}" after a group that repeats or chooses, expected a plain group`;
    return;
  }
  const isFixed = match[1] !== undefined && match[2] === undefined;
  if (Math.max(Number(match[1] ?? 0), Number(match[3] || 0)) > REPEAT_MAX) {
    scan.wrong = `"${match[0]}", expected at most ${REPEAT_MAX} times`;
    return;
  }
  if (isFixed) scan.spins += Number(match[1]) * atoms;
  else scan.loops++;
}
