/**
 * Code and differences as lines of text, coloured word by word.
 *
 * Invariants:
 *   C1. A colour is an element around text; the text itself is never markup.
 * @module
 */

import type { JSX } from "preact";
import type { DiffLine } from "../../kernel/diff.ts";
import { visible } from "./words.ts";

const KEYWORDS =
  "abstract as async await break case catch class const continue default delete do else enum " +
  "export extends finally for from function if implements import in instanceof interface let new " +
  "of return satisfies static super switch this throw try type typeof var void while yield true " +
  "false null undefined";
const WORDS = new RegExp(
  [
    String.raw`(\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$))`,
    String.raw`("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\`(?:\\[\s\S]|[^\`\\])*\`)`,
    `\\b(${KEYWORDS.replaceAll(" ", "|")})\\b`,
    String.raw`\b(\d[\w.]*)\b`,
  ].join("|"),
  "g",
);
const KINDS = ["comment", "string", "word", "number"] as const;

interface Part {
  readonly kind: (typeof KINDS)[number] | null;
  readonly text: string;
}

/** A source in parts, line by line. */
export function coloured(source: string): readonly (readonly Part[])[] {
  const lines: Part[][] = [[]];
  const put = (kind: Part["kind"], text: string): void => {
    for (const [i, piece] of text.split("\n").entries()) {
      if (i > 0) lines.push([]);
      if (piece !== "") lines.at(-1)!.push({ kind, text: piece });
    }
  };
  let last = 0;
  for (const match of source.matchAll(WORDS)) {
    put(null, source.slice(last, match.index));
    put(KINDS[match.slice(1).findIndex((group) => group !== undefined)] ?? null, match[0]);
    last = match.index + match[0].length;
  }
  put(null, source.slice(last));
  return lines;
}

/** A source with line numbers. */
export function Code({ source, label }: {
  readonly source: string;
  readonly label: string;
}): JSX.Element {
  return (
    <pre class="block code" tabIndex={0} role="region" aria-label={label}>
      {coloured(source).map((parts, i) => (
        <span key={i} class="line">
          {parts.map(({ kind, text }, j) =>
            kind === null
              ? visible(text)
              : <span key={j} class={`code-${kind}`}>{visible(text)}</span>
          )}
          {"\n"}
        </span>
      ))}
    </pre>
  );
}

const AROUND = 3;
const GAP = "…";

/** Lines that come and go, with a few around them; each says so by its mark, too. */
export function CodeDiff({ lines, label }: {
  readonly lines: readonly DiffLine[];
  readonly label: string;
}): JSX.Element {
  const isNear = (at: number): boolean =>
    lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(({ mark }) => mark !== " ");
  if (lines.every(({ mark }) => mark === " ")) return <p>Nothing differs.</p>;
  return (
    <pre class="block diff" tabIndex={0} role="region" aria-label={label}>
      {lines.map(({ mark, text }, i) =>
        isNear(i)
          ? (
            <span key={i} class={mark === "+" ? "come" : mark === "-" ? "gone" : "same"}>
              {mark} {visible(text)}
            </span>
          )
          : isNear(i - 1) || (i === 0 && lines.length > 0)
          ? <span key={i} class="dim">{GAP}</span>
          : null
      )}
    </pre>
  );
}
