/**
 * Ids: each says its kind and its tree.
 *
 * `p_3` is the root process of tree 3, `p_3.2` another process of it, `cap_3.17` a capability.
 * The tree number comes from the store, the second number from the tree's own counters, so that
 * ids are the same whenever the same log is applied, and an id alone finds its tree.
 * @module
 */

import { SysError } from "./errors.ts";

/** A tree's id. */
export type TreeId = `t_${number}`;
/** An id of kind `K`. */
export type Id<K extends string> = `${K}_${string}`;
/** A process's id. */
export type Pid = Id<"p">;
/** A capability's id. */
export type CapId = Id<"cap">;
/** An object's id. */
export type ObjectId = Id<"obj">;
/** A request's id. */
export type RequestId = Id<"req">;
/** A message's id. */
export type MessageId = Id<"msg">;

/** A checkpoint's id. */
export type CheckpointId = Id<"ck">;

/** The kinds that a tree counts. */
export const ID_KINDS = ["p", "cap", "obj", "req", "msg", "ck"] as const;
/** A counted kind. */
export type IdKind = (typeof ID_KINDS)[number];

const ID = /^(p|cap|obj|req|msg|ck|t)_([1-9]\d{0,14})(?:\.([1-9]\d{0,14}))?$/;

/**
 * Makes the id of kind `kind` with number `n` in `tree`; a root process has the bare tree number.
 */
export function makeId<K extends IdKind>(kind: K, tree: TreeId, n: number): Id<K> {
  const number = tree.slice(2);
  return kind === "p" && n === 0 ? `${kind}_${number}` : `${kind}_${number}.${n}`;
}

/** Whether `text` has the form of an id of `kind`. */
export function isId<K extends IdKind | "t">(kind: K, text: unknown): text is Id<K> {
  return typeof text === "string" && text.startsWith(`${kind}_`) && ID.test(text);
}

/** The tree an id belongs to. */
export function treeOf(id: string): TreeId {
  const match = ID.exec(id);
  if (match === null) throw new SysError("EINVAL", `Cannot use id "${id}": malformed`);
  return `t_${Number(match[2])}`;
}

/** The number of a tree, as the store keeps it. */
export function treeNumber(tree: TreeId): number {
  return Number(tree.slice(2));
}
