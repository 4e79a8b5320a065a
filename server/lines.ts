/**
 * Lines of a log from anywhere in it, without those before: what a page of it costs does not grow
 * with the log.
 *
 * Invariants:
 *   W1. The lines that are read hold together, and end as the store says where they reach the end.
 *       What stands before them is checked when the tree is opened and by `verify`, not here.
 *   W2. What was taken away from a line stays away: a mark stands in its place.
 * @module
 */

import type { Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { ChainReader, decodeLine, GENESIS } from "../kernel/log.ts";
import type { StoredBatch, StoreReads } from "../kernel/store.ts";
import { headOf } from "../runtime/load.ts";

/** Lines of a tree from `from` to `to`, which is the end when absent. */
export async function* linesFrom(
  store: StoreReads,
  id: TreeId,
  from: number,
  to = Infinity,
): AsyncGenerator<Line> {
  const head = await headOf(store, id);
  let reader: ChainReader | undefined;
  for await (const batch of store.read(id, from)) {
    // Written since the head was read.
    if (batch.seq > head.seq) break;
    reader ??= new ChainReader(id, batch.seq - 1, headBefore(batch));
    for (const line of reader.read(batch)) {
      if (line.seq > to) return;
      if (line.seq >= from) yield line;
    }
  }
  reader?.finish(head.seq, head.head);
}

/** What the first line of a batch says of the one before it. */
function headBefore({ seq, lines, payloads }: StoredBatch): string {
  return seq === 1 ? GENESIS : decodeLine(lines[0]!, payloads, new Set()).prev;
}

/** The lines of one batch, which hold together; what stands before them is not looked at. */
export function linesIn(id: TreeId, batch: StoredBatch): readonly Line[] {
  return [...new ChainReader(id, batch.seq - 1, headBefore(batch)).read(batch)];
}
