/**
 * Files that a person names on the command line.
 * @module
 */

import { resolve } from "node:path";
import { SysError } from "../kernel/errors.ts";
import type { Context } from "./command.ts";

/** The text of a file. Throws `ENOENT`, or `EIO`. */
export async function readText({ io }: Context, file: string): Promise<string> {
  try {
    return await Deno.readTextFile(resolve(io.cwd, file));
  } catch (thrown) {
    throw refusal("read", file, thrown);
  }
}

/** The bytes of a file, as they are read. Throws `ENOENT`, or `EIO`. */
export async function bytesOf({ io }: Context, file: string): Promise<ReadableStream<Uint8Array>> {
  try {
    return (await Deno.open(resolve(io.cwd, file))).readable;
  } catch (thrown) {
    throw refusal("read", file, thrown);
  }
}

/** Replaces a file's text. Throws `ENOENT`, or `EIO`. */
export async function writeText({ io }: Context, file: string, text: string): Promise<void> {
  try {
    await Deno.writeTextFile(resolve(io.cwd, file), text);
  } catch (thrown) {
    throw refusal("write", file, thrown);
  }
}

/** Makes a file with a text, unless it is there; whether it was made. */
export async function makeText({ io }: Context, file: string, text: string): Promise<boolean> {
  try {
    await Deno.writeTextFile(resolve(io.cwd, file), text, { createNew: true });
    return true;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.AlreadyExists) return false;
    throw refusal("write", file, thrown);
  }
}

/** Whether there is a file of that name. */
export async function isFile({ io }: Context, file: string): Promise<boolean> {
  try {
    return (await Deno.stat(resolve(io.cwd, file))).isFile;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw refusal("look at", file, thrown);
  }
}

function refusal(verb: string, file: string, thrown: unknown): SysError {
  if (thrown instanceof Deno.errors.NotFound) {
    return new SysError("ENOENT", `Cannot ${verb} "${file}": absent, expected a file`);
  }
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new SysError("EIO", `Cannot ${verb} "${file}": ${why}`);
}
