/**
 * What trees of one family tell each other: a child that is a tree of its own, and its parent.
 *
 * Each thing told is a line of the teller's log. What is put into the other's inbox only points to
 * that line, so whoever takes it reads there what was said, and nothing that nobody logged is
 * believed.
 * @module
 */

import type { Capability } from "./capability.ts";
import type { EndOutcome, EventMap, ImageData } from "./event.ts";
import type { Pattern } from "./grammar.ts";
import type { CapId, Pid, TreeId } from "./ids.ts";
import type { Json } from "./json.ts";
import type { Label } from "./label.ts";
import type { Marks } from "./mark.ts";
import type { BudgetLimits, Spending } from "./spending.ts";

/** All that a detached child begins with; what its tree may ever do is in here. */
export interface Birth {
  /** What it is. */
  readonly kind: "birth";
  /** Who started it. */
  readonly parent: Pid;
  /** Generations above it, over all trees. */
  readonly depth: number;
  /** How many trees it may have below itself at the same time. */
  readonly trees: number;
  /** What its effects' keys are made from. */
  readonly nonce: string;
  /** Who started its parent's tree. */
  readonly owner: string | null;
  /** Nothing outside it is ever put before a person: its parent's. */
  readonly ceiling: readonly Pattern[];
  /** Its parent's, as it is now. */
  readonly policy: string;
  /** Labels that its node has to have: those of its parent's tree among them. */
  readonly selector: { readonly [key: string]: string };
  /** Its own, and those that it may start or become. */
  readonly images: readonly ImageData[];
  /** Generated tools that its images name. */
  readonly generated: readonly EventMap["tool.proposed"][];
  /** Its parent's, each with all that it was derived from, under the names of the parent's tree. */
  readonly caps: readonly Capability[];
  /** The hash of its image. */
  readonly image: string;
  /** What it is to do. */
  readonly goal: string;
  /** What it is given for that. */
  readonly input: Json;
  /** Its working directory. */
  readonly cwd: string;
  /** Words for people; those of the root of its parent's tree among them. */
  readonly labels: { readonly [key: string]: string };
  /** Those of all above it, too. */
  readonly rules: string;
  /** Its weight among others. */
  readonly priority: number;
  /** Its limits. */
  readonly budget: BudgetLimits;
  /** What its parent had seen. */
  readonly label: Label;
  /** What files are marked with. */
  readonly marks: Marks | null;
  /** How long payloads are kept. */
  readonly retention: EventMap["retention.set"] | null;
}

/** What one tree tells the other. */
export type Tiding =
  | Birth
  | {
    readonly kind: "signal";
    readonly signal: "pause" | "resume" | "cancel" | "kill";
    readonly by: string;
    readonly reason: string;
  }
  /** Capabilities of the parent's tree are gone that the child's were derived from. */
  | { readonly kind: "revoked"; readonly caps: readonly CapId[] }
  /** The child's tree has ended. */
  | {
    readonly kind: "ended";
    readonly outcome: EndOutcome;
    readonly spent: Spending;
    readonly label: Label;
    readonly marks: Marks | null;
  };

/** Where a tree's authority is from: the proof that it was delegated. */
export interface Descent {
  /** The parent's tree. */
  readonly tree: TreeId;
  /** The parent. */
  readonly pid: Pid;
  /** The line of the parent's tree that says so. */
  readonly seq: number;
  /** SHA-256 of that line. */
  readonly hash: string;
  /** Generations above it, over all trees. */
  readonly depth: number;
  /** How many trees it may have below itself at the same time. */
  readonly trees: number;
}

/** What is kept for a child that is a tree of its own. */
export interface Detached {
  /** Its tree. */
  readonly tree: TreeId;
  /** What it may spend, which counts as spent here until it has ended. */
  readonly held: Spending;
  /** How many trees it may have below itself. */
  readonly trees: number;
}

/** What can happen between trees. */
export interface KinEvents {
  /** Another tree of the family is told something. */
  "kin.told": { readonly to: TreeId; readonly say: Tiding };
  /** What another tree told has had its effect, which stands before this line. */
  "kin.heard": { readonly from: TreeId; readonly seq: number; readonly hash: string };
  /** A detached child's tree has ended: what it did spend takes the place of what was held. */
  "kin.settled": { readonly pid: Pid; readonly spent: Spending; readonly marks?: Marks };
}
