/**
 * Events of a tree as a whole: its beginning, its owners, its positions.
 * @module
 */

import type { BranchEdits } from "./branch.ts";
import type { Errno } from "./errors.ts";
import type { Pattern } from "./grammar.ts";
import type { CheckpointId, Pid, TreeId } from "./ids.ts";
import type { Descent } from "./kin_event.ts";
import type { Label } from "./label.ts";
import type { Marks } from "./mark.ts";
import type { StatePatch } from "./patch.ts";
import type { Touched } from "./touch.ts";

/** Where and how a tree was branched off: all that it has of itself before it grew. */
export interface Branch {
  /** The other tree. */
  readonly from: TreeId;
  /** Its line as which this one begins. */
  readonly seq: number;
  /** SHA-256 of that line. */
  readonly head: string;
  /** The other tree's last line by then, and its SHA-256. */
  readonly end: { readonly seq: number; readonly head: string };
  /** What is different in this one. */
  readonly edits: BranchEdits;
}

/** What can happen to a tree as a whole. */
export interface TreeEvents {
  /** The first thing a tree says of itself: its root and its authority manifest. */
  "tree.created": {
    readonly root: Pid;
    readonly key: string | null;
    readonly nonce: string;
    readonly ceiling: readonly Pattern[];
    readonly policy: string;
    /** Who started it, as its runtime knows them. */
    readonly owner?: string;
    /** Whose child it is, in another tree, and the line of that tree that proves it. */
    readonly above?: Descent;
    /** What files are marked with in the tree of its parent. */
    readonly marks?: Marks;
    /** Labels that the node which runs it has to have; absent: any node may run it. */
    readonly selector?: { readonly [key: string]: string };
  };
  /** A position got a name: the state right after this line. */
  "checkpoint.taken": {
    readonly id: CheckpointId;
    readonly name: string;
    readonly by: string;
    /** Why it was taken by itself; null when somebody took it. */
    readonly auto: "ask" | "destructive" | null;
    /** What the process had seen that gave the name; absent where no process did. */
    readonly label?: Label;
  };
  /** The tree went back to an earlier position of its log, as far as things can be taken back. */
  "tree.restored": { readonly to: number; readonly by: string; readonly patch: StatePatch };
  /** A process wants its tree to go back: nothing of it runs until that is done or refused. */
  "restore.asked": {
    readonly pid: Pid;
    readonly to: number;
    /** The checkpoint's name. */
    readonly name: string;
    readonly reason: string;
    /** What the process had read by then; the reason may tell of it. */
    readonly label: Label;
  };
  /** The tree did not go back as a process wanted, and goes on. */
  "restore.refused": { readonly code: Errno; readonly message: string };
  /** Files are about to be put back as they were at an earlier position. */
  "files.undoing": {
    readonly to: number;
    readonly by: string;
    /** What will be done, if it succeeds. */
    readonly touches: readonly Touched[];
  };
  /** How putting files back came out; what is not listed was left alone. */
  "files.undone": {
    readonly to: number;
    readonly by: string;
    /** What was done. */
    readonly touches: readonly Touched[];
  };
  /** The tree begins as another tree was at one of its positions, with ids of its own. */
  "tree.forked": {
    readonly from: TreeId;
    readonly seq: number;
    /** SHA-256 of the other tree's line at `seq`. */
    readonly head: string;
    readonly nonce: string;
    readonly by: string;
    /** How far the other tree was by then: what it spent and revoked up to there holds here. */
    readonly end?: Branch["end"];
    readonly edits?: BranchEdits;
    /** Moments of the other tree up to the position: those of this one come after them. */
    readonly before?: number;
    /** What it begins with, in logs of before: there, nothing has to grow. */
    readonly patch?: StatePatch;
    /** Whose the new tree is. */
    readonly owner?: string;
    /** What files are marked with: they are those of the other tree, under their own names. */
    readonly marks?: { readonly [path: string]: Label };
    /** Labels that the node which runs it has to have: those of the other tree. */
    readonly selector?: { readonly [key: string]: string };
  };
  /** A tree that was branched off got a part of what it begins with, and last of all the rest. */
  "tree.grown": {
    readonly patch: StatePatch;
    /** Whether that was all: now it is what it was branched off as. */
    readonly isWhole: boolean;
  };
  /** The tree goes on elsewhere, from the line before this one: nothing of it runs here again. */
  "tree.moved": {
    /** Where to, in words for people. */
    readonly to: string;
    readonly by: string;
  };
  /** The tree came from elsewhere; what was under way there is in doubt here. */
  "tree.arrived": {
    /** The last line that it brought. */
    readonly seq: number;
    /** SHA-256 of that line. */
    readonly head: string;
    readonly by: string;
  };
  /** Content was taken away for good: of lines before this one, only its hashes are left. */
  "content.erased": {
    /** Of values and of payloads. */
    readonly hashes: readonly string[];
    readonly by: string;
    readonly reason: string;
  };
  /** Payloads of lines up to `to` were taken away, but for those that the state still needs. */
  "payloads.redacted": {
    readonly to: number;
    /** Hashes of those that stay. */
    readonly kept: readonly string[];
    readonly by: string;
  };
  /**
   * Values that lines before this one name and no tree refers to any more go from the store. One
   * that was named again meanwhile stays.
   */
  "values.collected": {
    readonly hashes: readonly string[];
    /** Length of their texts. */
    readonly bytes: number;
    readonly by: string;
  };
  /** How long the tree's payloads are kept from now on. */
  "retention.set": {
    /** Days; null for as long as the log. */
    readonly days: number | null;
    readonly by: string;
    /** Whether nobody said so of this tree: another default takes its place. */
    readonly isDefault: boolean;
  };
  /** All payloads of lines up to `to` are gone that were to go by then. */
  "retention.passed": {
    readonly to: number;
    /** When the first line after `to` was written that has a payload; null for none. */
    readonly nextMs: number | null;
    /** How many payloads of lines up to `to` the state still needed. */
    readonly stays: number;
  };
  /** A node took the tree over; later lines are its. */
  "tree.opened": { readonly node: string; readonly epoch: number };
}
