/**
 * A policy's file: its text, and rules added at its end.
 * @module
 */

import { SysError } from "../kernel/errors.ts";

/** The text of a policy's file; `ENOENT` when there is none. */
export async function readPolicyFile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new SysError("ENOENT", `Cannot read policy "${path}": absent, expected a file`);
  }
}

/** Adds a rule at the end of a policy's file whose text is `text`, and waits until it is there. */
export async function addToPolicyFile(path: string, text: string, rule: string): Promise<void> {
  const isOpen = text !== "" && !text.endsWith("\n");
  const bytes = new TextEncoder().encode(`${isOpen ? "\n" : ""}${rule}\n`);
  using file = await Deno.open(path, { append: true });
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  await file.syncData();
}
