/**
 * The feed: what happens in all trees, live, in a window that can be gone back over.
 *
 * Invariants:
 *   F1. Only durable lines are told, each once, in the order in which they became durable.
 *   F2. A cursor inside the window goes on without a gap; any other is told that it does not.
 *   F3. Summaries carry no secret and no content of objects.
 * @module
 */

import type { StreamEvent } from "./schema/evidence.ts";

/** Somebody who hears what happens. */
export type FeedListener = (event: StreamEvent) => void;

/** What happens, live. */
export interface Feed {
  /** Events after a cursor; undefined when the cursor is not in the window (F2). */
  since(cursor: string): readonly StreamEvent[] | undefined;
  /** The cursor after the newest event. */
  readonly cursor: string;
  /** Hears of events from now on; returns how to stop. */
  listen(listener: FeedListener): () => void;
  /** Stops hearing of the runtime. */
  close(): void;
}
