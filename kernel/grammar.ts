/**
 * The one grammar of authority, `right(resource)`: capabilities, policy, needs, grants, CLI.
 *
 * A right is `noun.verb`, `noun.*`, `mcp.server.tool`, `mcp.server.*`, `mcp.files.read_*` or `*`.
 * Only its last part may hold `*`, which stands for any run of characters; tools of some servers
 * have dots in their names, so that run may hold dots: `mcp.*` is every tool of every server.
 * A resource is segments between "/". In a pattern a segment `**` is any number of segments, none
 * too, so that `./src/**` is `./src` and all below; `*` within a segment is any run of characters
 * of that one segment. A literal `*` cannot be written.
 * The resource of a request over the net is `METHOD scheme://host:port/path`; its method is a
 * segment of its own, and a pattern that names none holds for all: `https://x/**`, `GET https://x/**`.
 *
 * Invariants:
 *   M1. A pattern is itself a resource text: `within` is matching, with a child's `*` absorbed only
 *       by a `*` or `**` of the parent and a child's `**` only by `**`. So it is sound, reflexive
 *       and transitive, and one index answers both questions. The price: a real resource with a
 *       segment `**` is matched by `**` alone.
 *   M2. Matching never backtracks over a star: each piece takes its leftmost place, which is the
 *       place that leaves most to the pieces after it.
 *   M3. What a capability or a rule covers depends on its text alone, never on a file or a clock.
 * @module
 */

import { SysError } from "./errors.ts";
import { LIMITS } from "./limits.ts";

/** What is covered: a pattern of rights and a pattern of resources. */
export interface Pattern {
  /** A right or pattern of rights, such as `file.read`, `file.*` or `*`. */
  readonly right: string;
  /** A resource or pattern of resources, such as `./src/**`. */
  readonly resource: string;
}

/** A text with `*`, cut at its stars: one literal, or a head, some middles and a tail. */
export type Glob = string | { readonly pieces: readonly string[]; readonly charsMin: number };

/** A resource pattern, cut at its `**`: each run is segments which stand side by side. */
export interface ResourceGlob {
  readonly runs: readonly (readonly Glob[])[];
  /** The fewest segments it can match. */
  readonly segmentsMin: number;
}

/** A pattern ready for matching. */
export interface CompiledPattern {
  readonly pattern: Pattern;
  readonly right: Glob;
  readonly resource: ResourceGlob;
}

const COMPILED_MAX = 8_192;
const compiled = new Map<string, ResourceGlob>();

/** Reads `right(resource)`; a bare right is that right on every resource. Throws `EINVAL`. */
export function parsePattern(text: string): Pattern {
  if (typeof text !== "string") {
    throw new SysError("EINVAL", `Cannot read pattern "${text}": no text, expected "noun.verb"`);
  }
  if (text.length > LIMITS.ruleBytesMax) refuseLength(text.length);
  const open = text.indexOf("(");
  const right = open < 0 ? text : text.slice(0, open);
  checkRight(text, right);
  if (open < 0) return { right, resource: "**" };
  if (!text.endsWith(")")) {
    refuse(text, text.length, 'no ")" at the end, expected "noun.verb(resource)"');
  }
  const resource = text.slice(open + 1, -1);
  checkResource(text, resource, open + 1);
  return { right, resource };
}

/** Writes a pattern: the reverse of {@linkcode parsePattern}. */
export function formatPattern(pattern: Pattern): string {
  return `${pattern.right}(${pattern.resource})`;
}

/** Throws `EINVAL` unless both parts have the form that {@linkcode parsePattern} would accept. */
export function checkPattern(pattern: Pattern): void {
  const text = formatPattern(pattern);
  if (text.length > LIMITS.ruleBytesMax) refuseLength(text.length);
  checkRight(text, pattern.right);
  checkResource(text, pattern.resource, pattern.right.length + 1);
}

/** Makes a pattern ready for matching. */
export function compile(pattern: Pattern): CompiledPattern {
  return {
    pattern,
    right: compileGlob(pattern.right),
    resource: compileResource(pattern.resource),
  };
}

/** Whether the compiled pattern covers `right` on the resource with these segments. */
export function covers(one: CompiledPattern, right: string, segments: readonly string[]): boolean {
  return matchGlob(one.right, right) && matchSegments(one.resource, segments);
}

