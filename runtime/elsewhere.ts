/**
 * What became of an item in the inbox of a tree that another node has: its owner says so in the
 * tree's log.
 *
 * Invariants:
 *   EL1. An item that was put is never said to have been refused before a line of the log says it:
 *        who waited in vain hears `EINDOUBT`.
 * @module
 */

import { type Errno, SysError } from "../kernel/errors.ts";
import type { TreeId } from "../kernel/ids.ts";
import { LIMITS } from "../kernel/limits.ts";
import { parseJson } from "../kernel/parse.ts";
import type { Store } from "../kernel/store.ts";
import type { Clock } from "../kernel/world.ts";

/** Lines before the end at which it is looked for first: it was put a moment ago. */
const LOOK_BACK = 2_048;
/** Looks in a row that fail, before whoever waits is told that nobody knows. */
const AWAY_MAX = 2;
const POLL_MS_MIN = 10;
const POLL_MS_MAX = 250;

/** Where an item was put, and who asks. */
export interface Put {
  readonly store: Store;
  readonly clock: Clock;
  readonly tree: TreeId;
  /** The item's id. */
  readonly id: string;
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
}

/** Resolves when its owner took an item. Throws what refused it, or `EINDOUBT` when nobody did. */
export async function takenElsewhere(put: Put): Promise<void> {
  const { clock, signal } = put;
  const untilMs = clock.now() + LIMITS.orderMsMax;
  let from = 0;
  let away = 0;
  for (let pauseMs = POLL_MS_MIN; !signal.aborted && clock.now() < untilMs;) {
    try {
      const looked = await look(put, from);
      if (looked === "taken") return;
      from = looked;
      away = 0;
    } catch (error) {
      if (!(error instanceof SysError) || error.code !== "EIO") throw error;
      // A line may have been cut; a store that is away was waited for in each look.
      if (++away >= AWAY_MAX) break;
    }
    await clock.sleep(pauseMs, signal).catch(() => {});
    pauseMs = Math.min(2 * pauseMs, POLL_MS_MAX);
  }
  const sentence = `Cannot tell whether tree "${put.tree}" took what was sent: it may be in its ` +
    "inbox, and nobody has said so yet; look at the tree before you send it again";
  throw new SysError("EINDOUBT", sentence, { tree: put.tree, inbox: put.id });
}

/** Looks for it in lines from `from` on; where to look from the next time, when it is not there. */
async function look({ store, tree, id }: Put, from: number): Promise<number | "taken"> {
  const head = await store.head(tree);
  const end = head?.seq ?? 0;
  const start = from === 0 ? Math.max(1, end - LOOK_BACK) : from;
  const said = `"inbox":${JSON.stringify(id)}`;
  if (start > end) return start;
  for await (const { lines } of store.read(tree, start)) {
    for (const line of lines) {
      if (!line.includes(said)) continue;
      if (line.endsWith('"type":"inbox.taken"}')) return "taken";
      if (!line.endsWith('"type":"inbox.refused"}')) continue;
      const { data } = parseJson(line) as { data: { code: Errno; message: string } };
      throw new SysError(data.code, data.message);
    }
  }
  return end + 1;
}
