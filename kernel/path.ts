/**
 * Paths: every name of a file becomes one canonical resource before anything is matched.
 *
 * The canonical form is `.` for the root and `./a/b` for what is below it. The provider acts on
 * exactly this path; case and links are its business, and it compares what it opened.
 *
 * Invariants:
 *   P1. A canonical path has no `.`, `..`, empty or `*` segment, and no end outside the root.
 *   P2. Resolving a canonical path from the root gives that path.
 *   P3. Two texts with the same canonical path name the same thing to the provider, and a text
 *       which could be shown as another (control or direction characters, not NFC) is refused.
 * @module
 */

import { SysError } from "./errors.ts";
import { parsePattern, type Pattern } from "./grammar.ts";
import { LIMITS } from "./limits.ts";
import { isNetRight, netPattern } from "./net.ts";

/** Whether resources of this right, or pattern of rights, are paths of files. */
export function isPathRight(right: string): boolean {
  return right.startsWith("file.") || right === "program.run";
}

/** The canonical path of `path` as seen from `cwd`, itself canonical. Throws `EINVAL`. */
export function resolvePath(cwd: string, path: string): string {
  checkText(path, "path");
  if (path.includes("*")) refuse("path", path, '"*" in a name, expected none');
  return join(cwd, path, "path");
}

/**
 * The canonical pattern of a pattern of paths as seen from `cwd`: `src/**` becomes `./src/**`.
 * `**` alone stays, as it means every resource wherever the process stands.
 */
export function resolvePatternPath(cwd: string, pattern: string): string {
  if (pattern === "**") return pattern;
  checkText(pattern, "pattern");
  return join(cwd, pattern, "pattern");
}

/** The path as providers take it: without the leading `./`, and empty for the root. */
export function toProviderPath(path: string): string {
  return path === "." ? "" : path.slice(2);
}

/** The canonical path of a path as providers give it: the reverse of {@linkcode toProviderPath}. */
export function fromProviderPath(path: string): string {
  return path === "" ? "." : `./${path}`;
}

const ASCII = /^[\x20-\x7e]*$/;
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const DIRECTION = /[\u202a-\u202e\u2066-\u2069]/;

function checkText(path: string, what: string): void {
  if (path === "") refuse(what, path, 'nothing, expected "." for the working directory');
  if (path.length > LIMITS.pathBytesMax) refuseLength(what, path.length);
  if (path.includes("\\")) refuse(what, path, 'a backslash, expected "/"');
  if (path.startsWith("/")) refuse(what, path, "an absolute path, expected a relative one");
  if (ASCII.test(path)) return;
  if (CONTROL.test(path)) refuse(what, path, "a control character, expected none");
  if (!path.isWellFormed()) refuse(what, path, "a lone surrogate, expected Unicode text");
  if (DIRECTION.test(path)) refuse(what, path, "a change of text direction, expected none");
  if (path.normalize("NFC") !== path) refuse(what, path, "text not in NFC, expected NFC");
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > LIMITS.pathBytesMax) refuseLength(what, bytes);
}

function join(cwd: string, path: string, what: string): string {
  const segments = cwd === "." ? [] : cwd.slice(2).split("/");
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment !== "..") {
      if (segment !== "**" || segments.at(-1) !== "**") segments.push(segment);
      continue;
    }
    const left = segments.pop();
    if (left === undefined) refuse(what, path, "a way out of the workspace, expected a path in it");
    if (left.includes("*")) refuse(what, path, '".." after "*", expected a plain path before it');
  }
  if (segments.length >= LIMITS.resourceSegmentsMax) {
    const most = `expected at most ${LIMITS.resourceSegmentsMax - 1}`;
    refuse(what, path, `${segments.length} segments, ${most}`);
  }
  const joined = segments.length === 0 ? "." : `./${segments.join("/")}`;
  // The parts were checked each; only together can they be too long.
  if (joined.length > LIMITS.pathBytesMax) refuseLength(what, joined.length);
  return joined;
}

function refuseLength(what: string, bytes: number): never {
  const most = `expected at most ${LIMITS.pathBytesMax}`;
  throw new SysError("EINVAL", `Cannot use ${what}: ${bytes} bytes, ${most}`, {
    limit: "pathBytesMax",
  });
}

function refuse(what: string, path: string, found: string): never {
  // The text may be what is wrong with it, so it is shown escaped.
  const shown = JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
  throw new SysError("EINVAL", `Cannot use ${what} ${shown}: ${found}`);
}

/** Reads a grant; paths are relative to `cwd`. */
export function parseGrant(text: string, cwd: string): Pattern {
  return spellPattern(parsePattern(text), cwd);
}

/** A pattern in the spelling that the resources of its right have. */
export function spellPattern({ right, resource }: Pattern, cwd: string): Pattern {
  if (isPathRight(right)) return { right, resource: resolvePatternPath(cwd, resource) };
  return { right, resource: isNetRight(right) ? netPattern(resource) : resource };
}
