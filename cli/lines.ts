/**
 * Whole lines of logs, of the store here or of a server: what is counted and listed from them is
 * the same in both.
 * @module
 */

import type { Line } from "../kernel/event.ts";
import type { Client } from "../server/client.ts";
import type { EventView } from "../server/schema/evidence.ts";
import { readLines } from "../runtime/load.ts";
import type { Context } from "./command.ts";
import { findTree, headsOf, openStore } from "./store.ts";
import { treesThere } from "./system_there.ts";

/** Lines of the tree that a word names, itself or by one of its processes; of all for none. */
export function wholeLines(at: Context, word: string | undefined): AsyncIterable<Line> {
  return at.client === null ? linesHere(at, word) : linesThere(at.client, word);
}

async function* linesHere(at: Context, word: string | undefined): AsyncGenerator<Line> {
  const store = await openStore(at, "read");
  try {
    const trees = word === undefined
      ? (await headsOf(store, true)).map(({ tree }) => tree)
      : [await findTree(store, word)];
    for (const tree of trees) yield* readLines(store, tree);
  } finally {
    await store.close();
  }
}

async function* linesThere(client: Client, word: string | undefined): AsyncGenerator<Line> {
  for (const tree of await treesThere(client, word)) {
    const query = { reveal: true, limit: 500 };
    const path = `/v1/trees/${tree}/events`;
    for await (const { seq, at, type, data, prev } of client.all<EventView>(path, query)) {
      yield { tree, seq, atMs: Date.parse(at), type, data, prev: prev ?? "" } as Line;
    }
  }
}
