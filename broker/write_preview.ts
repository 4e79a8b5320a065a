/**
 * What a person is shown who is asked about a write: what would be different in the file.
 *
 * Invariants:
 *   V1. It is for people only: whoever asked hears nothing of what is there, nor whether it is.
 *   V2. Every line begins with a sign of ours, so that no text of a file passes for one.
 * @module
 */

import { diffText } from "../kernel/diff.ts";
import { SysError } from "../kernel/errors.ts";
import { LIMITS } from "../kernel/limits.ts";
import type { Files } from "../kernel/world.ts";

/** The text of bytes; null where they are none. */
function textOf(bytes: Uint8Array): string | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}

/** What is at a path: its bytes, nothing, or why that cannot be told. */
async function found(files: Files, path: string): Promise<Uint8Array | null | SysError> {
  try {
    return await files.read(path, { bytesMax: LIMITS.writePreviewBytesMax });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.code === "ENOENT" ? null : error;
  }
}

/** The difference that writing `bytes` to a path would make, as of now. */
export async function writePreview(files: Files, path: string, bytes: Uint8Array): Promise<string> {
  const now = await found(files, path);
  const after = `${bytes.length} bytes afterwards`;
  if (now instanceof SysError) {
    const isLarge = now.code === "ELIMIT";
    return `@ ${after}; what is there ${isLarge ? "is too large to compare" : "cannot be read"}`;
  }
  const head = now === null ? `@ a new file, ${after}` : `@ ${now.length} bytes now, ${after}`;
  const old = now === null ? "" : textOf(now);
  const text = bytes.length > LIMITS.writePreviewBytesMax ? undefined : textOf(bytes);
  if (text === undefined) return `${head}: too large to compare`;
  if (text === null || old === null) return `${head}: no text that could be compared`;
  const lines = now === null ? text.split("\n").map((line) => `+ ${line}`.trimEnd()) : changes();
  return [head, ...bounded(lines)].join("\n");

  function changes(): string[] {
    const diff = diffText(old!, text!);
    if (diff === "") return ["@ no line would change"];
    return diff.split("\n").map((line) => line === "…" ? "@ …" : line);
  }
}

/** As many lines as are shown; how many more there are. */
function bounded(lines: readonly string[]): string[] {
  let left: number = LIMITS.writePreviewShownCharsMax;
  const shown: string[] = [];
  for (const line of lines) {
    left -= line.length + 1;
    if (left < 0) break;
    shown.push(line);
  }
  const more = lines.length - shown.length;
  return more === 0 ? shown : [...shown, `@ ${more} more lines, which stand in the arguments`];
}
