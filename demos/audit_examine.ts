/**
 * What can be told of a text: its first heading or line, counts, marked work, totals of columns.
 *
 * Invariants:
 *   X1. A finding depends on the text alone, and is bounded however large the text is.
 * @module
 */

/** A place where someone left work for later. */
export interface Marker {
  readonly line: number;
  readonly text: string;
}

/** A column of a table. */
export interface Column {
  readonly name: string;
  /** The sum, when every value is a number and the column does not name things. */
  readonly total: number | null;
}

/** What was found in one file. */
export interface Finding {
  readonly path: string;
  readonly kind: "text" | "table" | "binary" | "large" | "empty";
  readonly bytes: number;
  readonly lines: number;
  /** The first heading, or the first line with words. */
  readonly title: string;
  /** How many headings a Markdown file has. */
  readonly headings: number;
  readonly markers: readonly Marker[];
  readonly markersMore: number;
  /** Of tables only. */
  readonly rows: number;
  readonly columns: readonly Column[];
  /** Where Markdown links lead that are no web addresses. */
  readonly links: readonly string[];
}

const TITLE_CHARS = 72;
const MARKERS_MAX = 3;
const COLUMNS_MAX = 8;
const LINKS_MAX = 4;
const MARKER = /\b(?:TODO|FIXME|XXX|HACK)\b.*$/;
/** Columns of numbers which nobody adds up. */
const NAMING = /^(?:.*[_ -])?(?:id|no|nr|number|year|code)$/i;
const LINK = /\]\(([^()\s]+)\)/g;

const NOTHING = {
  lines: 0,
  title: "",
  headings: 0,
  markers: [],
  markersMore: 0,
  rows: 0,
  columns: [],
  links: [],
} as const;

/** A file that was not read as text, and why. */
export function unread(path: string, kind: "binary" | "large", bytes: number): Finding {
  return { ...NOTHING, path, kind, bytes };
}

/** Looks at a text. */
export function examine(path: string, text: string, bytes: number): Finding {
  if (text.includes("\0")) return unread(path, "binary", bytes);
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  if (text.trim() === "") return { ...NOTHING, path, kind: "empty", bytes, lines: lines.length };
  const isMarkdown = /\.(md|markdown)$/i.test(path);
  const headings = isMarkdown ? headingsOf(lines) : [];
  const marked = lines.flatMap((line, i) => {
    const found = MARKER.exec(line)?.[0];
    return found === undefined ? [] : [{ line: i + 1, text: short(found) }];
  });
  const table = /\.(csv|tsv)$/i.test(path) ? tableOf(lines) : null;
  const links = isMarkdown ? [...text.matchAll(LINK)].map((match) => match[1]!) : [];
  return {
    path,
    kind: table === null ? "text" : "table",
    bytes,
    lines: lines.length,
    title: short(headings[0] ?? firstWords(lines)),
    headings: headings.length,
    markers: marked.slice(0, MARKERS_MAX),
    markersMore: Math.max(0, marked.length - MARKERS_MAX),
    rows: table?.rows ?? 0,
    columns: table?.columns ?? [],
    links: [...new Set(links.filter((link) => !/^[a-z][a-z+.-]*:|^[#/]/i.test(link)))]
      .filter((link) => link.length <= 256).slice(0, LINKS_MAX),
  };
}

function headingsOf(lines: readonly string[]): string[] {
  let fenced = false;
  return lines.flatMap((line) => {
    if (/^(```|~~~)/.test(line)) fenced = !fenced;
    const heading = fenced ? null : /^#{1,6}\s+(.*?)\s*#*$/.exec(line);
    return heading === null ? [] : [heading[1]!];
  });
}

/** The first line with words, without the signs of a comment around them. */
function firstWords(lines: readonly string[]): string {
  const line = lines.find((each) => /\p{L}{2}/u.test(each)) ?? "";
  return line.replace(/^[\s"'#/*;<!-]+|[\s"'*/>-]+$/g, "");
}

function short(text: string): string {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length <= TITLE_CHARS ? line : `${line.slice(0, TITLE_CHARS - 1).toWellFormed()}…`;
}

function tableOf(lines: readonly string[]): { rows: number; columns: Column[] } | null {
  const head = lines[0] ?? "";
  const separator = ["\t", ";", ","].find((each) => head.includes(each));
  if (separator === undefined) return null;
  const names = fieldsOf(head, separator);
  const rows = lines.slice(1).filter((line) => line.trim() !== "")
    .map((line) => fieldsOf(line, separator));
  const columns = names.slice(0, COLUMNS_MAX).map((name, i) => {
    const values = rows.map((row) => (row[i] ?? "").trim());
    const isNumeric = values.length > 0 && values.every((value) => /^-?\d+(\.\d+)?$/.test(value));
    const total = isNumeric && !NAMING.test(name.trim())
      ? values.reduce((sum, value) => sum + Number(value), 0)
      : null;
    return { name: short(name), total: total === null ? null : Math.round(total * 100) / 100 };
  });
  return { rows: rows.length, columns };
}

/** The fields of a line; a quoted field may hold the separator. */
function fieldsOf(line: string, separator: string): string[] {
  const fields = [""];
  let quoted = false;
  for (const char of line) {
    if (char === '"') quoted = !quoted;
    else if (char === separator && !quoted) fields.push("");
    else fields[fields.length - 1] += char;
  }
  return fields;
}
