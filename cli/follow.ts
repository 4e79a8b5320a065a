/**
 * Following a store that another process writes to, until it is done or interrupted.
 * @module
 */

import type { Store } from "../kernel/store.ts";
import { realClock } from "../providers/clock.ts";
import type { Context } from "./command.ts";
import { EXIT } from "./exit.ts";
import { reading } from "./store.ts";

const POLL_MS = 100;

/** Calls `look` now and after each change, until it says that it is done, or an interrupt. */
export async function following(
  at: Context,
  look: (store: Store) => Promise<{ readonly isDone: boolean }>,
): Promise<number> {
  const stop = new AbortController();
  const off = at.io.onInterrupt(() => stop.abort());
  try {
    return await reading(at, async (store) => {
      for (let seen = -1;;) {
        const version = await store.version();
        if (version !== seen && (await look(store)).isDone) return EXIT.ok;
        seen = version;
        if (stop.signal.aborted) return EXIT.interrupted;
        await realClock.sleep(POLL_MS, stop.signal).catch(() => {});
        if (stop.signal.aborted) return EXIT.interrupted;
      }
    });
  } finally {
    off();
  }
}

/** Prints again after each change, on a clean screen when there is one. */
export async function watching(
  at: Context,
  print: (store: Store) => Promise<void>,
): Promise<number> {
  return await following(at, async (store) => {
    if (at.io.isTerminal) at.io.out("\x1b[2J\x1b[H");
    await print(store);
    return { isDone: false };
  });
}
