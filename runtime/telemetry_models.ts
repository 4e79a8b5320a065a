/**
 * Models whose streamed replies are timed, piece by piece.
 *
 * Invariants:
 *   R1. A reply that did not come in a stream is not timed.
 *   R2. Nothing counts that was before the request was sent: no wait at a gate, no failed attempt.
 * @module
 */

import type { Model, ModelAsking } from "../kernel/world.ts";

/** Who hears of pieces. */
export interface PieceTimes {
  /** The time, in milliseconds. */
  now(): number;
  /** The first piece of a reply came so long after its request was sent. */
  first(model: string, ms: number): void;
  /** A piece came so long after the one before. */
  next(model: string, ms: number): void;
}

/** The same model; `times` hears of its pieces as they come. */
export function timed(model: Model, times: PieceTimes): Model {
  const { id, pricing, takes } = model;
  return {
    id,
    ...(pricing === undefined ? {} : { pricing }),
    ...(takes === undefined ? {} : { takes }),
    generate: (request, asking) => model.generate(request, heard(asking)),
  };

  function heard(asking: ModelAsking): ModelAsking {
    /** Null once it is not known when the request in hand was sent. */
    let sentMs: number | null = times.now();
    let lastMs: number | null = null;
    let isAnswered = false;
    return {
      ...asking,
      onWait: (waits) => {
        [sentMs, lastMs, isAnswered] = [times.now(), null, false];
        asking.onWait?.(waits);
      },
      onHead: (head) => {
        // A second answer is that of another attempt, which nobody told of.
        if (isAnswered) [sentMs, lastMs] = [null, null];
        isAnswered = true;
        asking.onHead?.(head);
      },
      onChunk: () => {
        const nowMs = times.now();
        if (lastMs !== null) times.next(id, nowMs - lastMs);
        else if (sentMs !== null) times.first(id, nowMs - sentMs);
        if (sentMs !== null) lastMs = nowMs;
        asking.onChunk?.();
      },
    };
  }
}