/** Whether the pattern of rights covers `right`. */
export function matchRight(pattern: string, right: string): boolean {
  return pattern === right || pattern === "*" || matchGlob(compileGlob(pattern), right);
}

/** Whether the pattern of resources covers `resource`. */
export function matchResource(pattern: string, resource: string): boolean {
  return pattern === resource || pattern === "**" ||
    matchSegments(compileResource(pattern), splitResource(resource));
}

/** Whether all that `child` covers is provably covered by `parent`. */
export function within(child: Pattern, parent: Pattern): boolean {
  return matchRight(parent.right, child.right) && matchResource(parent.resource, child.resource);
}

/** Whether something may be covered by both; false only when provably nothing is. */
export function overlaps(a: Pattern, b: Pattern): boolean {
  return globsMeet(a.right, b.right) &&
    segmentsMeet(splitResource(a.resource), splitResource(b.resource));
}

/** What was cut last: a call has its resource cut by each that judges it. */
let cut: { readonly resource: string; readonly segments: readonly string[] } | undefined;

/** The segments of a resource or of a pattern of resources; of a URL's the method is the first. */
export function splitResource(resource: string): readonly string[] {
  if (cut?.resource !== resource) cut = { resource, segments: segmentsOf(resource) };
  return cut.segments;
}

function segmentsOf(resource: string): readonly string[] {
  const segments = resource.split("/");
  // `file:/**` is about names with a colon, `https:/**` about pages.
  const form = segments[1] === "" ? URL_HEAD : segments[1] === "**" ? HTTP_HEAD : null;
  const head = form?.exec(segments[0] ?? "") ?? null;
  if (head === null) return segments;
  // A host alone is its first page, as it is when it is asked for.
  if (segments.length === 3 && segments[2] !== "**") segments.push("");
  segments.splice(0, 1, head[1] ?? "*", head[2] ?? "");
  return segments;
}

const URL_HEAD = /^(?:([A-Z*]+) )?([a-z*][a-z0-9+.*-]*:)$/;
const HTTP_HEAD = /^(?:([A-Z*]+) )?(http[a-z*]*:)$/;

/** Cuts a text at its stars. */
export function compileGlob(text: string): Glob {
  if (!text.includes("*")) return text;
  const pieces = text.split("*");
  return { pieces, charsMin: text.length - pieces.length + 1 };
}

