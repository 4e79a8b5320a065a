/**
 * What the claims about seals and proofs are written with: stores with a few trees, and a key.
 * @module
 */

import type { Event, Line } from "../kernel/event.ts";
import type { TreeId } from "../kernel/ids.ts";
import { encodeLine } from "../kernel/log.ts";
import { MemoryAuditStore, type Trust } from "../kernel/seal.ts";
import type { Batch, Store, StoredBatch } from "../kernel/store.ts";
import { VirtualClock } from "../providers/clock.ts";
import { MemoryStore } from "../providers/memory_store.ts";
import { SeededRandom } from "../providers/random.ts";
import { checkSignature, SigningKey } from "../providers/signing.ts";
import { seal, type Sealing } from "../runtime/seal.ts";
import { batchOf } from "./store_fixture.ts";

/** A store whose log can be changed behind everybody's back. */
export class ForgedStore extends MemoryStore {
  forge: (tree: TreeId, batches: StoredBatch[]) => StoredBatch[] = (_, batches) => batches;

  override async *read(tree: TreeId, fromSeq: number): AsyncIterable<StoredBatch> {
    const batches = await Array.fromAsync(super.read(tree, 1));
    yield* this.forge(tree, batches).filter(({ seq, lines }) => seq + lines.length > fromSeq);
  }
}

/** A store under seal, and what it is sealed with. */
export interface Place extends Sealing {
  readonly store: ForgedStore;
  readonly audit: MemoryAuditStore;
  readonly clock: VirtualClock;
  readonly signer: SigningKey;
  readonly trust: Trust;
}

/** An empty store with a key of its own. */
export function placeOf(signer?: SigningKey): Place {
  const clock = new VirtualClock(1_700_000_000_000);
  const key = signer ?? SigningKey.inMemory({ clock, random: new SeededRandom(7) });
  return {
    store: new ForgedStore(),
    audit: new MemoryAuditStore(),
    clock,
    signer: key,
    check: checkSignature,
    trust: { keys: [key.keys[0]!.key], check: checkSignature },
  };
}

/** Adds lines to a tree, one a batch; every third names a payload. */
export async function write(store: Store, tree: TreeId, count: number): Promise<void> {
  let { seq, head } = (await store.head(tree))!;
  const batches: Batch[] = [];
  for (let i = 0; i < count; i++) {
    seq += 1;
    const payloads = new Map<string, string>();
    const { text, hash } = encodeLine(lineOf(tree, seq, head), payloads);
    batches.push(batchOf(tree, { seq, lines: [text], head: hash, payloads }));
    head = hash;
  }
  await store.commit(batches);
}

function lineOf(tree: TreeId, seq: number, prev: string): Line {
  const data = {
    pid: `p_${tree.slice(2)}`,
    step: seq,
    args: seq % 3 === 0 ? { text: `${seq} é`.repeat(100) } : { path: `a/${seq}` },
  } as unknown as Event["data"];
  return { tree, seq, atMs: 1_700_000_000_000 + seq, type: "call.intent", data, prev };
}

/** A new tree with lines. */
export async function grown(store: Store, count: number): Promise<TreeId> {
  const { tree } = await store.create(null);
  await write(store, tree, count);
  return tree;
}

/** Three trees over four seals; the last lines of the first are not sealed. */
export async function busy(): Promise<Place> {
  const place = placeOf();
  const first = await grown(place.store, 5);
  await seal(place);
  const second = await grown(place.store, 9);
  await write(place.store, first, 4);
  await seal(place);
  await grown(place.store, 1);
  await seal(place);
  await write(place.store, second, 2);
  await seal(place);
  await write(place.store, first, 2);
  return place;
}
