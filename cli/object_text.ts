/**
 * Objects, their versions and their values, as they are printed.
 * @module
 */

import { diffText } from "../kernel/diff.ts";
import { SysError } from "../kernel/errors.ts";
import { printable } from "../providers/printable.ts";
import { sortable } from "../server/page.ts";
import type { ObjectView, VersionView } from "../server/schema/memory.ts";
import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { list, painter, safeJson, safeYaml, show } from "./output.ts";
import { dateOf } from "./words.ts";

/** Prints objects of a process, in order of id. */
export function listObjects(at: Context, pid: string, found: readonly ObjectView[]): number {
  list(at, found.toSorted((a, b) => sortable(a.id) < sortable(b.id) ? -1 : 1), {
    columns: [
      { head: "ID", of: ({ id }) => id },
      { head: "NAME", of: ({ name }) => `/${name}` },
      { head: "TYPE", of: ({ type, list }) => list ? `${type}[]` : type },
      { head: "VERSION", of: ({ version }) => String(version) },
      { head: "SIZE", of: ({ bytes, list, items }) => list ? `${items} items` : `${bytes ?? 0} B` },
      { head: "LABEL", of: ({ label }) => labelText(label) },
      { head: "FROM", of: ({ from }) => from.call },
    ],
    name: ({ id }) => id,
    none: `No objects of ${pid}`,
  });
  return EXIT.ok;
}

/** Prints what was written into an object. */
export function listVersions(at: Context, id: string, found: readonly VersionView[]): number {
  list(at, found, {
    columns: [
      { head: "VERSION", of: ({ version }) => String(version) },
      { head: "LINE", of: ({ seq }) => `#${seq}` },
      { head: "AT", of: (one) => dateOf(Date.parse(one.at)) },
      { head: "LABEL", of: ({ label }) => labelText(label) },
      { head: "BY", of: ({ from }) => from.call },
      { head: "SOURCES", of: ({ from }) => from.sources.join(", ") || "-" },
    ],
    name: ({ version }) => `${id}@${version}`,
    none: `Nothing was written into ${id}`,
  });
  return EXIT.ok;
}

/** What a value has seen, and where that came from. */
function labelText({ sensitivity, trust, origin = [] }: ObjectView["label"]): string {
  return [`${sensitivity}/${trust}`, origin.join(" ")].join(" ").trimEnd();
}

/** Prints a value: a text as it is, a list an item a line, unless JSON or YAML was asked for. */
export function printValue({ io, format }: Context, value: unknown): number {
  if (format === "json") io.out(`${safeJson(value, 2)}\n`);
  else if (format === "jsonl") io.out(`${safeJson(value)}\n`);
  else if (format === "yaml") io.out(safeYaml(value));
  else if (typeof value === "string") io.out(`${printable(value)}\n`);
  else if (Array.isArray(value)) { for (const item of value) io.out(`${safeJson(item)}\n`); }
  else io.out(`${safeJson(value, 2)}\n`);
  return EXIT.ok;
}

/** The versions that were named, if any. */
export interface Versions {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** Which two versions are compared: those that were named, else the last two. Throws `ENOENT`. */
export function versionsOf(
  id: string,
  known: readonly number[],
  { from, to }: Versions,
): { readonly from: number; readonly to: number } {
  const last = known.at(-1) ?? 0;
  const wanted = { from: Number(from ?? last - 1), to: Number(to ?? last) };
  for (const one of [wanted.from, wanted.to]) {
    if (known.includes(one)) continue;
    const some = known.slice(-5).join(", ") || "none: a list grows by items";
    const sentence = `Cannot compare version ${one} of "${id}": absent, expected one of ${some}`;
    throw new SysError("ENOENT", sentence);
  }
  return wanted;
}

/** Prints how two versions of a value differ. */
export function printDiff(at: Context, found: {
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly before: unknown;
  readonly after: unknown;
}): number {
  const { id, from, to, before, after } = found;
  const textOf = (value: unknown): string =>
    typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const diff = diffText(textOf(before), textOf(after));
  if (at.format !== "table" && at.format !== "wide") {
    show(at, { id, from, to, diff }, { name: id, lines: [] });
    return EXIT.ok;
  }
  const paint = painter(at);
  for (const line of printable(diff).trimEnd().split("\n")) {
    const colour = line.startsWith("+") ? "green" : line.startsWith("-") ? "red" : undefined;
    if (line !== "") at.io.out(`${colour === undefined ? line : paint(line, colour)}\n`);
  }
  return EXIT.ok;
}
