/**
 * Words between trees of a family: an inbox item only points to a line of the teller's log, and
 * what is done is what that line says.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import type { EventMap } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import { pointerOf, type Word, wordIn } from "../kernel/kin_hear.ts";
import { decodeLine } from "../kernel/log.ts";
import type { State } from "../kernel/state.ts";
import type { InboxItem, StoredBatch, StoreReads } from "../kernel/store.ts";

/** What items of a family point to, by their ids; what refuses one in place of what it says. */
export async function wordsOf(
  store: StoreReads,
  items: readonly InboxItem[],
): Promise<ReadonlyMap<string, Word | SysError>> {
  const words = new Map<string, Word | SysError>();
  for (const item of items) {
    const pointer = pointerOf(item);
    if (pointer === undefined) continue;
    try {
      words.set(item.id, wordIn(await batchOf(store, pointer), pointer));
    } catch (error) {
      // A store that is away is asked again: the item stays where it is.
      if (!(error instanceof SysError) || error.code === "EIO") throw error;
      words.set(item.id, error);
    }
  }
  return words;
}

async function batchOf(
  store: StoreReads,
  { tree, seq }: { readonly tree: TreeId; readonly seq: number },
): Promise<StoredBatch | undefined> {
  if (seq < 1 || await store.head(tree) === undefined) return undefined;
  for await (const batch of store.read(tree, seq)) return batch;
  return undefined;
}

/** What is wrong with the proof that a tree's authority was delegated to it; null for nothing. */
export async function unproved(store: StoreReads, { tree, kin }: State): Promise<string | null> {
  const above = kin?.above;
  const there = above === undefined ? undefined : await store.head(above.tree);
  // A tree that was carried here without its parent's has only its own log to show.
  if (above === undefined || there === undefined || there.seq === 0) return null;
  const batch = there.seq < above.seq ? undefined : await batchOf(store, above);
  const text = batch?.lines[above.seq - batch.seq];
  const line = text === undefined ? undefined : decodeLine(text, batch!.payloads, new Set());
  const isSaid = line?.type === "kin.told" &&
    (line.data as EventMap["kin.told"]).to === tree && sha256(text!) === above.hash;
  if (isSaid) return null;
  return `It claims to be the child of ${above.pid} by line ${above.seq} of ${above.tree}, ` +
    "which does not say so";
}
