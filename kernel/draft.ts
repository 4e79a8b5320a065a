/**
 * A draft: what a verb decided, before it is committed.
 *
 * A verb may refuse at any time while it drafts, since nothing has changed; once the draft is
 * committed nothing may refuse any more (G2, G4).
 * @module
 */

import { SysError } from "./errors.ts";
import type { Event, EventMap, EventType, ValueRef } from "./event.ts";
import { type Id, type IdKind, makeId, type TreeId } from "./ids.ts";
import { canonical, type Json, sha256 } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { InboxItem } from "./store.ts";
import type { Tree } from "./tree.ts";

/** What goes along with events: most have nothing of it. */
interface Beside {
  readonly blobs: Map<string, string>;
  readonly taken: string[];
  readonly puts: { readonly tree: TreeId; readonly item: InboxItem }[];
}

/** Events, values and inbox changes that are to be committed together. */
export class Draft {
  readonly tree: Tree;
  readonly nowMs: number;
  readonly events: Event[] = [];
  #beside: Beside | null = null;
  #used: { [K in IdKind]?: number } | null = null;

  /** Starts a draft on a tree; `nowMs` is never before the tree's last line. */
  constructor(tree: Tree, nowMs: number) {
    this.tree = tree;
    this.nowMs = Math.max(nowMs, tree.state.atMs);
  }

  /** Values, and inbox items that were taken or are to be put; null when there was none of all. */
  get beside(): Beside | null {
    return this.#beside;
  }

  /** The same, to add to it. */
  get along(): Beside {
    return this.#beside ??= { blobs: new Map(), taken: [], puts: [] };
  }

  /** Adds an event. */
  add<T extends EventType>(type: T, data: EventMap[T]): void {
    if (this.events.length >= LIMITS.batchLinesMax) {
      const sentence = `Cannot commit: more than ${LIMITS.batchLinesMax} events in one call`;
      throw new SysError("ELIMIT", sentence, { limit: "batchLinesMax" });
    }
    this.events.push({ type, data } as Event);
  }

  /** The next id of a kind. */
  id<K extends IdKind>(kind: K): Id<K> {
    const all = this.#used ??= {};
    const used = all[kind] ?? 0;
    all[kind] = used + 1;
    return makeId(kind, this.tree.state.tree, this.tree.state.next[kind] + used);
  }

  /** Keeps a value: small ones in the event, others as a blob by hash. */
  value(value: Json, bytesMax: number, what: string): ValueRef {
    const text = canonical(value);
    if (text.length > bytesMax) {
      const sentence = `Cannot keep ${what}: ${text.length} bytes, expected at most ${bytesMax}`;
      throw new SysError("ELIMIT", sentence, { limit: "bytes", bytesMax });
    }
    if (text.length <= LIMITS.inlineBytesMax) return { value };
    const hash = sha256(text);
    this.along.blobs.set(hash, text);
    this.tree.values.set(hash, value, text.length);
    return { bytes: text.length, hash };
  }
}
