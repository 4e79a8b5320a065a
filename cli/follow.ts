/**
 * Following what changes, until it is done or interrupted.
 * @module
 */

import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import type { System } from "./system.ts";

/** Calls `look` now and after each change, until it says that it is done, or an interrupt. */
export async function following(
  at: Context,
  system: System,
  look: () => Promise<{ readonly isDone: boolean }>,
): Promise<number> {
  const stop = new AbortController();
  const off = at.io.onInterrupt(() => stop.abort());
  try {
    for await (const _ of system.changes(stop.signal)) {
      if ((await look()).isDone) return EXIT.ok;
      if (stop.signal.aborted) break;
    }
    return EXIT.interrupted;
  } finally {
    off();
  }
}

/** Prints again after each change, on a clean screen when there is one. */
export async function watching(
  at: Context,
  system: System,
  print: () => Promise<void>,
): Promise<number> {
  return await following(at, system, async () => {
    if (at.io.isTerminal) at.io.out("\x1b[2J\x1b[H");
    await print();
    return { isDone: false };
  });
}
