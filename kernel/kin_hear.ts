/**
 * Hearing what another tree of the family told, as its log has it.
 *
 * Invariants:
 *   KH1. Only a tree's parent tells it how to live, and only a child's tree how it ended; what one
 *        told is heard once, and never after what it told later.
 *   KH2. A child that was told that its authority is gone has none of it after this line.
 * @module
 */

import { bear } from "./detach.ts";
import type { Draft } from "./draft.ts";
import { SysError } from "./errors.ts";
import type { EventMap } from "./event.ts";
import { type CapId, isId, type TreeId } from "./ids.ts";
import { joinLabels } from "./label.ts";
import { decodeLine } from "./log.ts";
import { sha256 } from "./json.ts";
import { rootOf } from "./kin.ts";
import type { Tiding } from "./kin_event.ts";
import { allows, comeHome, processOf, signal } from "./process.ts";
import type { InboxItem, StoredBatch } from "./store.ts";

/** What a line of another tree tells, as its log has it. */
export interface Word {
  readonly from: TreeId;
  readonly seq: number;
  /** SHA-256 of the line. */
  readonly hash: string;
  readonly to: TreeId;
  readonly say: Tiding;
}

/** The line that an inbox item of the family points to; undefined for any other item. */
export function pointerOf(
  { body }: InboxItem,
): { readonly tree: TreeId; readonly seq: number } | undefined {
  const { kind, tree, seq } = body;
  if (kind !== "kin" || !isId("t", tree) || !Number.isSafeInteger(seq)) return undefined;
  return { tree: tree as TreeId, seq: seq as number };
}

/** What a line of a stored batch tells. Throws `EPERM` when it tells nothing, `EINTEGRITY`. */
export function wordIn(
  batch: StoredBatch | undefined,
  { tree, seq }: { readonly tree: TreeId; readonly seq: number },
): Word {
  const text = batch?.lines[seq - batch.seq];
  const line = text === undefined ? undefined : decodeLine(text, batch!.payloads);
  if (line?.type !== "kin.told" || line.tree !== tree || line.seq !== seq) {
    const expected = "expected a line of its log that does";
    throw new SysError(
      "EPERM",
      `Cannot hear tree "${tree}": line ${seq} tells nothing, ${expected}`,
    );
  }
  const { to, say } = line.data as EventMap["kin.told"];
  return { from: tree, seq, hash: sha256(text!), to, say };
}

/** Decides what something told does; throws `SysError` when it is refused. */
export function hear(draft: Draft, item: InboxItem, word: Word | SysError | undefined): void {
  const { state } = draft.tree;
  if (word instanceof SysError) throw word;
  if (word === undefined || word.to !== state.tree) {
    const expected = "expected what was told to this one";
    throw new SysError("EPERM", `Cannot hear item "${item.id}" in "${state.tree}": ${expected}`);
  }
  const { from, seq, hash, say } = word;
  if (say.kind === "birth") bear(draft, say, { tree: from, seq, hash });
  else if (say.kind === "ended") returned(draft, word, say);
  else obey(draft, word, say);
  draft.add("kin.heard", { from, seq, hash });
  draft.add("inbox.taken", { inbox: item.id, by: from, what: say.kind });
}

/** KH1. */
function refuseOrder(word: Word, heard: number | undefined): void {
  const sentence = `Cannot hear tree "${word.from}" in "${word.to}"`;
  if (heard === undefined) {
    throw new SysError("EPERM", `${sentence}: it is none of its family, expected one`);
  }
  if (word.seq > heard) return;
  throw new SysError("ESTATE", `${sentence}: line ${word.seq} was heard, expected a later one`);
}

/** A child's tree has ended. */
function returned(draft: Draft, word: Word, say: Tiding & { readonly kind: "ended" }): void {
  const { state } = draft.tree;
  const pid = rootOf(word.from);
  refuseOrder(word, state.kin?.away[pid]?.heard);
  const { spent, marks } = say;
  draft.add("kin.settled", { pid, spent, ...(marks === null ? {} : { marks }) });
  const standing = Object.hasOwn(state.processes, pid) ? state.processes[pid] : undefined;
  if (standing === undefined) return;
  // Whoever hears the outcome has seen what the child had.
  const label = joinLabels(standing.label, say.label);
  draft.add("process.labeled", { pid, label });
  comeHome(draft, standing, say.outcome);
}

/** The parent's tree says how to live, or what is gone. */
function obey(
  draft: Draft,
  word: Word,
  say: Exclude<Tiding, { readonly kind: "birth" | "ended" }>,
): void {
  const { state, caps } = draft.tree;
  const { above } = state.kin ?? {};
  refuseOrder(word, above?.tree === word.from ? above.heard : undefined);
  if (say.kind === "signal") {
    const root = processOf(state, rootOf(state.tree));
    // What it ended or did by itself meanwhile stands.
    if (allows(root.life, say.signal)) signal(draft, root, say);
    return;
  }
  const gone = Object.values(state.caps)
    .filter(({ of }) => of !== undefined && say.caps.includes(of))
    .flatMap(({ id }): CapId[] => [id, ...caps.descendants(id)]);
  if (gone.length === 0) return;
  const reason = "taken back where it was derived from";
  draft.add("cap.revoked", { ids: [...new Set(gone)], by: above!.pid, reason });
}
