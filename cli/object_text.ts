/**
 * Objects, their versions and their values, as they are printed.
 * @module
 */

import { printable } from "../providers/printable.ts";
import { sortable } from "../server/page.ts";
import type { ObjectView, VersionView } from "../server/schema/memory.ts";
import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { list, safeJson, safeYaml } from "./output.ts";
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
      { head: "LABEL", of: ({ label }) => `${label.sensitivity}/${label.trust}` },
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
      { head: "LABEL", of: ({ label }) => `${label.sensitivity}/${label.trust}` },
      { head: "BY", of: ({ from }) => from.call },
      { head: "SOURCES", of: ({ from }) => from.sources.join(", ") || "-" },
    ],
    name: ({ version }) => `${id}@${version}`,
    none: `Nothing was written into ${id}`,
  });
  return EXIT.ok;
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
