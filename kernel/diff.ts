/**
 * Differences between two texts, line by line, as people read them.
 * @module
 */

/** Lines beyond which only the ends are compared: a difference of all is still a difference. */
const CELLS_MAX = 4_000_000;

/** One line of a comparison: in both, only in the new text, or only in the old one. */
export interface DiffLine {
  /** " ", "+" or "-". */
  readonly mark: " " | "+" | "-";
  /** The line without its end. */
  readonly text: string;
}

/** Compares two texts; the shortest list of changes, except for very large ones. */
export function diffLines(before: string, after: string): DiffLine[] {
  const [old, now] = [before.split("\n"), after.split("\n")];
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head += 1;
  let tail = 0;
  while (
    tail < old.length - head && tail < now.length - head &&
    old[old.length - 1 - tail] === now[now.length - 1 - tail]
  ) tail += 1;
  const same = (text: string): DiffLine => ({ mark: " ", text });
  return [
    ...old.slice(0, head).map(same),
    ...middle(old.slice(head, old.length - tail), now.slice(head, now.length - tail)),
    ...old.slice(old.length - tail).map(same),
  ];
}

function middle(old: readonly string[], now: readonly string[]): DiffLine[] {
  const gone = (text: string): DiffLine => ({ mark: "-", text });
  const come = (text: string): DiffLine => ({ mark: "+", text });
  if (old.length * now.length > CELLS_MAX || old.length === 0 || now.length === 0) {
    return [...old.map(gone), ...now.map(come)];
  }
  const common = lengths(old, now);
  const width = now.length + 1;
  const lines: DiffLine[] = [];
  for (let i = 0, j = 0; i < old.length || j < now.length;) {
    const [left, right] = [old[i], now[j]];
    if (left !== undefined && left === right) {
      lines.push({ mark: " ", text: left });
      i += 1;
      j += 1;
    } else if (
      left !== undefined &&
      (right === undefined || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)
    ) {
      lines.push(gone(left));
      i += 1;
    } else {
      lines.push(come(right!));
      j += 1;
    }
  }
  return lines;
}

/** For each pair of places: how many lines the rests have in common, at most. */
function lengths(old: readonly string[], now: readonly string[]): Uint32Array {
  const width = now.length + 1;
  const table = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      table[i * width + j] = old[i] === now[j]
        ? table[(i + 1) * width + j + 1]! + 1
        : Math.max(table[(i + 1) * width + j]!, table[i * width + j + 1]!);
    }
  }
  return table;
}

/** A comparison as text, with `context` lines around each change; empty when nothing differs. */
export function diffText(before: string, after: string, context = 3): string {
  const lines = diffLines(before, after);
  const near = lines.map(() => false);
  for (const [i, { mark }] of lines.entries()) {
    if (mark === " ") continue;
    for (let at = i - context; at <= i + context; at++) if (at in near) near[at] = true;
  }
  const shown: string[] = [];
  for (const [i, { mark, text }] of lines.entries()) {
    if (near[i]) shown.push(`${mark} ${text}`.trimEnd());
    else if (near[i - 1]) shown.push("…");
  }
  if (shown.at(-1) === "…") shown.pop();
  return shown.join("\n");
}