/** Whether the whole of `text` has the form of `glob`. */
export function matchGlob(glob: Glob, text: string): boolean {
  if (typeof glob === "string") return glob === text;
  const { pieces, charsMin } = glob;
  const head = pieces[0] ?? "";
  const tail = pieces[pieces.length - 1] ?? "";
  if (text.length < charsMin || !text.startsWith(head) || !text.endsWith(tail)) return false;
  const end = text.length - tail.length;
  let at = head.length;
  for (let i = 1; i < pieces.length - 1; i++) {
    const piece = pieces[i] ?? "";
    const found = text.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return at <= end;
}

/** Makes a pattern of resources ready for matching; the latest few thousand are kept. */
export function compileResource(pattern: string): ResourceGlob {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const runs: Glob[][] = [[]];
  let segmentsMin = 0;
  for (const segment of splitResource(pattern)) {
    if (segment === "**") {
      runs.push([]);
    } else {
      runs.at(-1)?.push(compileGlob(segment));
      segmentsMin++;
    }
  }
  const made = { runs, segmentsMin };
  if (compiled.size >= COMPILED_MAX) compiled.clear();
  compiled.set(pattern, made);
  return made;
}

/** Whether the segments have the form of `glob`. */
export function matchSegments(glob: ResourceGlob, segments: readonly string[]): boolean {
  const { runs, segmentsMin } = glob;
  const head = runs[0] ?? [];
  if (segments.length < segmentsMin || !runMatches(head, segments, 0)) return false;
  if (runs.length === 1) return segments.length === head.length;
  const tail = runs[runs.length - 1] ?? [];
  const end = segments.length - tail.length;
  if (!runMatches(tail, segments, end)) return false;
  let at = head.length;
  for (let i = 1; i < runs.length - 1; i++) {
    const run = runs[i] ?? [];
    while (at + run.length <= end && !runMatches(run, segments, at)) at++;
    if (at + run.length > end) return false;
    at += run.length;
  }
  return at <= end;
}

function runMatches(run: readonly Glob[], segments: readonly string[], from: number): boolean {
  for (let i = 0; i < run.length; i++) {
    const segment = segments[from + i];
    // M1: what is any number of segments cannot be within one.
    if (segment === undefined || segment === "**") return false;
    if (!matchGlob(run[i] ?? "", segment)) return false;
  }
  return true;
}

// Row by row through the segments of `a`; `open[j]` is whether what is before here in `a` can be
// the same resource as the first `j` segments of `b`.
function segmentsMeet(a: readonly string[], b: readonly string[]): boolean {
  let open = b.map(() => false);
  open.unshift(true);
  for (let j = 0; j < b.length; j++) open[j + 1] = open[j] === true && b[j] === "**";
  for (const left of a) {
    const next = [left === "**" && open[0] === true];
    for (let j = 0; j < b.length; j++) {
      const right = b[j] ?? "";
      const both = left !== "**" && right !== "**" && open[j] === true && globsMeet(left, right);
      const skipLeft = left === "**" && (open[j + 1] === true || next[j] === true);
      const skipRight = right === "**" && (next[j] === true || open[j + 1] === true);
      next.push(both || skipLeft || skipRight);
    }
    open = next;
  }
  return open[b.length] === true;
}

// Exact when one of them is literal; of two globs only heads and tails are compared.
function globsMeet(a: string, b: string): boolean {
  const left = compileGlob(a);
  const right = compileGlob(b);
  if (typeof left === "string") return matchGlob(right, left);
  if (typeof right === "string") return matchGlob(left, right);
  const [headA = "", headB = ""] = [left.pieces[0], right.pieces[0]];
  const [tailA = "", tailB = ""] = [left.pieces.at(-1), right.pieces.at(-1)];
  return (headA.startsWith(headB) || headB.startsWith(headA)) &&
    (tailA.endsWith(tailB) || tailB.endsWith(tailA));
}

const PART = /^[A-Za-z0-9][\w-]*$/;
const LAST_PART = /^[\w*-]+$/;

function checkRight(text: string, right: string): void {
  if (right === "*") return;
  const parts = right.split(".");
  if (parts.length < 2) {
    const hint = right === "" ? "" : `, expected "noun.verb" or "${right}.*"`;
    refuse(text, 1, right === "" ? 'no right, expected "noun.verb"' : `no verb${hint}`);
  }
  let column = 1;
  for (const [i, part] of parts.entries()) {
    const last = i === parts.length - 1;
    if (part === "") refuse(text, column, 'an empty part, expected "noun.verb"');
    if (!last && part.includes("*")) {
      refuse(text, column, '"*" before the last part, expected "noun.*" or "*"');
    }
    if (part.includes("**")) refuse(text, column, '"**" in a right, expected "*"');
    if (!(last ? LAST_PART : PART).test(part)) {
      refuse(text, column, `"${part}", expected letters, digits, "_" and "-"`);
    }
    column += part.length + 1;
  }
}

// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

function checkResource(text: string, resource: string, start: number): void {
  if (resource === "") {
    refuse(text, start + 1, "an empty resource, expected one or no parentheses for all");
  }
  if (resource.trim() !== resource) {
    refuse(text, start + 1, "white space around the resource, expected none");
  }
  const control = CONTROL.exec(resource);
  if (control !== null) refuse(text, start + control.index + 1, "a control character");
  if (!resource.isWellFormed()) refuse(text, start + 1, "a lone surrogate, expected Unicode text");
  const segments = resource.split("/");
  if (segments.length > LIMITS.resourceSegmentsMax) {
    const most = `expected at most ${LIMITS.resourceSegmentsMax}`;
    refuse(text, start + 1, `${segments.length} segments, ${most}`);
  }
  let column = start + 1;
  for (const segment of segments) {
    if (segment.includes("**") && segment !== "**") {
      refuse(text, column, `"${segment}", expected "**" alone between "/" or one "*"`);
    }
    column += segment.length + 1;
  }
}

function refuseLength(length: number): never {
  const found = `${length} characters, expected at most ${LIMITS.ruleBytesMax}`;
  throw new SysError("EINVAL", `Cannot read pattern: ${found}`, { limit: "ruleBytesMax" });
}

function refuse(text: string, column: number, found: string): never {
  const detail = { column };
  throw new SysError(
    "EINVAL",
    `Cannot read pattern "${text}": column ${column} has ${found}`,
    detail,
  );
}
