/**
 * Printing: tables for people, JSON for programs.
 *
 * Invariants:
 *   O1. No character that an agent wrote acts on a terminal: cells are `oneLine`, and JSON has its
 *       unsafe characters as escapes, so that reading it gives the same value.
 *   O2. Colour is for terminals only, and never when NO_COLOR is set.
 * @module
 */

import { stringify } from "yaml";
import { parseJson } from "../kernel/parse.ts";
import { oneLine } from "../providers/printable.ts";
import type { Context } from "./command.ts";

/** A column of a table. */
export interface Column<T> {
  readonly head: string;
  /** Shown with `-o wide` only. */
  readonly wide?: boolean;
  of(row: T): string;
}

/** How rows are printed. */
export interface Listing<T> {
  readonly columns: readonly Column<T>[];
  /** What `-o name` prints. */
  name(row: T): string;
  /** What `-o json` prints; the row itself when absent. */
  json?(row: T): unknown;
  /** Said when there are no rows, to people only. */
  readonly none: string;
}

/** Prints rows in the format that was asked for. */
export function list<T>(at: Context, rows: readonly T[], listing: Listing<T>): void {
  const { io, format } = at;
  const json = (row: T): unknown => listing.json === undefined ? row : listing.json(row);
  switch (format) {
    case "json":
      return io.out(`${safeJson(rows.map(json), 2)}\n`);
    case "jsonl":
      return rows.forEach((row) => io.out(`${safeJson(json(row))}\n`));
    case "yaml":
      return io.out(safeYaml(rows.map(json)));
    case "name":
      return rows.forEach((row) => io.out(`${oneLine(listing.name(row))}\n`));
    case "table":
    case "wide":
      if (at.flags.on("quiet")) {
        return rows.forEach((row) => io.out(`${oneLine(listing.name(row))}\n`));
      }
      if (rows.length > 0) return io.out(tableOf(at, rows, listing));
      if (!at.flags.on("no-headers")) io.err(`${listing.none}\n`);
  }
}

/** Prints one thing: as JSON, its name, or as lines for people. */
export function show(at: Context, value: unknown, shown: {
  readonly name: string;
  readonly lines: readonly string[];
}): void {
  const { io, format } = at;
  if (format === "json") io.out(`${safeJson(value, 2)}\n`);
  else if (format === "jsonl") io.out(`${safeJson(value)}\n`);
  else if (format === "yaml") io.out(safeYaml(value));
  else if (format === "name" || at.flags.on("quiet")) io.out(`${oneLine(shown.name)}\n`);
  else for (const line of shown.lines) io.out(`${oneLine(line)}\n`);
}

function tableOf<T>(at: Context, rows: readonly T[], listing: Listing<T>): string {
  const columns = listing.columns.filter(({ wide }) => wide !== true || at.format === "wide");
  const cells = rows.map((row) => columns.map((column) => oneLine(column.of(row))));
  const all = at.flags.on("no-headers") ? cells : [columns.map(({ head }) => head), ...cells];
  return aligned(all).map((line) => `${line}\n`).join("");
}

/** Rows of cells as lines, each column as wide as its widest cell. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, [...cell].length));
  }
  return rows.map((row) => row.map((cell, i) => padded(cell, widths[i]!)).join("  ").trimEnd());
}

/** A text with spaces up to a width. */
export function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - [...text].length));
}

// All that `printable` escapes but the line feed, which only JSON's own layout holds.
const UNSAFE = new RegExp(
  "[\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\u2800]",
  "gu",
);

/** JSON whose unsafe characters are escapes (O1). */
export function safeJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent) ?? "null";
  return text.replace(UNSAFE, (char) => {
    if (char === "\n") return char;
    const units = Array.from({ length: char.length }, (_, i) => char.charCodeAt(i));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}

/** YAML whose unsafe characters are escapes (O1). */
export function safeYaml(value: unknown): string {
  // What JSON leaves out, YAML shall not know of either.
  const json = JSON.stringify(value ?? null);
  const text = stringify(parseJson(json), {
    lineWidth: 0,
    aliasDuplicateObjects: false,
    // Only between double quotes does an escape stand for its character.
    ...(UNSAFE.test(json.replaceAll(/\\u[0-9a-f]{4}|\\[bfnrt]/g, "\u0007"))
      ? { defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "QUOTE_DOUBLE" }
      : {}),
  });
  return text.replace(UNSAFE, (char) => {
    if (char === "\n") return char;
    return `\\U${char.codePointAt(0)!.toString(16).padStart(8, "0")}`;
  });
}

const COLOURS = {
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
  dim: 2,
} as const;

/** Colours a text for a terminal (O2). */
export function painter(at: Context): (text: string, colour: keyof typeof COLOURS) => string {
  const noColour = at.io.env("NO_COLOR");
  const isPlain = !at.io.isTerminal || (noColour !== undefined && noColour !== "");
  return (text, colour) => isPlain ? text : `\x1b[${COLOURS[colour]}m${text}\x1b[0m`;
}
