/**
 * The report: on the screen, and as bench/RESULTS.md.
 * @module
 */

import type { Row, Section } from "./measure.ts";

const HEADS = ["what", "target", "median", "p95", "raw", "ratio", "met"];

function cells(row: Row): string[] {
  const met = row.met === null ? "" : row.met ? "yes" : "NO";
  return [row.what, row.target, row.measured, row.p95, row.raw, row.ratio, met];
}

/** A section as people read it in a terminal. */
export function asText({ title, rows, notes }: Section): string {
  const table = [HEADS, ...rows.map(cells)];
  const widths = HEADS.map((_, i) => Math.max(...table.map((row) => row[i]!.length)));
  const lines = table.map((row) =>
    row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd()
  );
  return [`\n${title}`, ...lines, ...notes.map((note) => `  ${note}`)].join("\n");
}

/** A section as a page has it. */
export function asMarkdown({ title, rows, notes }: Section): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    `## ${title}`,
    "",
    line(HEADS),
    line(HEADS.map(() => "---")),
    ...rows.map((row) => line(cells(row))),
    "",
    ...notes.flatMap((note) => [note, ""]),
  ].join("\n");
}

const PEERS = `## Beside others

Figures stated for such a machine: 1 KB steps, durable.

| system | a durable step | many at once |
| --- | --- | --- |
| LangGraph.js + SQLite | 3.6 to 17 ms and growing (508 MB for 1,000 steps) | |
| Mastra | 7 to 40 ms and growing | |
| DBOS | 2.4 ms | 700 steps/s at 100 concurrent |
| Restate | 1.4 ms | 2,650 steps/s at 100 concurrent |
| Python Agent libOS | 80 to 404 ms | |

These were measured elsewhere than in this run; ours are the tables above.
`;

/** The whole report as a page. `taken` is a date such as 2026-01-31. */
export function page(sections: readonly Section[], about: {
  readonly taken: string;
  readonly took: string;
  /** How busy the machine was before. */
  readonly load: string;
}): string {
  const { hardwareConcurrency } = navigator;
  const memory = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  const { arch, os } = Deno.build;
  return [
    "# Benchmark results",
    "",
    `Taken ${about.taken} by \`deno task bench\` in ${about.took}, on a machine with ` +
    `${hardwareConcurrency} cores (${arch}, ${os}), ${memory} GiB of memory, Deno ` +
    `${Deno.version.deno}, whose load average was ${about.load} before. Written by the bench.`,
    "",
    "Targets are those of the design. A target that is a ratio is against what is named raw, " +
    "measured in the same run.",
    "",
    ...sections.map(asMarkdown),
    PEERS,
  ].join("\n");
}
