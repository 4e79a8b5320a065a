/**
 * Progress of long work: one line on standard error while it is a terminal, and nothing else.
 * @module
 */

import { oneLine } from "../providers/printable.ts";
import type { Context } from "./command.ts";

/** Does a job that may take long, and shows how far it is. */
export async function progressing<T>(
  at: Context,
  what: string,
  job: (tell: (done: string) => void) => Promise<T>,
): Promise<T> {
  const { io, flags } = at;
  const isShown = io.isProgressShown && !flags.on("quiet");
  const tell = (done: string): void => {
    if (isShown) io.err(`\r\x1b[K${oneLine(what)}${done === "" ? "" : ` ${oneLine(done)}`}…`);
  };
  tell("");
  try {
    return await job(tell);
  } finally {
    if (isShown) io.err("\r\x1b[K");
  }
}
