/**
 * The report: Markdown made of what readers found, and of nothing else.
 * @module
 */

import type { Finding } from "./audit_examine.ts";
import type { Findings } from "./audit_reader.ts";

/** One reader's share of the report. */
export interface Share {
  /** What it was given, as a heading. */
  readonly title: string;
  /** Null when the reader left nothing, and then why. */
  readonly findings: Findings | null;
  readonly why?: string;
}

const LISTED_MAX = 200;

/** Composes the report. The same findings give the same bytes. */
export function report(folder: string, shares: readonly Share[]): string {
  const files = shares.flatMap(({ findings }) => findings?.files ?? []);
  const refused = shares.flatMap(({ findings }) => findings?.refused ?? []);
  const leftOut = shares.reduce((sum, { findings }) => sum + (findings?.leftOut ?? 0), 0);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const lines = files.reduce((sum, file) => sum + file.lines, 0);
  const parts = [
    `# Audit of ${plain(folder)}`,
    "",
    `${count(files.length, "file")}, ${count(lines, "line")}, ${size(bytes)}, ` +
    `${count(refused.length, "refusal")}.`,
    ...shares.flatMap(section),
    ...tables(files),
    ...marked(files),
  ];
  if (refused.length > 0) {
    const unique = new Map(refused.map((each) => [`${each.path} ${each.why}`, each]));
    parts.push("", "## Not read", "");
    for (const { path, why } of [...unique.values()].slice(0, LISTED_MAX)) {
      parts.push(`- ${code(path)}: ${plain(why)}`);
    }
  }
  if (leftOut > 0) {
    parts.push("", `${count(leftOut, "more file")} left out: a reader takes a bounded number.`);
  }
  return `${parts.join("\n")}\n`;
}

function section({ title, findings, why }: Share): string[] {
  const lines = ["", `## ${capital(plain(title))}`, ""];
  if (findings === null) return [...lines, `Not read: ${plain(why ?? "no findings")}`];
  if (findings.files.length === 0) return [...lines, "Nothing was read here."];
  return [
    ...lines,
    ...findings.files.map((file) => `- ${code(file.path)}: ${describe(file)}`),
  ];
}

function describe(file: Finding): string {
  const { kind, bytes, lines, title, headings, rows, columns } = file;
  if (kind === "binary") return `binary, ${size(bytes)}`;
  if (kind === "large") return `${size(bytes)}, too large to read`;
  if (kind === "empty") return "empty";
  if (kind === "table") return `${count(rows, "row")} of ${count(columns.length, "column")}`;
  const more = headings > 1 ? `, ${headings} headings` : "";
  return `${count(lines, "line")}${more}${title === "" ? "" : `, "${plain(title)}"`}`;
}

function tables(files: readonly Finding[]): string[] {
  const totals = files.flatMap(({ path, columns }) =>
    columns.filter(({ total }) => total !== null)
      .map(({ name, total }) => `| ${code(path)} | ${plain(name)} | ${total} |`)
  );
  if (totals.length === 0) return [];
  const head = ["", "## Totals", "", "| file | column | total |", "| --- | --- | --- |"];
  return [...head, ...totals.slice(0, LISTED_MAX)];
}

function marked(files: readonly Finding[]): string[] {
  const found = files.flatMap(({ path, markers, markersMore }) => [
    ...markers.map(({ line, text }) => `- ${code(`${path}:${line}`)} ${plain(text)}`),
    ...(markersMore > 0 ? [`- ${code(path)}: ${markersMore} more`] : []),
  ]);
  return found.length === 0 ? [] : ["", "## Left to do", "", ...found.slice(0, LISTED_MAX)];
}

/** Text of a file as text of a report: it makes no markup and no new line. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ").replace(/[|<>]/g, "\\$&");
}

function code(text: string): string {
  return `\`${text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}`]/gu, " ")}\``;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** "1 file", "2 files". */
export function count(n: number, noun: string, many = "s"): string {
  return `${n} ${noun}${n === 1 ? "" : many}`;
}

/** Bytes as people read them. */
export function size(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} KB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
