/**
 * What every store refuses, and in which words: one table of sentences for all kinds of store.
 *
 * Invariants:
 *   R1. A refusal carries the tree it is about as `detail.tree`, so that a caller which committed
 *       for many trees at once knows which of them to look at.
 *   R2. A writer that was fenced hears `EFENCED` even when it is stale as well: reading again would
 *       not help it.
 * @module
 */

import { SysError } from "../kernel/errors.ts";
import { treeNumber } from "../kernel/ids.ts";
import type { TreeId } from "../kernel/ids.ts";
import { sha256 } from "../kernel/json.ts";
import type { Batch, Snapshot } from "../kernel/store.ts";

/** The head of an empty log. */
export const EMPTY_HEAD: string = "0".repeat(64);

/** What of a tree decides whether a batch fits. */
export interface Position {
  readonly seq: number;
  readonly epoch: number;
  readonly owner: string | null;
}

/** Refuses a batch which does not continue its tree (S2). */
export function refuseUnfit(batch: Batch, position: Position | undefined): asserts position {
  if (position === undefined) throw absentTree("append to", batch.tree);
  if (position.epoch !== batch.epoch) {
    const owner = position.owner === null ? "nobody" : `"${position.owner}"`;
    throw new SysError(
      "EFENCED",
      `Cannot append to tree "${batch.tree}": owned by ${owner} at epoch ${position.epoch}, ` +
        `expected epoch ${batch.epoch}`,
      { tree: batch.tree, epoch: position.epoch },
    );
  }
  if (position.seq + 1 !== batch.seq) {
    throw new SysError(
      "ESTALE",
      `Cannot append to tree "${batch.tree}": it ends at line ${position.seq}, ` +
        `expected line ${batch.seq - 1}`,
      { tree: batch.tree, seq: position.seq },
    );
  }
}

/** Refuses a batch which no store could give back as it was (S5). */
export function refuseMalformed(batch: Batch): void {
  if (batch.lines.length === 0) {
    throw new SysError(
      "EINVAL",
      `Cannot append to tree "${batch.tree}": no lines, expected at least one`,
      { tree: batch.tree },
    );
  }
  for (const line of batch.lines) {
    if (line.includes("\n")) throw brokenLine(batch.tree);
  }
  for (const [hash, text] of batch.payloads) {
    if (hash.includes("\n") || text.includes("\n")) throw brokenLine(batch.tree);
  }
}

function brokenLine(tree: TreeId): SysError {
  return new SysError(
    "EINVAL",
    `Cannot append to tree "${tree}": a line break inside a text, expected canonical JSON`,
    { tree },
  );
}

/** A tree that is not there. */
export function absentTree(verb: string, tree: TreeId): SysError {
  return new SysError("ENOENT", `Cannot ${verb} tree "${tree}": absent, expected a tree`, { tree });
}

/** Refuses a snapshot of what was never committed. */
export function refuseUnwritten(tree: TreeId, snapshot: Snapshot, seq: number | undefined): void {
  if (seq === undefined) throw absentTree("write a snapshot of", tree);
  if (snapshot.seq <= seq) return;
  throw new SysError(
    "EINVAL",
    `Cannot write a snapshot of tree "${tree}": it ends at line ${seq}, ` +
      `expected line ${snapshot.seq}`,
    { tree },
  );
}

/** The text of a blob, if it is still what was put (S4). */
export function checkedBlob(hash: string, text: string): string {
  if (sha256(text) === hash) return text;
  throw new SysError(
    "EINTEGRITY",
    `Cannot read blob "${hash}": its text has another hash, expected the text that was put`,
    { hash },
  );
}

/** A log which does not hold together at line `seq`. */
export function brokenLog(tree: TreeId, seq: number, found: string): SysError {
  return new SysError(
    "EINTEGRITY",
    `Cannot read tree "${tree}" at line ${seq}: ${found}`,
    { tree, seq },
  );
}

/** A store that was closed. */
export function closedStore(verb: string, name: string): SysError {
  return new SysError("ESTATE", `Cannot ${verb} store "${name}": closed, expected it to be open`);
}

/** Trees in order of number. */
export function byNumber(one: TreeId, other: TreeId): number {
  return treeNumber(one) - treeNumber(other);
}
