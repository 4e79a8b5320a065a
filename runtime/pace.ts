/**
 * Pace: long work that waits for nobody, such as reading a whole store, in pieces, so that others
 * have their turn of the event loop between them.
 * @module
 */

import type { Clock } from "../kernel/world.ts";

/** To be awaited after each piece of work; undefined where there is no need to stop yet. */
export type Pace = () => Promise<void> | undefined;

/** The same, one after another at a pace. */
export async function* atPace<T>(all: AsyncIterable<T>, pace: Pace): AsyncGenerator<T> {
  for await (const one of all) {
    await pace();
    yield one;
  }
}

/** Stops after so many pieces, until what is ready has run. */
export function paceOf(clock: Pick<Clock, "soon">, pieces: number): Pace {
  let done = 0;
  return () => {
    done += 1;
    if (done % pieces !== 0) return undefined;
    return new Promise((next) => clock.soon(next));
  };
}
