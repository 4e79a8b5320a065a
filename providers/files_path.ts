/**
 * Names of files: which are taken, which are ours, and whether a name is the one on disk.
 *
 * Invariants:
 *   N1. A refused path never reaches the disk: `namesOf` is the first thing each call does.
 *   N2. Two names that look equal cannot be made side by side: names to be made are NFC, and no
 *       name holds control or bidirectional characters.
 *   N3. A name acts for itself alone: where the file system folds case or Unicode forms, only the
 *       name that is stored byte for byte is taken.
 * @module
 */

import { randomBytes } from "node:crypto";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";

/** What a call wants, for its sentences. */
export interface Want {
  /** The first word after "Cannot". */
  readonly verb:
    | "read"
    | "write"
    | "list"
    | "stat"
    | "make"
    | "move"
    | "remove"
    | "digest"
    | "open";
  /** The path as it was named, relative to the root. */
  readonly path: string;
}

/** What is asked of a folder to find out whether a name in it is exact. */
export interface NameProbe {
  /** Which thing the name leads to; undefined when there is none. */
  identity(name: string): string | undefined;
  /** The last segment of the real path of the name. */
  realName(name: string): string;
  /** All names as they are stored. */
  names(): readonly string[];
}

const NAME_BYTES_MAX = 255;
const TEMP = /^\.libos-[0-9a-f]+\.tmp$/i;
// deno-lint-ignore no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\\]|\p{Bidi_Control}/u;
// What Windows reads into a name: streams, wildcards, short names, devices, a cut-off end.
const UNSAFE_ON_WINDOWS = /[<>:"|?*]|~\d|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;
const encoder = new TextEncoder();

/** The refusal of a call: `Cannot ⟨verb⟩ "⟨path⟩": ⟨state⟩`. */
export function refusal(code: SysError["code"], want: Want, state: string): SysError {
  return new SysError(code, `Cannot ${want.verb} "${shown(want.path)}": ${state}`);
}

/** The segments of a path; `[]` for the root. Throws `EINVAL`. */
export function namesOf(want: Want): string[] {
  const { path } = want;
  if (path === "") return [];
  if (!path.isWellFormed()) throw refusal("EINVAL", want, "lone surrogate, expected Unicode text");
  if (encoder.encode(path).length > LIMITS.pathBytesMax) {
    throw refusal("EINVAL", want, `too long, expected at most ${LIMITS.pathBytesMax} bytes`);
  }
  const names = path.split("/");
  if (names.length > LIMITS.resourceSegmentsMax) {
    throw refusal("EINVAL", want, `too deep, expected ${LIMITS.resourceSegmentsMax} segments`);
  }
  for (const name of names) {
    const state = faultOf(name);
    if (state !== undefined) throw refusal("EINVAL", want, state);
  }
  return names;
}

/** What is wrong with a name; undefined when nothing is. */
export function faultOf(name: string): string | undefined {
  if (name === "") return "empty segment, expected a relative path without extra slashes";
  if (name === "." || name === "..") return `"${name}" segment, expected a resolved path`;
  if (!name.isWellFormed()) return "lone surrogate, expected Unicode text";
  if (UNSAFE.test(name)) return "unsafe character, expected no control, bidi or backslash";
  if (encoder.encode(name).length > NAME_BYTES_MAX) {
    return `segment too long, expected at most ${NAME_BYTES_MAX} bytes`;
  }
  if (isTempName(name)) return "reserved name, expected another";
  if (Deno.build.os === "windows" && UNSAFE_ON_WINDOWS.test(name)) {
    return "name that Windows reads otherwise, expected a plain one";
  }
  return undefined;
}

/** Refuses a path of which a new name would be made, unless it is in the form NFC. */
export function refuseUnstable(want: Want): void {
  if (want.path.normalize("NFC") === want.path) return;
  throw refusal("EINVAL", want, "not in Unicode form NFC, expected the composed name");
}

/** A name for a file that is not ready: nobody can guess it, everybody can tell it. */
export function tempName(): string {
  return `.libos-${randomBytes(16).toString("hex")}.tmp`;
}

/** Whether a name is one of ours. */
export function isTempName(name: string): boolean {
  return TEMP.test(name);
}

/** Other spellings which a folding file system may take for the same name. */
export function spellingsOf(name: string): string[] {
  const all = [
    name.toLowerCase(),
    name.toUpperCase(),
    name.normalize("NFC"),
    name.normalize("NFD"),
  ];
  return [...new Set(all)].filter((spelling) => spelling !== name);
}

/** Whether an existing name is stored byte for byte as it was asked for. */
export function isExact(name: string, probe: NameProbe): boolean {
  if (probe.realName(name) !== name) return false;
  const identity = probe.identity(name);
  const folds = spellingsOf(name).some((spelling) =>
    identity !== undefined && probe.identity(spelling) === identity
  );
  // A hard link under the other spelling looks the same; then the stored names decide as well.
  return !folds || probe.names().includes(name);
}

function shown(path: string): string {
  const cut = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  const clean = cut.toWellFormed().replace(new RegExp(UNSAFE, "gu"), (char) => {
    return char === "\\" ? char : `\\u{${char.codePointAt(0)?.toString(16)}}`;
  });
  return clean.replaceAll('"', "'");
}
